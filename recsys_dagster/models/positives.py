"""Learn from positive pairs alone: what all rankers on a matrix of positives share.

A positive is a rating at or above the like threshold, or an interaction without a rating. An item with too few
positives has no column in the matrix: it takes no memory, and is ranked after all items that have one.

The value of a positive in the matrix is its strength, log₂(1 + w / m): w is its weight, such as a number of plays, and
m the median weight of the training positives. It is 1 at the median, whatever the unit, and grows slowly beyond it (Hu,
Koren and Volinsky 2008, §4, have the logarithm and a unit to choose). Without weights it is 1.
"""

from abc import abstractmethod
from dataclasses import replace

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from pydantic import Field

from recsys_dagster.data.interactions import Interactions
from recsys_dagster.data.training_data import TrainingData
from recsys_dagster.errors import RecsysError
from recsys_dagster.models import one_user
from recsys_dagster.models.base import Model, top_k
from recsys_dagster.models.capabilities import FoldIn, ItemContributions
from recsys_dagster.models.params import Params
from recsys_dagster.runtime.blocks import SCORE_BYTES


class PositivesParams(Params):
    """Parameters of every ranker on positives."""

    min_positives: int = Field(
        1, ge=1, description="Items with fewer positives are ranked last; raise it if memory does not suffice."
    )


class PositivesModel(Model):
    """A ranker that learns from a users × columns matrix of positives.

    A subclass implements `_learn` and `_column_scores`.

    Attributes:
        like_threshold_: a rating at or above it is a positive; None: every pair is one.
        typical_weight_: median weight of the training positives; 1 where no weight is known.
        columns_: (n_columns,) int32, the item of each column, ascending.
        known_: (n_users,) bool, whether the user has a positive in a column; other users get popularity.
    """

    params_type = PositivesParams
    params: PositivesParams

    like_threshold_: float | None
    typical_weight_: float
    columns_: NDArray[np.int32]
    known_: NDArray[np.bool_]

    def _fit(self, data: TrainingData) -> None:
        self.like_threshold_ = data.like_threshold
        positives = data.train.positive(self.like_threshold_)
        counts = np.bincount(positives.items, minlength=self.n_items_)
        self.columns_ = np.flatnonzero(counts >= self.params.min_positives).astype(np.int32)
        if not len(self.columns_):
            raise RecsysError(
                f"{self.name}: no item has {self.params.min_positives} positives in the training fold"
                f"{describe_positives(self.like_threshold_)}; lower min_positives or add data"
            )
        self.typical_weight_ = 1.0 if positives.weights is None else float(np.median(positives.weights))
        matrix = self._matrix(positives, self.n_users_)
        self.known_ = np.diff(matrix.indptr) > 0
        self._learn(matrix)

    @abstractmethod
    def _learn(self, positives: sp.csr_array) -> None:
        """Learn from the (n_users, n_columns) CSR of the float32 strengths of the positives."""

    @abstractmethod
    def _column_scores(self, users: NDArray[np.int32]) -> NDArray[np.float32]:
        """Return (len(users), n_columns) float32 scores; any finite values for a user without a positive."""

    def _matrix(self, positives: Interactions, n_users: int) -> sp.csr_array:
        """Return the strengths of the pairs that have a column as a (n_users, n_columns) CSR of float32."""
        column_of = np.full(self.n_items_, -1, dtype=np.int32)
        column_of[self.columns_] = np.arange(len(self.columns_), dtype=np.int32)
        columns = column_of[positives.items]
        kept = replace(positives, items=columns).where(columns >= 0)
        strengths = None if kept.weights is None else np.log2(1 + kept.weights / np.float32(self.typical_weight_))
        return kept.matrix(n_users, len(self.columns_), strengths)

    def _scores(self, users: NDArray[np.int32]) -> NDArray[np.float32]:
        return self._item_scores(self._column_scores(users), self.known_[users])

    def _item_scores(self, scores: NDArray[np.float32], known: NDArray[np.bool_]) -> NDArray[np.float32]:
        """Return the (n, n_items) scores of all items.

        Args:
            scores: (n, n_columns); an item without a column gets a score below all of its row.
            known: (n,) whether the user has a positive; the others get popularity.
        """
        if len(scores) == 1:
            wide = one_user.scores_of_all(scores, self.columns_, self.n_items_)
        else:
            from recsys_dagster.models.kernels.columns import scores_of_all

            wide = scores_of_all(scores, self.columns_, self.n_items_)
        wide[~known] = self.popularity_
        return wide


class FoldInPositivesModel(ItemContributions, FoldIn, PositivesModel):
    """A ranker on positives that also scores new users by theirs, and says which of these a score comes from.

    A subclass adds `_column_scores_for`, `_divide` and `_similarities`.
    """

    @abstractmethod
    def _column_scores_for(self, positives: sp.csr_array) -> NDArray[np.float32]:
        """Return (n_users, n_columns) float32 scores of new users, by the (n_users, n_columns) CSR of strengths."""

    def _scores_for(self, history: Interactions, n_users: int) -> NDArray[np.float32]:
        positives = self._matrix(history.positive(self.like_threshold_), n_users)
        return self._item_scores(self._column_scores_for(positives), np.diff(positives.indptr) > 0)

    @abstractmethod
    def _divide(self, positives: sp.csr_array, targets: NDArray[np.int32]) -> NDArray[np.float32]:
        """Divide the scores of some columns among the positives of one user.

        Args:
            positives: (1, n_columns) CSR of the strengths.
            targets: (k,) columns.

        Returns:
            (h, k) float32 contribution of each entry of `positives`, in its order.
        """

    @abstractmethod
    def _similarities(self, columns: NDArray[np.int32]) -> NDArray[np.float32]:
        """Return the (len(columns), n_columns) float32 similarities of all columns to each of these."""

    def contributions(
        self, history: Interactions, items: NDArray[np.int32]
    ) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
        """Divide the scores of some items among the positives of one user; see `ItemContributions`."""
        positives = history.positive(self.like_threshold_)
        row = self._matrix(replace(positives, users=np.zeros_like(positives.users)), 1)
        targets, is_scored = self._columns_of(items)
        shares = np.zeros((row.nnz, len(items)), np.float32)
        shares[:, is_scored] = self._divide(row, targets[is_scored])
        return self.columns_[row.indices], shares

    def similar_items(self, items: NDArray[np.int32], k: int) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
        """Return the items that most resemble each of some items; see `ItemContributions`."""
        columns, has_column = self._columns_of(items)
        similar = np.full((len(items), k), -1, np.int32)
        values = np.full((len(items), k), -np.inf, np.float32)
        known = np.flatnonzero(has_column)
        rows = max(1, SCORE_BYTES // (4 * len(self.columns_)))
        for start in range(0, len(known), rows):
            block = known[start : start + rows]
            scores = self._similarities(columns[block])
            scores[np.arange(len(block)), columns[block]] = -np.inf
            scores[scores <= 0] = -np.inf
            found, found_scores = top_k(scores, min(k, scores.shape[1]))
            similar[block, : found.shape[1]] = np.where(found >= 0, self.columns_[found], -1)
            values[block, : found.shape[1]] = found_scores
        return similar, values

    def _columns_of(self, items: NDArray[np.int32]) -> tuple[NDArray[np.int32], NDArray[np.bool_]]:
        """Return the (n,) column of each item, and whether it has one."""
        places = np.searchsorted(self.columns_, items).astype(np.int32)
        return places, self.columns_[np.minimum(places, len(self.columns_) - 1)] == items


def describe_positives(like_threshold: float | None) -> str:
    """Return what a positive is, in brackets after a space; nothing with implicit feedback, where every pair is one."""
    return "" if like_threshold is None else f" (rated at least {like_threshold:g}, or without a rating)"


def activity_weights(positives: sp.csr_array, power: float) -> NDArray[np.float32]:
    """Return the (n_users,) float32 weights of users: n_u to the power −2·`power`, n_u being their positives.

    They are scaled so that the weights of all positives sum to the number of positives. A penalty that is measured in
    positives then means the same for every power.
    """
    entries = np.diff(positives.indptr)
    weights = np.maximum(entries, 1) ** (-2.0 * power)
    weights *= positives.nnz / (weights @ entries)
    rounded: NDArray[np.float32] = weights.astype(np.float32)
    return rounded
