"""Blend predicted ratings by a regression, and correct the sum by trees that know more of the user and the item."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from recsys_dagster.data.interactions import Interactions
from recsys_dagster.data.training_data import TrainingData
from recsys_dagster.errors import RecsysError
from recsys_dagster.models.ensembles.boosted_trees import boost_ratings, tree_scores
from recsys_dagster.models.ensembles.ensemble import REHEARSAL, Ensemble, EnsembleParams
from recsys_dagster.models.ensembles.rating_facts import item_facts, pair_facts, user_facts
from recsys_dagster.models.ensembles.stack import get_rating_model_class
from recsys_dagster.models.prediction_intervals import calibration_rows
from recsys_dagster.models.rating import RatingModel, RatingParams
from recsys_dagster.models.refit import hold_out
from recsys_dagster.models.reuse import fit_or_load

PARTS = 5
"""Parts of the held-out ratings; whether trees help is measured on each part, with trees from the others."""


class RatingBlendParams(EnsembleParams, RatingParams):
    """Parameters of the blend."""

    members: list[str] = Field(
        ["user_item_bias", "rating_knn", "als", "bayesian_fm"],
        min_length=1,
        description="Names of the rating models to blend, each with its default parameters.",
    )
    alpha: float = Field(
        10.0, gt=0, description="L2 penalty, in ratings, of the weights of features with a standard deviation of one."
    )
    trees: int = Field(
        150,
        ge=0,
        description="Number of trees that correct the predicted rating of a pair, where held-out ratings show that they"
        " help; 0: none.",
    )


class RatingBlend(Ensemble, RatingModel):
    """Ratings by neighbours, ALS and Bayesian factorisation, weighted by a ridge on the validation fold.

    r̂_ui = c + a·U + b·I + Σ_m (w_m + w'_m·U + w''_m·I)·(r̂_m,ui − μ), where r̂_m is the prediction of member m.

    U and I are the logarithms of 1 + the number of training pairs of the user and of the item, centred over the ratings
    that the weights are learnt on. Through them, another member can get more weight where more is known. μ is the mean
    training rating. The method is known from the Netflix Prize as feature-weighted linear stacking (Sill et al. 2009).

    The weights are those of a ridge regression on the validation fold, with members that are fitted on the training
    fold alone. Without a validation fold, a random tenth of the training pairs replaces it, and the members are fitted
    again on all pairs afterwards. A member with the preset `rehearsal` is then fitted with that preset at first: the
    weights are nearly the same, in a fraction of the time.

    Boosted trees then learn what the ridge misses from the predictions of the members, what is known of the user and of
    the item (see `rating_facts`), and the user's ratings of the closest neighbours. They are used if they lower the
    squared error in a cross-validation over the held-out ratings, and only for the predictions of pairs: lists are
    ranked by the ridge, because trees for all pairs take long and move few items.

    Attributes:
        mean_: μ.
        centres_: (2,) float32, means that are subtracted from the logarithms for U and I.
        weights_: (1 + n_members, 3) float32: c, a, b, then a row w, w', w'' for each member.
        trees_: the trees in LightGBM's text format, empty if there are none.
        user_facts_, item_facts_: (n_users, 5) and (n_items, 7) float32, what the trees know of each.
    """

    name = "rating_blend"
    kinds = ("scikitlearn", "lightgbm")
    params_type = RatingBlendParams
    params: RatingBlendParams

    mean_: float
    centres_: NDArray[np.float32]
    weights_: NDArray[np.float32]
    trees_: str = ""
    user_facts_: NDArray[np.float32]
    item_facts_: NDArray[np.float32]
    _members: list[RatingModel]

    def _fit(self, data: TrainingData) -> None:
        model_classes = [get_rating_model_class(name) for name in self.params.members]
        if len(data.validation):
            self._members = [fit_or_load(model_class(seed=self.seed), data) for model_class in model_classes]
            self._learn(data, self._members)
            return
        known, all_pairs = hold_out(data, seed=self.seed), replace(data, validation=Interactions.empty())
        members: list[RatingModel] = []
        params = []
        for model_class in model_classes:
            rehearsal = model_class.presets.get(REHEARSAL)
            member = model_class(rehearsal, seed=self.seed).fit(known)
            members.append(member)
            params.append(None if rehearsal else member.refit_params())
        self._learn(known, members)
        self._members = [
            model_class(chosen, seed=self.seed).fit(all_pairs)
            for model_class, chosen in zip(model_classes, params, strict=True)
        ]
        self.user_facts_, self.item_facts_ = user_facts(all_pairs), item_facts(all_pairs)
        self.calibrate_like(self, all_pairs)

    def calibrate(self, data: TrainingData) -> None:
        """Do nothing: `_fit` calibrates on errors of ratings that neither members nor trees have seen."""

    def _learn(self, data: TrainingData, members: Sequence[RatingModel]) -> None:
        """Learn the weights, then the trees, on the validation fold, which the members have not seen."""
        held_out = data.validation.rated
        if not len(held_out):
            raise RecsysError(
                f"{self.name}: no held-out pair has a rating, so that there is nothing to learn weights on"
            )
        self.mean_ = float(data.train.rated.ratings.mean(dtype=np.float64))
        predictions = [predict_validation(member, data) for member in members]
        logs = [
            log_counts(np.bincount(data.train.users, minlength=data.n_users))[held_out.users],
            log_counts(np.bincount(data.train.items, minlength=data.n_items))[held_out.items],
        ]
        self.centres_ = np.array([values.mean() for values in logs], dtype=np.float32)
        activity, popularity = (values - centre for values, centre in zip(logs, self.centres_, strict=True))
        self._learn_weights(held_out, predictions, activity, popularity)
        self.user_facts_, self.item_facts_ = user_facts(data), item_facts(data)
        errors = held_out.ratings - self._blended(predictions, activity, popularity)
        errors = self._learn_trees(held_out, members, predictions, errors)
        rows = calibration_rows(len(held_out), self.seed)
        self._calibrate_by(data, held_out.take(rows), errors[rows])

    def _learn_trees(
        self,
        held_out: Interactions,
        members: Sequence[RatingModel],
        predictions: list[NDArray[np.float32]],
        errors: NDArray[np.float32],
    ) -> NDArray[np.float32]:
        """Learn trees from the (n,) errors of the weighted sum, if they lower the error of ratings left out of them.

        Returns:
            (n,) errors of the ratings, each by trees that have not seen it if there are trees.
        """
        self.trees_ = ""
        if not self.params.trees or len(held_out) < PARTS:
            return errors
        features = self._tree_features(members, predictions, held_out.users, held_out.items)
        part = np.random.default_rng(self.seed).permutation(len(errors)) % PARTS
        left = np.empty_like(errors)
        for number in range(PARTS):
            inside = part == number
            trees = boost_ratings(features[~inside], errors[~inside], self.params.trees, self.seed)
            left[inside] = errors[inside] - tree_scores(trees, features[inside])
        if np.mean(left**2) >= np.mean(errors**2):
            return errors
        self.trees_ = boost_ratings(features, errors, self.params.trees, self.seed)
        return left

    def _tree_features(
        self,
        members: Sequence[RatingModel],
        predictions: Sequence[NDArray[np.float32]],
        users: NDArray[np.int32],
        items: NDArray[np.int32],
    ) -> NDArray[np.float32]:
        """Return the (n, n_features) features of the pairs (users[i], items[i])."""
        facts = [self.user_facts_[users], self.item_facts_[items], pair_facts(members, users, items)]
        return np.column_stack([*predictions, *facts])

    def _learn_weights(
        self,
        held_out: Interactions,
        predictions: list[NDArray[np.float32]],
        activity: NDArray[np.float32],
        popularity: NDArray[np.float32],
    ) -> None:
        """Learn the weights from the (n,) predictions of each member, U and I for n held-out ratings."""
        from sklearn.linear_model import Ridge

        columns = [activity, popularity]
        for predicted in predictions:
            above = predicted - np.float32(self.mean_)
            columns += [above, above * activity, above * popularity]
        features = np.stack(columns, axis=1)
        deviations = np.maximum(features.std(axis=0), np.float32(1e-6))
        regression = Ridge(alpha=self.params.alpha).fit(features / deviations, held_out.ratings)
        weights = np.concatenate([[regression.intercept_], regression.coef_ / deviations])
        self.weights_ = weights.reshape(-1, 3).astype(np.float32)

    def _predict(self, users: NDArray[np.int32], items: NDArray[np.int32]) -> NDArray[np.float32]:
        activity, popularity = self._known()
        ratings = [member.predict(users, items) for member in self._members]
        blended = self._blended(ratings, activity[users], popularity[items])
        if self.trees_:
            blended += tree_scores(self.trees_, self._tree_features(self._members, ratings, users, items))
        return blended

    def _ratings(self, users: NDArray[np.int32]) -> NDArray[np.float32]:
        activity, popularity = self._known()
        ratings = (np.clip(member._ratings(users), *self.scale_) for member in self._members)
        return self._blended(ratings, activity[users, None], popularity[None])

    def _known(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return U of each user and I of each item, as float32."""
        counts = np.diff(self.seen_.indptr), self.popularity_
        activity, popularity = (log_counts(count) - centre for count, centre in zip(counts, self.centres_, strict=True))
        return activity, popularity

    def _blended(
        self, ratings: Iterable[NDArray[np.float32]], activity: NDArray[np.float32], popularity: NDArray[np.float32]
    ) -> NDArray[np.float32]:
        """Return the weighted sum of the predictions, with U and I in arrays that broadcast with them."""
        (constant, activity_weight, popularity_weight), *member_weights = self.weights_
        blended: NDArray[np.float32] = constant + activity_weight * activity + popularity_weight * popularity
        for (alone, by_activity, by_popularity), predicted in zip(member_weights, ratings, strict=True):
            weight = alone + by_activity * activity + by_popularity * popularity
            blended += weight * (predicted - np.float32(self.mean_))
        return blended


def predict_validation(member: RatingModel, data: TrainingData) -> NDArray[np.float32]:
    """Return the member's predictions for the ratings of the validation fold."""
    held_out = data.validation.rated
    return member.predict(held_out.users, held_out.items)


def log_counts(counts: NDArray[Any]) -> NDArray[np.float32]:
    """Return log(1 + n) of each count n as float32."""
    logs: NDArray[np.float32] = np.log1p(counts).astype(np.float32)
    return logs
