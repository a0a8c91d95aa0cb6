"""What the metrics are computed from: the lists of a block of users, and the rated pairs of a fold."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from recsys_dagster.data.interactions import UNKNOWN_TIME, Interactions

SECONDS_PER_YEAR = 365.25 * 24 * 3600
HEAD_SHARE = 0.8
"""Share of the interactions that the items of the head have."""


@dataclass(frozen=True)
class Catalogue:
    """The items of the training fold: how popular each is, which genres it has, and how old it is.

    Attributes:
        counts: (n_items,) users who have the item in the training fold.
        popularity: (n_items,) the same as a share of the users who have any item there, in [0, 1].
        genres: (n_items, n_genres) CSR, each row 1 / (number of genres of the item) at its genres: p(g | item).
        ages: (n_items,) years from the item's first interaction in the training fold to the end of the fold; NaN where
            no time is known.
    """

    counts: NDArray[np.int64]
    popularity: NDArray[np.float64]
    genres: sp.csr_array
    ages: NDArray[np.float64]

    @classmethod
    def of(cls, histories: sp.csr_array, genres: sp.csr_array, train: Interactions) -> "Catalogue":
        """Return the catalogue of a training fold.

        Args:
            histories: (n_users, n_items) CSR of ones, the pairs of the training fold.
            genres: (n_items, n_genres) CSR of ones.
            train: the pairs of the training fold, for their times.
        """
        users = max(1, int(np.count_nonzero(np.diff(histories.indptr))))
        counts = np.bincount(histories.indices, minlength=histories.shape[1])
        return cls(counts, counts / users, shares_of_items(genres), ages_of_items(train, histories.shape[1]))

    @cached_property
    def popularity_ranks(self) -> NDArray[np.int64]:
        """(n_items,) position of each item by falling popularity, from 0; of equal items the lower index is first."""
        ranks = np.empty(len(self.counts), dtype=np.int64)
        ranks[np.argsort(-self.counts, kind="stable")] = np.arange(len(self.counts))
        return ranks

    @cached_property
    def is_long_tail(self) -> NDArray[np.bool_]:
        """(n_items,) whether the item is not among the fewest items with `HEAD_SHARE` of all interactions."""
        by_rank = np.empty(len(self.counts), dtype=np.int64)
        by_rank[self.popularity_ranks] = self.counts
        before = np.cumsum(by_rank) - by_rank
        is_tail: NDArray[np.bool_] = (before >= HEAD_SHARE * self.counts.sum())[self.popularity_ranks]
        return is_tail


def ages_of_items(pairs: Interactions, n_items: int) -> NDArray[np.float64]:
    """Return the (n_items,) years from the first interaction of each item to the last of all; NaN where unknown."""
    first = np.full(n_items, np.nan)
    if pairs.times is not None:
        is_known = pairs.times > UNKNOWN_TIME
        times = pairs.times[is_known].astype(np.float64)
        np.fmin.at(first, pairs.items[is_known], times)
        first = (times.max(initial=-np.inf) - first) / SECONDS_PER_YEAR
    return first


def shares_of_items(genres: sp.csr_array) -> sp.csr_array:
    """Return p(g | item): each row of the (n_items, n_genres) CSR of ones, divided by its number of genres."""
    genres_of_item = np.diff(genres.indptr)
    values = np.repeat(1 / np.maximum(genres_of_item, 1), genres_of_item)
    return sp.csr_array((values, genres.indices, genres.indptr), shape=genres.shape)


@dataclass(frozen=True)
class RecommendedLists:
    """The lists of n users, and what these users had before.

    Attributes:
        items: (n, K) int32 item indices, best first; -1 where a list is shorter.
        hits: (n, K) bool, whether the item at that rank is relevant to the user.
        relevant: (n, n_items) CSR of ones, the items that are relevant to the user, listed or not.
        histories: (n, n_items) CSR of ones, the users' pairs in the training fold.
        excluded: (n, n_items) CSR of ones, further pairs that the lists leave out; None where there are none.
        catalogue: the items.
    """

    items: NDArray[np.int32]
    hits: NDArray[np.bool_]
    relevant: sp.csr_array
    histories: sp.csr_array
    excluded: sp.csr_array | None
    catalogue: Catalogue


@dataclass(frozen=True)
class RatedPairs:
    """The rated pairs of a fold and what a model predicts for them.

    Attributes:
        liked: (n,) bool, whether the rating reaches the like threshold.
        scores: (n,) the model's rating, or probability of a like: the higher, the more probable is a like.
        predicted: (n,) the model's rating; None for a model that predicts no ratings.
        train_liked: (m,) bool, whether each rating of the training fold reaches the like threshold.
    """

    liked: NDArray[np.bool_]
    scores: NDArray[np.float32]
    predicted: NDArray[np.float32] | None
    train_liked: NDArray[np.bool_]
