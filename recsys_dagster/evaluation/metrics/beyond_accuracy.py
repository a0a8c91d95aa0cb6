"""Metrics beyond accuracy: how new, how varied, how popular and how true to a taste the lists are.

Each function takes lists and returns one value a user:
    items: (n_users, K) int32 of title indices, best first, -1 where a list is shorter.
    k: length of the list that counts.
A user without a title on the list, or without what the metric goes by, is left out: NaN. Order within the first k does
not matter.
"""

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

Values = NDArray[np.float64]

SMOOTHING = 0.01
"""Steck's α: how much of the history's genres a list is given before the two are compared."""


@dataclass(frozen=True)
class Catalogue:
    """What these metrics know of titles and of what each user had before.

    Attributes:
        popularity: (n_items,) share of the users with a training pair who have the title, in [0, 1].
        genres: (n_items, n_genres) CSR, each row 1 / (genres of the title) at its genres: p(g | title).
        histories: (n_users, n_items) CSR of ones, the training pairs.
    """

    popularity: Values
    genres: sp.csr_array
    histories: sp.csr_array

    @classmethod
    def of(cls, histories: sp.csr_array, genres: sp.csr_array) -> "Catalogue":
        """Count the titles in the (n_users, n_items) histories; `genres` is (n_items, n_genres) CSR of ones."""
        users = max(1, int(np.count_nonzero(np.diff(histories.indptr))))
        counts = np.bincount(histories.indices, minlength=histories.shape[1])
        of_title = np.diff(genres.indptr)
        shares = sp.csr_array(
            (np.repeat(1 / np.maximum(of_title, 1), of_title), genres.indices, genres.indptr), shape=genres.shape
        )
        return cls(counts / users, shares, histories)


def mean_of_titles(items: NDArray[np.int32], values: Values, k: int) -> Values:
    """Return the mean over each list of what its titles are worth."""
    top = items[:, :k]
    listed = top >= 0
    return _divided(np.where(listed, values[top], 0).sum(axis=1), listed.sum(axis=1))


def novelty(items: NDArray[np.int32], popularity: Values, k: int) -> Values:
    """Mean self-information of the titles of a list, −log2(share of the users who have it), in bits, ≥ 0.

    0 where everybody has every title; a title that one of n users has counts log2 n.

    Source: Zhou, Kuscsik, Liu, Medo, Wakeling, Zhang, Solving the apparent diversity-accuracy dilemma of recommender
    systems, PNAS 107(10), 2010 (surprisal).
    """
    information = np.zeros_like(popularity)
    np.log2(popularity, out=information, where=popularity > 0)
    return mean_of_titles(items, -information, k)


def history_popularity(histories: sp.csr_array, popularity: Values) -> Values:
    """Mean popularity of the titles that each user had before, in [0, 1]; NaN without any."""
    return _divided(histories @ popularity, np.diff(histories.indptr))


def lift(list_popularity: Values, own_popularity: Values) -> Values:
    """Popularity of the lists over that of the histories, minus 1: 0 as popular, 1 twice as popular, ≥ −1.

    Args:
        list_popularity: sums over users of the mean popularity of the list.
        own_popularity: sums over the same users of the mean popularity of the history.

    Source: Abdollahpouri, Mansoury, Burke, Mobasher, The connection between popularity bias, calibration, and fairness
    in recommendation, RecSys 2020 (popularity lift; over one group, all users).
    """
    ratio = np.divide(
        list_popularity, own_popularity, out=np.full_like(own_popularity, np.nan), where=own_popularity > 0
    )
    return ratio - 1


def genre_diversity(items: NDArray[np.int32], genres: sp.csr_array, k: int) -> Values:
    """1 − mean cosine similarity of the genres of two titles of a list, over all pairs of its titles, in [0, 1].

    0 where all titles have the same genres, 1 where no two share one. Items without genres are left out; with fewer
    than two others the user is.

    Source: Ziegler, McNee, Konstan, Lausen, Improving recommendation lists through topic diversification, WWW 2005
    (1 − intra-list similarity, as a mean over pairs).
    """
    of_title = np.diff(genres.indptr)
    # A row has the same value at each of its n genres: of length one it is 1 / √n there.
    unit = sp.csr_array(
        (np.repeat(1 / np.sqrt(np.maximum(of_title, 1)), of_title), genres.indices, genres.indptr), shape=genres.shape
    )
    listed = _matrix(items, k, len(of_title))
    n = listed @ (of_title > 0).astype(np.float64)
    summed = (listed @ unit).power(2).sum(axis=1)
    # |Σ v|² is the n similarities of each title with itself, 1 each, and every pair twice.
    return _divided(n * n - summed, np.where(n > 1, n * (n - 1), 0))


def miscalibration(items: NDArray[np.int32], genres: sp.csr_array, histories: sp.csr_array, k: int) -> Values:
    """How far the genres of a list are from those of the user's history: KL(p ‖ q), in nats, ≥ 0; 0 where they agree.

    p(g) is the mean of p(g | title) over the titles of the history, q(g) that over the list, titles without genres
    left out; q is mixed with p, (1 − α) q + α p with α = 0.01, so that the most is −ln α = 4.6.

    Args:
        items: (n_users, K) lists.
        genres: as `Catalogue.genres`.
        histories: (n_users, n_items) CSR, the rows of the same users.
        k: length of the lists.

    Source: Steck, Calibrated recommendations, RecSys 2018, equations 2 to 6, every title of a history weighing alike.
    """
    known = (np.diff(genres.indptr) > 0).astype(np.float64)

    def shares(titles: sp.csr_array) -> Values:
        count = titles @ known
        totals: Values = (titles @ genres).toarray()
        mean: Values = np.divide(totals, count[:, None], out=np.full_like(totals, np.nan), where=count[:, None] > 0)
        return mean

    p, q = shares(histories), shares(_matrix(items, k, len(known)))
    mixed = (1 - SMOOTHING) * q + SMOOTHING * p
    # Where p is 0 the term is 0, whatever q is.
    terms = p * np.log(np.divide(p, mixed, out=np.ones_like(p), where=p > 0))
    divergence: Values = np.where(np.isnan(p).any(axis=1) | np.isnan(q).any(axis=1), np.nan, terms.sum(axis=1))
    divergence.clip(0, out=divergence)
    return divergence


def beyond_columns(
    items: NDArray[np.int32], users: NDArray[np.int32], catalogue: Catalogue, k: int
) -> dict[str, Values]:
    """Return the columns `BEYOND` of the lists of some users."""
    histories = catalogue.histories[users]
    known = np.diff(histories.indptr) > 0
    return {
        "novelty": novelty(items, catalogue.popularity, k),
        "genre_diversity": genre_diversity(items, catalogue.genres, k),
        "miscalibration": miscalibration(items, catalogue.genres, histories, k),
        "list_popularity": np.where(known, mean_of_titles(items, catalogue.popularity, k), np.nan),
    }


BEYOND = ("novelty", "genre_diversity", "miscalibration", "list_popularity")
"""The columns that `beyond_columns` returns."""


def _matrix(items: NDArray[np.int32], k: int, n_items: int) -> sp.csr_array:
    """Return the (n_users, n_items) CSR of ones at the titles of each list."""
    listed = items[:, :k] >= 0
    pointers = np.concatenate([[0], np.cumsum(listed.sum(axis=1))])
    columns = items[:, :k][listed]
    return sp.csr_array((np.ones(len(columns)), columns, pointers), shape=(len(items), n_items))


def _divided(total: Values, count: NDArray[np.number]) -> Values:
    found: Values = np.divide(total, count, out=np.full(len(total), np.nan), where=count > 0)
    return found
