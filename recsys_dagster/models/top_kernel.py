"""The compiled selection of the highest scores of each row: one pass over the scores, a heap of the best so far."""

from typing import Any

import numba
import numpy as np


@numba.njit(cache=True)  # type: ignore[untyped-decorator, unused-ignore]
def _sift(values: Any, columns: Any, size: int, value: Any, column: int) -> None:
    """Put an entry in place of the first of a heap of `size` entries, whose first is the last to be listed.

    Of two entries the lower value is listed later, and of equal values the higher column.
    """
    place = 0
    while True:
        child = 2 * place + 1
        if child >= size:
            break
        other = child + 1
        if other < size and (
            values[other] < values[child] or (values[other] == values[child] and columns[other] > columns[child])
        ):
            child = other
        if values[child] > value or (values[child] == value and columns[child] < column):
            break
        values[place], columns[place] = values[child], columns[child]
        place = child
    values[place], columns[place] = value, column


@numba.njit(cache=True, parallel=True)  # type: ignore[untyped-decorator, unused-ignore]
def highest(scores: Any, k: int) -> tuple[Any, Any]:
    """Return the columns and the values of the k highest scores of each row, best first.

    Of equal scores the lower column comes first, also at the edge of the list. A score of -inf is never listed: where
    a row has fewer than k others, its columns end in -1 and its values in -inf. The values of a row that holds a NaN
    begin with it.

    Args:
        scores: (n, width) float32.
        k: at least 1.

    Returns:
        (n, k) int32 and (n, k) float32.
    """
    n, width = scores.shape
    columns = np.full((n, k), -1, np.int32)
    values = np.full((n, k), -np.inf, np.float32)
    for row in numba.prange(n):
        best, of = values[row], columns[row]
        numbers = True
        for column in range(width):
            score = scores[row, column]
            # An equal score further right comes after all that are in the heap; a NaN is never at most anything.
            if not score <= best[0]:
                if score > best[0]:
                    _sift(best, of, k, score, column)
                else:
                    numbers = False
        for size in range(k - 1, 0, -1):
            value, column = best[size], of[size]
            best[size], of[size] = best[0], of[0]
            _sift(best, of, size, value, column)
        if not numbers:
            best[0] = np.nan
    return columns, values
