"""Which items are relevant to which user, and how they are found in lists without a loop over users."""

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from recsys_dagster.data.interactions import Interactions


class Relevance(StrEnum):
    """Which interactions of a fold make an item relevant; a protocol chooses one.

    LIKED: rated at or above the like threshold. Interactions without a rating are not evaluated at all.
    POSITIVE: rated at or above the like threshold, or without a rating.

    With implicit feedback, which has no threshold, every interaction makes its item relevant under both.
    """

    LIKED = "liked"
    POSITIVE = "positive"

    def evaluated(self, fold: Interactions, like_threshold: float | None) -> Interactions:
        """Return the interactions that are evaluated, relevant or not."""
        return fold.rated if self is Relevance.LIKED and like_threshold is not None else fold

    def relevant(self, fold: Interactions, like_threshold: float | None) -> Interactions:
        """Return the interactions that make an item relevant."""
        return fold.liked(like_threshold) if self is Relevance.LIKED else fold.positive(like_threshold)


@dataclass(frozen=True)
class RelevantPairs:
    """The pairs of a user and an item that is relevant to that user.

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
        """Return (n_rows,) the number of relevant items of each row."""
        return np.bincount(self.rows, minlength=n_rows)

    def matrix(self, rows: NDArray[np.integer]) -> sp.csr_array:
        """Return the (len(rows), n_items) CSR of ones at the relevant items of some rows."""
        firsts = rows.astype(np.int64) * self.n_items
        starts, stops = np.searchsorted(self.keys, firsts), np.searchsorted(self.keys, firsts + self.n_items)
        lengths = stops - starts
        pointers = np.concatenate([[0], np.cumsum(lengths)])
        chosen = np.arange(pointers[-1]) + np.repeat(starts - pointers[:-1], lengths)
        ones = np.ones(len(chosen), np.float32)
        return sp.csr_array((ones, self.keys[chosen] % self.n_items, pointers), shape=(len(rows), self.n_items))

    def positions(self, rows: NDArray[np.integer], items: NDArray[np.int32]) -> NDArray[np.int64]:
        """Return the position in `keys` of each of the (len(rows), k) listed items; -1 if there is no relevant item."""
        from recsys_dagster.evaluation.relevance_kernel import find  # only what searches lists loads the compiler

        first = rows.astype(np.int64) * self.n_items
        starts, stops = np.searchsorted(self.keys, first), np.searchsorted(self.keys, first + self.n_items)
        positions = np.empty(items.shape, np.int64)
        find(self.keys, first, starts, stops, np.ascontiguousarray(items), positions)
        return positions
