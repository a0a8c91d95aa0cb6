"""What is relevant to whom, and finding it in lists, without a loop over users."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from recsys_dagster.models.base import Model

OVERLAP_USERS = 200


@dataclass(frozen=True)
class RelevantPairs:
    """Which items are relevant to whom, for finding them in lists.

    Attributes:
        keys: (n,) int64, row of the user times `n_items` plus item, rising, none twice.
        n_items: size of the index space of items.
    """

    keys: NDArray[np.int64]
    n_items: int

    @classmethod
    def of(cls, rows: NDArray[np.integer], items: NDArray[np.int32], n_items: int) -> "RelevantPairs":
        """Return the pairs (rows[i], items[i])."""
        keys = np.sort(rows.astype(np.int64) * n_items + items)
        return cls(keys[np.diff(keys, prepend=-1) > 0], n_items)  # np.unique takes eighty times as long as the sort

    @property
    def rows(self) -> NDArray[np.int64]:
        """(n,) the row of each pair."""
        return self.keys // self.n_items

    @property
    def items(self) -> NDArray[np.int64]:
        """(n,) the item of each pair."""
        return self.keys % self.n_items

    def counts(self, n_rows: int) -> NDArray[np.int64]:
        """Return (n_rows,) the relevant items of each row."""
        return np.bincount(self.rows, minlength=n_rows)

    def positions(self, rows: NDArray[np.integer], items: NDArray[np.int32]) -> NDArray[np.int64]:
        """Return where in `keys` the (len(rows), k) listed items are; -1 where an item is none or not relevant."""
        from recsys_dagster.evaluation.lists_kernel import find  # what looks nothing up need not load the compiler

        first = rows.astype(np.int64) * self.n_items
        starts, stops = np.searchsorted(self.keys, first), np.searchsorted(self.keys, first + self.n_items)
        found = np.empty(items.shape, np.int64)
        find(self.keys, first, starts, stops, np.ascontiguousarray(items), found)
        return found


def list_overlap(model: Model, k: int) -> float | None:
    """Return the share of titles that the lists of two users have in common, in [0, 1]: 1 for the same list for all.

    The lists are those of up to 200 users with training pairs, with nobody's own titles left out, which would tell
    even equal orders apart. None with fewer than two such users.

    Source: Zhou, Kuscsik, Liu, Medo, Wakeling, Zhang, PNAS 107(10), 2010 (1 − personalisation).
    """
    known = np.flatnonzero(np.diff(model.seen_.indptr))
    if len(known) < 2:
        return None
    drawn = known[np.linspace(0, len(known) - 1, min(OVERLAP_USERS, len(known))).astype(np.int64)]
    items = model.recommend(drawn.astype(np.int32), k, exclude_seen=False).items
    counts = np.bincount(items[items >= 0])
    pairs = len(drawn) * (len(drawn) - 1)
    return float((counts * (counts - 1)).sum() / (pairs * max(1, (items >= 0).sum() / len(drawn))))
