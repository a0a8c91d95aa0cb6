"""Rank items by popularity: the baseline of every ranking."""

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from recsys_dagster.data.interactions import Interactions
from recsys_dagster.data.training_data import TrainingData
from recsys_dagster.models.base import Model, TopN
from recsys_dagster.models.capabilities import FoldIn

BLOCK_USERS = 2**16
"""Users that are ranked at once, which bounds the memory in addition to that of the lists."""


class Popularity(FoldIn, Model):
    """Most popular items first, the same for all users: what a personal ranking has to beat.

    The popularity of an item is its number of training pairs, with or without a rating.
    """

    name = "popularity"

    def _fit(self, data: TrainingData) -> None:
        """Learn nothing more than `popularity_`, which every model keeps."""

    def _scores(self, users: NDArray[np.int32]) -> NDArray[np.float32]:
        return np.broadcast_to(self.popularity_, (len(users), self.n_items_))

    def _scores_for(self, history: Interactions, n_users: int) -> NDArray[np.float32]:  # noqa: ARG002
        return np.broadcast_to(self.popularity_, (n_users, self.n_items_))

    def recommend(
        self,
        users: NDArray[np.int32],
        k: int,
        exclude_seen: bool = True,
        exclude: sp.csr_array | None = None,
        allowed: NDArray[np.bool_] | None = None,
    ) -> TopN:
        """Recommend as `Model.recommend` does, from a single ranking of the items, without a matrix of scores."""
        popularity = self.popularity_ if allowed is None else np.where(allowed, self.popularity_, 0)
        ranking = np.argsort(-popularity, kind="stable")
        rank = np.empty_like(ranking)
        rank[ranking] = np.arange(self.n_items_)
        trained = np.count_nonzero(popularity)
        masks = [matrix for matrix in (self.seen_ if exclude_seen else None, exclude) if matrix is not None]
        k = min(k, self.n_items_)
        items = np.full((len(users), k), -1, dtype=np.int32)
        scores = np.full((len(users), k), -np.inf, dtype=np.float32)
        for start in range(0, len(users), BLOCK_USERS):
            block = users[start : start + BLOCK_USERS]
            places = _unmasked_ranks(block, k, rank, masks)
            row, column = np.nonzero(places < trained)
            listed = ranking[places[row, column]]
            items[start + row, column] = listed
            scores[start + row, column] = self.popularity_[listed]
        return TopN(items, scores)


def _unmasked_ranks(
    users: NDArray[np.int32], k: int, rank: NDArray[np.int64], masks: list[sp.csr_array]
) -> NDArray[np.int64]:
    """Return the (len(users), k) first ranks of each user that are in no mask.

    With a user's masked ranks m_0 < m_1 < …, m_i − i unmasked ranks precede m_i. The j-th unmasked rank is therefore
    j + |{i: m_i − i ≤ j}|.
    """
    free = np.tile(np.arange(k), (len(users), 1))
    if masks:
        union = sum(mask[users] for mask in masks)
        row, column = union.nonzero()
        masked = rank[column]
        order = np.lexsort((masked, row))
        row, masked = row[order], masked[order]
        first = np.searchsorted(row, np.arange(len(users)))
        before = masked - (np.arange(len(row)) - first[row])
        near = before < k
        counts = np.bincount(row[near] * k + before[near], minlength=free.size)
        free += counts.reshape(free.shape).cumsum(axis=1)
    return free
