"""Choose lists rank by rank in compiled loops; `balance` has the formula."""

from typing import Any

import numba
import numpy as np

from recsys_dagster.runtime.compiling import compiled


@compiled(parallel=True)
def choose_places(
    items: Any,
    scores: Any,
    n: int,
    diversity: float,
    calibration: float,
    smoothing: float,
    genre_starts: Any,
    genres: Any,
    tastes: Any,
    group_starts: Any,
    groups: Any,
    limits: Any,
) -> Any:
    """Return the places of the chosen candidates of each row, in the order of the ranks.

    Args:
        items: (rows, width) int32 candidates; -1 where a row is shorter.
        scores: (rows, width) float32 score of each.
        n: length of the lists.
        diversity, calibration: the weights.
        smoothing: share of the taste that is mixed into the genres of a list.
        genre_starts, genres: (n_items + 1,) and (pairs,) genres of each item.
        tastes: (rows, n_genres) share of each genre in the user's history; NaN without one.
        group_starts, groups: capped groups of each item, likewise.
        limits: (n_groups,) largest number of items of each group.

    Returns:
        (rows, n) int32; -1 where no more candidates may be taken.
    """
    places = np.full((len(items), n), -1, np.int32)
    most = max(1, np.diff(genre_starts).max()) if len(genre_starts) > 1 else 1
    for row in numba.prange(len(items)):
        relevance = _relevance(items[row], scores[row])
        width = len(relevance)
        is_free, nearest = np.ones(width, np.bool_), np.zeros(width)
        totals, marks = np.zeros(tastes.shape[1]), np.zeros(tastes.shape[1], np.bool_)
        terms = np.zeros((tastes.shape[1], most + 1))
        taken = np.zeros(len(limits))
        calibrates = calibration > 0 and not np.isnan(tastes[row, 0])
        with_genres = 0
        for rank in range(n):
            divergences = np.zeros(2)
            if calibrates:
                divergences[0], divergences[1] = _divergences(tastes[row], totals, with_genres, smoothing, terms)
            values = np.full(width, -np.inf)
            for place in range(width):
                item = items[row, place]
                if is_free[place] and not _is_full(item, group_starts, groups, taken, limits):
                    values[place] = (1 - diversity - calibration) * relevance[place] - diversity * nearest[place]
                    if calibrates:
                        values[place] -= calibration * _divergence(item, genre_starts, genres, divergences, terms)
            best = _first_highest(values)
            if best < 0:
                break
            places[row, rank], is_free[best] = best, False
            item = items[row, best]
            with_genres += _count(item, genre_starts, genres, totals, True)
            _count(item, group_starts, groups, taken, False)
            if diversity > 0:
                _approach(nearest, items[row], is_free, item, genre_starts, genres, marks)
    return places


@compiled()
def _relevance(items: Any, scores: Any) -> Any:
    """Return the scores of the listed candidates, mapped to [0, 1]; zeros if all are equal."""
    width = 0
    while width < len(items) and items[width] >= 0:
        width += 1
    relevance = scores[:width].astype(np.float64)
    if width == 0:
        return relevance
    low, high = relevance.min(), relevance.max()
    return (relevance - low) / (high - low) if high > low else np.zeros(width)


@compiled()
def _first_highest(values: Any) -> int:
    """Return the place of the highest value, the first of equal ones; -1 if all are -inf."""
    best, highest = -1, -np.inf
    for place in range(len(values)):
        if values[place] > highest:
            best, highest = place, values[place]
    return best


@compiled()
def _count(item: int, starts: Any, owned: Any, totals: Any, divided: bool) -> Any:
    """Add the item to the totals of what it owns, as one each or divided among them; return whether it owns any."""
    start, stop = starts[item], starts[item + 1]
    for entry in range(start, stop):
        totals[owned[entry]] += 1 / (stop - start) if divided else 1.0
    return stop > start


@compiled()
def _divergence(item: int, genre_starts: Any, genres: Any, divergences: Any, terms: Any) -> Any:
    """Return KL(p ‖ q) of the list with this item added, from what `_divergences` prepared."""
    start, stop = genre_starts[item], genre_starts[item + 1]
    divergence = divergences[1] if stop > start else divergences[0]
    for entry in range(start, stop):
        divergence += terms[genres[entry], stop - start]
    return divergence


@compiled()
def _is_full(item: int, group_starts: Any, groups: Any, taken: Any, limits: Any) -> bool:
    """Return whether the list has as many items as it may of a group of this item."""
    for entry in range(group_starts[item], group_starts[item + 1]):
        if taken[groups[entry]] >= limits[groups[entry]]:
            return True
    return False


@compiled()
def _approach(nearest: Any, items: Any, is_free: Any, item: int, genre_starts: Any, genres: Any, marks: Any) -> None:
    """Raise the largest similarity of each free candidate to an item of the list to that to the new item."""
    size = genre_starts[item + 1] - genre_starts[item]
    for entry in range(genre_starts[item], genre_starts[item + 1]):
        marks[genres[entry]] = True
    for place in range(len(nearest)):
        if is_free[place]:
            start, stop = genre_starts[items[place]], genre_starts[items[place] + 1]
            common = 0
            for entry in range(start, stop):
                common += marks[genres[entry]]
            if common:
                nearest[place] = max(nearest[place], common / np.sqrt(size * (stop - start)))
    for entry in range(genre_starts[item], genre_starts[item + 1]):
        marks[genres[entry]] = False


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
