"""The compiled search of lists for what is relevant."""

from typing import Any

import numba


@numba.njit(cache=True, parallel=True)  # type: ignore[untyped-decorator, unused-ignore]
def find(keys: Any, first: Any, starts: Any, stops: Any, listed: Any, found: Any) -> None:
    """Write to `found` where in `keys` each listed item is, or -1.

    Args:
        keys: (n,) int64, rising.
        first: (m,) int64, what is added to a list's items to make keys of them.
        starts, stops: (m,) between which of the keys those of the list lie.
        listed: (m, k) items, some of them negative.
        found: (m, k) int64, written to.
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
            found[row, rank] = low if low < stops[row] and keys[low] == key else -1
