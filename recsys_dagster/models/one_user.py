"""Do in NumPy for one user what compiled loops do for many.

Importing the compiler and loading the compiled loops takes most of a second, for which the look-up of one list would
wait. What is chosen and compared here is equal to the bit; what is summed is equal to rounding.
"""

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

STRONGEST = 3
"""Number of weights of which the mean is taken."""
ROWS_AT_A_TIME = 512
"""Rows of a dense matrix that are in memory at a time, however long the history is."""


def highest(scores: NDArray[np.float32], k: int) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """Return the columns and the values of the k highest scores of one row, as `kernels.top_k.highest` does.

    Args:
        scores: (1, width) float32.
        k: at least 1.

    Returns:
        (1, k) int32 and (1, k) float32.
    """
    (row,) = scores
    columns, values = np.full((1, k), -1, np.int32), np.full((1, k), -np.inf, np.float32)
    if np.isnan(row).any():
        values[0, 0] = np.nan
        return columns, values
    best = np.argsort(-row, kind="stable")[:k]
    best = best[row[best] > -np.inf]
    columns[0, : len(best)], values[0, : len(best)] = best, row[best]
    return columns, values


def scores_of_all(scores: NDArray[np.float32], columns: NDArray[np.int32], n_items: int) -> NDArray[np.float32]:
    """Return the (1, n_items) scores of all items, as `kernels.columns.scores_of_all` does, given (1, n_columns)."""
    wide = np.full((1, n_items), scores.min() - np.float32(1), np.float32)
    wide[:, columns] = scores
    return wide


def sparse_by_dense(row: sp.csr_array, right: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return row · right as (1, width) float32, for a (1, m) CSR and a (m, width) matrix that may be mapped."""
    product = np.zeros((1, right.shape[1]), np.float32)
    for start in range(0, row.nnz, ROWS_AT_A_TIME):
        block = slice(start, start + ROWS_AT_A_TIME)
        product += row.data[None, block] @ right[row.indices[block]]
    return product


def strongest_weights(
    history: sp.csr_array,
    weights: NDArray[np.float32] | sp.csr_array,
    columns: NDArray[np.int32],
    items: NDArray[np.int64],
) -> NDArray[np.float32]:
    """Return what `kernels.history_weights.strongest_weights` does, for a (1, n_items) history.

    Returns:
        (n, 2) float32.
    """
    known, targets = _columns_of(history, columns, items)
    values = np.zeros((len(known), len(items)), np.float32)
    has_column = targets >= 0
    if isinstance(weights, np.ndarray):
        values[:, has_column] = weights[np.ix_(known, targets[has_column])]
    else:
        values[:, has_column] = weights[known][:, targets[has_column]].toarray()
    return _strongest(values)


def strongest_cosines(
    history: sp.csr_array, vectors: NDArray[np.float32], columns: NDArray[np.int32], items: NDArray[np.int64]
) -> NDArray[np.float32]:
    """Return what `kernels.history_weights.strongest_cosines` does, for a (1, n_items) history.

    Returns:
        (n, 2) float32.
    """
    known, targets = _columns_of(history, columns, items)
    values = np.where(targets >= 0, vectors[targets].T, np.float32(0))
    histories = vectors[known]
    cosines = np.zeros((len(known), len(items)), np.float32)
    for value in np.flatnonzero(histories.any(axis=0)):  # in this order, so that the sums are equal to the bit
        rows = np.flatnonzero(histories[:, value])
        cosines[rows] += histories[rows, value, None] * values[value]
    return _strongest(cosines)


def _columns_of(
    history: sp.csr_array, columns: NDArray[np.int32], items: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the columns of the items of the history that have one, and the column of each candidate, -1 for none."""
    column_of = np.full(history.shape[1], -1, np.int64)
    column_of[columns] = np.arange(len(columns))
    known = column_of[history.indices]
    return known[known >= 0], column_of[items]


def _strongest(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the maximum of each column, and the mean of the top three, as (n, 2); values below zero count as zero."""
    filled = np.vstack([np.maximum(values, 0), np.zeros((STRONGEST, values.shape[1]), np.float32)])
    top = np.partition(filled, len(filled) - STRONGEST, axis=0)[-STRONGEST:]
    descending = np.ascontiguousarray(np.sort(top, axis=0)[::-1].T)
    return np.stack([descending[:, 0], descending.mean(axis=1)], axis=1)
