"""Multiply and spread matrices over columns in compiled loops: co-occurrences, sparse products, scores of all items."""

from typing import Any

import numba
import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from recsys_dagster.models.kernels.compiling import CHUNKS, FAST
from recsys_dagster.runtime.compiling import compiled


def cooccurrences(
    by_column: sp.csr_array, by_user: sp.csr_array, weights: NDArray[np.float32], columns: slice
) -> NDArray[np.float32]:
    """Return XᵀWX, or some of its rows: for two columns, the sum of the weights of the users who have both.

    Each element is summed in the order of the users, whatever the number of threads.

    Args:
        by_column: (n_columns, n_users) CSR, Xᵀ; all stored values count as ones.
        by_user: (n_users, n_columns) CSR, X.
        weights: (n_users,) float32, the diagonal of W.
        columns: which rows to return.

    Returns:
        (len(columns), n_columns) float32.
    """
    start, stop, _ = columns.indices(by_column.shape[0])
    counts = np.zeros((stop - start, by_user.shape[1]), np.float32)
    _cooccur(by_column.indptr, by_column.indices, by_user.indptr, by_user.indices, weights, start, counts)
    return counts


@compiled(parallel=True)
def _cooccur(
    column_indptr: Any, users: Any, user_indptr: Any, columns: Any, weights: Any, start: Any, counts: Any
) -> None:
    for chunk in numba.prange(CHUNKS):
        for row in range(chunk, len(counts), CHUNKS):
            column, sums = start + row, counts[row]
            for entry in range(column_indptr[column], column_indptr[column + 1]):
                user = users[entry]
                weight = weights[user]
                for place in range(user_indptr[user], user_indptr[user + 1]):
                    sums[columns[place]] += weight


def sparse_by_dense(left: sp.csr_array, right: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return left · right.

    Each element is summed in the order of the entries of its row, whatever the number of threads.

    Args:
        left: (n, m) CSR, float32.
        right: (m, width), C-ordered.

    Returns:
        (n, width) float32.
    """
    product = np.empty((left.shape[0], right.shape[1]), np.float32)
    _multiply(left.indptr, left.indices, left.data, right, product)
    return product


def scores_of_all(scores: NDArray[np.float32], columns: NDArray[np.int32], n_items: int) -> NDArray[np.float32]:
    """Return (n, n_items) scores: those of the columns, and for other items one less than the lowest of the row.

    Args:
        scores: (n, n_columns) float32.
        columns: (n_columns,) int32, the item of each column.
        n_items: number of items.
    """
    wide = np.empty((len(scores), n_items), np.float32)
    _spread(scores, columns, wide)
    return wide


@compiled(parallel=True)
def _spread(scores: Any, columns: Any, wide: Any) -> None:
    for row in numba.prange(len(scores)):
        others = scores[row, 0]
        for column in range(len(columns)):
            others = min(others, scores[row, column])
        for item in range(wide.shape[1]):
            wide[row, item] = others - np.float32(1)
        for column in range(len(columns)):
            wide[row, columns[column]] = scores[row, column]


@compiled(parallel=True, fastmath=FAST)
def _multiply(indptr: Any, indices: Any, data: Any, right: Any, product: Any) -> None:
    n, width = product.shape
    for row in numba.prange(n):
        sums = product[row]
        sums[:] = 0
        at, end = indptr[row], indptr[row + 1]
        while at + 4 <= end:  # four entries in one pass over the sums
            a, b, c, d = data[at], data[at + 1], data[at + 2], data[at + 3]
            row_a, row_b = right[indices[at]], right[indices[at + 1]]
            row_c, row_d = right[indices[at + 2]], right[indices[at + 3]]
            for place in range(width):
                sums[place] += a * row_a[place] + b * row_b[place] + c * row_c[place] + d * row_d[place]
            at += 4
        while at < end:
            a, row_a = data[at], right[indices[at]]
            for place in range(width):
                sums[place] += a * row_a[place]
            at += 1
