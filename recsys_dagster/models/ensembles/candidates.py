"""Choose the items that a blend ranks again, and compute their features.

For each member an item has two values: −log2(1 + rank), and its score, standardised over the items that the user lacks.
Each is used alone, times the logarithm of the user's number of items, and times that of the item's popularity. In
addition there are the popularity of the item, and how well its genres, kind and year match the user's items
(`Trait.affinity`), each alone and times the logarithm of the user's number of items; and the strongest weights of EASE
from single items of the history to the item (`ItemWeights`).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from recsys_dagster.models.base import top_k
from recsys_dagster.models.ensembles.traits import Trait

DEPTH = 1000
"""Ranks that are distinguished; a member gives all further items the same value."""
FURTHEST = -np.log2(DEPTH + 2)
"""−log2(1 + rank) of an item that is not among a member's first ranks."""
CANDIDATES = 200
"""Number of first items of each member that are ranked again; all other items come after them."""
CENTRE = 4.0
"""Subtracted from logarithms of counts, so that they vary around zero: e⁴ is 55."""
MEMBER_FEATURES = ("rank", "rank × activity", "rank × popularity", "score", "score × activity", "score × popularity")
"""Features of an item for each member, in the order of the columns."""
HISTORY_FEATURES = ("strongest weight", "three strongest weights")
"""Features of an item that depend on single items of the history: the last ones of `ITEM_FEATURES`."""
ITEM_FEATURES = (
    *("popularity", "popularity × activity"),
    *("genres", "genres × activity", "kind", "kind × activity", "year", "year × activity"),
    *HISTORY_FEATURES,
)
"""Features of an item that do not depend on a member; their columns follow those of all members."""


@dataclass(frozen=True)
class Weights:
    """A weight for each feature of an item.

    Attributes:
        members: (n_members, len(MEMBER_FEATURES)) float32.
        item: (len(ITEM_FEATURES),) float32.
    """

    members: NDArray[np.float32]
    item: NDArray[np.float32]

    @classmethod
    def from_columns(cls, weights: NDArray[np.float32]) -> "Weights":
        """Return the weights, given one for each column of the features."""
        members = weights[: len(weights) - len(ITEM_FEATURES)].reshape(-1, len(MEMBER_FEATURES))
        return cls(members, weights[len(weights) - len(ITEM_FEATURES) :])

    @classmethod
    def of_rank(cls, member: int, n_members: int) -> "Weights":
        """Return the weights with which the candidates are ranked as a single member ranks them."""
        members = np.zeros((n_members, len(MEMBER_FEATURES)), dtype=np.float32)
        members[member, MEMBER_FEATURES.index("rank")] = 1
        return cls(members, np.zeros(len(ITEM_FEATURES), dtype=np.float32))

    @property
    def columns(self) -> NDArray[np.float32]:
        """A weight for each column of the features."""
        return np.concatenate([self.members.ravel(), self.item])

    @property
    def used(self) -> NDArray[np.bool_]:
        """(n_members,) whether any weight of the member is not zero."""
        used: NDArray[np.bool_] = np.any(self.members, axis=1)
        return used


@dataclass(frozen=True)
class ItemWeights:
    """What each item of a history says about each candidate, as EASE has learnt it.

    Attributes:
        weights: (n_columns, n_columns) float32, from the item of the row to the item of the column.
        columns: (n_columns,) int32, the item of each column.
    """

    weights: NDArray[np.float32]
    columns: NDArray[np.int32]

    def features(
        self, history: sp.csr_array, rows: NDArray[np.int64], items: NDArray[np.int64]
    ) -> tuple[NDArray[np.float32], ...]:
        """Return the (n,) `HISTORY_FEATURES` of candidates; see `candidates_of` and `Candidates`.

        They are square roots, of the maximum and of the mean of the top three weights, where a weight below zero counts
        as zero: the weights are as skewed as counts.
        """
        from recsys_dagster.models.kernels.history_weights import strongest_weights

        maximum, mean = np.sqrt(strongest_weights(history, self.weights, self.columns, rows, items)).T
        return maximum, mean


@dataclass(frozen=True)
class Candidates:
    """The items that are among the first `CANDIDATES` of any member, user by user.

    Attributes:
        rows: (n,) the user of each candidate, ascending.
        items: (n,) the item of each candidate, ascending for each user.
        features: (n, n_members · len(MEMBER_FEATURES) + len(ITEM_FEATURES)) float32.
        nearest: (n_users, n_items) float32, the largest −log2(1 + rank) of every item over all members.
    """

    rows: NDArray[np.int64]
    items: NDArray[np.int64]
    features: NDArray[np.float32]
    nearest: NDArray[np.float32]


def candidates_of(
    scores: Sequence[NDArray[np.float32]],
    exclude: sp.csr_array,
    popularity: NDArray[np.float32],
    traits: Sequence[Trait],
    item_weights: ItemWeights | None,
) -> Candidates:
    """Return the candidates of users, with their features.

    Args:
        scores: for each member, (n_users, n_items).
        exclude: (n_users, n_items) CSR of the items that the users have, which are not ranked.
        popularity: (n_items,) number of training pairs of each item; an item without any is not ranked.
        traits: genres, kind and year of the items.
        item_weights: what items of the history say about others; None: the features of the history are zero.
    """
    trained = popularity > 0
    ranked = np.broadcast_to(trained, exclude.shape).copy()
    ranked[exclude.nonzero()] = False
    closeness = [closeness_of(member, exclude, trained) for member in scores]
    nearest = np.maximum.reduce(closeness)
    rows, items = np.nonzero(nearest >= np.float32(-np.log2(CANDIDATES + 1)))
    activity = log_counts(np.diff(exclude.indptr))[rows]
    log_popularity = log_counts(popularity)[items]
    columns = []
    for close, member in zip(closeness, scores, strict=True):
        for values in (close, standardised(member, ranked)):
            value = values[rows, items]
            columns += [value, value * activity, value * log_popularity]
    for value in (log_popularity, *(trait.affinity(exclude, popularity)[rows, items] for trait in traits)):
        columns += [value, value * activity]
    if item_weights is None:
        columns += [np.zeros(len(rows), np.float32)] * len(HISTORY_FEATURES)
    else:
        columns += item_weights.features(exclude, rows, items)
    return Candidates(rows, items, np.stack(columns, axis=1), nearest)


def closeness_of(scores: NDArray[np.float32], exclude: sp.csr_array, trained: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Return (n, n_items) float32 −log2(1 + rank), with ranks from 1 to `DEPTH`, and `DEPTH` + 1 for all further items.

    Args:
        scores: (n, n_items); of equal scores the lower index ranks first.
        exclude: (n, n_items) CSR of items that are not ranked, and count as further items.
        trained: (n_items,) whether the item is in the training fold; other items are not ranked either.
    """
    ranked = np.where(trained, scores, np.float32(-np.inf))
    ranked[exclude.nonzero()] = -np.inf
    items, _ = top_k(ranked, min(DEPTH, ranked.shape[1]))
    closeness = np.full(scores.shape, FURTHEST, dtype=np.float32)
    row, rank = np.nonzero(items >= 0)
    closeness[row, items[row, rank]] = -np.log2(rank + 2)
    return closeness


def standardised(scores: NDArray[np.float32], ranked: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Return (n, n_items) float32 scores, standardised by the mean and deviation of the ranked items of each row.

    A row of equal scores gives zeros.
    """
    count = np.maximum(ranked.sum(axis=1, keepdims=True), 1)
    mean = scores.sum(axis=1, where=ranked, keepdims=True, dtype=np.float64) / count
    centred = scores - mean.astype(np.float32)
    deviation = np.sqrt((centred**2).sum(axis=1, where=ranked, keepdims=True) / count)
    result: NDArray[np.float32] = np.divide(centred, deviation, out=np.zeros_like(centred), where=deviation > 0)
    return result


def log_counts(counts: NDArray[Any]) -> NDArray[np.float32]:
    """Return the float32 natural logarithms of counts, minus `CENTRE`; a count of zero is treated as one."""
    logs: NDArray[np.float32] = (np.log(np.maximum(counts, 1)) - CENTRE).astype(np.float32)
    return logs
