"""Solve the half-steps of alternating least squares in compiled loops.

Each row is solved by one thread in the order of its entries, so that the result does not depend on the number of
threads. Rows are assigned to chunks from the longest to the shortest, which balances the work of the threads.
"""

from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

from recsys_dagster.models.kernels.compiling import CHUNKS, FAST
from recsys_dagster.runtime.compiling import compiled

STRIDE = 8
"""Number of entries that are added to the normal equations in one pass."""


@compiled(fastmath=FAST)
def add_products(rows: Any, targets: Any, normal: Any, right: Any) -> None:
    """Add Σ x xᵀ over the STRIDE rows x to the lower triangle of `normal`, and Σ t·x to `right`."""
    x0, x1, x2, x3, x4, x5, x6, x7 = rows[0], rows[1], rows[2], rows[3], rows[4], rows[5], rows[6], rows[7]
    t0, t1, t2, t3 = targets[0], targets[1], targets[2], targets[3]
    t4, t5, t6, t7 = targets[4], targets[5], targets[6], targets[7]
    for a in range(len(right)):
        c0, c1, c2, c3, c4, c5, c6, c7 = x0[a], x1[a], x2[a], x3[a], x4[a], x5[a], x6[a], x7[a]
        line = normal[a]
        for b in range(a + 1):
            line[b] += (
                c0 * x0[b] + c1 * x1[b] + c2 * x2[b] + c3 * x3[b] + c4 * x4[b] + c5 * x5[b] + c6 * x6[b] + c7 * x7[b]
            )
        right[a] += c0 * t0 + c1 * t1 + c2 * t2 + c3 * t3 + c4 * t4 + c5 * t5 + c6 * t6 + c7 * t7


@compiled(fastmath=FAST)
def solve_in_place(matrix: Any, right: Any) -> None:
    """Replace `right` by the solution of matrix·x = right, and the lower triangle by its Cholesky factor."""
    n = len(right)
    for a in range(n):
        for b in range(a):
            total = matrix[a, b]
            for c in range(b):
                total -= matrix[a, c] * matrix[b, c]
            matrix[a, b] = total / matrix[b, b]
        total = matrix[a, a]
        for c in range(a):
            total -= matrix[a, c] * matrix[a, c]
        matrix[a, a] = np.sqrt(total)
    for a in range(n):
        total = right[a]
        for c in range(a):
            total -= matrix[a, c] * right[c]
        right[a] = total / matrix[a, a]
    for a in range(n - 1, -1, -1):
        right[a] /= matrix[a, a]
        for c in range(a):
            right[c] -= matrix[a, c] * right[a]


def solve_rows(
    indptr: NDArray[np.int32],
    indices: NDArray[np.int32],
    ratings: NDArray[np.float32],
    order: NDArray[np.int64],
    offsets: NDArray[np.float32],
    features: NDArray[np.float32],
    gram: NDArray[np.float32],
    sums: NDArray[np.float32],
    reg_param: float,
    reg_power: float,
    bias_damping: float,
) -> NDArray[np.float32]:
    """Return the (n_rows, d) ridge solutions of all rows, the bias first.

    Row r solves (Σ x xᵀ + gram + penalty) y = Σ (rating − offset) x + sums[r] over its rated entries, with x the
    features of the entry and the penalty `bias_damping` on the bias and `reg_param` · n^`reg_power` on the rest,
    where n is the number of rated entries, at least 1.

    Args:
        indptr, indices, ratings: CSR of the pairs; NaN is a pair without a rating.
        order: (n_rows,) all rows, from the longest to the shortest.
        offsets: (n_columns,) biases of the columns, which are subtracted from the ratings.
        features: (n_columns, d), the first column all ones.
        gram: (d, d) added to the normal equations of every row.
        sums: (n_rows, d) added to the right-hand side of each row.
    """
    solved = sums.copy()
    penalties = reg_param, reg_power, bias_damping
    _solve_all((indptr, indices, ratings), order, offsets, features, gram, penalties, solved)
    return solved


@compiled(parallel=True, fastmath=FAST)
def _solve_all(matrix: Any, order: Any, offsets: Any, features: Any, gram: Any, penalties: Any, solved: Any) -> None:
    for chunk in numba.prange(CHUNKS):
        _solve_chunk(np.int64(chunk), matrix, order, offsets, features, gram, penalties, solved)


@compiled(fastmath=FAST)
def _solve_chunk(
    chunk: int, matrix: Any, order: Any, offsets: Any, features: Any, gram: Any, penalties: Any, solved: Any
) -> None:
    """Solve the rows of a chunk; as a function of its own it compiles in half the time."""
    reg_param, reg_power, bias_damping = penalties
    n_rows, d = solved.shape
    normal = np.empty((d, d), dtype=np.float32)
    rows = np.zeros((STRIDE, d), dtype=np.float32)
    targets = np.zeros(STRIDE, dtype=np.float32)
    for position in range(chunk, n_rows, CHUNKS):
        row = order[position]
        right = solved[row]
        for a in range(d):
            for b in range(a + 1):
                normal[a, b] = gram[a, b]
        count = _add_entries(row, matrix, offsets, features, rows, targets, normal, right)
        normal[0, 0] += bias_damping
        penalty = reg_param * max(count, 1) ** reg_power
        for a in range(1, d):
            normal[a, a] += penalty
        solve_in_place(normal, right)


@compiled(fastmath=FAST)
def _add_entries(
    row: int, matrix: Any, offsets: Any, features: Any, rows: Any, targets: Any, normal: Any, right: Any
) -> int:
    """Add the rated entries of a row to its normal equations, STRIDE at a time; return their number."""
    indptr, indices, ratings = matrix
    d = len(right)
    count, gathered = 0, 0
    for entry in range(indptr[row], indptr[row + 1]):
        if not np.isnan(ratings[entry]):
            column = indices[entry]
            for a in range(d):
                rows[gathered, a] = features[column, a]
            targets[gathered] = ratings[entry] - offsets[column]
            gathered += 1
        if gathered == STRIDE or entry == indptr[row + 1] - 1:
            for empty in range(gathered, STRIDE):
                for a in range(d):
                    rows[empty, a] = 0
            add_products(rows, targets, normal, right)
            count += gathered
            gathered = 0
    return count


@compiled(parallel=True)
def sum_rows(
    indptr: NDArray[np.int32], indices: NDArray[np.int32], order: NDArray[np.int64], matrix: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Return the (n_rows, d) float32 sums, for each CSR row, of the rows of `matrix` at its indices.

    `order` is that of `solve_rows`.
    """
    n_rows, d = len(order), matrix.shape[1]
    sums = np.zeros((n_rows, d), dtype=np.float32)
    for chunk in numba.prange(CHUNKS):
        for position in range(chunk, n_rows, CHUNKS):
            row = order[position]
            for entry in range(indptr[row], indptr[row + 1]):
                column = indices[entry]
                for a in range(d):
                    sums[row, a] += matrix[column, a]
    return sums
