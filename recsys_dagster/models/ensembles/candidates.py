"""Choose the items that a re-ranker ranks again, and compute their features.

For each member an item has two values: −log2(1 + rank), and its score, standardised over the items that the user lacks.
For each member that knows weights between items there are, besides, the strongest ones from single items of the history
to the item (`ItemWeights`), and the same for the likeness in genres, kind and year (`ItemVectors`): a sum over the
history hides whether one item says much or many say a little. In addition there are how well the genres, the kind and
the year of the item match those of the history (`Trait.affinity`), and the logarithms of the number of the user's items
and of the item's users.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from recsys_dagster.models import one_user
from recsys_dagster.models.base import top_k
from recsys_dagster.models.ensembles.traits import Trait

DEPTH = 1000
"""Ranks that are distinguished; a member gives all further items the same value."""
FURTHEST = -np.log2(DEPTH + 2)
"""−log2(1 + rank) of an item that is not among a member's first ranks."""
CANDIDATES = 100
"""Number of first items of each member that are ranked again; all other items come after them."""
CENTRE = 4.0
"""Subtracted from logarithms of counts, so that they vary around zero: e⁴ is 55."""
TRAITS = ("genres", "kind", "year")
"""What the traits of an item describe, in the order of `traits_of`."""
CONTENT, HISTORY, POPULARITY = "genres, kind and year", "single items of the history", "popularity"
LIKENESS = "content"
"""Stands in place of a member in the names of the features of likeness in genres, kind and year."""


class Feature(NamedTuple):
    """A feature of a candidate: its name, and the group whose worth is measured as a whole."""

    name: str
    group: str


def features_of(members: Sequence[str], with_weights: Sequence[str]) -> tuple[Feature, ...]:
    """Return the features of a candidate, in the order of their columns.

    Args:
        members: names of the members.
        with_weights: names of those that have weights between items, in the order of what `candidates_of` is given.
    """
    return (
        *(Feature(f"{value} by {name}", name) for name in members for value in ("rank", "score")),
        *(
            Feature(f"{value} of {name}", HISTORY)
            for name in with_weights
            for value in ("strongest weight", "three strongest weights")
        ),
        *(Feature(trait, CONTENT) for trait in TRAITS),
        *(Feature(name, POPULARITY) for name in ("activity", "popularity")),
    )


class ItemRelations(Protocol):
    """What each item of a history says about each candidate."""

    def features(
        self, history: sp.csr_array, rows: NDArray[np.int64], items: NDArray[np.int64]
    ) -> tuple[NDArray[np.float32], ...]:
        """Return the (n,) strongest relation, and the mean of the three strongest; one below zero counts as zero.

        The arguments are those of `strongest_weights`.
        """
        ...


@dataclass(frozen=True)
class ItemVectors:
    """The cosines between vectors of items.

    Attributes:
        vectors: (n_columns, n_values) float32 of length one, or zero.
        columns: (n_columns,) int32, the item of each vector.
    """

    vectors: NDArray[np.float32]
    columns: NDArray[np.int32]

    @classmethod
    def of(cls, vectors: NDArray[np.float32], columns: NDArray[np.int32]) -> "ItemVectors":
        """Scale the vectors to length one; one of zeros stays so."""
        lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
        return cls(np.ascontiguousarray(vectors / np.where(lengths > 0, lengths, 1), np.float32), columns)

    def features(
        self, history: sp.csr_array, rows: NDArray[np.int64], items: NDArray[np.int64]
    ) -> tuple[NDArray[np.float32], ...]:
        """Return the strongest cosine and the mean of the three strongest; see `ItemRelations`."""
        if history.shape[0] == 1:
            maximum, mean = one_user.strongest_cosines(history, self.vectors, self.columns, items).T
        else:
            from recsys_dagster.models.kernels.history_weights import strongest_cosines

            maximum, mean = strongest_cosines(history, self.vectors, self.columns, rows, items).T
        return maximum, mean


@dataclass(frozen=True)
class ItemWeights:
    """What each item of a history says about each candidate, as a member has learnt it.

    Attributes:
        weights: (n_columns, n_columns) float32, dense or CSR, from the item of the row to the item of the column.
        columns: (n_columns,) int32, the item of each column.
        power: to which the strongest weights are raised: less than one if they are as skewed as counts.
    """

    weights: NDArray[np.float32] | sp.csr_array
    columns: NDArray[np.int32]
    power: float

    def features(
        self, history: sp.csr_array, rows: NDArray[np.int64], items: NDArray[np.int64]
    ) -> tuple[NDArray[np.float32], ...]:
        """Return the strongest weight and the mean of the three strongest; see `ItemRelations`."""
        if history.shape[0] == 1:
            strongest = one_user.strongest_weights(history, self.weights, self.columns, items)
        else:
            from recsys_dagster.models.kernels.history_weights import strongest_weights

            strongest = strongest_weights(history, self.weights, self.columns, rows, items)
        maximum, mean = strongest.T ** np.float32(self.power)
        return maximum, mean


@dataclass(frozen=True)
class Candidates:
    """The items that are among the first `CANDIDATES` of any member, user by user.

    Attributes:
        rows: (n,) the user of each candidate, ascending.
        items: (n,) the item of each candidate, ascending for each user.
        features: (n, n_features) float32, in the order of `features_of`.
        conditions: (n, 3) float32, one, the activity of the user and the popularity of the item: what the weight of a
            feature may depend on.
        nearest: (n_users, n_items) float32, the largest −log2(1 + rank) of every item over all members.
    """

    rows: NDArray[np.int64]
    items: NDArray[np.int64]
    features: NDArray[np.float32]
    conditions: NDArray[np.float32]
    nearest: NDArray[np.float32]


def candidates_of(
    scores: Sequence[NDArray[np.float32]],
    exclude: sp.csr_array,
    popularity: NDArray[np.float32],
    traits: Sequence[Trait],
    item_weights: Sequence[ItemRelations],
) -> Candidates:
    """Return the candidates of users, with their features.

    Args:
        scores: for each member, (n_users, n_items).
        exclude: (n_users, n_items) CSR of the items that the users have, which are not ranked.
        popularity: (n_items,) number of training pairs of each item; an item without any is not ranked.
        traits: genres, kind and year of the items.
        item_weights: what items of the history say about others.
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
        columns += [close[rows, items], standardised(member, ranked)[rows, items]]
    for weights in item_weights:
        columns += weights.features(exclude, rows, items)
    columns += [trait.affinity(exclude, popularity)[rows, items] for trait in traits]
    conditions = np.stack([np.ones_like(activity), activity, log_popularity], axis=1)
    features = np.stack([*columns, activity, log_popularity], axis=1)
    return Candidates(rows, items, features, conditions, nearest)


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
