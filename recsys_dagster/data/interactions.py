"""Interactions in memory, as arrays in index space."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

UNKNOWN_TIME = np.iinfo(np.int64).min
"""Stands for a time that is not known, in seconds since 1970."""


@dataclass(frozen=True)
class Interactions:
    """(user, item) pairs as columns of equal length n.

    Attributes:
        users: (n,) int32, index of the user.
        items: (n,) int32, index of the item.
        ratings: (n,) float32 on the scale of the domain; NaN for an interaction without a rating.
        times: (n,) int64 seconds since 1970 in UTC; UNKNOWN_TIME where a time is unknown. None where no time is
            known.
        weights: (n,) float32 strength of each pair, such as a number of plays, above 0; 1 where it is unknown. None
            where no strength is known.

    Where a method takes a like threshold, None stands for feedback without ratings: every pair counts as a like.
    """

    users: NDArray[np.int32]
    items: NDArray[np.int32]
    ratings: NDArray[np.float32]
    times: NDArray[np.int64] | None = None
    weights: NDArray[np.float32] | None = None

    def __len__(self) -> int:
        return len(self.users)

    @cached_property
    def rated(self) -> "Interactions":
        """The pairs that have a rating."""
        return self.where(~np.isnan(self.ratings))

    def where(self, mask: NDArray[np.bool_]) -> "Interactions":
        """Return the pairs where the (n,) mask is true, in order."""
        return self if mask.all() else self.take(np.flatnonzero(mask))

    def take(self, rows: NDArray[np.int64]) -> "Interactions":
        """Return the pairs at these places, in that order."""
        times = None if self.times is None else self.times[rows]
        weights = None if self.weights is None else self.weights[rows]
        return Interactions(self.users[rows], self.items[rows], self.ratings[rows], times, weights)

    def positive(self, like_threshold: float | None) -> "Interactions":
        """Return the pairs that are rated at or above the threshold, or have no rating."""
        return self if like_threshold is None else self.where(~(self.ratings < like_threshold))

    def liked(self, like_threshold: float | None) -> "Interactions":
        """Return the pairs that are rated at or above the threshold."""
        return self if like_threshold is None else self.where(self.ratings >= like_threshold)

    def matrix(self, n_users: int, n_items: int, values: NDArray[np.float32] | None = None) -> sp.csr_array:
        """Return the pairs as a (n_users, n_items) CSR matrix with sorted columns in each row.

        Args:
            n_users, n_items: its shape.
            values: (n,) float32 value of each pair; None: ones.
        """
        values = np.ones(len(self), dtype=np.float32) if values is None else values
        matrix = sp.csr_array((values, (self.users, self.items)), shape=(n_users, n_items))
        matrix.sum_duplicates()
        return matrix

    @staticmethod
    def concatenate(*parts: "Interactions") -> "Interactions":
        """Return the pairs of all parts in order.

        They have times if every part that is not empty has times, and weights if any part has weights.
        """
        times = [part.times for part in parts if part.times is not None]
        timed = times and all(part.times is not None for part in parts if len(part))
        weights = [np.ones(len(part), np.float32) if part.weights is None else part.weights for part in parts]
        weighted = any(part.weights is not None for part in parts)
        return Interactions(
            np.concatenate([part.users for part in parts]),
            np.concatenate([part.items for part in parts]),
            np.concatenate([part.ratings for part in parts]),
            np.concatenate(times) if timed else None,
            np.concatenate(weights) if weighted else None,
        )

    @staticmethod
    def empty() -> "Interactions":
        """Return no pairs."""
        return Interactions(np.empty(0, np.int32), np.empty(0, np.int32), np.empty(0, np.float32))
