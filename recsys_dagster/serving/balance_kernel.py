"""Choose lists rank by rank in compiled loops; `balance` has the formula."""

from typing import Any

import numba
import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from recsys_dagster.models.base import TopN
from recsys_dagster.runtime.compiling import compiled


def choose_places(
    candidates: TopN,
    n: int,
    weights: tuple[float, float, float],
    genres: sp.csr_array,
    tastes: NDArray[np.float64],
    groups: sp.csr_array,
    limits: NDArray[np.int64],
) -> NDArray[np.int32]:
    """Return the places of the chosen candidates of each row, in the order of the ranks.

    Args:
        candidates: items of each row, best first.
        n: length of the lists.
        weights: of diversity and of calibration, and the share of the taste that is mixed into the genres of a list.
        genres: (n_items, n_genres) CSR of ones.
        tastes: (rows, n_genres) share of each genre in the user's history; NaN without one.
        groups: (n_items, n_groups) CSR of ones, the capped groups.
        limits: (n_groups,) largest number of items of each group.

    Returns:
        (rows, n) int32; -1 where no more candidates may be taken.
    """
    items = np.ascontiguousarray(candidates.items)
    places = np.full((len(items), n), -1, np.int32)
    genres_of, groups_of = _as_arrays(genres), _as_arrays(groups)
    scores, tastes = np.ascontiguousarray(candidates.scores), np.ascontiguousarray(tastes)
    most = max(1, np.diff(genres_of[0]).max(initial=0))
    _choose_all(items, scores, weights, genres_of, most, tastes, groups_of, limits, places)
    return places


def _as_arrays(owned: sp.csr_array) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    return owned.indptr.astype(np.int64), owned.indices.astype(np.int64)


@compiled(parallel=True)
def _choose_all(
    items: Any, scores: Any, weights: Any, genres: Any, most: int, tastes: Any, groups: Any, limits: Any, places: Any
) -> None:
    for row in numba.prange(len(items)):
        relevance = _relevance(items[row], scores[row])
        _choose(items[row], relevance, weights, genres, most, tastes[row], groups, limits, places[row])


@compiled()
def _choose(
    items: Any, relevance: Any, weights: Any, genres: Any, most: int, taste: Any, groups: Any, limits: Any, places: Any
) -> None:
    """Write the places of the chosen candidates of one row; as a function of its own it compiles in half the time."""
    diversity, calibration, smoothing = weights
    width = len(relevance)
    is_free, nearest = np.ones(width, np.bool_), np.zeros(width)
    totals, marks = np.zeros(len(taste)), np.zeros(len(taste), np.bool_)
    terms = np.zeros((len(taste), most + 1))
    taken = np.zeros(len(limits))
    calibrates = calibration > 0 and not np.isnan(taste[0])
    with_genres = 0
    for rank in range(len(places)):
        divergences = (0.0, 0.0)
        if calibrates:
            divergences = _divergences(taste, totals, with_genres, smoothing, terms)
        best, highest = -1, -np.inf
        for place in range(width):
            item = items[place]
            if is_free[place] and not _is_full(item, groups, taken, limits):
                value = (1 - diversity - calibration) * relevance[place] - diversity * nearest[place]
                if calibrates:
                    value -= calibration * _divergence(item, genres, divergences, terms)
                if value > highest:  # the first of equal ones
                    best, highest = place, value
        if best < 0:
            break
        places[rank], is_free[best] = best, False
        item = items[best]
        with_genres += _count(item, genres, totals, True)
        _count(item, groups, taken, False)
        if diversity > 0:
            _approach(nearest, items, is_free, item, genres, marks)


@compiled()
def _relevance(items: Any, scores: Any) -> Any:
    """Return the scores of the listed candidates, mapped to [0, 1]; zeros if all are equal."""
    width = 0
    while width < len(items) and items[width] >= 0:
        width += 1
    relevance = np.zeros(width)
    low, high = np.inf, -np.inf
    for place in range(width):
        low, high = min(low, scores[place]), max(high, scores[place])
    if high > low:
        for place in range(width):
            relevance[place] = (scores[place] - low) / (high - low)
    return relevance


@compiled()
def _count(item: int, owned: Any, totals: Any, divided: bool) -> Any:
    """Add the item to the totals of what it owns, as one each or divided among them; return whether it owns any."""
    starts, owners = owned
    start, stop = starts[item], starts[item + 1]
    for entry in range(start, stop):
        totals[owners[entry]] += 1 / (stop - start) if divided else 1.0
    return stop > start


@compiled()
def _divergence(item: int, genres: Any, divergences: Any, terms: Any) -> Any:
    """Return KL(p ‖ q) of the list with this item added, from what `_divergences` prepared."""
    starts, owners = genres
    start, stop = starts[item], starts[item + 1]
    divergence = divergences[1] if stop > start else divergences[0]
    for entry in range(start, stop):
        divergence += terms[owners[entry], stop - start]
    return divergence


@compiled()
def _is_full(item: int, groups: Any, taken: Any, limits: Any) -> bool:
    """Return whether the list has as many items as it may of a group of this item."""
    starts, owners = groups
    full = False
    for entry in range(starts[item], starts[item + 1]):
        full |= taken[owners[entry]] >= limits[owners[entry]]
    return full


@compiled()
def _approach(nearest: Any, items: Any, is_free: Any, item: int, genres: Any, marks: Any) -> None:
    """Raise the largest similarity of each free candidate to an item of the list to that to the new item."""
    starts, owners = genres
    size = starts[item + 1] - starts[item]
    for entry in range(starts[item], starts[item + 1]):
        marks[owners[entry]] = True
    for place in range(len(nearest)):
        if is_free[place]:
            start, stop = starts[items[place]], starts[items[place] + 1]
            common = 0
            for entry in range(start, stop):
                common += marks[owners[entry]]
            if common:
                nearest[place] = max(nearest[place], common / np.sqrt(size * (stop - start)))
    for entry in range(starts[item], starts[item + 1]):
        marks[owners[entry]] = False


@compiled()
def _divergences(taste: Any, totals: Any, with_genres: int, smoothing: float, terms: Any) -> Any:
    """Prepare KL(p ‖ q) of the list with one more item.

    Writes to `terms[g, m]` what genre g changes in the divergence if the item has it among m genres.

    Returns:
        The divergence with an item without genres, and with one whose genres count for nothing.
    """
    without, others = 0.0, 0.0
    for genre in range(len(taste)):
        p = taste[genre]
        if p > 0:
            mixed = smoothing * p
            without += p * np.log(p / ((1 - smoothing) * totals[genre] / max(1, with_genres) + mixed))
            share = (1 - smoothing) / (with_genres + 1)
            base = share * totals[genre] + mixed
            others += p * np.log(p / base)
            for m in range(1, terms.shape[1]):
                terms[genre, m] = -p * np.log1p(share / m / base)
    return without, others
