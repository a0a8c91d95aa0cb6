"""Blend predicted ratings by a regression, and correct the sum by trees that know more of the user and the item."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from recsys_dagster.data.interactions import Interactions
from recsys_dagster.data.training_data import TrainingData
from recsys_dagster.errors import RecsysError
from recsys_dagster.models.ensembles.boosted_trees import boost_ratings, tree_scores
from recsys_dagster.models.ensembles.ensemble import REHEARSAL, Ensemble, EnsembleParams
from recsys_dagster.models.ensembles.rating_facts import RatingFacts
from recsys_dagster.models.ensembles.stack import get_rating_model_class
from recsys_dagster.models.params import Params
from recsys_dagster.models.prediction_intervals import calibration_rows
from recsys_dagster.models.rating import RatingModel, RatingParams
from recsys_dagster.models.refit import VALIDATION_SHARE, hold_out
from recsys_dagster.models.reuse import fit_or_load

PARTS = 3
"""Parts of the held-out ratings; whether trees help is measured on each part, with trees from the others."""
ENOUGH_RATINGS = 100_000
"""Number of held-out ratings to learn from for which several tenths are held out where one has fewer."""
MOST_TENTHS = 5
MOST_RATINGS = 500_000
"""Largest number of held-out ratings of a part that are learnt from; more would take longer and change little."""


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
        300,
        ge=0,
        description="Number of trees that correct the predicted rating of a pair, where held-out ratings show that they"
        " help; 0: none.",
    )


@dataclass(frozen=True)
class _Examples:
    """Held-out ratings and what is known of them.

    Attributes:
        data: what the members were fitted on.
        held_out: n ratings that they have not seen.
        predictions: (n_members, n) float32.
        logs: (2, n) float32, log(1 + number of training pairs) of the user, and of the item.
        features: (n, n_features) float32, for the trees.
    """

    data: TrainingData
    held_out: Interactions
    predictions: NDArray[np.float32]
    logs: NDArray[np.float32]
    features: NDArray[np.float32]


class RatingBlend(Ensemble, RatingModel):
    """Ratings by neighbours, ALS and Bayesian factorisation, weighted by a ridge on the validation fold.

    r̂_ui = c + a·U + b·I + Σ_m (w_m + w'_m·U + w''_m·I)·(r̂_m,ui − μ), where r̂_m is the prediction of member m.

    U and I are the logarithms of 1 + the number of training pairs of the user and of the item, centred over the ratings
    that the weights are learnt on. Through them, another member can get more weight where more is known. μ is the mean
    training rating. The method is known from the Netflix Prize as feature-weighted linear stacking (Sill et al. 2009).

    The weights are those of a ridge regression on the validation fold, with members that are fitted on the training
    fold alone. Without a validation fold, random tenths of the training pairs replace it, each predicted by members
    that are fitted without it: one tenth where that is `ENOUGH_RATINGS`, up to five where it is not. The members are
    fitted again on all pairs afterwards. A member with the preset `rehearsal` is fitted with that preset at first: the
    weights are nearly the same, in a fraction of the time.

    Boosted trees then learn what the ridge misses from the predictions of the members, what is known of the user, of
    the item and of the pair, and what the user rated shortly before the moment of the rating (see `RatingFacts`). They
    are used if they lower the squared error in a cross-validation over the held-out ratings, and only for the
    predictions of pairs: lists are ranked by the ridge, because trees for all pairs take long and move few items.

    Attributes:
        mean_: μ.
        centres_: (2,) float32, means that are subtracted from the logarithms for U and I.
        weights_: (1 + n_members, 3) float32: c, a, b, then a row w, w', w'' for each member.
        trees_: the trees in LightGBM's text format, empty if there are none.
        facts_: the arrays of the `RatingFacts` that the trees know; empty in a model that an earlier version of the
            project fitted, whose trees knew others and are not used.
    """

    name = "rating_blend"
    kinds = ("scikitlearn", "lightgbm")
    params_type = RatingBlendParams
    params: RatingBlendParams

    mean_: float
    centres_: NDArray[np.float32]
    weights_: NDArray[np.float32]
    trees_: str = ""
    facts_: Sequence[NDArray[Any]] = ()
    _members: list[RatingModel]

    def _fit(self, data: TrainingData) -> None:
        model_classes = [get_rating_model_class(name) for name in self.params.members]
        if len(data.validation):
            self._members = [fit_or_load(model_class(seed=self.seed), data) for model_class in model_classes]
            self._learn([self._examples(data, self._members)])
            self.facts_ = list(RatingFacts.of(data))
            return
        tenth = max(round(VALIDATION_SHARE * len(data.train.rated)), 1)
        examples: list[_Examples] = []
        params: list[Params | None] = []
        for part in range(min(math.ceil(ENOUGH_RATINGS / tenth), MOST_TENTHS)):
            known = hold_out(data, seed=self.seed, part=part)
            members = [
                model_class(model_class.presets.get(REHEARSAL), seed=self.seed).fit(known)
                for model_class in model_classes
            ]
            examples.append(self._examples(known, members))
            params = params or [None if REHEARSAL in member.presets else member.refit_params() for member in members]
        self._learn(examples)
        all_pairs = replace(data, validation=Interactions.empty())
        self._members = [
            model_class(chosen, seed=self.seed).fit(all_pairs)
            for model_class, chosen in zip(model_classes, params, strict=True)
        ]
        self.facts_ = list(RatingFacts.of(all_pairs))
        self.calibrate_like(self, all_pairs)

    def calibrate(self, data: TrainingData) -> None:
        """Do nothing: `_fit` calibrates on errors of ratings that neither members nor trees have seen."""

    def _examples(self, data: TrainingData, members: Sequence[RatingModel]) -> _Examples:
        """Return what members that were fitted on `data.train` predict for the validation fold.

        Raises:
            RecsysError: no pair of the validation fold has a rating.
        """
        held_out = data.validation.rated
        if not len(held_out):
            raise RecsysError(
                f"{self.name}: no held-out pair has a rating, so that there is nothing to learn weights on"
            )
        if len(held_out) > MOST_RATINGS:
            drawn = np.random.default_rng(self.seed).choice(len(held_out), MOST_RATINGS, replace=False)
            held_out = held_out.take(np.sort(drawn))
        predictions = [member.predict(held_out.users, held_out.items) for member in members]
        features = np.zeros((len(held_out), 0), np.float32)
        if self.params.trees:
            facts = RatingFacts.of(data)
            features = facts.features(members, predictions, held_out.users, held_out.items, held_out.times)
        logs = [
            log_counts(np.bincount(data.train.users, minlength=data.n_users))[held_out.users],
            log_counts(np.bincount(data.train.items, minlength=data.n_items))[held_out.items],
        ]
        return _Examples(data, held_out, np.stack(predictions), np.stack(logs), features)

    def _learn(self, parts: Sequence[_Examples]) -> None:
        """Learn the weights, then the trees, on all parts together; calibrate the interval on the first."""
        first = parts[0]
        self.mean_ = float(first.data.train.rated.ratings.mean(dtype=np.float64))
        ratings = np.concatenate([part.held_out.ratings for part in parts])
        predictions = list(np.hstack([part.predictions for part in parts]))
        logs = np.hstack([part.logs for part in parts])
        self.centres_ = logs.mean(axis=1).astype(np.float32)
        activity, popularity = logs - self.centres_[:, None]
        self._learn_weights(ratings, predictions, activity, popularity)
        errors = ratings - self._blended(predictions, activity, popularity)
        errors = self._learn_trees(np.vstack([part.features for part in parts]), errors)
        rows = calibration_rows(len(first.held_out), self.seed)
        self._calibrate_by(first.data, first.held_out.take(rows), errors[rows])

    def _learn_trees(self, features: NDArray[np.float32], errors: NDArray[np.float32]) -> NDArray[np.float32]:
        """Learn trees from the errors of the weighted sum, if they lower the error of ratings left out of them.

        Args:
            features: (n, n_features) of the ratings.
            errors: (n,).

        Returns:
            (n,) errors of the ratings, each by trees that have not seen it if there are trees.
        """
        self.trees_ = ""
        if not self.params.trees or len(errors) < PARTS:
            return errors
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

    def _learn_weights(
        self,
        ratings: NDArray[np.float32],
        predictions: list[NDArray[np.float32]],
        activity: NDArray[np.float32],
        popularity: NDArray[np.float32],
    ) -> None:
        """Learn the weights from n held-out ratings: the (n,) ratings, predictions of each member, U and I."""
        from sklearn.linear_model import Ridge

        columns = [activity, popularity]
        for predicted in predictions:
            above = predicted - np.float32(self.mean_)
            columns += [above, above * activity, above * popularity]
        features = np.stack(columns, axis=1)
        deviations = np.maximum(features.std(axis=0), np.float32(1e-6))
        regression = Ridge(alpha=self.params.alpha).fit(features / deviations, ratings)
        weights = np.concatenate([[regression.intercept_], regression.coef_ / deviations])
        self.weights_ = weights.reshape(-1, 3).astype(np.float32)

    def _predict(self, users: NDArray[np.int32], items: NDArray[np.int32]) -> NDArray[np.float32]:
        return self._predict_at(users, items, None)

    def _predict_at(
        self, users: NDArray[np.int32], items: NDArray[np.int32], times: NDArray[np.int64] | None
    ) -> NDArray[np.float32]:
        activity, popularity = self._known()
        ratings = [member.predict(users, items) for member in self._members]
        blended = self._blended(ratings, activity[users], popularity[items])
        if self.trees_ and self.facts_:
            features = RatingFacts(*self.facts_).features(self._members, ratings, users, items, times)
            blended += tree_scores(self.trees_, features)
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


def log_counts(counts: NDArray[Any]) -> NDArray[np.float32]:
    """Return log(1 + n) of each count n as float32."""
    logs: NDArray[np.float32] = np.log1p(counts).astype(np.float32)
    return logs
