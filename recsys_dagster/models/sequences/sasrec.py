"""Predict the next item at every place of a history at once, by self-attention to the items before it."""

from collections.abc import Iterator
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from recsys_dagster.data.interactions import Interactions
from recsys_dagster.data.training_data import TrainingData
from recsys_dagster.errors import RecsysError
from recsys_dagster.models.budget import FLOPS, Estimate, Size
from recsys_dagster.models.capabilities import FoldIn
from recsys_dagster.models.networks.neural import (
    Examples,
    NeuralModel,
    NeuralParams,
    import_keras,
    relu,
    seed_everything,
    train,
)
from recsys_dagster.models.search_space import Real, Whole
from recsys_dagster.models.sequences.histories import PADDING, Histories
from recsys_dagster.models.sequences.sampled_softmax import (
    MASKED,
    biases_at_popularity,
    own_loss,
    sampled_cross_entropy,
)

BLOCK_USERS = 256
"""Users whose windows pass through the network at once: 26 MB of values of 4 · 64 units at 100 places."""
VALIDATION_BATCH = 256
EPSILON = 1e-6
"""Added to the variance in layer normalisation."""

Weights = list[NDArray[np.float32]]


class SasRecParams(NeuralParams):
    """Parameters of self-attention."""

    learning_rate: float = Field(0.001, gt=0, description="Step size of Adam.")
    batch_size: int = Field(32, ge=1, description="Windows per step; each has up to `window` examples.")
    epochs: int = Field(40, ge=1, description="Largest number of epochs, of `max_windows` each.")
    patience: int | None = Field(
        3, ge=1, description="Epochs without a better validation loss after which training stops; None: never."
    )
    window: int = Field(50, ge=1, description="Number of last items of a history that the next one is predicted from.")
    units: int = Field(64, ge=2, description="Size of the vectors; a multiple of `heads`.")
    blocks: int = Field(2, ge=1, description="Number of attention blocks.")
    heads: int = Field(2, ge=1, description="Number of attention heads of a block.")
    dropout: float = Field(0.2, ge=0, lt=1, description="Share of the outputs of each layer dropped in training.")
    negatives: int = Field(
        1024, ge=1, description="Items drawn in each step that the next item is compared with; all if there are fewer."
    )
    max_windows: int = Field(20_000, ge=1, description="Largest number of windows per epoch; the next takes others.")

    searched: ClassVar = {
        "learning_rate": Real(1e-4, 0.01, log=True),
        "units": Whole(16, 128, log=True),
        "dropout": Real(0, 0.6),
    }


class SasRec(FoldIn, NeuralModel):
    """Self-attention over the last items of a history predicts the next one (Kang and McAuley 2018).

    The vectors of the items and of their places pass through blocks of causal self-attention and of a hidden layer,
    each normalised first and added to its input. The score of an item is the product of its vector and of the last
    output, plus a bias that starts at the log of its popularity.

    Every place of a window is a training example. The loss is the cross-entropy over the next item and `negatives`
    items drawn for the whole step (`sampled_cross_entropy`).

    All interactions count, whatever their rating; ties in time are in the order of a hash.

    Attributes:
        items_: (n_items + 1, units) vectors of the padding and of the items.
        biases_: (n_items + 1,) their biases.
        places_: (window, units) vectors of the places.
        layers_: the other weights, in the order of `encode`.
        latest_: (n_users, window) int32, the last items of each history; item i is written as i + 1.
    """

    name = "sasrec"
    params_type = SasRecParams
    params: SasRecParams
    needs_times: ClassVar[bool] = True

    items_: NDArray[np.float32]
    biases_: NDArray[np.float32]
    places_: NDArray[np.float32]
    layers_: Weights
    latest_: NDArray[np.int32]

    def estimate(self, size: Size) -> Estimate:
        """Estimate a fit and an evaluation, whose work is in matrix products."""
        params, negatives = self.params, min(self.params.negatives, size.items)
        windows = min(params.max_windows, size.pairs // params.window + size.users)
        encoding = 2 * params.window * params.blocks * (6 * params.units**2 + 2 * params.window * params.units)
        return self.training_estimate(
            size,
            examples=windows,
            flops=encoding + 2 * params.window * negatives * params.units,
            weights=(params.units + 1) * size.items,
            score=2 * params.units / FLOPS + encoding / FLOPS / size.items,
            step_bytes=16 * params.batch_size * params.window * (negatives + 12 * params.units),
        )

    def _fit(self, data: TrainingData) -> None:
        histories = Histories.of(data.train, data.n_users)
        ends = self._ends_of_windows(histories)
        if not len(ends):
            raise RecsysError(
                f"{self.name}: no user has two items in the training fold, so that there is no next item to learn"
            )
        limit = self.params.max_windows
        ends = np.random.default_rng(self.seed).permutation(ends)[: limit * self.params.epochs]
        examples = self._examples(histories, ends, np.ones(len(histories.items), bool))
        network, encoder = self._build(data.n_items)
        training = train(
            network,
            self.params,
            examples,
            self._validation(data),
            loss=own_loss,
            seed=self.seed,
            description=self.name,
            validation_batch=VALIDATION_BATCH,
            parts=-(-len(examples) // limit),
        )
        self.history_, self.best_epoch_ = training.curves, training.best_epoch
        self.items_, self.places_, *self.layers_ = encoder.get_weights()
        self.biases_ = network.get_layer("loss").biases.get_weights()[0][:, 0]
        self.latest_ = histories.latest(self.params.window)

    def _build(self, n_items: int) -> tuple[Any, Any]:
        """Return the network whose output is the loss, and the part of it that encodes the windows."""
        seed_everything(self.seed)
        return build_network(n_items, self.params, biases_at_popularity(self.popularity_), self.seed)

    def _ends_of_windows(self, histories: Histories) -> NDArray[np.int64]:
        """Return the places of the last targets of windows that together have each item but the first as a target."""
        return np.flatnonzero((histories.places > 0) & (histories.places_from_end % self.params.window == 0))

    def _examples(self, histories: Histories, ends: NDArray[np.int64], counted: NDArray[np.bool_]) -> Examples:
        """Return the windows before the items at `ends`, and what follows at every place, if that item is `counted`."""
        length = self.params.window
        windows = histories.before(ends, length)
        places = np.maximum(ends[:, None] - np.arange(length)[::-1], 0)
        is_target = (windows != PADDING) & counted[places]
        targets = np.where(is_target, histories.items[places] + 1, PADDING).astype(np.int32)
        return Examples((windows, targets), np.zeros(len(ends), np.float32))

    def _validation(self, data: TrainingData) -> Examples:
        """Return windows in which items of the validation fold follow; the items before these may be of both folds.

        A window has all of them as targets at once, so that many are compared in little time.
        """
        pairs = Interactions.concatenate(data.train, data.validation)
        histories = Histories.of(pairs, data.n_users)
        counted = histories.order >= len(data.train)
        ends, totals = self._ends_of_windows(histories), np.concatenate([[0], np.cumsum(counted)])
        firsts = np.maximum(ends + 1 - self.params.window, histories.offsets[histories.users[ends]] + 1)
        ends = ends[totals[ends + 1] > totals[firsts]]
        ends = np.random.default_rng(self.seed).permutation(ends)[: max(1, self.params.max_windows // 4)]
        return self._examples(histories, ends, counted)

    def _scores(self, users: NDArray[np.int32]) -> NDArray[np.float32]:
        return self._of_windows(self.latest_[users])

    def _scores_for(self, history: Interactions, n_users: int) -> NDArray[np.float32]:
        return self._of_windows(Histories.of(history, n_users).latest(self.params.window))

    def _of_windows(self, windows: NDArray[np.int32]) -> NDArray[np.float32]:
        """Return the (n, n_items) float32 scores of what follows each (n, window) window."""
        scores = np.empty((len(windows), self.n_items_), dtype=np.float32)
        for start in range(0, len(windows), BLOCK_USERS):
            block = windows[start : start + BLOCK_USERS]
            states = encode(block, self.items_, self.places_, self.layers_)[:, -1]
            np.matmul(states, self.items_[1:].T, out=scores[start : start + BLOCK_USERS])
        scores += self.biases_[1:]
        return scores


def build_network(n_items: int, params: SasRecParams, biases: NDArray[np.float32], seed: int) -> tuple[Any, Any]:
    """Return a keras.Model from windows and next items to losses, and the one within it from windows to outputs.

    Args:
        n_items: size of the catalogue.
        params: of the model.
        biases: (n_items + 1,) what the biases of the padding and of the items start at.
        seed: of the negatives.

    Returns:
        From two (batch, window) int32 arrays to (batch,) losses, whose mean is the mean over all places with a next
        item; from the first of them to (batch, window, units).
    """
    keras = import_keras()
    layers, ops = keras.layers, keras.ops
    windows = keras.Input((params.window,), dtype="int32", name="window")
    items = layers.Embedding(n_items + 1, params.units, name="items")
    places = layers.Embedding(params.window, params.units, name="places")
    place = ops.zeros_like(windows) + ops.arange(params.window)
    values = items(windows) * params.units**0.5 + places(place)
    values = layers.Dropout(params.dropout)(values)
    is_item = ops.expand_dims(ops.not_equal(windows, PADDING), 1)
    for _ in range(params.blocks):
        normalised = layers.LayerNormalization(epsilon=EPSILON)(values)
        attention = layers.MultiHeadAttention(params.heads, params.units // params.heads, dropout=params.dropout)
        attended = attention(normalised, normalised, attention_mask=is_item, use_causal_mask=True)
        values = values + layers.Dropout(params.dropout)(attended)
        normalised = layers.LayerNormalization(epsilon=EPSILON)(values)
        hidden = layers.Dropout(params.dropout)(layers.Dense(params.units, activation="relu")(normalised))
        values = values + layers.Dropout(params.dropout)(layers.Dense(params.units)(hidden))
    outputs = layers.LayerNormalization(epsilon=EPSILON)(values)
    encoder = keras.Model(windows, outputs)

    targets = keras.Input((params.window,), dtype="int32", name="next")
    loss = sampled_cross_entropy(items, biases, params.negatives, seed)
    return keras.Model([windows, targets], loss(outputs, targets)), encoder


def encode(
    windows: NDArray[np.int32], items: NDArray[np.float32], places: NDArray[np.float32], weights: Weights
) -> NDArray[np.float32]:
    """Return the (n, window, units) outputs of the encoder of `build_network` for (n, window) windows.

    Args:
        windows: item i is written as i + 1; padded in front.
        items: (n_items + 1, units) vectors of the padding and the items.
        places: (window, units).
        weights: of the blocks and of the last normalisation, in the order of Keras.
    """
    size, units = windows.shape[1], items.shape[1]
    values = items[windows] * np.float32(units**0.5) + places
    visible = (windows != PADDING)[:, None, None, :] & np.tri(size, dtype=bool)
    for block in _blocks(weights[:-2]):
        normalised = normalise(values, *block[:2])
        values = values + attend(normalised, visible, block[2:10])
        hidden = relu(normalise(values, *block[10:12]) @ block[12] + block[13])
        values = values + hidden @ block[14] + block[15]
    return normalise(values, *weights[-2:])


def _blocks(weights: Weights) -> Iterator[Weights]:
    return (weights[start : start + 16] for start in range(0, len(weights), 16))


def normalise(
    values: NDArray[np.float32], scale: NDArray[np.float32], shift: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Return layer normalisation over the last axis (Ba, Kiros and Hinton 2016)."""
    centred = values - values.mean(axis=-1, keepdims=True)
    deviation = np.sqrt(np.square(centred).mean(axis=-1, keepdims=True) + np.float32(EPSILON))
    outputs: NDArray[np.float32] = centred / deviation * scale + shift
    return outputs


def attend(values: NDArray[np.float32], visible: NDArray[np.bool_], weights: Weights) -> NDArray[np.float32]:
    """Return scaled dot-product attention of each place to the visible ones (Vaswani et al. 2017).

    Args:
        values: (n, window, units).
        visible: (n, 1, window, window) which place sees which.
        weights: kernels and biases of queries, keys, values and outputs, in the order and shapes of Keras.
    """
    queries, keys, contents = (
        np.einsum("nlu,uhk->nhlk", values, weights[part], optimize=True) + weights[part + 1][:, None, :]
        for part in (0, 2, 4)
    )
    logits = queries @ np.swapaxes(keys, 2, 3) * np.float32(queries.shape[-1] ** -0.5)
    logits = np.where(visible, logits, MASKED)
    shares = np.exp(logits - logits.max(axis=-1, keepdims=True))
    shares /= shares.sum(axis=-1, keepdims=True)
    outputs: NDArray[np.float32] = np.einsum("nhlk,hku->nlu", shares @ contents, weights[6], optimize=True)
    outputs += weights[7]
    return outputs
