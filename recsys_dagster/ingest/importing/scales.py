"""Find out on which scale ratings are, by how often each value occurs."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise

_UNRATED_SHARE = 0.3
"""From this share of zeros on, a zero beside ratings from 1 on stands for no rating."""


@dataclass(frozen=True)
class Scale:
    """The scale of ratings.

    Attributes:
        low, high: lowest and highest possible rating.
        unrated: values that stand for no rating.
        step: distance between two ratings; None where it varies.
        unrated_share: share of the values that stand for no rating.
    """

    low: float
    high: float
    unrated: tuple[float, ...] = ()
    step: float | None = None
    unrated_share: float = 0.0


def find_scale(counts: Mapping[float, int]) -> Scale | None:
    """Return the scale of ratings; None if the values are no ratings: all the same, or without bound.

    Args:
        counts: how often each number occurs.

    >>> find_scale({1: 10, 3: 20, 5: 40})
    Scale(low=1, high=5, unrated=(), step=2, unrated_share=0.0)
    >>> find_scale({-1: 50, 7: 10, 10: 20})
    Scale(low=1, high=10, unrated=(-1,), step=3, unrated_share=0.625)
    """
    values = sorted(counts)
    unrated = _unrated(counts)
    rated = [value for value in values if value not in unrated]
    if len(rated) < 2:
        return None
    bounds = _bounds(rated)
    if bounds is None:
        return None
    gaps = {round(after - before, 6) for before, after in pairwise(rated)}
    smallest = min(gaps)
    step = smallest if all(math.isclose(gap / smallest, round(gap / smallest), abs_tol=1e-3) for gap in gaps) else None
    share = sum(counts[value] for value in unrated) / max(sum(counts.values()), 1)
    low, high = map(_short, bounds)
    return Scale(low, high, tuple(map(_short, unrated)), _short(step) if step else None, share)


def _unrated(counts: Mapping[float, int]) -> tuple[float, ...]:
    """Return the values that stand for no rating: -1 below ratings from 0 on, or so many zeros below ratings from 1."""
    values = sorted(counts)
    if len(values) < 3:
        return ()
    low, second, high = values[0], values[1], values[-1]
    if low == -1 and second >= 0 and high > 1:
        zeros = counts.get(0, 0) / sum(counts.values())
        return (-1, 0) if 0 in counts and zeros >= _UNRATED_SHARE else (-1,)
    is_whole = all(float(value).is_integer() for value in values)
    if low == 0 and second >= 1 and high in (5, 10) and is_whole and counts[0] / sum(counts.values()) >= _UNRATED_SHARE:
        return (0,)
    return ()


def _bounds(values: list[float]) -> tuple[float, float] | None:
    """Return the ends of the usual scale that has the values: thumbs, stars, tens, percentages."""
    low, high = values[0], values[-1]
    if low < 0:
        bound = math.ceil(max(-low, high))
        return (-bound, bound) if bound <= 100 else None
    if high <= 1:
        return (0, 1)
    if high > 100:
        return None
    top = next(end for end in (5, 10, 20, 100) if high <= end)
    if top == 5 and high < 4 and all(float(value).is_integer() for value in values):
        top = int(high)  # such as three steps from bad to good
    if low < 0.5 or top > 10:
        return (0, top)
    return (0.5, top) if low < 1 or (any(value % 1 == 0.5 for value in values) and top == 5) else (1, top)


def _short(value: float) -> float:
    return int(value) if float(value).is_integer() else value
