"""Predict ratings by two towers, one over item features and one over the user's mean rating of each genre.

The network is that of paper 003, "Anime Recommendation Model".
"""

from collections.abc import Mapping
from itertools import pairwise
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from recsys_dagster.data.interactions import Interactions
from recsys_dagster.data.items import ItemFeatures
from recsys_dagster.data.training_data import TrainingData
from recsys_dagster.errors import RecsysError
from recsys_dagster.models.baselines.user_item_bias import damped_mean
from recsys_dagster.models.budget import FLOPS, Estimate, Size
from recsys_dagster.models.capabilities import ScaledInputs, SeparableInputs, StatedTastes
from recsys_dagster.models.factorization.factors import pair_products
from recsys_dagster.models.networks.neural import (
    Examples,
    NeuralModel,
    NeuralParams,
    hidden_dtype,
    import_keras,
    relu,
    seed_everything,
    train,
)
from recsys_dagster.models.rating import FoldInRatingModel, RatingParams, relative_popularity
from recsys_dagster.models.search_space import Real

Scaler = tuple[NDArray[np.float32], NDArray[np.float32]]
"""(width,) means and deviations."""
LAYER_UNITS = (256, 128, 32)
FOLDS = 5
"""The inputs of a training rating are computed without the fifth of the ratings that it belongs to."""
SCORE_DAMPING = 5.0
"""Number of average ratings that are added to those of an item without a site score."""
BLOCK_ROWS = 2**14
"""Rows that pass through a tower at once: 17 MB of the widest layer."""


class TwoTowerParams(NeuralParams, RatingParams):
    """Parameters of the two towers; the architecture is the paper's."""

    epochs: int = Field(20, ge=1, description="Largest number of passes over the training fold.")

    searched: ClassVar = {"learning_rate": Real(1e-4, 0.03, log=True)}


class TwoTower(StatedTastes, SeparableInputs, ScaledInputs, NeuralModel, FoldInRatingModel):
    """Two towers over item features and the user's mean rating of each genre; serves new users and new items.

    One tower, Dense 256 → 128 → 32, takes year, site score and genre flags of an item, the other the user's mean rating
    of each genre. Both outputs are scaled to length one. Their dot product is the rating, mapped to [-1, 1].

    No input identifies a single user or item. The model therefore also serves users who only state their tastes, and
    items that nobody has rated. Inputs are standardised by their mean and standard deviation over the training ratings;
    an unknown value (a genre without a rating, a year) is set to the mean. An item without a site score gets the damped
    mean of its training ratings instead. Mean ratings are computed from the training fold. For a training rating they
    are computed from the other four fifths of it, so that they do not contain the target.

    As published (preset `paper`), it trains with Adam at 0.01 for ten epochs in batches of 32, without early stopping.

    Attributes:
        user_tower_, item_tower_: mean and deviation of the inputs, then kernel and bias of each layer, all float32.
        users_, items_: (n, 32) float32 outputs of length one.
        features_: (n_items, 2 + n_genres) float32 inputs of the item tower.
    """

    name = "two_tower"
    params_type = TwoTowerParams
    params: TwoTowerParams
    presets: ClassVar[Mapping[str, TwoTowerParams]] = {
        "default": TwoTowerParams(),
        "paper": TwoTowerParams(learning_rate=0.01, batch_size=32, epochs=10, patience=None, popularity_weight=0.0),
    }
    needs_item_features = True
    reads_user_genre_taste = True
    inputs = ("user", "year", "site score", "genres")

    user_tower_: list[NDArray[np.float32]]
    item_tower_: list[NDArray[np.float32]]
    users_: NDArray[np.float32]
    items_: NDArray[np.float32]
    features_: NDArray[np.float32]

    def estimate(self, size: Size) -> Estimate:
        """Estimate a fit and an evaluation, for about fifty inputs per tower."""
        weights = 2 * sum(before * after for before, after in pairwise((50, *LAYER_UNITS)))
        return self.training_estimate(
            size, examples=size.pairs, flops=2 * weights, weights=weights, score=2 * LAYER_UNITS[-1] / FLOPS
        )

    def _fit(self, data: TrainingData) -> None:
        rated, held_out = data.train.rated, data.validation.rated
        if len(rated) == 0:
            raise RecsysError(f"{self.name}: the training fold has no ratings; choose a model that needs none")
        mean = float(rated.ratings.mean(dtype=np.float64))
        tastes, features = self._training_tastes(data), item_inputs(data.item_features, rated, mean)
        fold = np.random.default_rng(self.seed).integers(FOLDS, size=len(rated), dtype=np.int32)
        others = [rated.where(fold != held) for held in range(FOLDS)]
        user_scaler, item_scaler = self._scalers(self._scaled_by(rated), tastes, features)
        # Row f · n + i holds the inputs of i computed without fold f; the last n rows are computed from all folds.
        user_rows = np.concatenate([*(self._tastes_of(part, self.n_users_) for part in others), tastes])
        item_rows = np.concatenate([*(item_inputs(data.item_features, part, mean) for part in others), features])
        seed_everything(self.seed)
        user_tower, item_tower = build_tower(tastes.shape[1]), build_tower(features.shape[1])
        network = build_network(
            user_tower, item_tower, standardised(user_rows, *user_scaler), standardised(item_rows, *item_scaler)
        )
        training = train(
            network,
            self.params,
            self._examples(rated, fold),
            self._examples(held_out, np.full(len(held_out), FOLDS, dtype=np.int32)),
            loss="mean_squared_error",
            seed=self.seed,
            description=self.name,
        )
        self.history_, self.best_epoch_ = training.curves, training.best_epoch
        self.user_tower_ = [*user_scaler, *user_tower.get_weights()]
        self.item_tower_ = [*item_scaler, *item_tower.get_weights()]
        self.users_, self.items_ = through(self.user_tower_, tastes), through(self.item_tower_, features)
        self.features_ = features

    def _training_tastes(self, data: TrainingData) -> NDArray[np.float32]:
        """Return the (n_users, n_genres) mean training rating of each genre, from the feature table."""
        return data.user_genre_taste

    def _scaled_by(self, rated: Interactions) -> Interactions:
        """Return the pairs over which the inputs are standardised, given the rated pairs of the training fold."""
        return rated

    def _scalers(
        self, rated: Interactions, tastes: NDArray[np.float32], features: NDArray[np.float32]
    ) -> tuple[Scaler, Scaler]:
        """Return mean and deviation of the inputs of each tower, weighted by the ratings of each user or item."""
        return (
            standardiser(tastes, np.bincount(rated.users, minlength=self.n_users_)),
            standardiser(features, np.bincount(rated.items, minlength=self.n_items_)),
        )

    def scalers(self, data: TrainingData) -> Mapping[str, tuple[NDArray[np.float32], NDArray[np.float32]]]:
        """Return mean and deviation of the inputs of each tower: those in use, and the same recomputed."""
        rated = data.train.rated
        mean = float(rated.ratings.mean(dtype=np.float64))
        features = item_inputs(data.item_features, rated, mean)
        users, items = self._scalers(rated, self._training_tastes(data), features)
        names = ("mean", "deviation")
        pairs_of_towers = (
            zip(self.user_tower_, users, strict=False),
            zip(self.item_tower_, items, strict=False),
        )
        return {
            f"{tower}' {name}": pair
            for tower, pairs in zip(("users", "items"), pairs_of_towers, strict=True)
            for name, pair in zip(names, pairs, strict=True)
        }

    def _examples(self, rated: Interactions, fold: NDArray[np.int32]) -> Examples:
        """Return the rows of the two tables of inputs, and the ratings mapped to [-1, 1]."""
        low, high = self.scale_
        rows = (fold * np.int32(self.n_users_) + rated.users, fold * np.int32(self.n_items_) + rated.items)
        return Examples(rows, (2 * rated.ratings - low - high) / (high - low))

    def _predict(self, users: NDArray[np.int32], items: NDArray[np.int32]) -> NDArray[np.float32]:
        return self._on_scale(pair_products(self.users_, self.items_, users, items))

    def predict_from(self, sources: Mapping[str, NDArray[np.int32]]) -> NDArray[np.float32]:
        """Return the (n,) ratings of pairs whose inputs come from several users and items."""
        users, years, scores, genres = (sources[name] for name in self.inputs)
        ratings = np.empty(len(users), dtype=np.float32)
        for start in range(0, len(users), BLOCK_ROWS):
            block = slice(start, start + BLOCK_ROWS)
            features = self.features_[genres[block]]
            features[:, 0], features[:, 1] = self.features_[years[block], 0], self.features_[scores[block], 1]
            items = through(self.item_tower_, features)
            ratings[block] = np.einsum("ij,ij->i", self.users_[users[block]], items)
        return np.clip(self._on_scale(ratings), *self.scale_)

    def _ratings(self, users: NDArray[np.int32]) -> NDArray[np.float32]:
        return self._on_scale(self.users_[users] @ self.items_.T)

    def _ratings_for(self, history: Interactions, n_users: int) -> NDArray[np.float32]:
        return self._ratings_by_taste(self._tastes_of(history, n_users))

    def _ratings_by_taste(self, tastes: NDArray[np.float32]) -> NDArray[np.float32]:
        return self._on_scale(through(self.user_tower_, tastes) @ self.items_.T)

    def _scores_by_taste(self, tastes: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return predicted ratings, standardised for each user, plus weighted popularity; popularity without tastes.

        With few stated tastes most inputs are at their mean, and the predictions would differ too little next to the
        popularity.
        """
        ratings = self._ratings_by_taste(tastes)
        trained = ratings[:, self.popularity_ > 0]
        ratings -= trained.mean(axis=1, keepdims=True)
        ratings /= np.maximum(trained.std(axis=1, keepdims=True), 1e-6)
        scores: NDArray[np.float32] = ratings + self.params.popularity_weight * relative_popularity(self.popularity_)
        scores[np.isnan(tastes).all(axis=1)] = self.popularity_
        return scores

    def _on_scale(self, products: NDArray[np.float32]) -> NDArray[np.float32]:
        """Map [-1, 1] to the scale of ratings, in place."""
        low, high = self.scale_
        products *= (high - low) / 2
        products += (high + low) / 2
        return products


def item_inputs(features: ItemFeatures, rated: Interactions, mean: float) -> NDArray[np.float32]:
    """Return the (n_items, 2 + n_genres) float32 inputs: year (NaN if unknown), site score or its substitute, genres.

    Args:
        features: features of the items.
        rated: pairs whose mean ratings replace missing site scores.
        mean: the rating towards which these means are damped.
    """
    own = mean + damped_mean(rated.items, rated.ratings - np.float32(mean), len(features.years), SCORE_DAMPING)
    scores = np.where(np.isnan(features.site_scores), own, features.site_scores)
    return np.column_stack([features.years, scores, features.genres.toarray()]).astype(np.float32)


def standardiser(features: NDArray[np.float32], weights: NDArray[np.int64]) -> Scaler:
    """Return the (width,) weighted means and standard deviations of (n, width) features; NaN is ignored.

    A feature that is constant or never known gets the standard deviation 1.
    """
    known = ~np.isnan(features) * weights[:, None].astype(np.float64)
    values = np.nan_to_num(features, nan=0.0)
    total = np.maximum(known.sum(axis=0), 1)
    mean = (known * values).sum(axis=0) / total
    deviation = np.sqrt((known * (values - mean) ** 2).sum(axis=0) / total)
    return mean.astype(np.float32), np.where(deviation > 1e-6, deviation, 1).astype(np.float32)


def standardised(
    features: NDArray[np.float32], mean: NDArray[np.float32], deviation: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Return (features − mean) / deviation, and 0 for NaN."""
    scaled: NDArray[np.float32] = (features - mean) / deviation
    return np.nan_to_num(scaled, copy=False, nan=0.0)


def through(tower: list[NDArray[np.float32]], features: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the (n, 32) float32 outputs of a tower, of length one, for (n, width) features; NaN is unknown."""
    mean, deviation, *layers = tower
    outputs = np.empty((len(features), LAYER_UNITS[-1]), dtype=np.float32)
    for start in range(0, len(features), BLOCK_ROWS):
        values = standardised(features[start : start + BLOCK_ROWS], mean, deviation)
        for place in range(0, len(layers), 2):
            values = (relu(values) if place else values) @ layers[place] + layers[place + 1]
        outputs[start : start + BLOCK_ROWS] = values
    outputs /= np.maximum(np.linalg.norm(outputs, axis=1, keepdims=True), 1e-6)
    return outputs


def build_tower(n_features: int) -> Any:
    """Return a keras.Sequential of (batch, n_features) → (batch, 32), with a linear last layer."""
    keras = import_keras()
    *hidden, last = LAYER_UNITS
    layers = [keras.layers.Dense(units, activation="relu", dtype=hidden_dtype()) for units in hidden]
    return keras.Sequential([keras.Input((n_features,)), *layers, keras.layers.Dense(last)])


def build_network(
    user_tower: Any, item_tower: Any, user_rows: NDArray[np.float32], item_rows: NDArray[np.float32]
) -> Any:
    """Return a keras.Model of two (batch,) int32 inputs, rows of the two tables, and a (batch, 1) output in [-1, 1].

    The tables are constant in training. Looking up rows when they are needed saves hundreds of bytes for each rating.

    Args:
        user_tower, item_tower: as from `build_tower`.
        user_rows, item_rows: the tables, (n, width) standardised inputs of the towers.
    """
    keras = import_keras()

    def look_up(rows: NDArray[np.float32]) -> tuple[Any, Any]:
        index = keras.Input((), dtype="int32")
        table = keras.layers.Embedding(*rows.shape, weights=[rows], trainable=False)
        return index, table(index)

    (user, tastes), (item, features) = look_up(user_rows), look_up(item_rows)
    unit = keras.layers.UnitNormalization()
    product = keras.layers.Dot(axes=1)([unit(user_tower(tastes)), unit(item_tower(features))])
    return keras.Model([user, item], product)
