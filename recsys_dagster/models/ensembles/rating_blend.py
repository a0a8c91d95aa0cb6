"""A blend: the ratings that unlike models predict, weighed by how much is known of the user and of the title."""

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from recsys_dagster.data.interactions import Interactions
from recsys_dagster.data.training_data import TrainingData
from recsys_dagster.errors import RecsysError
from recsys_dagster.models.ensembles.ensemble import REHEARSAL, Ensemble, EnsembleParams
from recsys_dagster.models.ensembles.stack import rating_model
from recsys_dagster.models.rating import RatingModel, RatingParams
from recsys_dagster.models.refit import hold_out


class RatingBlendParams(EnsembleParams, RatingParams):
    """Parameters of the blend."""

    members: list[str] = Field(
        ["user_item_bias", "rating_knn", "als", "bayesian_fm"],
        min_length=1,
        description="Names of the rating models that are blended, each with its default parameters.",
    )
    alpha: float = Field(
        10.0, gt=0, description="L2 penalty, in ratings, of the weights of features with a standard deviation of one."
    )


class RatingBlend(Ensemble, RatingModel):
    """Ratings by neighbours, ALS and Bayesian factorisation, weighed by a ridge on the validation fold.

    r̂_ui = c + a·U + b·I + Σ_m (w_m + w'_m·U + w''_m·I)·(r̂_m,ui − μ), a member m's prediction r̂_m within the scale.

    U and I are the logarithms of 1 + the user's and 1 + the title's training pairs, less their means over the ratings
    learnt from: where much is known another member is to be trusted than where little is. μ is the mean training
    rating. Known from the Netflix Prize as feature-weighted linear stacking (Sill et al. 2009).

    The weights are those of a ridge regression on the validation fold, of members that know the training fold alone.
    Without a validation fold a random tenth of the training pairs, drawn by the seed, stands in for it, and the
    members are fitted again on all pairs afterwards. Then one that has the preset `rehearsal` is at first fitted by
    that: the weights come out much the same for a fraction of its cost.

    Attributes:
        mean_: μ.
        centres_: (2,) float32, what is taken off the logarithms for U and for I.
        weights_: (1 + n_members, 3) float32: c, a, b, then a row w, w', w'' for each member.
    """

    name = "rating_blend"
    params_type = RatingBlendParams
    params: RatingBlendParams

    mean_: float
    centres_: NDArray[np.float32]
    weights_: NDArray[np.float32]
    _members: list[RatingModel]

    def _fit(self, data: TrainingData) -> None:
        kinds = [rating_model(name) for name in self.params.members]
        if len(data.validation):
            self._members = [kind(seed=self.seed).fit(data) for kind in kinds]
            self._learn_weights(data, [self._asked(member, data) for member in self._members])
            return
        known, everything = hold_out(data, seed=self.seed), replace(data, validation=Interactions.empty())
        predictions, params = [], []
        for kind in kinds:
            rehearsal = kind.presets.get(REHEARSAL)
            member = kind(rehearsal, seed=self.seed).fit(known)
            predictions.append(self._asked(member, known))
            params.append(None if rehearsal else member.refit_params())
        self._learn_weights(known, predictions)
        self._members = [
            kind(chosen, seed=self.seed).fit(everything) for kind, chosen in zip(kinds, params, strict=True)
        ]

    def _asked(self, member: RatingModel, data: TrainingData) -> NDArray[np.float32]:
        """Return what the member predicts of the ratings of the validation fold."""
        asked = data.validation.rated
        return member.predict(asked.users, asked.items)

    def _learn_weights(self, data: TrainingData, predictions: list[NDArray[np.float32]]) -> None:
        """Learn from what each member predicts, (n,), of the n ratings of the validation fold, which it did not see."""
        from sklearn.linear_model import Ridge

        asked = data.validation.rated
        if not len(asked):
            raise RecsysError(
                f"{self.name}: no pair that was held out is rated, so there is nothing to learn weights on"
            )
        self.mean_ = float(data.train.rated.ratings.mean(dtype=np.float64))
        logs = [
            log_counts(np.bincount(data.train.users, minlength=data.n_users))[asked.users],
            log_counts(np.bincount(data.train.items, minlength=data.n_items))[asked.items],
        ]
        self.centres_ = np.array([values.mean() for values in logs], dtype=np.float32)
        activity, liking = (values - centre for values, centre in zip(logs, self.centres_, strict=True))
        columns = [activity, liking]
        for predicted in predictions:
            above = predicted - np.float32(self.mean_)
            columns += [above, above * activity, above * liking]
        features = np.stack(columns, axis=1)
        deviations = np.maximum(features.std(axis=0), np.float32(1e-6))
        regression = Ridge(alpha=self.params.alpha).fit(features / deviations, asked.ratings)
        weights = np.concatenate([[regression.intercept_], regression.coef_ / deviations])
        self.weights_ = weights.reshape(-1, 3).astype(np.float32)

    def _predict(self, users: NDArray[np.int32], items: NDArray[np.int32]) -> NDArray[np.float32]:
        activity, liking = self._known()
        ratings = (member.predict(users, items) for member in self._members)
        return self._blended(ratings, activity[users], liking[items])

    def _ratings(self, users: NDArray[np.int32]) -> NDArray[np.float32]:
        activity, liking = self._known()
        ratings = (np.clip(member._ratings(users), *self.scale_) for member in self._members)
        return self._blended(ratings, activity[users, None], liking[None])

    def _known(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return U of each user and I of each item."""
        counts = np.diff(self.seen_.indptr), self.popularity_
        activity, liking = (log_counts(of) - centre for of, centre in zip(counts, self.centres_, strict=True))
        return activity, liking

    def _blended(
        self, ratings: Iterable[NDArray[np.float32]], activity: NDArray[np.float32], liking: NDArray[np.float32]
    ) -> NDArray[np.float32]:
        """Return the weighed sum of what the members predict, with U and I in arrays that broadcast with that."""
        (constant, by_activity, by_liking), *of_members = self.weights_
        blended: NDArray[np.float32] = constant + by_activity * activity + by_liking * liking
        for (alone, with_activity, with_liking), predicted in zip(of_members, ratings, strict=True):
            blended += (alone + with_activity * activity + with_liking * liking) * (predicted - np.float32(self.mean_))
        return blended


def log_counts(counts: NDArray[Any]) -> NDArray[np.float32]:
    """Return log(1 + n) of each count n as float32."""
    logs: NDArray[np.float32] = np.log1p(counts).astype(np.float32)
    return logs
