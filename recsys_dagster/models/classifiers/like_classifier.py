"""Predict likes by a small network over five embedded inputs.

The network is that of Malik et al. 2021, "Movie Recommendation System Based on Deep Learning".
"""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from pydantic import Field

from recsys_dagster.data.interactions import Interactions
from recsys_dagster.data.training_data import TrainingData
from recsys_dagster.models.budget import Estimate, Size
from recsys_dagster.models.classifiers.likes import ItemInputs, LikeModel, LikeParams, sigmoid
from recsys_dagster.models.networks.neural import (
    Examples,
    NeuralModel,
    NeuralParams,
    hidden_dtype,
    import_keras,
    relu,
    seed_everything,
    train,
    with_mean_of_trained,
)
from recsys_dagster.models.search_space import Real

INPUTS = ("user", "item", "genre_1", "genre_2", "year")
EMBEDDING_SIZE = 50
HIDDEN_UNITS = 10
BLOCK_PAIRS = 2**17
"""Pairs whose hidden units are computed at once: 5 MB, which fit the cache."""
FOLD_IN_STEPS = 25
"""Steps of Gauss-Newton for a new user."""


class LikeClassifierParams(NeuralParams, LikeParams):
    """Parameters of the like classifier; its architecture is the paper's."""

    input_dropout: float = Field(
        0.5, ge=0, lt=1, description="Share of the embedded inputs that is dropped in training."
    )
    hidden_dropout: float = Field(0.2, ge=0, lt=1, description="Share of the hidden units that is dropped in training.")
    loss: Literal["binary_crossentropy", "mean_squared_error"] = Field(
        "binary_crossentropy", description="Loss function; the losses that the paper prints are squared errors."
    )

    searched: ClassVar = {
        "learning_rate": Real(1e-4, 0.03, log=True),
        "input_dropout": Real(0, 0.8),
        "hidden_dropout": Real(0, 0.8),
        "popularity_weight": Real(0, 8),
    }


class LikeClassifier(NeuralModel, LikeModel):
    """Five embedded inputs through one hidden layer to the probability of a like (Malik et al. 2021).

    Embedding(50) of user, item, genre 1, genre 2 and year → concatenate 250 → dropout → Dense 10 → ReLU → dropout →
    Dense 1 → sigmoid.

    The paper scales the sigmoid to the range of the target, which for likes is 0 to 1. Its ten epochs of 10,555 steps
    on 675,461 ratings imply batches of 64. It does not print its dropout rates; the preset `paper` uses 0.05 and 0.5,
    which are customary for this network. The defaults stop early on the validation fold. A position without a training
    rating gets the mean of the trained embeddings of its input.

    The hidden layer is linear in the embeddings. The model therefore stores the contribution of each user and of each
    item to the hidden units before ReLU. The contribution of a new user is the most probable one given their ratings,
    with the mean and covariance of the users' contributions as the prior.

    Attributes:
        users_: (n_users, 10) float32.
        items_: (n_items, 10) float32, including the bias of the hidden layer.
        genre_sums_, year_sums_: (n_items, 10) float32, the contributions of genres and year to `items_`.
        output_: (10,) float32 weights of the hidden units.
        bias_: bias of the output.
    """

    name = "like_classifier"
    params_type = LikeClassifierParams
    params: LikeClassifierParams
    presets: ClassVar[Mapping[str, LikeClassifierParams]] = {
        "default": LikeClassifierParams(),
        "paper": LikeClassifierParams(
            learning_rate=0.001,
            batch_size=64,
            epochs=10,
            patience=None,
            input_dropout=0.05,
            hidden_dropout=0.5,
            loss="mean_squared_error",
            popularity_weight=0.0,
        ),
    }

    users_: NDArray[np.float32]
    items_: NDArray[np.float32]
    genre_sums_: NDArray[np.float32]
    year_sums_: NDArray[np.float32]
    output_: NDArray[np.float32]
    bias_: float

    def estimate(self, size: Size) -> Estimate:
        """Estimate a fit and an evaluation."""
        return self.training_estimate(
            size,
            examples=size.pairs,
            flops=2 * len(INPUTS) * EMBEDDING_SIZE * HIDDEN_UNITS,
            weights=EMBEDDING_SIZE * (size.users + size.items),
            score=3e-10 * HIDDEN_UNITS,
        )

    def _learn(self, rated: Interactions, data: TrainingData) -> None:
        inputs = ItemInputs.of(data.item_features)

        def examples(pairs: Interactions) -> Examples:
            columns = [pairs.users, *(column[pairs.items] for column in inputs.columns)]
            return Examples(columns, self._liked(pairs).astype(np.float32)[:, None])

        seed_everything(self.seed)
        params = self.params
        network = build_network((self.n_users_, *inputs.sizes), params.input_dropout, params.hidden_dropout)
        training = train(
            network,
            params,
            examples(rated),
            examples(data.validation.rated),
            loss=params.loss,
            seed=self.seed,
            description=self.name,
            metrics=["binary_accuracy"],
        )
        self.history_, self.best_epoch_ = training.curves, training.best_epoch
        kernel, bias = network.get_layer("hidden").get_weights()
        user_sums, *input_sums = (
            with_mean_of_trained(network.get_layer(f"{name}_embedding").get_weights()[0], trained) @ weights
            for name, trained, weights in zip(
                INPUTS,
                (rated.users, *(column[rated.items] for column in inputs.columns)),
                np.split(kernel, len(INPUTS)),
                strict=True,
            )
        )
        self.users_ = user_sums
        item, first, second, year = (sums[column] for sums, column in zip(input_sums, inputs.columns, strict=True))
        self.genre_sums_, self.year_sums_ = first + second, year
        self.items_ = bias + item + self.genre_sums_ + year
        output, bias = network.get_layer("like").get_weights()
        self.output_, self.bias_ = output[:, 0], float(bias[0])

    def _pair_log_odds(self, users: NDArray[np.int32], items: NDArray[np.int32]) -> NDArray[np.float32]:
        log_odds = np.empty(len(users), dtype=np.float32)
        for start in range(0, len(users), BLOCK_PAIRS):
            block = slice(start, start + BLOCK_PAIRS)
            log_odds[block] = self._upper(self.users_[users[block]] + self.items_[items[block]])
        return log_odds

    def _log_odds_from(
        self, users: NDArray[np.int32], items: NDArray[np.int32], genres: NDArray[np.int32], years: NDArray[np.int32]
    ) -> NDArray[np.float32]:
        sums = self.users_[users] + self.items_[items]
        sums += self.genre_sums_[genres] - self.genre_sums_[items]
        sums += self.year_sums_[years] - self.year_sums_[items]
        return self._upper(sums)

    def _log_odds(self, users: NDArray[np.int32]) -> NDArray[np.float32]:
        return self._log_odds_of(self.users_[users])

    def _log_odds_for(self, rated: Interactions, n_users: int) -> NDArray[np.float32]:
        return self._log_odds_of(self._fold_in(rated, n_users))

    def _log_odds_of(self, sums: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the (n, n_items) log-odds of users with these (n, 10) contributions."""
        from recsys_dagster.models.kernels.dense import upper_layers

        return upper_layers(sums, self.items_, [self.output_[:, None]], [np.array([self.bias_])])

    def _upper(self, sums: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the log-odds of (…, 10) sums of contributions, which are overwritten."""
        log_odds: NDArray[np.float32] = relu(sums) @ self.output_
        log_odds += np.float32(self.bias_)
        return log_odds

    def _fold_in(self, rated: Interactions, n_users: int) -> NDArray[np.float32]:
        """Return the (n_users, 10) most probable contributions of new users with these ratings.

        Gauss-Newton on the log-posterior; the logistic curvature p(1 − p) is replaced by its bound 1/4, so that a step
        does not lead past the optimum (Böhning 1992).
        """
        mean = self.users_.mean(axis=0, dtype=np.float64)
        covariance = np.cov(self.users_, rowvar=False)
        spread = max(np.trace(covariance) / HIDDEN_UNITS, 1e-6)
        precision = np.linalg.inv(covariance + 1e-3 * spread * np.eye(HIDDEN_UNITS))
        ones = np.ones(len(rated), dtype=np.float32)
        add_up = sp.csr_array((ones, (rated.users, np.arange(len(rated)))), shape=(n_users, len(rated)))
        item_sums, liked = self.items_[rated.items], self._liked(rated)
        sums = np.tile(mean, (n_users, 1))
        for _ in range(FOLD_IN_STEPS):
            before = sums.astype(np.float32)[rated.users] + item_sums
            slopes = (before > 0) * self.output_
            error = sigmoid(self._upper(before)) - liked
            gradient = (sums - mean) @ precision + add_up @ (error[:, None] * slopes)
            products = (slopes[:, :, None] * slopes[:, None, :]).reshape(-1, HIDDEN_UNITS**2)
            curvature = precision + 0.25 * (add_up @ products).reshape(-1, HIDDEN_UNITS, HIDDEN_UNITS)
            sums -= np.linalg.solve(curvature, gradient[..., None])[..., 0]
        return sums.astype(np.float32)


def build_network(sizes: Sequence[int], input_dropout: float, hidden_dropout: float) -> Any:
    """Return the paper's network as a keras.Model of five (batch,) int32 inputs and a (batch, 1) probability.

    Args:
        sizes: number of users, items, first genres, second genres and years.
        input_dropout, hidden_dropout: shares that are dropped in training.
    """
    keras = import_keras()
    inputs = [keras.Input((), dtype="int32", name=name) for name in INPUTS]
    embedded = [
        keras.layers.Embedding(size, EMBEDDING_SIZE, name=f"{name}_embedding")(index)
        for name, size, index in zip(INPUTS, sizes, inputs, strict=True)
    ]
    values = keras.layers.Dropout(input_dropout)(keras.layers.Concatenate()(embedded))
    hidden = keras.layers.Dense(
        HIDDEN_UNITS, activation="relu", kernel_initializer="he_normal", name="hidden", dtype=hidden_dtype()
    )
    kept = keras.layers.Dropout(hidden_dropout)(hidden(values))
    return keras.Model(inputs, keras.layers.Dense(1, activation="sigmoid", name="like")(kept))
