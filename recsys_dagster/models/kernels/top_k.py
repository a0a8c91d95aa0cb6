"""The compiled selection of the highest scores of each row.

Columns are dealt to groups; the k-th highest of the groups' maxima is a score that k columns reach at least, and hardly
more do. Two passes that the processor's vectors take, and a handful of columns to put in order, where a heap of the
best so far is changed hundreds of times a row.
"""

from typing import Any

import numba
import numpy as np

from recsys_dagster.models.kernels.compiling import CHUNKS

SPAN = 64
"""Columns that are compared to the bound at once."""
LEAST_GROUPS = 256
LAST_COLUMN = 2**31 - 1


@numba.njit(cache=True)  # type: ignore[untyped-decorator, unused-ignore]
def _to_front(values: Any, k: int) -> Any:
    """Reorder the values so that the k highest come first; return the k-th highest (Hoare's selection)."""
    low, high = 0, len(values) - 1
    while low < high:
        first, middle, last = values[low], values[(low + high) // 2], values[high]
        pivot = max(min(first, middle), min(max(first, middle), last))
        left, right = low, high
        while left <= right:
            while values[left] > pivot:
                left += 1
            while values[right] < pivot:
                right -= 1
            if left <= right:
                values[left], values[right] = values[right], values[left]
                left += 1
                right -= 1
        if k - 1 <= right:
            high = right
        elif k - 1 >= left:
            low = left
        else:
            break
    return values[k - 1]


@numba.njit(cache=True)  # type: ignore[untyped-decorator, unused-ignore]
def _bound(scores: Any, k: int, maxima: Any) -> Any:
    """Return a score that at least k of the row reach; -inf where it is too short for groups.

    Column c belongs to group c modulo their number, so that neighbours which score alike are dealt out.
    """
    groups = len(maxima)
    if len(scores) < 2 * groups:
        return np.float32(-np.inf)
    maxima[:] = scores[:groups]
    for start in range(groups, len(scores) - groups + 1, groups):
        part = scores[start : start + groups]
        for group in range(groups):
            maxima[group] = part[group] if part[group] > maxima[group] else maxima[group]
    return _to_front(maxima, k)


@numba.njit(cache=True)  # type: ignore[untyped-decorator, unused-ignore]
def _collect(scores: Any, bound: Any, keys: Any) -> int:
    """Write a key of each score that reaches the bound and is above -inf; return how many, or -1 if there is a NaN.

    A key is the score's bits, in the order of the scores, and below them what is the higher the lower the column is.
    """
    found, score = 0, np.empty(1, np.float32)
    bits = score.view(np.int32)
    for start in range(0, len(scores), SPAN):
        part = scores[start : start + SPAN]
        reached = SPAN - len(part)
        if reached == 0:
            for place in range(SPAN):
                reached += not part[place] < bound  # a NaN is below nothing
        if reached == 0:
            continue
        for place in range(len(part)):
            score[0] = part[place] + np.float32(0)  # of two zeros neither is the higher
            if score[0] >= bound and score[0] > -np.inf:
                key = np.int64(bits[0])
                key = key if key >= 0 else key ^ LAST_COLUMN
                keys[found] = (key << 32) | (LAST_COLUMN - start - place)
                found += 1
            elif np.isnan(score[0]):
                return -1
    return found


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
    for chunk in numba.prange(CHUNKS):
        maxima = np.empty(max(4 * k, LEAST_GROUPS), np.float32)
        keys = np.empty(width, np.int64)
        for row in range(chunk, n, CHUNKS):
            of_row = scores[row]
            found = _collect(of_row, _bound(of_row, k, maxima), keys)
            if found < 0:
                values[row, 0] = np.nan
                continue
            if found > k:
                _to_front(keys[:found], k)
                found = k
            best = keys[:found]
            best.sort()
            for place in range(found):
                column = LAST_COLUMN - (best[found - 1 - place] & LAST_COLUMN)
                columns[row, place], values[row, place] = column, of_row[column]
    return columns, values
