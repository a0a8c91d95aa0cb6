"""Interactions in memory: pairs of user and item as columns, in index space."""

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
        ratings: (n,) float32 on the domain's scale; NaN where the user watched without rating.
        times: (n,) int64 seconds since 1970 in UTC, or None where the source has no times; a single unknown
            time among known ones is the smallest int64.
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
        """Return the pairs at which the (n,) mask is true, in order."""
        if mask.all():
            return self
        times = None if self.times is None else self.times[mask]
        return Interactions(self.users[mask], self.items[mask], self.ratings[mask], times)

    def positive(self, like_threshold: float) -> "Interactions":
        """The pairs that speak for the item: rated at or above the threshold, or watched without a rating."""
        return self.where(~(self.ratings < like_threshold))

    def liked(self, like_threshold: float) -> "Interactions":
        """The pairs rated at or above the threshold."""
        return self.where(self.ratings >= like_threshold)

    def matrix(self, n_users: int, n_items: int) -> sp.csr_array:
        """Return the pairs as a (n_users, n_items) CSR matrix of float32 ones, columns sorted in each row."""
        ones = np.ones(len(self), dtype=np.float32)
        matrix = sp.csr_array((ones, (self.users, self.items)), shape=(n_users, n_items))
        matrix.sum_duplicates()
        return matrix

    @staticmethod
    def concatenate(*parts: "Interactions") -> "Interactions":
        """Return all pairs of the parts, in order; times are kept only if every part that is not empty has them."""
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
        """No pairs at all."""
        return Interactions(np.empty(0, np.int32), np.empty(0, np.int32), np.empty(0, np.float32))
