"""Interactions in memory, as arrays in index space."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray


@dataclass(frozen=True)
class Interactions:
    """(user, item) pairs as columns of equal length n.

    Attributes:
        users: (n,) int32, index of the user.
        items: (n,) int32, index of the item.
        ratings: (n,) float32 on the scale of the domain; NaN for an interaction without a rating.
        times: (n,) int64 seconds since 1970 in UTC; the smallest int64 where a time is unknown. None where no time is
            known.
    """

    users: NDArray[np.int32]
    items: NDArray[np.int32]
    ratings: NDArray[np.float32]
    times: NDArray[np.int64] | None = None

    def __len__(self) -> int:
        return len(self.users)

    @cached_property
    def rated(self) -> "Interactions":
        """The pairs that have a rating."""
        return self.where(~np.isnan(self.ratings))

    def where(self, mask: NDArray[np.bool_]) -> "Interactions":
        """Return the pairs where the (n,) mask is true, in order."""
        if mask.all():
            return self
        times = None if self.times is None else self.times[mask]
        return Interactions(self.users[mask], self.items[mask], self.ratings[mask], times)

    def positive(self, like_threshold: float) -> "Interactions":
        """Return the pairs that are rated at or above the threshold, or have no rating."""
        return self.where(~(self.ratings < like_threshold))

    def liked(self, like_threshold: float) -> "Interactions":
        """Return the pairs that are rated at or above the threshold."""
        return self.where(self.ratings >= like_threshold)

    def matrix(self, n_users: int, n_items: int) -> sp.csr_array:
        """Return the pairs as a (n_users, n_items) CSR matrix of float32 ones, with sorted columns in each row."""
        ones = np.ones(len(self), dtype=np.float32)
        matrix = sp.csr_array((ones, (self.users, self.items)), shape=(n_users, n_items))
        matrix.sum_duplicates()
        return matrix

    @staticmethod
    def concatenate(*parts: "Interactions") -> "Interactions":
        """Return the pairs of all parts in order, with times if every part that is not empty has times."""
        times = [part.times for part in parts if part.times is not None]
        timed = times and all(part.times is not None for part in parts if len(part))
        return Interactions(
            np.concatenate([part.users for part in parts]),
            np.concatenate([part.items for part in parts]),
            np.concatenate([part.ratings for part in parts]),
            np.concatenate(times) if timed else None,
        )

    @staticmethod
    def empty() -> "Interactions":
        """Return no pairs."""
        return Interactions(np.empty(0, np.int32), np.empty(0, np.int32), np.empty(0, np.float32))
