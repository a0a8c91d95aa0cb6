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

EMBEDDING_SIZE = 100
BLOCK_USERS = 1024
"""Users whose windows pass through the network at once: 28 MB of outputs of a first layer of 200 units."""

log = logging.getLogger(__name__)


class BiLstmParams(NeuralParams):
    """Parameters of the bidirectional LSTM."""

    learning_rate: float = Field(0.003, gt=0, description="Step size of Adam.")
    batch_size: int = Field(
        512, ge=1, description="Sequences per step; each needs several arrays of one score per item."
    )
    epochs: int = Field(15, ge=1, description="Largest number of epochs, of `max_sequences` each.")
    patience: int | None = Field(
        3, ge=1, description="Epochs without a better validation loss after which training stops; None: never."
    )
    sequence_length: int = Field(18, ge=2, description="Items of a sequence; the last one is the target.")
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
        4_000,
        ge=1,
        description="Largest number of sequences per epoch; the next epoch takes others, and validation half as many. "
        "None: no limit.",
    )
    start_at_popularity: bool = Field(
        True, description="Initialise the biases of the output at the log of the items' popularity; the paper: at 0."
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

    Embedding(100) → Bidirectional LSTM 200 → dropout → Bidirectional LSTM 100 → dropout → softmax over all items. These
    are the paper's widths (preset `paper`). By default both layers are a third as wide, with a seventh of the
    arithmetic.

    A sequence is `sequence_length` items of a user in order of time, with ties in the order of a hash. The last item is
    the target. Shorter sequences are padded in front. All interactions count, whatever their rating. Without times the
    order is that of the hash, and a warning says so.

    The cross-entropy is computed exactly over all items. Targets are indices rather than one-hot rows, and scores exist
    for one batch at a time: 512 × 26,744 float32, 55 MB, for the catalogue of MovieLens-20M. A sampled softmax would
    therefore save time, but no memory. The LSTM reads the window in both directions; nothing after the target is in it.

    The paper prints the units, a learning rate of 0.001, and that it uses dropout and early stopping. The width of the
    embedding, the dropout rate, the patience and the batch size are chosen here.

    Attributes:
        weights_: the arrays of the network, in the order of Keras.
        latest_: (n_users, sequence_length - 1) int32, the last window of each user's history.
    """

    name = "bilstm"
    params_type = BiLstmParams
    params: BiLstmParams
    presets: ClassVar[Mapping[str, Params]] = {
        "default": BiLstmParams(),
        "paper": BiLstmParams(
            learning_rate=0.001,
            epochs=30,
            patience=3,
            units=200,
            dropout=0.5,
            stride=18,
            max_sequences=None,
            start_at_popularity=False,
        ),
    }

    weights_: list[NDArray[np.float32]]
    latest_: NDArray[np.int32]

    @property
    def window(self) -> int:
        """Number of items from which the next one is predicted."""
        return self.params.sequence_length - 1

    def estimate(self, size: Size) -> Estimate:
        """Estimate a fit and an evaluation, whose work is in matrix products."""
        units, limit = self.params.units, self.params.max_sequences
        layers = 2 * self.window * ((EMBEDDING_SIZE + units) * 4 * units + (2 * units + units // 2) * 2 * units)
        of_window, of_score = 2 * layers, 2 * units
        examples = size.pairs // self.params.stride
        return self.training_estimate(
            size,
            examples=min(limit or examples, examples),
            flops=of_window + of_score * size.items,
            weights=(EMBEDDING_SIZE + units + 1) * size.items + layers / self.window,
            score=of_score / FLOPS + of_window / FLOPS / size.items + 10e-9,
            step_bytes=4 * 4 * self.params.batch_size * size.items,
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
        seed_everything(self.seed)
        network = build_network(data.n_items, self.window, self.params.units, self.params.dropout)
        if self.params.start_at_popularity:
            network.layers[-1].bias.assign(np.log((self.popularity_ + 1) / (self.popularity_ + 1).sum()))
        limit = self.params.max_sequences or len(targets)
        examples = self._examples(histories, targets, limit * self.params.epochs, random)
        training = train(
            network,
            self.params,
            examples,
            self._validation(data, random),
            loss=cross_entropy,
            seed=self.seed,
            description=self.name,
            validation_batch=self.params.batch_size,
            parts=-(-len(examples) // limit),
        )
        self.history_, self.best_epoch_ = training.curves, training.best_epoch
        self.weights_ = network.get_weights()
        self.latest_ = histories.latest(self.window)

    def _histories(self, pairs: Interactions, n_users: int) -> Histories:
        return Histories.of(pairs, n_users, by_time=not self.params.shuffle_order)

    def _targets(self, histories: Histories) -> NDArray[np.int64]:
        """Return the positions in the histories that have a predecessor: every `stride`-th, counted from the last."""
        return np.flatnonzero((histories.places > 0) & (histories.places_from_end % self.params.stride == 0))

    def _validation(self, data: TrainingData, random: np.random.Generator) -> Examples:
        """Return sequences whose target is in the validation fold; the items before it may be of both folds."""
        if not len(data.validation):
            return Examples((np.empty((0, self.window), np.int32),), np.empty(0, np.int32))
        histories = self._histories(Interactions.concatenate(data.train, data.validation), data.n_users)
        targets = np.flatnonzero((histories.places > 0) & (histories.order >= len(data.train)))
        limit = self.params.max_sequences
        return self._examples(histories, targets, max(1, limit // 2) if limit else len(targets), random)

    def _examples(
        self, histories: Histories, targets: NDArray[np.int64], limit: int, random: np.random.Generator
    ) -> Examples:
        """Return the windows before the targets, and the items at them: at most `limit`, in random order."""
        chosen = random.permutation(targets)[:limit]
        return Examples((histories.before(chosen, self.window),), histories.items[chosen])

    def _scores(self, users: NDArray[np.int32]) -> NDArray[np.float32]:
        return self._log_probabilities(self.latest_[users])

    def _scores_for(self, history: Interactions, n_users: int) -> NDArray[np.float32]:
        return self._log_probabilities(self._histories(history, n_users).latest(self.window))

    def _log_probabilities(self, windows: NDArray[np.int32]) -> NDArray[np.float32]:
        """Return the (n, n_items) float32 log probabilities of the item that follows each (n, window) window."""
        embeddings, *layers, kernel, bias = self.weights_
        scores = np.empty((len(windows), self.n_items_), dtype=np.float32)
        for start in range(0, len(windows), BLOCK_USERS):
            block = slice(start, start + BLOCK_USERS)
            forwards, backwards = bidirectional(embeddings[windows[block]], layers[:6])
            forwards, backwards = bidirectional(np.concatenate([forwards, backwards], axis=2), layers[6:])
            state = np.concatenate([forwards[:, -1], backwards[:, 0]], axis=1)
            scores[block] = log_softmax(state @ kernel + bias, axis=1)
        return scores


def build_network(n_items: int, window: int, units: int, dropout: float) -> Any:
    """Return a keras.Model from (batch, window) int32 windows to (batch, n_items) logits.

    Padding is an item of its own rather than a mask. The windows are padded in front, so that the last step is always
    the latest item, and a GPU can use its fast kernels.
    """
    keras = import_keras()
    layers = keras.layers
    windows = keras.Input((window,), dtype="int32", name="window")
    values = layers.Embedding(n_items + 1, EMBEDDING_SIZE)(windows)
    values = layers.Bidirectional(layers.LSTM(units, return_sequences=True))(values)
    values = layers.Dropout(dropout)(values)
    values = layers.Bidirectional(layers.LSTM(units // 2))(values)
    values = layers.Dropout(dropout)(values)
    return keras.Model([windows], layers.Dense(n_items)(values))


def cross_entropy(targets: Any, logits: Any) -> Any:
    """Return the (batch,) cross-entropies of (batch, n_items) logits at the (batch,) targets."""
    return import_keras().losses.sparse_categorical_crossentropy(targets, logits, from_logits=True)


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
