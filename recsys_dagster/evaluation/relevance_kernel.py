"""The compiled search of lists for relevant items."""

import numba
import numpy as np
from numpy.typing import NDArray

from recsys_dagster.runtime.compiling import compiled

_Indices = NDArray[np.int64]


@compiled(parallel=True)
def find(
    keys: _Indices,
    first: _Indices,
    starts: _Indices,
    stops: _Indices,
    listed: NDArray[np.int32],
    positions: _Indices,
) -> None:
    """Write to `positions` where in `keys` each listed item is, or -1.

    Args:
        keys: (n,) int64, rising.
        first: (m,) int64, added to the items of a list to make keys of them.
        starts, stops: (m,) the range of `keys` that belongs to each list.
        listed: (m, k) items; -1 where a list is shorter.
        positions: (m, k) int64, written to.
    """
    for row in numba.prange(len(first)):
        for rank in range(listed.shape[1]):
            key, low, high = first[row] + listed[row, rank], starts[row], stops[row]
            while low < high:
                middle = (low + high) // 2
                if keys[middle] < key:
                    low = middle + 1
                else:
                    high = middle
            positions[row, rank] = low if low < stops[row] and keys[low] == key else -1
