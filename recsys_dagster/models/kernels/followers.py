"""Count in compiled loops which items follow which, by how far apart they are in the histories of users."""

from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

from recsys_dagster.models.kernels.compiling import CHUNKS
from recsys_dagster.runtime.compiling import compiled


def follower_sums(
    items: NDArray[np.int32],
    stops: NDArray[np.int64],
    positions: tuple[NDArray[np.int64], NDArray[np.int64]],
    pair_weights: NDArray[np.float32],
    place_weights: NDArray[np.float32],
    rows: slice,
) -> NDArray[np.float32]:
    """Return, for some items i and all items j, the summed weights of the places where j follows i.

    The element (i, j) is Σ w_q · v[q − p, r_q] over the places p of i and q of j in one history with
    1 ≤ q − p ≤ the largest distance. r_q is the number of places of the history from q on, at most the largest
    distance. Each element is summed in the order of the places, whatever the number of threads.

    Args:
        items: (n,) the histories one after the other, each in order; −1 for an item that is not counted.
        stops: (n,) position after the last place of the history that each place belongs to.
        positions: indptr and indices of the places of each item, ascending.
        pair_weights: (distance + 1, distance + 1) v; the row and the column 0 are not used.
        place_weights: (n,) w, by which what follows is weighted.
        rows: the items i.

    Returns:
        (len(rows), n_items) float32.
    """
    indptr, indices = positions
    start, stop, _ = rows.indices(len(indptr) - 1)
    sums = np.zeros((stop - start, len(indptr) - 1), np.float32)
    _follow(items, stops, indptr, indices, pair_weights, place_weights, start, sums)
    return sums


@compiled(parallel=True)
def _follow(
    items: Any, stops: Any, indptr: Any, indices: Any, pair_weights: Any, place_weights: Any, start: Any, sums: Any
) -> None:
    furthest = len(pair_weights) - 1
    for chunk in numba.prange(CHUNKS):
        for row in range(chunk, len(sums), CHUNKS):
            totals = sums[row]
            for entry in range(indptr[start + row], indptr[start + row + 1]):
                place = indices[entry]
                stop = stops[place]
                for later in range(place + 1, min(place + furthest + 1, stop)):
                    item = items[later]
                    if item >= 0:
                        weight = pair_weights[later - place, min(stop - later, furthest)]
                        totals[item] += weight * place_weights[later]
