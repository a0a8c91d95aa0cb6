"""Histories in the order of time, and windows of them, for models that learn from what follows what."""

from dataclasses import dataclass
from functools import cached_property
from typing import Self

import numpy as np
from numpy.typing import NDArray

from recsys_dagster.data.interactions import Interactions

PADDING = 0
"""Stands in a window where the history is too short; item i stands there as i + 1."""


@dataclass(frozen=True)
class Histories:
    """Everybody's pairs in order, one user after the other.

    Attributes:
        order: (n,) int64, the position of each pair among the pairs that the histories were made of.
        users, items: (n,) int32.
        offsets: (n_users + 1,) int64; those of user u are `offsets[u]` to `offsets[u + 1]`.
    """

    order: NDArray[np.int64]
    users: NDArray[np.int32]
    items: NDArray[np.int32]
    offsets: NDArray[np.int64]

    @classmethod
    def of(cls, pairs: Interactions, n_users: int, *, by_time: bool = True) -> Self:
        """Order the pairs by time, and those of one moment by a hash of the pair.

        Without times, or without `by_time`, all pairs count as of one moment. The hash says nothing of the title: ties
        in the order of the rows, which is that of the index, would teach a model that higher indices follow.
        """
        ties = _mixed(pairs.users, pairs.items)
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
        """Return (len(positions), length) windows: what the user of each position had before it, the latest last."""
        return self._windows(self.offsets[self.users[positions]], positions, length)

    def latest(self, length: int) -> NDArray[np.int32]:
        """Return (n_users, length) windows: the end of each history, the latest last."""
        return self._windows(self.offsets[:-1], self.offsets[1:], length)

    def _windows(self, starts: NDArray[np.int64], ends: NDArray[np.int64], length: int) -> NDArray[np.int32]:
        """Return windows that end before `ends`, padded in front where they would begin before `starts`."""
        windows = np.full((len(ends), length), PADDING, dtype=np.int32)
        for place in range(1, length + 1):
            inside = ends - place >= starts
            windows[inside, length - place] = self.items[(ends - place)[inside]] + 1
        return windows


def _mixed(users: NDArray[np.int32], items: NDArray[np.int32]) -> NDArray[np.uint64]:
    """Return (n,) hashes of the pairs, by the finaliser of SplitMix64 (Steele, Lea and Flood 2014)."""
    mixed = users.astype(np.uint64) << np.uint64(32) | items.astype(np.uint64)
    mixed = (mixed ^ mixed >> np.uint64(30)) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ mixed >> np.uint64(27)) * np.uint64(0x94D049BB133111EB)
    return mixed ^ mixed >> np.uint64(31)
