"""Stacks: a linear model over the ratings that other models predict.

Yung 2022, "Survey of Deep Learning Techniques for Recommendation Systems", stacks three networks by linear and by ridge
regression and does not say on which predictions the regression was fitted. Here on those for ratings that the members
did not see.
"""

from abc import abstractmethod
from dataclasses import dataclass, replace
from typing import Any

import joblib
import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from recsys_dagster.data.interactions import Interactions
from recsys_dagster.data.training_data import TrainingData
from recsys_dagster.errors import RecsysError, UsageError
from recsys_dagster.models.ensembles.ensemble import Ensemble, EnsembleParams
from recsys_dagster.models.rating import RatingModel, RatingParams
from recsys_dagster.models.refit import hold_out
from recsys_dagster.models.registry import get_model_class
from recsys_dagster.runtime.resource_usage import ResourceUsage, charge, track_resources


@dataclass(frozen=True)
class _Learnt:
    """What a stack is made of before the regression, and what that usage.

    Attributes:
        members: fitted on all of the training fold.
        predictions: (n, n_members) float32, of the ratings that a member did not see.
        ratings: (n,) float32.
        usage: of the fits.
    """

    members: list[RatingModel]
    predictions: NDArray[np.float32]
    ratings: NDArray[np.float32]
    usage: ResourceUsage


_LAST: dict[str, _Learnt] = {}
"""What the last stack was made of, until another one has taken it: the two differ in the regression alone."""


class StackParams(EnsembleParams, RatingParams):
    """Parameters of a stack."""

    members: list[str] = Field(
        ["beta_network_100", "beta_network_128", "beta_network_150"],
        min_length=1,
        description="Names of the rating models that are stacked, each with its default parameters.",
    )
    folds: int = Field(
        2, ge=2, description="Parts of the training ratings; each is predicted by members trained without it."
    )


class RidgeStackParams(StackParams):
    """Parameters of the stack by ridge regression."""

    alpha: float = Field(1.0, ge=0, description="L2 penalty of the members' weights.")


class Stack(Ensemble, RatingModel):
    """r̂ = intercept + Σ weight · the member's prediction, clipped to the scale.

    The training ratings are dealt to `folds` parts by the seed. For each part the members are trained on the others, to
    stop early on the validation fold or, where there is none, on a random tenth of the training pairs that is held out
    throughout. Their predictions of the part are what the regression learns from. The members that are kept are trained
    once more on all of the training fold, for as many epochs as the last of those runs found best.

    Attributes:
        weights_: (n_members,) float32.
        intercept_: rating when all members predict 0.
    """

    params_type = StackParams
    params: StackParams

    weights_: NDArray[np.float32]
    intercept_: float
    _members: list[RatingModel]

    @property
    def _fits_of_a_member(self) -> int:
        folds: int = self.params.folds
        return folds + 1

    @abstractmethod
    def _regression(self) -> Any:
        """Return the unfitted regression of scikit-learn."""

    def _fit(self, data: TrainingData) -> None:
        learnt = self._learnt(data)
        self._members = learnt.members
        for member in self._members:
            member.seen_ = self.seen_
        regression = self._regression().fit(learnt.predictions, learnt.ratings)
        self.weights_ = regression.coef_.astype(np.float32)
        self.intercept_ = float(regression.intercept_)

    def _learnt(self, data: TrainingData) -> _Learnt:
        """Return what is regressed on what; what another stack has just learnt from the same is taken, at its usage."""
        asked = joblib.hash([self.params.members, self.params.folds, self.seed, *data.contents])
        if asked in _LAST:
            learnt = _LAST.pop(asked)
            charge(learnt.usage)
            return learnt
        with track_resources() as usage:
            learnt = _Learnt(*self._learn(data), usage)
        _LAST.clear()
        _LAST[asked] = learnt
        return learnt

    def _learn(self, data: TrainingData) -> tuple[list[RatingModel], NDArray[np.float32], NDArray[np.float32]]:
        """Return the members, their (n, n_members) out-of-fold predictions and the (n,) ratings."""
        kinds = [rating_model(name) for name in self.params.members]
        known = data if len(data.validation) else hold_out(data, seed=self.seed)
        rated = np.flatnonzero(~np.isnan(known.train.ratings))
        if len(rated) < self.params.folds:
            raise RecsysError(f"{self.name}: {len(rated)} ratings cannot be dealt to {self.params.folds} folds")
        fold_of = np.full(len(known.train), -1, dtype=np.int8)
        dealt = np.arange(len(rated)) % self.params.folds
        fold_of[rated] = np.random.default_rng(self.seed).permutation(dealt)
        predictions = np.empty((len(rated), len(kinds)), dtype=np.float32)
        members = []
        for column, kind in enumerate(kinds):
            for fold in range(self.params.folds):
                skipped = known.train.where(fold_of == fold)
                member = kind(seed=self.seed).fit(replace(known, train=known.train.where(fold_of != fold)))
                predictions[fold_of[rated] == fold, column] = member.predict(skipped.users, skipped.items)
            kept = kind(member.refit_params(), seed=self.seed)
            members.append(kept.fit(replace(data, validation=Interactions.empty())))
        return members, predictions, known.train.ratings[rated]

    def _predict(self, users: NDArray[np.int32], items: NDArray[np.int32]) -> NDArray[np.float32]:
        ratings = np.full(len(users), self.intercept_, dtype=np.float32)
        for weight, member in zip(self.weights_, self._members, strict=True):
            ratings += weight * member.predict(users, items)
        return ratings

    def _ratings(self, users: NDArray[np.int32]) -> NDArray[np.float32]:
        ratings = np.full((len(users), self.n_items_), self.intercept_, dtype=np.float32)
        for weight, member in zip(self.weights_, self._members, strict=True):
            ratings += weight * np.clip(member._ratings(users), *self.scale_)
        return ratings


class StackLinear(Stack):
    """Yung 2022: linear regression over out-of-fold predictions of three beta networks, or of any models.

    The stack by ordinary least squares.
    """

    name = "stack_linear"

    def _regression(self) -> Any:
        from sklearn.linear_model import LinearRegression

        return LinearRegression()


class StackRidge(Stack):
    """Yung 2022: ridge regression over out-of-fold predictions of three beta networks, or of any models.

    The stack by ridge regression.
    """

    name = "stack_ridge"
    params_type = RidgeStackParams
    params: RidgeStackParams

    def _regression(self) -> Any:
        from sklearn.linear_model import Ridge

        return Ridge(alpha=self.params.alpha)


def rating_model(name: str) -> type[RatingModel]:
    """Return the rating model of that name.

    Raises:
        UsageError: there is no model of that name, or it predicts no ratings.
    """
    kind = get_model_class(name)
    if not issubclass(kind, RatingModel):
        raise UsageError(f"{name} predicts no ratings and cannot be stacked")
    return kind
