"""What the rankers share that learn from positives alone: which pairs those are, and the columns they learn on.

A positive is a rating at or above the domain's like threshold, or a watch without a rating. Items without enough
positives have no column: they cost no memory, and are listed after all that have one.
"""

from abc import abstractmethod

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from pydantic import Field

from recsys_dagster.data.interactions import Interactions
from recsys_dagster.data.training_data import TrainingData
from recsys_dagster.errors import RecsysError
from recsys_dagster.models.base import Model, Params
from recsys_dagster.models.capabilities import FoldIn


class PositivesParams(Params):
    """What every ranker on positives can be told."""

    min_positives: int = Field(
        1, ge=1, description="Items with fewer positives are not learnt; raise it where memory does not suffice."
    )


class PositivesModel(Model):
    """A ranker that learns from a matrix of ones, users × columns.

    A subclass implements `_learn`, `_column_scores` and, if it folds in, `_column_scores_for`.

    Attributes:
        like_threshold_: a rating at or above it is a positive.
        columns_: (n_columns,) int32, the item of each column, rising.
        known_: (n_users,) bool, whether the user has a positive in a column; the others get popularity.
    """

    params_type = PositivesParams
    params: PositivesParams
    like_threshold_: float
    columns_: NDArray[np.int32]
    known_: NDArray[np.bool_]

    def _fit(self, data: TrainingData) -> None:
        self.like_threshold_ = data.like_threshold
        positives = data.train.positive(self.like_threshold_)
        counts = np.bincount(positives.items, minlength=self.n_items_)
        self.columns_ = np.flatnonzero(counts >= self.params.min_positives).astype(np.int32)
        if not len(self.columns_):
            raise RecsysError(
                f"{self.name}: no title has {self.params.min_positives} positives in the training fold (rated at "
                f"least {self.like_threshold_:g}, or watched without a rating); lower min_positives or add data"
            )
        matrix = self._matrix(positives, self.n_users_)
        self.known_ = np.diff(matrix.indptr) > 0
        self._learn(matrix)

    @abstractmethod
    def _learn(self, positives: sp.csr_array) -> None:
        """Learn from the (n_users, n_columns) CSR of float32 ones."""

    @abstractmethod
    def _column_scores(self, users: NDArray[np.int32]) -> NDArray[np.float32]:
        """Return (len(users), n_columns) float32 scores; rows of users without a positive may hold anything finite."""

    def _matrix(self, positives: Interactions, n_users: int) -> sp.csr_array:
        """Return the pairs that have a column as (n_users, n_columns) CSR of float32 ones."""
        column_of = np.full(self.n_items_, -1, dtype=np.int32)
        column_of[self.columns_] = np.arange(len(self.columns_), dtype=np.int32)
        columns = column_of[positives.items]
        inside = columns >= 0
        kept = Interactions(positives.users[inside], columns[inside], positives.ratings[inside])
        return kept.matrix(n_users, len(self.columns_))

    def _scores(self, users: NDArray[np.int32]) -> NDArray[np.float32]:
        return self._widened(self._column_scores(users), self.known_[users])

    def _widened(self, scores: NDArray[np.float32], known: NDArray[np.bool_]) -> NDArray[np.float32]:
        """Return (n, n_items) scores: items without a column below all others, popularity for the unknown."""
        from recsys_dagster.models.kernels.columns import scores_of_all

        wide = scores_of_all(scores, self.columns_, self.n_items_)
        wide[~known] = self.popularity_
        return wide


class FoldInPositivesModel(FoldIn, PositivesModel):
    """A ranker on positives that also scores new users by theirs; a subclass adds `_column_scores_for`."""

    @abstractmethod
    def _column_scores_for(self, positives: sp.csr_array) -> NDArray[np.float32]:
        """Return (n_users, n_columns) float32 scores of users with these (n_users, n_columns) positives."""

    def _scores_for(self, history: Interactions, n_users: int) -> NDArray[np.float32]:
        positives = self._matrix(history.positive(self.like_threshold_), n_users)
        return self._widened(self._column_scores_for(positives), np.diff(positives.indptr) > 0)


def activity_weights(positives: sp.csr_array, power: float) -> NDArray[np.float32]:
    """Return (n_users,) float32: each user's number of positives to the power −2·`power`, the square of a row's scale.

    All are scaled alike so that the positives, each with its user's weight, sum to their number: a penalty that is
    counted in positives then means the same for every power.
    """
    entries = np.diff(positives.indptr)
    weights = np.maximum(entries, 1) ** (-2.0 * power)
    weights *= positives.nnz / (weights @ entries)
    rounded: NDArray[np.float32] = weights.astype(np.float32)
    return rounded
