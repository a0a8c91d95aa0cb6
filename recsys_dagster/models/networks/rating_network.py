"""Predict ratings by embeddings of user and item and dense layers: what these networks share.

Keras trains the network. Predictions are computed from its weights without Keras, so that a loaded model does not need
it.
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
from recsys_dagster.runtime.blocks import PAIRS_PER_BLOCK

CURVES = ("mean_absolute_error", "mean_squared_error")
"""What is recorded by epoch beside the loss, unless it is the loss."""


class RatingNetworkParams(NeuralParams, RatingParams):
    """Parameters of every such network; the sizes of the layers belong to the model."""

    dropout: float = Field(
        0.0, ge=0, lt=1, description="Share of the inputs of each dense layer that is dropped in training."
    )
    start_at_mean: bool = Field(
        True, description="Initialise the bias of the output at the mean rating; the papers start at 0."
    )

    searched: ClassVar = {"learning_rate": Real(1e-4, 0.03, log=True), "dropout": Real(0, 0.8)}


class RatingNetwork(NeuralModel, RatingModel):
    """Embeddings of user and item through dense layers to a rating.

    Embedding of user and of item → concatenate → dense layers with ReLU and dropout → one output, the rating. A
    subclass sets the class attributes. A user or item without a training example gets the mean of the trained
    embeddings.

    Attributes:
        embedding_size: width of each embedding.
        hidden_units: widths of the dense layers before the output.
        initializer: Keras's name of the initializer of the dense kernels.
        loss: Keras's name of the loss.
        users_, items_: (n, embedding_size) float32.
        kernels_, biases_: one float32 array for each dense layer, the output last.
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
        user_vector = keras.layers.Embedding(n_users, self.embedding_size)(user)
        item_vector = keras.layers.Embedding(n_items, self.embedding_size)(item)
        values = keras.layers.Concatenate()([user_vector, item_vector])
        for units in self.hidden_units:
            values = dense(values, units, "relu", hidden_dtype())
        return keras.Model([user, item], dense(values, 1, None, "float32"))

    def estimate(self, size: Size) -> Estimate:
        """Estimate a fit and an evaluation: every score passes through all layers but the first."""
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
        """Return the pairs to learn from, given the rated pairs of the training fold."""
        return rated

    def _fit(self, data: TrainingData) -> None:
        if len(data.train.rated) == 0:
            raise RecsysError(f"{self.name}: the training fold has no ratings; choose a model that needs none")
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
            metrics=[name for name in CURVES if name != self.loss],
        )
        self.history_, self.best_epoch_ = training.curves, training.best_epoch
        users, items, *dense = network.get_weights()
        self.users_ = with_mean_of_trained(users, rated.users)
        self.items_ = with_mean_of_trained(items, rated.items)
        self.kernels_, self.biases_ = dense[::2], dense[1::2]

    def _predict(self, users: NDArray[np.int32], items: NDArray[np.int32]) -> NDArray[np.float32]:
        from_user, from_item = self._halves()
        ratings = np.empty(len(users), dtype=np.float32)
        for start in range(0, len(users), PAIRS_PER_BLOCK):
            block = slice(start, start + PAIRS_PER_BLOCK)
            sums = from_user[users[block]] + from_item[items[block]]
            ratings[block] = self._upper(np.zeros((1, sums.shape[1]), np.float32), sums)[0]
        return ratings

    def _ratings(self, users: NDArray[np.int32]) -> NDArray[np.float32]:
        return self._upper(*self._halves(users))

    def _halves(
        self, users: NDArray[np.int32] | slice = slice(None)
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return the contributions of users and of items to the first layer before ReLU.

        The layer is linear in the concatenated embeddings. Each contribution is therefore computed once, instead of for
        every pair.

        Returns:
            (n_users, width) and (n_items, width) float32.
        """
        user_kernel, item_kernel = np.split(self.kernels_[0], [self.embedding_size])
        return self.users_[users] @ user_kernel, self.items_ @ item_kernel + self.biases_[0]

    def _upper(self, from_user: NDArray[np.float32], from_item: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the (n, m) ratings from (n, width) and (m, width) contributions to the first layer."""
        from recsys_dagster.models.kernels.dense import upper_layers

        return upper_layers(from_user, from_item, self.kernels_[1:], self.biases_[1:])
