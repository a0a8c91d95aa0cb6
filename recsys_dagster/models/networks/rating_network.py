"""What the networks share that turn an embedding of the user and one of the title into a rating by dense layers.

The network is trained by Keras; ratings are worked out from its weights without it, so a loaded model needs no Keras.
"""

from itertools import pairwise
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from recsys_dagster.data.interactions import Interactions
from recsys_dagster.data.training_data import TrainingData
from recsys_dagster.errors import RecsysError
from recsys_dagster.models.budget import FLOPS, Estimate, Size
from recsys_dagster.models.networks.neural import (
    Examples,
    NeuralModel,
    NeuralParams,
    hidden_dtype,
    import_keras,
    seed_everything,
    train,
    with_mean_of_trained,
)
from recsys_dagster.models.rating import RatingModel, RatingParams
from recsys_dagster.models.search_space import Real

PAIRS_A_BLOCK = 2**16
"""Pairs whose sums are laid out at once where not every title is rated."""


class RatingNetworkParams(NeuralParams, RatingParams):
    """Parameters of every such network; the sizes of its layers are the model's own."""

    dropout: float = Field(0.0, ge=0, lt=1, description="Share of each dense layer's inputs left out in training.")
    start_at_mean: bool = Field(
        True, description="Start the output's bias at the mean rating, so that no step is spent on it; the paper: at 0."
    )

    searched: ClassVar = {"learning_rate": Real(1e-4, 0.03, log=True), "dropout": Real(0, 0.8)}


class RatingNetwork(NeuralModel, RatingModel):
    """Embedding of user and of item → concatenate → Dense, ReLU and dropout between → one output, the rating.

    A subclass sets the class attributes. A user or item without a training example gets the mean of the trained
    embeddings.

    Attributes:
        embedding_size: width of each embedding.
        hidden_units: widths of the dense layers before the output.
        initializer: Keras's name of the dense kernels' initial values.
        loss: Keras's name of the loss.
        users_, items_: (n, embedding_size) float32.
        kernels_, biases_: one float32 array a dense layer, the output's last.
    """

    params_type = RatingNetworkParams
    params: RatingNetworkParams
    embedding_size: ClassVar[int]
    hidden_units: ClassVar[tuple[int, ...]]
    initializer: ClassVar[str] = "glorot_uniform"
    loss: ClassVar[str] = "mean_squared_error"

    users_: NDArray[np.float32]
    items_: NDArray[np.float32]
    kernels_: list[NDArray[np.float32]]
    biases_: list[NDArray[np.float32]]

    def build_network(self, n_users: int, n_items: int) -> Any:
        """Return a keras.Model of two (batch,) int32 inputs, user and item, and a (batch, 1) output."""
        keras = import_keras()

        def dense(values: Any, units: int, activation: str | None, dtype: str) -> Any:
            kept = keras.layers.Dropout(self.params.dropout)(values) if self.params.dropout else values
            layer = keras.layers.Dense(units, activation, kernel_initializer=self.initializer, dtype=dtype)
            return layer(kept)

        user, item = (keras.Input((), dtype="int32", name=name) for name in ("user", "item"))
        of_user = keras.layers.Embedding(n_users, self.embedding_size)(user)
        of_item = keras.layers.Embedding(n_items, self.embedding_size)(item)
        values = keras.layers.Concatenate()([of_user, of_item])
        for units in self.hidden_units:
            values = dense(values, units, "relu", hidden_dtype())
        return keras.Model([user, item], dense(values, 1, None, "float32"))

    def estimate(self, size: Size) -> Estimate:
        """Return what a fit and an evaluation are expected to cost: the widest layer is gone through for each score."""
        widths = (2 * self.embedding_size, *self.hidden_units, 1)
        products = [before * after for before, after in pairwise(widths)]
        return self.training_estimate(
            size,
            examples=size.pairs,
            flops=2 * sum(products),
            weights=self.embedding_size * (size.users + size.items) + sum(products),
            score=sum(products[1:]) / FLOPS + 1e-10 * self.hidden_units[0],
        )

    def _examples(self, rated: Interactions) -> Interactions:
        """Return the pairs to learn from out of all rated ones of the training fold."""
        return rated

    def _fit(self, data: TrainingData) -> None:
        if len(data.train.rated) == 0:
            raise RecsysError(f"{self.name}: nothing in the training fold is rated; choose a model that ranks watches")
        rated, held_out = self._examples(data.train.rated), data.validation.rated
        seed_everything(self.seed)
        network = self.build_network(data.n_users, data.n_items)
        if self.params.start_at_mean:
            network.layers[-1].bias.assign([rated.ratings.mean(dtype=np.float64)])
        training = train(
            network,
            self.params,
            Examples((rated.users, rated.items), rated.ratings),
            Examples((held_out.users, held_out.items), held_out.ratings),
            loss=self.loss,
            seed=self.seed,
            description=self.name,
        )
        self.history_, self.best_epoch_ = training.curves, training.best_epoch
        users, items, *dense = network.get_weights()
        self.users_ = with_mean_of_trained(users, rated.users)
        self.items_ = with_mean_of_trained(items, rated.items)
        self.kernels_, self.biases_ = dense[::2], dense[1::2]

    def _predict(self, users: NDArray[np.int32], items: NDArray[np.int32]) -> NDArray[np.float32]:
        from_user, from_item = self._halves()
        ratings = np.empty(len(users), dtype=np.float32)
        for start in range(0, len(users), PAIRS_A_BLOCK):
            block = slice(start, start + PAIRS_A_BLOCK)
            sums = from_user[users[block]] + from_item[items[block]]
            ratings[block] = self._upper(np.zeros((1, sums.shape[1]), np.float32), sums)[0]
        return ratings

    def _ratings(self, users: NDArray[np.int32]) -> NDArray[np.float32]:
        return self._upper(*self._halves(users))

    def _halves(
        self, users: NDArray[np.int32] | slice = slice(None)
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return the first layer's sums before ReLU in two parts that a pair adds up: (users, width), (items, width).

        The layer is linear in the concatenated embeddings, so each half is worked out once instead of for every pair.
        """
        of_user, of_item = np.split(self.kernels_[0], [self.embedding_size])
        return self.users_[users] @ of_user, self.items_ @ of_item + self.biases_[0]

    def _upper(self, from_user: NDArray[np.float32], from_item: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return (n, m) ratings from the (n, width) and (m, width) parts of the first layer's sums."""
        from recsys_dagster.models.kernels.dense import upper_layers

        return upper_layers(from_user, from_item, self.kernels_[1:], self.biases_[1:])
