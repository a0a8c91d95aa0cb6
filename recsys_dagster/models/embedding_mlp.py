"""Embeddings of user and title through a small network to a rating (Ramu 2022, "Deep Learning-Based Anime and Movie
Recommendation System").
"""

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from recsys_dagster.errors import RecsysError
from recsys_dagster.interactions import Interactions, TrainingData
from recsys_dagster.models.neural import (
    Examples,
    NeuralModel,
    NeuralParams,
    import_keras,
    relu,
    seed_everything,
    train,
)
from recsys_dagster.models.rating import RatingModel, RatingParams

EMBEDDING_SIZE = 5
HIDDEN_UNITS = (100, 32, 4)
AS_PUBLISHED: dict[str, Any] = {
    "learning_rate": 5e-5,
    "batch_size": 10_000,
    "patience": None,
    "start_at_mean": False,
    "popularity_weight": 0.0,
}
BLOCK_PAIRS = 16384
"""Pairs that go through the dense layers at once: 6.5 MB of the widest layer, which stays in the cache."""


class EmbeddingMlpParams(NeuralParams, RatingParams):
    """Parameters of the embedding MLP; its architecture is the paper's."""

    learning_rate: float = Field(0.003, gt=0, description="Step size of Adam.")
    start_at_mean: bool = Field(
        True, description="Start the output's bias at the mean rating, so that no step is spent on it; the paper: at 0."
    )


class EmbeddingMlp(NeuralModel, RatingModel):
    """Embedding(5) of user and of item → concatenate 10 → Dense 100 → 32 → 4 → 1, ReLU between, HeNormal, MSE.

    As published it trains with Adam at 5e-5 in batches of 10,000, 100 epochs on anime (preset `paper-anime`) and 30 on
    movies (`paper-movie`), and never stops early. The defaults stop early on the validation fold.
    A user or item without a rated training pair gets the mean of the trained embeddings.
    """

    name = "embedding_mlp"
    summary = "Ramu 2022: embeddings of user and title through three dense layers to a rating."
    params_type = EmbeddingMlpParams
    presets: ClassVar[Mapping[str, EmbeddingMlpParams]] = {
        "default": EmbeddingMlpParams(),
        "paper-anime": EmbeddingMlpParams(epochs=100, **AS_PUBLISHED),
        "paper-movie": EmbeddingMlpParams(epochs=30, **AS_PUBLISHED),
    }

    users_: NDArray[np.float32]
    items_: NDArray[np.float32]
    kernels_: list[NDArray[np.float32]]
    biases_: list[NDArray[np.float32]]

    def _fit(self, data: TrainingData) -> None:
        rated = data.train.rated
        if len(rated) == 0:
            raise RecsysError(f"{self.name}: nothing in the training fold is rated; choose a model that ranks watches")
        seed_everything(self.seed)
        network = build_network(data.n_users, data.n_items)
        if self.params.start_at_mean:
            network.layers[-1].bias.assign([rated.ratings.mean(dtype=np.float64)])
        training = train(
            network,
            self.params,
            _examples(rated),
            _examples(data.validation.rated),
            loss="mean_squared_error",
            description=self.name,
        )
        self.history_, self.best_epoch_ = training.curves, training.best_epoch
        users, items, *dense = network.get_weights()
        self.users_ = _with_mean_of_trained(users, rated.users)
        self.items_ = _with_mean_of_trained(items, rated.items)
        self.kernels_, self.biases_ = dense[::2], dense[1::2]

    def _predict(self, users: NDArray[np.int32], items: NDArray[np.int32]) -> NDArray[np.float32]:
        from_user, from_item = self._halves()
        ratings = np.empty(len(users), dtype=np.float32)
        for start in range(0, len(users), BLOCK_PAIRS):
            block = slice(start, start + BLOCK_PAIRS)
            ratings[block] = self._upper(from_user[users[block]] + from_item[items[block]])
        return ratings

    def _ratings(self, users: NDArray[np.int32]) -> NDArray[np.float32]:
        from_user, from_item = self._halves(users)
        ratings = np.empty((len(users), self.n_items_), dtype=np.float32)
        step = max(1, BLOCK_PAIRS // self.n_items_)
        for start in range(0, len(users), step):
            block = slice(start, start + step)
            first = from_user[block, None, :] + from_item
            ratings[block] = self._upper(first.reshape(-1, HIDDEN_UNITS[0])).reshape(-1, self.n_items_)
        return ratings

    def _halves(
        self, users: NDArray[np.int32] | slice = slice(None)
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return the first layer's sums before ReLU in two parts that a pair adds up: (users, 100) and (items, 100).

        The layer is linear in the concatenated embeddings, so each half is worked out once instead of for every pair.
        """
        of_user, of_item = np.split(self.kernels_[0], [EMBEDDING_SIZE])
        return self.users_[users] @ of_user, self.items_ @ of_item + self.biases_[0]

    def _upper(self, first: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return (n,) ratings from the (n, 100) sums of the first layer, which are overwritten."""
        values = first
        for kernel, bias in zip(self.kernels_[1:], self.biases_[1:], strict=True):
            values = relu(values) @ kernel
            values += bias
        return values[:, 0]


def build_network(n_users: int, n_items: int) -> Any:
    """Return the paper's network, a keras.Model of two (batch,) int32 inputs, user and item; output (batch, 1)."""
    keras = import_keras()

    def embedded(size: int, name: str) -> tuple[Any, Any]:
        index = keras.Input((), dtype="int32", name=name)
        return index, keras.layers.Embedding(size, EMBEDDING_SIZE)(index)

    user, of_user = embedded(n_users, "user")
    item, of_item = embedded(n_items, "item")
    values = keras.layers.Concatenate()([of_user, of_item])
    for units in HIDDEN_UNITS:
        values = keras.layers.Dense(units, activation="relu", kernel_initializer="he_normal")(values)
    return keras.Model([user, item], keras.layers.Dense(1, kernel_initializer="he_normal")(values))


def _examples(rated: Interactions) -> Examples:
    return Examples((rated.users, rated.items), rated.ratings)


def _with_mean_of_trained(vectors: NDArray[np.float32], trained: NDArray[np.int32]) -> NDArray[np.float32]:
    """Return the vectors with those of rows that occur nowhere in `trained` replaced by the mean of the others."""
    untrained = np.bincount(trained, minlength=len(vectors)) == 0
    mean = vectors[~untrained].mean(axis=0)
    return np.where(untrained[:, None], mean, vectors)
