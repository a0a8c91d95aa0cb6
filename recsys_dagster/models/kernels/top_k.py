"""Select the highest scores of each row in compiled loops.

Columns are assigned to groups. The k-th highest of the maxima of the groups is a score that at least k columns reach,
and hardly more. This takes two passes that vectorise, and the sorting of a few columns. A heap of the best scores so
far would be changed hundreds of times per row.
"""

from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

from recsys_dagster.models.kernels.compiling import CHUNKS
from recsys_dagster.runtime.compiling import compiled

SPAN = 64
"""Number of columns that are compared with the bound at once."""
LEAST_GROUPS = 256
LAST_COLUMN = 2**31 - 1


@compiled()
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


@compiled()
def _bound(scores: Any, k: int, maxima: Any) -> Any:
    """Return a score that at least k columns of the row reach; -inf if the row is too short for groups.

    Column c belongs to the group c modulo their number, so that adjacent columns with similar scores are separated.
    """
    groups = len(maxima)
    if len(scores) < 2 * groups:
        return np.float32(-np.inf)
    for group in range(groups):
        maxima[group] = scores[group]
    for start in range(groups, len(scores) - groups + 1, groups):
        part = scores[start : start + groups]
        for group in range(groups):
            maxima[group] = part[group] if part[group] > maxima[group] else maxima[group]
    return _to_front(maxima, k)


@compiled()
def _collect(scores: Any, bound: Any, keys: Any) -> int:
    """Write a key for each score that reaches the bound and is above -inf; return their number, or -1 for a NaN.

    The upper half of a key sorts as the score, and the lower half in descending order of the columns.
    """
    count, score = 0, np.empty(1, np.float32)
    bits = score.view(np.int32)
    for start in range(0, len(scores), SPAN):
        part = scores[start : start + SPAN]
        reached = SPAN - len(part)
        if reached == 0:
            for place in range(SPAN):
                reached += not part[place] < bound  # NaN is not below anything
        if reached == 0:
            continue
        for place in range(len(part)):
            score[0] = part[place] + np.float32(0)  # makes -0.0 equal to 0.0
            if score[0] >= bound and score[0] > -np.inf:
                key = np.int64(bits[0])
                key = key if key >= 0 else key ^ LAST_COLUMN
                keys[count] = (key << 32) | (LAST_COLUMN - start - place)
                count += 1
            elif np.isnan(score[0]):
                return -1
    return count


def highest(scores: NDArray[np.float32], k: int) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """Return the columns and the values of the k highest scores of each row, best first.

    Of equal scores the lower column comes first, also at the end of the list. A score of -inf is never listed: if a row
    has fewer than k other scores, its columns end in -1 and its values in -inf. If a row contains NaN, its first value
    is NaN.

    Args:
        scores: (n, width) float32.
        k: at least 1.

    Returns:
        (n, k) int32 and (n, k) float32.
    """
    columns = np.full((len(scores), k), -1, np.int32)
    values = np.full((len(scores), k), -np.inf, np.float32)
    _select_all(scores, k, columns, values)
    return columns, values


@compiled(parallel=True)
def _select_all(scores: Any, k: int, columns: Any, values: Any) -> None:
    for chunk in numba.prange(CHUNKS):
        _select(scores, k, np.int64(chunk), columns, values)


@compiled()
def _select(scores: Any, k: int, chunk: int, columns: Any, values: Any) -> None:
    """Select from every row of a chunk; in a function of its own, which compiles much faster."""
    n, width = scores.shape
    maxima = np.empty(max(4 * k, LEAST_GROUPS), np.float32)
    keys = np.empty(width, np.int64)
    for row in range(chunk, n, CHUNKS):
        row_scores = scores[row]
        count = _collect(row_scores, _bound(row_scores, k, maxima), keys)
        if count < 0:
            values[row, 0] = np.nan
            continue
        if count > k:
            _to_front(keys[:count], k)
            count = k
        best = keys[:count]
        best.sort()
        for place in range(count):
            column = LAST_COLUMN - (best[count - 1 - place] & LAST_COLUMN)
            columns[row, place], values[row, place] = column, row_scores[column]
