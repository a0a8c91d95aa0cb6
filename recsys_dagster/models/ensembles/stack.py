"""Stack rating models: predict by a linear regression over the predictions of other models.

Yung 2022, "Survey of Deep Learning Techniques for Recommendation Systems", stacks three networks by linear and by ridge
regression, and does not say on which predictions the regression is fitted. Here it is fitted on predictions of ratings
that the members have not seen.
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
    """The members of a stack and their predictions, before the regression.

    Attributes:
        members: models fitted on the whole training fold.
        predictions: (n, n_members) float32 predictions of ratings that the member has not seen.
        ratings: (n,) float32, those ratings.
        usage: resource usage of the fits.
    """

    members: list[RatingModel]
    predictions: NDArray[np.float32]
    ratings: NDArray[np.float32]
    usage: ResourceUsage


_LAST: dict[str, _Learnt] = {}
"""Members of the last stack, until another stack takes them: the two stacks differ only in the regression."""


class StackParams(EnsembleParams, RatingParams):
    """Parameters of a stack."""

    members: list[str] = Field(
        ["beta_network_100", "beta_network_128", "beta_network_150"],
        min_length=1,
        description="Names of the rating models to stack, each with its default parameters.",
    )
    folds: int = Field(
        2,
        ge=2,
        description="Number of parts of the training ratings; each is predicted by members that are fitted without it.",
    )


class RidgeStackParams(StackParams):
    """Parameters of the stack with ridge regression."""

    alpha: float = Field(1.0, ge=0, description="L2 penalty of the members' weights.")


class Stack(Ensemble, RatingModel):
    """A linear regression over the predictions of rating models.

    r̂ = intercept + Σ weight · prediction of the member, clipped to the scale.

    The training ratings are split at random into `folds` parts. For each part the members are fitted on the other
    parts. They stop early on the validation fold or, without one, on a random tenth of the training pairs that is held
    out throughout. The regression is fitted on their predictions of the parts. The members that are used are fitted
    once more on the whole training fold, for as many epochs as the last of those fits found best.

    Attributes:
        weights_: (n_members,) float32.
        intercept_: the prediction if all members predict 0.
    """

    kinds = ("scikitlearn",)
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
        """Return the regression of scikit-learn, not fitted."""

    def _fit(self, data: TrainingData) -> None:
        learnt = self._learnt(data)
        self._members = learnt.members
        for member in self._members:
            member.seen_ = self.seen_
        regression = self._regression().fit(learnt.predictions, learnt.ratings)
        self.weights_ = regression.coef_.astype(np.float32)
        self.intercept_ = float(regression.intercept_)

    def _learnt(self, data: TrainingData) -> _Learnt:
        """Return members and predictions, or those of another stack on the same data, whose usage is charged again."""
        key = joblib.hash([self.params.members, self.params.folds, self.seed, *data.contents])
        if key in _LAST:
            learnt = _LAST.pop(key)
            charge(learnt.usage)
            return learnt
        with track_resources() as usage:
            learnt = _Learnt(*self._learn(data), usage)
        _LAST.clear()
        _LAST[key] = learnt
        return learnt

    def _learn(self, data: TrainingData) -> tuple[list[RatingModel], NDArray[np.float32], NDArray[np.float32]]:
        """Return the members, their (n, n_members) out-of-fold predictions, and the (n,) ratings."""
        model_classes = [get_rating_model_class(name) for name in self.params.members]
        known = data if len(data.validation) else hold_out(data, seed=self.seed)
        rated = np.flatnonzero(~np.isnan(known.train.ratings))
        if len(rated) < self.params.folds:
            raise RecsysError(f"{self.name}: {len(rated)} ratings cannot be split into {self.params.folds} folds")
        fold_of = np.full(len(known.train), -1, dtype=np.int8)
        folds = np.arange(len(rated)) % self.params.folds
        fold_of[rated] = np.random.default_rng(self.seed).permutation(folds)
        predictions = np.empty((len(rated), len(model_classes)), dtype=np.float32)
        members = []
        for column, model_class in enumerate(model_classes):
            for fold in range(self.params.folds):
                part = known.train.where(fold_of == fold)
                member = model_class(seed=self.seed).fit(replace(known, train=known.train.where(fold_of != fold)))
                predictions[fold_of[rated] == fold, column] = member.predict(part.users, part.items)
            final = model_class(member.refit_params(), seed=self.seed)
            members.append(final.fit(replace(data, validation=Interactions.empty())))
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
    """Linear regression over out-of-fold predictions of three beta networks, or of any rating models (Yung 2022)."""

    name = "stack_linear"

    def _regression(self) -> Any:
        from sklearn.linear_model import LinearRegression

        return LinearRegression()


class StackRidge(Stack):
    """Ridge regression over out-of-fold predictions of three beta networks, or of any rating models (Yung 2022)."""

    name = "stack_ridge"
    params_type = RidgeStackParams
    params: RidgeStackParams

    def _regression(self) -> Any:
        from sklearn.linear_model import Ridge

        return Ridge(alpha=self.params.alpha)


def get_rating_model_class(name: str) -> type[RatingModel]:
    """Import and return the class of a rating model.

    Raises:
        UsageError: there is no model of that name, or it predicts no ratings.
    """
    model_class = get_model_class(name)
    if not issubclass(model_class, RatingModel):
        raise UsageError(f"{name} predicts no ratings and cannot be stacked")
    return model_class
