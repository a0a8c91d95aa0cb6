"""Choose lists from candidates: by score, by how varied and how true to a user's taste they are, and within caps.

Greedy: rank by rank, that candidate i is taken which maximises

    (1 − d − c) · s(i)  −  d · max_{j in list} cos(i, j)  −  c · KL(p ‖ q(list + i))

among those that keep within the caps; of equal ones the first candidate. s(i) is the score, mapped so that the
candidates of a user reach from 0 to 1. cos is the cosine similarity of two items' genres; it is 0 for an item without
genres. p(g) is the mean of p(g | item) over the user's history, q(g) that over the list, mixed with p as the metric
`miscalibration` does it; a user without a history that has genres is not calibrated.

Sources: Carbonell, Goldstein, The use of MMR, diversity-based reranking, SIGIR 1998 (d, with c = 0); Steck, Calibrated
recommendations, RecSys 2018, equations 6 and 7 (c, with d = 0).
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from recsys_dagster.evaluation.metrics.beyond_accuracy import SMOOTHING
from recsys_dagster.models.base import TopN
from recsys_dagster.runtime.blocks import SCORE_BYTES
from recsys_dagster.serving.rules import Balance

LEAST_CANDIDATES = 100
CANDIDATES = 3
"""Candidates of a list: this many times its length, at least LEAST_CANDIDATES; more only where caps need them."""
MORE = 4
"""Factor by which they grow then."""

Take = Callable[[NDArray[np.int64], int], TopN]
"""Takes (n,) rows and k; returns the k best candidates of each of these rows."""


@dataclass(frozen=True)
class Capped:
    """Groups of items of which a list may hold a few only.

    Attributes:
        groups: (n_items, n_groups) CSR of ones.
        limits: (n_groups,) int64 largest number of items of each in a list.
    """

    groups: sp.csr_array
    limits: NDArray[np.int64]


def candidates_of(n: int) -> int:
    """Return how many candidates a list of length n is chosen from at first."""
    return max(LEAST_CANDIDATES, CANDIDATES * n)


def choose(
    candidates: TopN,
    n: int,
    genres: sp.csr_array,
    balance: Balance,
    caps: Capped,
    tastes: NDArray[np.float64] | None = None,
) -> TopN:
    """Choose a list for each user from the candidates.

    Args:
        candidates: items of each user, best first.
        n: length of the lists.
        genres: (n_items, n_genres) CSR of ones.
        balance: the weights.
        caps: groups of items.
        tastes: (n_users, n_genres) p(g) of each user, NaN for a user without a history; None: nobody has one.

    Returns:
        The lists in the order of the ranks, with the candidates' scores, which need not descend.
    """
    from recsys_dagster.serving.balance_kernel import choose_places  # only what chooses loads the compiler

    items, n_genres = candidates.items, genres.shape[1]
    if tastes is None or not balance.calibration:
        tastes = np.full((len(items), max(n_genres, 1)), np.nan)
    weights = float(balance.diversity), float(balance.calibration), SMOOTHING
    places = choose_places(candidates, min(n, items.shape[1]), weights, genres, tastes, caps.groups, caps.limits)
    is_chosen = places >= 0
    rows = np.arange(len(places))[:, None]
    return TopN(
        np.where(is_chosen, items[rows, places], np.int32(-1)),
        np.where(is_chosen, candidates.scores[rows, places], np.float32(-np.inf)),
    )


def fill_lists(
    take: Take,
    n_lists: int,
    n: int,
    genres: sp.csr_array,
    balance: Balance,
    caps: Capped,
    tastes: NDArray[np.float64] | None = None,
) -> TopN:
    """Choose lists from as many candidates as it takes to fill them within the caps.

    Args:
        take: gives candidates.
        n_lists: number of rows.
        n, genres, balance, caps, tastes: as for `choose`.
    """
    n_items, k = genres.shape[0], candidates_of(n)
    n = min(n, n_items)
    items = np.full((n_lists, n), -1, np.int32)
    scores = np.full((n_lists, n), -np.inf, np.float32)
    rows = np.arange(n_lists)
    while len(rows):
        short = []
        size = max(1, SCORE_BYTES // (8 * min(k, n_items)))
        for start in range(0, len(rows), size):
            block = rows[start : start + size]
            candidates = take(block, min(k, n_items))
            chosen = choose(candidates, n, genres, balance, caps, None if tastes is None else tastes[block])
            width = chosen.items.shape[1]
            items[block, :width], scores[block, :width] = chosen.items, chosen.scores
            has_more = (candidates.items[:, -1] >= 0) if candidates.items.shape[1] else np.zeros(len(block), np.bool_)
            short.append(block[(items[block, -1] < 0) & has_more])
        rows = np.concatenate(short) if k < n_items else rows[:0]
        k *= MORE
    return TopN(items, scores)
