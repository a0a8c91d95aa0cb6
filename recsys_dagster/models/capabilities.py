"""What a model may be able to do beyond ranking items for the users it was fitted on.

Each capability is a base class that declares the methods it needs. Inherit it next to `Model`, before it in the list of
bases. Callers ask `isinstance(model, RatingPredictor)` or `issubclass(model_class, FoldIn)`.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from recsys_dagster.data.interactions import Interactions
from recsys_dagster.data.training_data import TrainingData
from recsys_dagster.errors import RecsysError
from recsys_dagster.models.params import Params
from recsys_dagster.models.prediction_intervals import (
    IS_NEW,
    ROUNDING,
    calibration_rows,
    conformal_bounds,
    learn_spread,
    spread_facts,
)


class RatingPredictor(ABC):
    """A model that predicts ratings, and says how sure it is.

    `Model.fit` calibrates an interval on the validation fold, as `prediction_intervals` says. A model that learns from
    that fold overrides `calibrate`; one that was fitted without it can take over the calibration of another fit.

    Attributes:
        spread_weights_: (2, 3) float64, what each fact of a user, and of an item, adds to log σ; None if the model has
            no interval, because no held-out rating was there or an earlier version of the project fitted it.
        score_bounds_: (2, 2) float64, l and h for items with training ratings, then for items without.
        user_spreads_: (n_users,) float32, the part of the user in σ.
        item_bounds_: (n_items, 2) float32, l and h times the part of the item in σ.
    """

    name: ClassVar[str]
    needs_ratings: ClassVar[bool] = True
    seed: int
    scale_: tuple[float, float]
    spread_weights_: NDArray[np.float64] | None = None
    score_bounds_: NDArray[np.float64]
    user_spreads_: NDArray[np.float32]
    item_bounds_: NDArray[np.float32]

    def predict(
        self, users: NDArray[np.int32], items: NDArray[np.int32], times: NDArray[np.int64] | None = None
    ) -> NDArray[np.float32]:
        """Predict the ratings of the pairs (users[i], items[i]).

        Args:
            users, items: (n,) indices.
            times: (n,) moments at which the ratings are given, in seconds since 1970; `UNKNOWN_TIME`, or None for all:
                after the training ratings. Most models predict the same whenever it is.

        Returns:
            (n,) float32, clipped to the domain's scale.

        Raises:
            RecsysError: a prediction is NaN.
        """
        ratings = np.clip(self._predict_at(users, items, times), *self.scale_).astype(np.float32)
        if np.isnan(ratings).any():
            raise RecsysError(f"{self.name}: predictions are not numbers; the model did not converge")
        return ratings

    @abstractmethod
    def _predict(self, users: NDArray[np.int32], items: NDArray[np.int32]) -> NDArray[np.float32]:
        """Return the (n,) predictions before they are clipped."""

    def _predict_at(
        self,
        users: NDArray[np.int32],
        items: NDArray[np.int32],
        times: NDArray[np.int64] | None,  # noqa: ARG002
    ) -> NDArray[np.float32]:
        """Return the (n,) predictions before they are clipped; a model to which the moment matters overrides this."""
        return self._predict(users, items)

    @property
    def has_interval(self) -> bool:
        """Whether the model can say how sure it is."""
        return self.spread_weights_ is not None

    def predict_interval(
        self, users: NDArray[np.int32], items: NDArray[np.int32]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return the (n,) float32 bounds, on the scale, between which `INTERVAL_LEVEL` of the ratings are expected.

        Args:
            users, items: (n,) indices.

        Raises:
            RecsysError: the model has no interval, or a prediction is NaN.
        """
        return self.interval_around(self.predict(users, items), users, items)

    def interval_around(
        self, ratings: NDArray[np.float32], users: NDArray[np.int32], items: NDArray[np.int32]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return the bounds of `predict_interval`, given the (n,) predictions."""
        if not self.has_interval:
            raise RecsysError(
                f"{self.name}: has no interval, as it was fitted without held-out ratings or by an earlier version of "
                "the project; train it again with a validation fold"
            )
        low, high = np.clip(ratings + self.user_spreads_[users] * self.item_bounds_[items].T, *self.scale_)
        return low, high

    def calibrate(self, data: TrainingData) -> None:
        """Calibrate the interval on the validation fold of the data that the model was just fitted on, if it has one.

        Without a held-out rating, the model has no interval.
        """
        self.spread_weights_ = None
        held_out = data.validation.rated
        held_out = held_out.take(calibration_rows(len(held_out), self.seed))
        if len(held_out):
            predicted = self.predict(held_out.users, held_out.items, held_out.times)
            self._calibrate_by(data, held_out, held_out.ratings - predicted)

    def _calibrate_by(self, data: TrainingData, held_out: Interactions, errors: NDArray[np.float32]) -> None:
        """Calibrate the interval by errors of predictions of ratings that the model was not fitted on.

        Args:
            data: what the model was fitted on; without ratings there, it has no interval.
            held_out: n ratings, at least one.
            errors: (n,) rating − prediction.
        """
        if not len(data.train.rated):
            return
        of_users, of_items = spread_facts(data)
        facts = np.hstack([of_users[held_out.users], of_items[held_out.items]])
        weights = learn_spread(facts, errors, data.require_ratings()[0])
        scores = errors / np.exp(facts @ weights)
        is_new = of_items[held_out.items, IS_NEW] > 0
        self.score_bounds_ = np.array([conformal_bounds(scores[group]) for group in (~is_new, is_new)])
        self._set_spreads(weights.reshape(2, -1), of_users, of_items)

    def calibrate_like(self, other: "RatingPredictor", data: TrainingData) -> None:
        """Take over the calibration of a fit with held-out ratings, given the data that this model was fitted on."""
        if other.spread_weights_ is not None:
            self.score_bounds_ = other.score_bounds_
            self._set_spreads(other.spread_weights_, *spread_facts(data))

    def _set_spreads(
        self, weights: NDArray[np.float64], of_users: NDArray[np.float64], of_items: NDArray[np.float64]
    ) -> None:
        self.spread_weights_ = weights
        self.user_spreads_ = np.exp(of_users @ weights[0]).astype(np.float32)
        bounds = ROUNDING * self.score_bounds_[of_items[:, IS_NEW].astype(np.int64)]
        self.item_bounds_ = (np.exp(of_items @ weights[1])[:, None] * bounds).astype(np.float32)


class FoldIn(ABC):
    """A model that scores items for new users by their history, without being fitted again."""

    @abstractmethod
    def _scores_for(self, history: Interactions, n_users: int) -> NDArray[np.float32]:
        """Score all items for new users.

        Args:
            history: their interactions; `users` holds numbers from 0 to `n_users` - 1.
            n_users: number of new users; one without interactions gets any finite scores.

        Returns:
            (n_users, n_items) float32.
        """


class ItemContributions(ABC):
    """A model whose score of an item is a sum over the items of the user's history."""

    @abstractmethod
    def contributions(
        self, history: Interactions, items: NDArray[np.int32]
    ) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
        """Divide the scores of some items among the items of one user's history.

        Args:
            history: interactions of one user.
            items: (k,) indices of the items.

        Returns:
            (h,) int32 indices of the items of the history that count, and (h, k) float32: what each of them contributes
            to the score of each item. The columns sum to the scores; an item that the model cannot score has zeros.
        """

    @abstractmethod
    def similar_items(self, items: NDArray[np.int32], k: int) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
        """Return the items that most resemble each of some items.

        Args:
            items: (n,) indices of the items.
            k: length of the lists.

        Returns:
            (n, k) int32 items, the most similar first, -1 where there are fewer; and (n, k) float32 similarities above
            zero, -inf where there are fewer.
        """


@dataclass(frozen=True)
class ScoreFactors:
    """The scores of all users as a product, users · items.

    Attributes:
        users: (n_users, width) float32, dense or CSR.
        items: (width, n_columns) float32.
        columns: (n_columns,) int32 item of each column, ascending; other items score one less than the lowest column.
        known: (n_users,) bool, whether the product holds for the user; the others get popularity.
    """

    users: NDArray[np.float32] | sp.csr_array
    items: NDArray[np.float32]
    columns: NDArray[np.int32]
    known: NDArray[np.bool_]


class FactoredScores(ABC):
    """A model whose scores are a product of a row of the user and a matrix of the items, which any machine can do."""

    @abstractmethod
    def factored_scores(self) -> ScoreFactors:
        """Return the two factors of the scores by which `Model.recommend` ranks."""


class StatedTastes(ABC):
    """A model with its own way to score items by the genres that a new user says they like.

    Any other model answers with popularity, adjusted by the stated genres.
    """

    @abstractmethod
    def _scores_by_taste(self, tastes: NDArray[np.float32]) -> NDArray[np.float32]:
        """Score all items for users who rate genres.

        Args:
            tastes: (n_users, n_genres), as for `Model.recommend_for`.

        Returns:
            (n_users, n_items) float32.
        """


class SeparableInputs(ABC):
    """A model whose inputs can be taken from different pairs, which permutation importance needs.

    Attributes:
        inputs: names of the inputs: `user`, and those that describe the item.
    """

    inputs: ClassVar[tuple[str, ...]]

    @abstractmethod
    def predict_from(self, sources: Mapping[str, NDArray[np.int32]]) -> NDArray[np.float32]:
        """Predict pairs whose inputs come from several users and items.

        Args:
            sources: for each input the (n,) indices of the users, or items, whose value the pairs get.

        Returns:
            (n,) ratings on the domain's scale if the model is a RatingPredictor, else probabilities of a like.
        """


class FeatureGroups:
    """A model that measures, on users whom it was not learnt on, what each group of its features is worth.

    Attributes:
        groups_: names of the groups.
        group_ndcg_: (n_users, 1 + n_groups) NDCG@100 of these users: as it is, then without what each group says, its
            values permuted.
    """

    groups_: list[str]
    group_ndcg_: NDArray[np.float64]


class EarlyStopping(ABC):
    """A model that learns from the validation fold for how long to train."""

    @abstractmethod
    def refit_params(self) -> Params:
        """Return the parameters for a fit without a validation fold, for as long as the last fit found best."""


class ScaledInputs(ABC):
    """A model that standardises its inputs by statistics of the training fold."""

    @abstractmethod
    def scalers(self, data: TrainingData) -> Mapping[str, tuple[NDArray[np.float32], NDArray[np.float32]]]:
        """Return each statistic by name: the one that the model uses, and the same recomputed from `data.train`."""
