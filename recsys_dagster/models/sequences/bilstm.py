"""Predict the next item of a history from those before it.

The network is from Yung 2022, "Survey of Deep Learning Techniques for Recommendation Systems", chapter 5.3.
"""

import logging
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from scipy.special import expit, log_softmax

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
    seed_everything,
    train,
)
from recsys_dagster.models.params import Params
from recsys_dagster.models.search_space import Real, Whole
from recsys_dagster.models.sequences.histories import Histories
from recsys_dagster.models.sequences.sampled_softmax import biases_at_popularity, own_loss, sampled_cross_entropy

EMBEDDING_SIZE = 100
"""Size of the item vectors of the paper's network."""
BLOCK_USERS = 1024
"""Users whose windows pass through the network at once: 28 MB of outputs of a first layer of 200 units."""
UNROLLED_WINDOW = 8
"""Windows up to this length are unrolled in the graph, which saves a third of the time on a CPU. A GPU has kernels for
longer ones, and those would take long to trace."""

log = logging.getLogger(__name__)


class BiLstmParams(NeuralParams):
    """Parameters of the bidirectional LSTM."""

    learning_rate: float = Field(0.005, gt=0, description="Step size of Adam.")
    batch_size: int = Field(256, ge=1, description="Sequences per step.")
    epochs: int = Field(20, ge=1, description="Largest number of epochs, of `max_sequences` each.")
    patience: int | None = Field(
        3, ge=1, description="Epochs without a better validation loss after which training stops; None: never."
    )
    sequence_length: int = Field(6, ge=2, description="Items of a sequence; the last one is the target. The paper: 18.")
    units: int = Field(
        64, ge=2, description="Units of the first layer in each direction; the second has half as many; the paper: 200."
    )
    dropout: float = Field(
        0.3, ge=0, lt=1, description="Share of the outputs of each layer that is dropped in training."
    )
    stride: int = Field(
        1, ge=1, description="Every stride-th item of a history, counted from the last, is a target; the paper: 18."
    )
    max_sequences: int | None = Field(
        100_000,
        ge=1,
        description="Largest number of sequences per epoch; the next epoch takes others, and validation a quarter as "
        "many. None: no limit.",
    )
    tied: bool = Field(
        True,
        description="Score the items by the vectors that are read, add that of the last item to the state, and learn "
        "from drawn items; the paper: False.",
    )
    negatives: int = Field(
        1024, ge=1, description="If `tied`: items drawn in each step that the next item is compared with; all if fewer."
    )
    shuffle_order: bool = Field(
        False,
        description="Ignore the times and take each history in a fixed random order, to measure the value of order.",
    )

    searched: ClassVar = {
        "learning_rate": Real(1e-4, 0.03, log=True),
        "units": Whole(32, 256, log=True),
        "dropout": Real(0, 0.8),
    }


class BiLstm(FoldIn, NeuralModel):
    """A bidirectional LSTM over the last items of a history predicts the next one (Yung 2022).

    The paper's network (preset `paper`) is Embedding(100) → Bidirectional LSTM 200 → dropout → Bidirectional LSTM 100 →
    dropout → softmax over all items, with a sequence for every 18 items of a history. It learns little from a small
    dataset, because it has to learn from scratch, for each item, both a vector to read it by and one to score it by.

    By default the two vectors are one, and the vector of the last item is added to the output of the LSTM. What follows
    an item is then near it from the start, and the LSTM learns how the items before it change that. Dropout also
    follows the embedding. The score of an item has a bias that starts at the log of its popularity. Every item of a
    history but the first is a target, and the loss is a sampled cross-entropy (`sampled_cross_entropy`), which needs
    memory for a block of the catalogue only. The paper's loss is computed over all items: of a batch of 512 and the
    26,744 items of MovieLens-20M, its scores take 55 MB.

    A sequence is `sequence_length` items of a user in order of time, with ties in the order of a hash. The last item is
    the target. Shorter sequences are padded in front. All interactions count, whatever their rating. Without times the
    order is that of the hash, and a warning says so. The LSTM reads the window in both directions; nothing after the
    target is in it.

    The paper prints the units, a learning rate of 0.001, and that it uses dropout and early stopping. The width of the
    embedding, the dropout rate, the patience and the batch size are chosen here.

    Attributes:
        encoder_: the arrays of the network up to the state, in the order of Keras.
        items_: (n_items, width) float32 vectors that the items are scored by.
        biases_: (n_items,) float32, their biases.
        latest_: (n_users, sequence_length - 1) int32, the last window of each user's history.
    """

    name = "bilstm"
    params_type = BiLstmParams
    params: BiLstmParams
    presets: ClassVar[Mapping[str, Params]] = {
        "default": BiLstmParams(),
        "paper": BiLstmParams(
            learning_rate=0.001,
            batch_size=512,
            epochs=30,
            patience=3,
            sequence_length=18,
            units=200,
            dropout=0.5,
            stride=18,
            max_sequences=None,
            tied=False,
        ),
    }

    encoder_: list[NDArray[np.float32]]
    items_: NDArray[np.float32]
    biases_: NDArray[np.float32]
    latest_: NDArray[np.int32]

    @property
    def window(self) -> int:
        """Number of items from which the next one is predicted."""
        return self.params.sequence_length - 1

    def estimate(self, size: Size) -> Estimate:
        """Estimate a fit and an evaluation, whose work is in matrix products."""
        params, units = self.params, self.params.units
        width = embedding_size(params)
        layers = 2 * self.window * ((width + units) * 4 * units + (2 * units + units // 2) * 2 * units)
        of_window, of_score = 2 * layers, 2 * units
        examples = size.pairs // params.stride
        compared = min(params.negatives, size.items) if params.tied else size.items
        return self.training_estimate(
            size,
            examples=min(params.max_sequences or examples, examples),
            flops=of_window + of_score * compared,
            weights=(width + units + 1) * size.items + layers / self.window,
            score=of_score / FLOPS + of_window / FLOPS / size.items + 10e-9,
            step_bytes=4 * 4 * params.batch_size * compared,
        )

    def _fit(self, data: TrainingData) -> None:
        histories = self._histories(data.train, data.n_users)
        if data.train.times is None:
            log.warning("%s: no times are known, so each history is taken in a random order", self.name)
        random = np.random.default_rng(self.seed)
        targets = self._targets(histories)
        if not len(targets):
            raise RecsysError(
                f"{self.name}: no user has two items in the training fold, so that there is no next item to learn"
            )
        limit = self.params.max_sequences or len(targets)
        examples = self._examples(histories, targets, limit * self.params.epochs, random)
        seed_everything(self.seed)
        network, encoder = build_network(self.params, biases_at_popularity(self.popularity_), self.seed)
        training = train(
            network,
            self.params,
            examples,
            self._validation(data, random),
            loss=own_loss,
            seed=self.seed,
            description=self.name,
            validation_batch=self.params.batch_size,
            parts=-(-len(examples) // limit),
        )
        self.history_, self.best_epoch_ = training.curves, training.best_epoch
        self.encoder_ = encoder.get_weights()
        if self.params.tied:
            self.items_ = self.encoder_[0][1:]
            self.biases_ = network.get_layer("loss").biases.get_weights()[0][1:, 0]
        else:
            kernel, self.biases_ = network.get_layer("scores").get_weights()
            self.items_ = kernel.T
        self.latest_ = histories.latest(self.window)

    def _histories(self, pairs: Interactions, n_users: int) -> Histories:
        return Histories.of(pairs, n_users, by_time=not self.params.shuffle_order)

    def _targets(self, histories: Histories) -> NDArray[np.int64]:
        """Return the positions in the histories that have a predecessor: every `stride`-th, counted from the last."""
        return np.flatnonzero((histories.places > 0) & (histories.places_from_end % self.params.stride == 0))

    def _validation(self, data: TrainingData, random: np.random.Generator) -> Examples:
        """Return sequences whose target is in the validation fold; the items before it may be of both folds."""
        histories = self._histories(Interactions.concatenate(data.train, data.validation), data.n_users)
        targets = np.flatnonzero((histories.places > 0) & (histories.order >= len(data.train)))
        limit = self.params.max_sequences
        return self._examples(histories, targets, max(1, limit // 4) if limit else len(targets), random)

    def _examples(
        self, histories: Histories, targets: NDArray[np.int64], limit: int, random: np.random.Generator
    ) -> Examples:
        """Return the windows before the targets, and the items at them: at most `limit`, in random order."""
        chosen = random.permutation(targets)[:limit]
        inputs = histories.before(chosen, self.window), histories.items[chosen, None] + 1
        return Examples(inputs, np.zeros(len(chosen), np.float32))

    def _scores(self, users: NDArray[np.int32]) -> NDArray[np.float32]:
        return self._log_probabilities(self.latest_[users])

    def _scores_for(self, history: Interactions, n_users: int) -> NDArray[np.float32]:
        return self._log_probabilities(self._histories(history, n_users).latest(self.window))

    def _log_probabilities(self, windows: NDArray[np.int32]) -> NDArray[np.float32]:
        """Return the (n, n_items) float32 log probabilities of the item that follows each (n, window) window."""
        scores = np.empty((len(windows), self.n_items_), dtype=np.float32)
        for start in range(0, len(windows), BLOCK_USERS):
            block = slice(start, start + BLOCK_USERS)
            states = encode(windows[block], self.encoder_, tied=self.params.tied)
            scores[block] = log_softmax(states @ self.items_.T + self.biases_, axis=1)
        return scores


def embedding_size(params: BiLstmParams) -> int:
    """Return the size of the item vectors that are read: that of the state, if it is compared with the same vectors."""
    return 2 * (params.units // 2) if params.tied else EMBEDDING_SIZE


def build_network(params: BiLstmParams, biases: NDArray[np.float32], seed: int) -> tuple[Any, Any]:
    """Return a keras.Model from windows and next items to losses, and the one within it from windows to states.

    Padding is an item of its own rather than a mask. The windows are padded in front, so that the last step is always
    the latest item, and a GPU can use its fast kernels.

    Args:
        params: of the model.
        biases: (n_items + 1,) what the biases of the padding and of the items start at, if `tied`.
        seed: of the negatives.

    Returns:
        From (batch, window) and (batch, 1) int32 arrays to (batch,) losses; from the first to (batch, width).
    """
    keras = import_keras()
    layers = keras.layers
    window = params.sequence_length - 1
    unroll = window <= UNROLLED_WINDOW
    windows = keras.Input((window,), dtype="int32", name="window")
    items = layers.Embedding(len(biases), embedding_size(params), name="items")
    vectors = items(windows)
    if params.tied:
        vectors = layers.Dropout(params.dropout)(vectors)
    values = layers.Bidirectional(layers.LSTM(params.units, return_sequences=True, unroll=unroll))(vectors)
    values = layers.Dropout(params.dropout)(values)
    values = layers.Bidirectional(layers.LSTM(params.units // 2, unroll=unroll))(values)
    states = layers.Dropout(params.dropout)(values)
    targets = keras.Input((1,), dtype="int32", name="next")
    if params.tied:
        states = states + vectors[:, -1]
        loss = sampled_cross_entropy(items, biases, params.negatives, seed)(states[:, None], targets)
    else:
        loss = cross_entropy(targets[:, 0] - 1, layers.Dense(len(biases) - 1, name="scores")(states))
    return keras.Model([windows, targets], loss), keras.Model(windows, states)


def cross_entropy(targets: Any, logits: Any) -> Any:
    """Return the (batch,) cross-entropies of (batch, n_items) logits at the (batch,) targets."""
    return import_keras().losses.sparse_categorical_crossentropy(targets, logits, from_logits=True)


def encode(windows: NDArray[np.int32], weights: list[NDArray[np.float32]], *, tied: bool) -> NDArray[np.float32]:
    """Return the (n, width) states of the encoder of `build_network` for (n, window) windows.

    Args:
        windows: item i is written as i + 1; padded in front.
        weights: of the encoder, in the order of Keras.
        tied: whether the vector of the last item is added.
    """
    embeddings, *layers = weights
    vectors = embeddings[windows]
    forwards, backwards = bidirectional(vectors, layers[:6])
    forwards, backwards = bidirectional(np.concatenate([forwards, backwards], axis=2), layers[6:])
    states = np.concatenate([forwards[:, -1], backwards[:, 0]], axis=1)
    return states + vectors[:, -1] if tied else states


def bidirectional(
    inputs: NDArray[np.float32], weights: list[NDArray[np.float32]]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return the (n, steps, units) outputs of an LSTM that reads forwards, and of one that reads backwards.

    Args:
        inputs: (n, steps, width).
        weights: kernel, recurrent kernel and bias of each, in the order of Keras.
    """
    forwards, backwards = lstm(inputs, *weights[:3]), lstm(inputs[:, ::-1], *weights[3:])
    return forwards, backwards[:, ::-1]


def lstm(
    inputs: NDArray[np.float32], kernel: NDArray[np.float32], recurrent: NDArray[np.float32], bias: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Return the (n, steps, units) outputs of an LSTM (Hochreiter and Schmidhuber 1997, with a forget gate).

    Args:
        inputs: (n, steps, width).
        kernel: (width, 4 · units), in the order input gate, forget gate, cell, output gate.
        recurrent: (units, 4 · units).
        bias: (4 · units,).
    """
    projected = inputs @ kernel + bias
    outputs = np.empty((*inputs.shape[:2], len(recurrent)), dtype=np.float32)
    state = cell = np.zeros((len(inputs), len(recurrent)), dtype=np.float32)
    for step in range(inputs.shape[1]):
        admit, keep, candidate, release = np.split(projected[:, step] + state @ recurrent, 4, axis=1)
        cell = expit(keep) * cell + expit(admit) * np.tanh(candidate)
        state = expit(release) * np.tanh(cell)
        outputs[:, step] = state
    return outputs
