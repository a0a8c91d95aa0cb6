"""Find the strongest weights between a history and candidates in compiled loops."""

from typing import Any

import numba
import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from recsys_dagster.runtime.compiling import compiled

STRONGEST = 3
"""Number of weights of which the mean is taken."""


def strongest_weights(
    histories: sp.csr_array,
    weights: NDArray[np.float32] | sp.csr_array,
    columns: NDArray[np.int32],
    rows: NDArray[np.int64],
    items: NDArray[np.int64],
) -> NDArray[np.float32]:
    """Return the maximum, and the mean of the top three, of the weights from the items of a history to each candidate.

    A history of fewer than three items is filled up with zeros; so is an item without a column.

    Args:
        histories: (n_users, n_items) CSR.
        weights: (n_columns, n_columns), from the item of the row to the item of the column; dense, or CSR.
        columns: (n_columns,) the item of each column.
        rows: (n,) the user of each candidate, ascending.
        items: (n,) the candidates, ascending for each user.

    Returns:
        (n, 2) float32.
    """
    known, starts, candidates, top = _prepare(histories, columns, rows, items)
    if isinstance(weights, np.ndarray):
        _strongest(histories.indptr, known, weights, starts, candidates, top)
    else:
        parts = weights.indptr, weights.indices, weights.data
        _strongest_of_sparse(histories.indptr, known, *parts, starts, candidates, top)
    return np.stack([top[:, 0], top.mean(axis=1)], axis=1)


def strongest_cosines(
    histories: sp.csr_array,
    vectors: NDArray[np.float32],
    columns: NDArray[np.int32],
    rows: NDArray[np.int64],
    items: NDArray[np.int64],
) -> NDArray[np.float32]:
    """Return the same as `strongest_weights` of the cosines between vectors, without a matrix of all pairs.

    Args:
        histories, rows, items: as there.
        vectors: (n_columns, n_values) of length one, or zero.
        columns: (n_columns,) the item of each vector.

    Returns:
        (n, 2) float32.
    """
    known, starts, candidates, top = _prepare(histories, columns, rows, items)
    _strongest_of_vectors(histories.indptr, known, vectors, starts, candidates, top)
    return np.stack([top[:, 0], top.mean(axis=1)], axis=1)


def _prepare(
    histories: sp.csr_array, columns: NDArray[np.int32], rows: NDArray[np.int64], items: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64], NDArray[np.float32]]:
    """Return the columns of the entries of the histories, -1 for none; where the candidates of each user start; their
    columns; and zeros for the strongest weights of each.
    """
    column_of = np.full(histories.shape[1], -1, np.int64)
    column_of[columns] = np.arange(len(columns))
    starts = np.searchsorted(rows, np.arange(histories.shape[0] + 1))
    return column_of[histories.indices], starts, column_of[items], np.zeros((len(rows), STRONGEST), np.float32)


@compiled(parallel=True)
def _strongest_of_vectors(indptr: Any, known: Any, vectors: Any, starts: Any, candidates: Any, top: Any) -> None:
    n_values = vectors.shape[1]
    for user in numba.prange(len(starts) - 1):
        first = starts[user]
        size = starts[user + 1] - first
        values = np.zeros((n_values, size), np.float32)
        for place in range(size):
            if candidates[first + place] >= 0:
                values[:, place] = vectors[candidates[first + place]]
        for entry in range(indptr[user], indptr[user + 1]):
            if known[entry] < 0:
                continue
            cosines = np.zeros(size, np.float32)
            for value in range(n_values):
                weight = vectors[known[entry], value]
                if weight != 0:
                    row = values[value]
                    for place in range(size):
                        cosines[place] += weight * row[place]
            for place in range(size):
                _insert(top[first + place], cosines[place])


@compiled(parallel=True)
def _strongest(indptr: Any, known: Any, weights: Any, starts: Any, candidates: Any, top: Any) -> None:
    for user in numba.prange(len(starts) - 1):
        for entry in range(indptr[user], indptr[user + 1]):
            if known[entry] < 0:
                continue
            row = weights[known[entry]]
            for place in range(starts[user], starts[user + 1]):
                if candidates[place] >= 0:
                    _insert(top[place], row[candidates[place]])


@compiled(parallel=True)
def _strongest_of_sparse(
    indptr: Any, known: Any, pointers: Any, targets: Any, values: Any, starts: Any, candidates: Any, top: Any
) -> None:
    for user in numba.prange(len(starts) - 1):
        place_of = np.full(len(pointers) - 1, -1, np.int64)
        for place in range(starts[user], starts[user + 1]):
            if candidates[place] >= 0:
                place_of[candidates[place]] = place
        for entry in range(indptr[user], indptr[user + 1]):
            if known[entry] < 0:
                continue
            for at in range(pointers[known[entry]], pointers[known[entry] + 1]):
                if place_of[targets[at]] >= 0:
                    _insert(top[place_of[targets[at]]], values[at])


@compiled()
def _insert(best: Any, value: Any) -> None:
    """Insert a value into descending values, if it is larger than the last."""
    if value <= best[-1]:
        return
    place = len(best) - 1
    while place and best[place - 1] < value:
        best[place] = best[place - 1]
        place -= 1
    best[place] = value
