"""Find the most similar items, and average over neighbours, in compiled loops."""

from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

from recsys_dagster.models.kernels.compiling import CHUNKS
from recsys_dagster.runtime.compiling import compiled


def nearest_items(
    by_item: tuple[Any, Any, Any],
    by_user: tuple[Any, Any, Any],
    deviations: NDArray[np.float32],
    n_neighbours: int,
    shrinkage: float,
) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """Return the (n_items, n_neighbours) items j with the largest |s_ij| for each i, and the s_ij.

    s_ij = Σ e_ui·e_uj / (σ_i·σ_j·(n_ij + shrinkage)), where the sum is over the n_ij users of both. If an item has
    fewer neighbours, the rest of its row is −1.

    Args:
        by_item, by_user: indptr, indices and data of the residuals e as CSR, items × users and users × items.
        deviations: (n_items,) σ.
        n_neighbours: largest number of neighbours of an item.
        shrinkage: as in the formula.
    """
    shape = len(deviations), n_neighbours
    neighbours, similarities = np.full(shape, -1, dtype=np.int32), np.zeros(shape, dtype=np.float32)
    _nearest_of_all(by_item, by_user, deviations, shrinkage, neighbours, similarities)
    return neighbours, similarities


@compiled(parallel=True)
def _nearest_of_all(
    by_item: Any, by_user: Any, deviations: Any, shrinkage: float, neighbours: Any, similarities: Any
) -> None:
    for chunk in numba.prange(CHUNKS):
        _nearest_of_chunk(np.int64(chunk), by_item, by_user, deviations, shrinkage, neighbours, similarities)


@compiled()
def _nearest_of_chunk(
    chunk: int, by_item: Any, by_user: Any, deviations: Any, shrinkage: float, neighbours: Any, similarities: Any
) -> None:
    """Find the neighbours of a chunk of the items; as a function of its own it compiles in half the time."""
    item_indptr, raters, residuals = by_item
    user_indptr, rated, others = by_user
    n_items, n_neighbours = neighbours.shape
    sums, counts = np.zeros(n_items, dtype=np.float32), np.zeros(n_items, dtype=np.int32)
    for item in range(chunk, n_items, CHUNKS):
        for place in range(item_indptr[item], item_indptr[item + 1]):
            user, residual = raters[place], residuals[place]
            for entry in range(user_indptr[user], user_indptr[user + 1]):
                sums[rated[entry]] += residual * others[entry]
                counts[rated[entry]] += 1
        counts[item] = 0
        others_met = np.flatnonzero(counts)
        values = sums[others_met] / (deviations[item] * deviations[others_met] * (counts[others_met] + shrinkage))
        order = np.argsort(-np.abs(values), kind="mergesort")[:n_neighbours]
        for place in range(len(order)):
            neighbours[item, place] = others_met[order[place]]
            similarities[item, place] = values[order[place]]
        sums[:] = 0
        counts[:] = 0


@compiled(parallel=True)
def neighbour_means(
    by_user: tuple[Any, Any, Any],
    similarities: tuple[Any, Any, Any],
    users: NDArray[np.int32],
    items: NDArray[np.int32],
    damping: float,
) -> NDArray[np.float32]:
    """Return the (n,) float32 weighted means of the residuals of pairs of user and item.

    That of pair (u, i) is Σ s_ij·e_uj / (damping + Σ |s_ij|) over the neighbours j of i that u has rated.

    Args:
        by_user: indptr, indices and data of the residuals e as CSR, users × items, columns sorted in each row.
        similarities: indptr, indices and data of s as CSR, with the neighbours of an item in its row.
        users, items: (n,) the pairs.
        damping: weight of a residual of zero.
    """
    indptr, rated, residuals = by_user
    starts, neighbours, values = similarities
    means = np.zeros(len(users), dtype=np.float32)
    for pair in numba.prange(len(users)):
        first, last = indptr[users[pair]], indptr[users[pair] + 1]
        total, weight = 0.0, damping
        for entry in range(starts[items[pair]], starts[items[pair] + 1]):
            place = _find(rated, first, last, neighbours[entry])
            if place >= 0:
                total += values[entry] * residuals[place]
                weight += abs(values[entry])
        means[pair] = total / weight
    return means


@compiled(parallel=True)
def nearest_rated(
    by_user: tuple[Any, Any, Any],
    similarities: tuple[Any, Any, Any],
    users: NDArray[np.int32],
    items: NDArray[np.int32],
) -> NDArray[np.float32]:
    """Return what the user's ratings of the neighbours of the item are, as (n, 6) float32.

    The columns are the largest |s_ij| over the neighbours j of i that u has rated, and the residual e_uj; the same of
    the second largest; the number of these neighbours, and the sum of |s_ij|. The arguments are those of
    `neighbour_means`.
    """
    indptr, rated, residuals = by_user
    starts, neighbours, values = similarities
    facts = np.zeros((len(users), 6), dtype=np.float32)
    for pair in numba.prange(len(users)):
        first, last = indptr[users[pair]], indptr[users[pair] + 1]
        for entry in range(starts[items[pair]], starts[items[pair] + 1]):
            place = _find(rated, first, last, neighbours[entry])
            if place >= 0:
                weight = abs(values[entry])
                facts[pair, 4] += 1
                facts[pair, 5] += weight
                if weight > facts[pair, 0]:
                    facts[pair, 2], facts[pair, 3] = facts[pair, 0], facts[pair, 1]
                    facts[pair, 0], facts[pair, 1] = weight, residuals[place]
                elif weight > facts[pair, 2]:
                    facts[pair, 2], facts[pair, 3] = weight, residuals[place]
    return facts


@compiled()
def _find(items: Any, first: Any, last: Any, item: Any) -> Any:
    """Return the place of an item among the rising items from `first` to `last`; -1 if it is not there."""
    place = first + np.searchsorted(items[first:last], item)
    return place if place < last and items[place] == item else -1
