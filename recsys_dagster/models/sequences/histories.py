"""Order the histories of users by time, and cut windows out of them for sequence models."""

from dataclasses import dataclass
from functools import cached_property
from typing import Self

import numpy as np
from numpy.typing import NDArray

from recsys_dagster.data.interactions import Interactions

PADDING = 0
"""Fills a window where the history is too short; in windows, item i is written as i + 1."""


@dataclass(frozen=True)
class Histories:
    """The pairs of all users, sorted by user and then by time.

    Attributes:
        order: (n,) int64, the position of each pair among the pairs that were sorted.
        users, items: (n,) int32.
        offsets: (n_users + 1,) int64; the pairs of user u are those from `offsets[u]` to before `offsets[u + 1]`.
    """

    order: NDArray[np.int64]
    users: NDArray[np.int32]
    items: NDArray[np.int32]
    offsets: NDArray[np.int64]

    @classmethod
    def of(cls, pairs: Interactions, n_users: int, *, by_time: bool = True) -> Self:
        """Sort the pairs by time, and pairs of the same time by a hash of the pair.

        Without times, or without `by_time`, all pairs have the same time. The hash is independent of the item. Were
        ties kept in the order of the rows, which is that of the index, a model would learn that higher indices follow.
        """
        ties = _hashes(pairs.users, pairs.items)
        keys = (ties, pairs.users) if pairs.times is None or not by_time else (ties, pairs.times, pairs.users)
        order = np.lexsort(keys)
        counts = np.bincount(pairs.users, minlength=n_users)
        return cls(order, pairs.users[order], pairs.items[order], np.concatenate([[0], np.cumsum(counts)]))

    @cached_property
    def places(self) -> NDArray[np.int64]:
        """(n,) number of the user's pairs before each pair."""
        places: NDArray[np.int64] = np.arange(len(self.users)) - self.offsets[self.users]
        return places

    @cached_property
    def places_from_end(self) -> NDArray[np.int64]:
        """(n,) number of the user's pairs after each pair."""
        places: NDArray[np.int64] = self.offsets[self.users + 1] - 1 - np.arange(len(self.users))
        return places

    def before(self, positions: NDArray[np.int64], length: int) -> NDArray[np.int32]:
        """Return (len(positions), length) windows: the items before each position in its history, the latest last."""
        return self._windows(self.offsets[self.users[positions]], positions, length)

    def latest(self, length: int) -> NDArray[np.int32]:
        """Return (n_users, length) windows: the last items of each history, the latest last."""
        return self._windows(self.offsets[:-1], self.offsets[1:], length)

    def _windows(self, starts: NDArray[np.int64], ends: NDArray[np.int64], length: int) -> NDArray[np.int32]:
        """Return windows that end before `ends`, padded in front so that they do not begin before `starts`."""
        windows = np.full((len(ends), length), PADDING, dtype=np.int32)
        for place in range(1, length + 1):
            inside = ends - place >= starts
            windows[inside, length - place] = self.items[(ends - place)[inside]] + 1
        return windows


def _hashes(users: NDArray[np.int32], items: NDArray[np.int32]) -> NDArray[np.uint64]:
    """Return (n,) hashes of the pairs, by the finaliser of SplitMix64 (Steele, Lea and Flood 2014)."""
    mixed = users.astype(np.uint64) << np.uint64(32) | items.astype(np.uint64)
    mixed = (mixed ^ mixed >> np.uint64(30)) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ mixed >> np.uint64(27)) * np.uint64(0x94D049BB133111EB)
    return mixed ^ mixed >> np.uint64(31)
