"""Metrics beyond accuracy: how novel, varied, popular, surprising and true to a user's taste the lists are.

Those of one user's list take `RecommendedLists` of n users and k, the number of ranks that count, and return (n,)
float64: NaN for a user without an item in the list, or without what the metric compares the list with. Those of all
lists together return one number.
"""

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from recsys_dagster.evaluation.metrics.inputs import RecommendedLists

Values = NDArray[np.float64]

SMOOTHING = 0.01
"""Steck's α: the share of the history's genres that is mixed into a list's before the two are compared."""


def novelty(lists: RecommendedLists, k: int) -> Values:
    """Return the mean self-information of the items of each list, −log2(share of the users who have it), in bits, ≥ 0.

    It is 0 if every user has every item of the list; an item that one of n users has adds log2 n.

    Source: Zhou, Kuscsik, Liu, Medo, Wakeling, Zhang, Solving the apparent diversity-accuracy dilemma of recommender
    systems, PNAS 107(10), 2010 (surprisal).
    """
    popularity = lists.catalogue.popularity
    information = np.zeros_like(popularity)
    np.log2(popularity, out=information, where=popularity > 0)
    return _mean_over_items(lists.items, -information, k)


def item_age(lists: RecommendedLists, k: int) -> Values:
    """Return the mean age of the items of each list, in years since their first interaction; NaN without times."""
    return _mean_over_items(lists.items, lists.catalogue.ages, k)


def list_popularity(lists: RecommendedLists, k: int) -> Values:
    """Return the mean popularity of the items of each list, in [0, 1]; NaN for a user without a history."""
    known = np.diff(lists.histories.indptr) > 0
    return np.where(known, _mean_over_items(lists.items, lists.catalogue.popularity, k), np.nan)


def history_popularity(lists: RecommendedLists) -> Values:
    """Return the mean popularity of the items of each history, in [0, 1]; NaN for an empty history or list."""
    popularity = _divide(lists.histories @ lists.catalogue.popularity, np.diff(lists.histories.indptr))
    return np.where(lists.items[:, 0] >= 0, popularity, np.nan)


def popularity_lift(list_popularity: Values, history_popularity: Values) -> Values:
    """Return the popularity of the lists relative to that of the histories, minus 1; ≥ −1.

    It is 0 if the lists are as popular as the histories, 1 if they are twice as popular.

    Args:
        list_popularity: totals over users of the mean popularity of the list.
        history_popularity: totals over the same users of the mean popularity of the history.

    Source: Abdollahpouri, Mansoury, Burke, Mobasher, The connection between popularity bias, calibration, and fairness
    in recommendation, RecSys 2020 (popularity lift; over one group, all users).
    """
    ratio = np.divide(
        list_popularity, history_popularity, out=np.full_like(history_popularity, np.nan), where=history_popularity > 0
    )
    return ratio - 1


def genre_diversity(lists: RecommendedLists, k: int) -> Values:
    """Return 1 − the mean cosine similarity of the genres of two items of a list, over all pairs of them, in [0, 1].

    It is 0 if all items have the same genres, 1 if no two share one. Items without genres do not count; a user whose
    list has fewer than two others has no value.

    Source: Ziegler, McNee, Konstan, Lausen, Improving recommendation lists through topic diversification, WWW 2005
    (1 − intra-list similarity, as a mean over pairs).
    """
    genres = lists.catalogue.genres
    genres_of_item = np.diff(genres.indptr)
    # A row has the same value at each of its n genres: scaled to length one it is 1 / √n there.
    unit = sp.csr_array(
        (np.repeat(1 / np.sqrt(np.maximum(genres_of_item, 1)), genres_of_item), genres.indices, genres.indptr),
        shape=genres.shape,
    )
    listed = _matrix(lists.items, k, len(genres_of_item))
    n = listed @ (genres_of_item > 0).astype(np.float64)
    summed = (listed @ unit).power(2).sum(axis=1)
    # |Σ v|² is the n similarities of each item with itself, 1 each, and every pair twice.
    return _divide(n * n - summed, np.where(n > 1, n * (n - 1), 0))


def miscalibration(lists: RecommendedLists, k: int) -> Values:
    """Return the divergence of the genres of each list from those of the user's history: KL(p ‖ q), in nats, ≥ 0.

    p(g) is the mean of p(g | item) over the items of the history, q(g) that over the list, items without genres not
    counted. q is mixed with p, (1 − α) q + α p with α = 0.01, so that the divergence is −ln α = 4.6 at most; it is 0
    where the two agree.

    Source: Steck, Calibrated recommendations, RecSys 2018, equations 2 to 6, every item of a history weighing alike.
    """
    genres = lists.catalogue.genres
    p, q = genre_shares(lists.histories, genres), genre_shares(_matrix(lists.items, k, genres.shape[0]), genres)
    mixed = (1 - SMOOTHING) * q + SMOOTHING * p
    # Where p is 0 the term is 0, whatever q is.
    terms = p * np.log(np.divide(p, mixed, out=np.ones_like(p), where=p > 0))
    divergence: Values = np.where(np.isnan(p).any(axis=1) | np.isnan(q).any(axis=1), np.nan, terms.sum(axis=1))
    divergence.clip(0, out=divergence)
    return divergence


def genre_shares(items: sp.csr_array, genres: sp.csr_array) -> Values:
    """Return the mean of p(g | item) over some items of each user, those without genres not counted.

    Args:
        items: (n, n_items) CSR of ones, the items of each user.
        genres: (n_items, n_genres) CSR of p(g | item), as in `Catalogue`.

    Returns:
        (n, n_genres); a row of NaN for a user without an item that has genres.
    """
    count = items @ (np.diff(genres.indptr) > 0).astype(np.float64)
    totals: Values = (items @ genres).toarray()
    shares: Values = np.divide(totals, count[:, None], out=np.full_like(totals, np.nan), where=count[:, None] > 0)
    return shares


def serendipity(lists: RecommendedLists, k: int) -> Values:
    """Return the share of the first k ranks that are relevant and unexpected, in [0, 1]; missing ranks are neither.

    An item is expected if a list of the k most popular items, without what the user already has and what the lists
    exclude, would hold it too: recommending by popularity has a serendipity of 0.

    Source: Ge, Delgado-Battenfeld, Jannach, Beyond accuracy: evaluating recommender systems by coverage and
    serendipity, RecSys 2010, equations 4 and 5, popularity as the primitive prediction model.
    """
    rows, ranks = np.nonzero(lists.hits[:, :k])
    n_items = len(lists.catalogue.counts)
    position = lists.catalogue.popularity_ranks[lists.items[rows, ranks]]
    # The rank of an item in the user's own list by popularity: its position among all items, less those items before
    # it that the user has. No listed item is one of these.
    known = lists.histories if lists.excluded is None else sp.csr_array(lists.histories + lists.excluded)
    owners = np.repeat(np.arange(len(lists.items)), np.diff(known.indptr))
    keys = np.sort(owners * n_items + lists.catalogue.popularity_ranks[known.indices])
    before = np.searchsorted(keys, rows * n_items + position) - np.searchsorted(keys, rows * n_items)
    unexpected = position - before >= k
    share: Values = np.bincount(rows[unexpected], minlength=len(lists.items)) / k
    return share


def long_tail_share(lists: RecommendedLists, k: int) -> Values:
    """Return the share of the first k items of each list that are outside the head of the catalogue, in [0, 1].

    The head are the fewest items that together have 80 % of the interactions of the training fold.

    Source: Abdollahpouri, Burke, Mobasher, Managing popularity bias in recommender systems with personalized
    re-ranking, FLAIRS 2019 (average percentage of long-tail items).
    """
    return _mean_over_items(lists.items, lists.catalogue.is_long_tail.astype(np.float64), k)


def debiased_ndcg(lists: RecommendedLists, k: int) -> Values:
    """Return the NDCG@k of gains that are weighted by the inverse propensity of the item to be seen, in [0, 1].

    Whether a user has an item depends on how often it is shown, which is nearly how popular it is. A relevant item that
    n users of the training fold have therefore weighs n^(−½), one that nobody has as much as one that one user has. The
    perfect list has the relevant items by falling weight. NaN for a user without a relevant item.

    Source: Saito, Yaginuma, Nishino, Sakata, Nakata, Unbiased recommender learning from missing-not-at-random implicit
    feedback, WSDM 2020, section 5 (the propensity), here normalised for each user as NDCG is.
    """
    weights = np.maximum(lists.catalogue.counts, 1) ** -0.5
    discounts = 1 / np.log2(np.arange(2, k + 2))
    rows, ranks = np.nonzero(lists.hits[:, :k])
    gained = np.bincount(rows, weights[lists.items[rows, ranks]] * discounts[ranks], len(lists.items))
    relevant = lists.relevant.tocoo()
    order = np.lexsort((-weights[relevant.col], relevant.row))
    owners, best = relevant.row[order], weights[relevant.col[order]]
    places = np.arange(len(owners)) - np.searchsorted(owners, owners)
    within = places < k
    ideal = np.bincount(owners[within], best[within] * discounts[places[within]], len(lists.items))
    return _divide(gained, ideal)


def coverage(times_recommended: NDArray[np.integer]) -> float:
    """Return the share of the catalogue that is in at least one list, in [0, 1].

    Args:
        times_recommended: (n_items,) number of lists that hold each item of the catalogue; not empty.

    Source: Ge, Delgado-Battenfeld, Jannach, Beyond accuracy, RecSys 2010 (catalogue coverage).
    """
    return float(np.count_nonzero(times_recommended) / len(times_recommended))


def gini(times_recommended: NDArray[np.integer]) -> float:
    """Return the inequality of how often items are recommended, in [0, 1 − 1/n].

    It is 0 if all are recommended equally often and highest if only one is. With the n counts in rising order,
    x₁ ≤ … ≤ xₙ: Σ (2i − n − 1) xᵢ / (n Σ xᵢ). NaN if nothing is recommended.

    Args:
        times_recommended: (n_items,) number of lists that hold each item of the catalogue; not empty.

    Source: Castells, Hurley, Vargas, Novelty and diversity in recommender systems, Recommender Systems Handbook, 2015,
    §26.3 (sales diversity), there divided by n − 1 for n.
    """
    total, n = int(times_recommended.sum()), len(times_recommended)
    ranks = 2 * np.arange(1, n + 1) - n - 1
    return float((ranks * np.sort(times_recommended)).sum() / (n * total)) if total else float("nan")


def overlap(items: NDArray[np.int32]) -> float:
    """Return the mean share of items that the lists of two users have in common, in [0, 1]; 1 if all lists are equal.

    Args:
        items: (n_users, k) items of each list, -1 where a list is shorter; at least two users.

    Source: Zhou, Kuscsik, Liu, Medo, Wakeling, Zhang, PNAS 107(10), 2010 (1 − personalisation).
    """
    counts = np.bincount(items[items >= 0])
    pairs = len(items) * (len(items) - 1)
    return float((counts * (counts - 1)).sum() / (pairs * max(1, (items >= 0).sum() / len(items))))


def _mean_over_items(items: NDArray[np.int32], values: Values, k: int) -> Values:
    """Return the mean over the first k items of each list of their (n_items,) values."""
    top = items[:, :k]
    listed = top >= 0
    return _divide(np.where(listed, values[top], 0).sum(axis=1), listed.sum(axis=1))


def _matrix(items: NDArray[np.int32], k: int, n_items: int) -> sp.csr_array:
    """Return the (n_users, n_items) CSR of ones at the first k items of each list."""
    listed = items[:, :k] >= 0
    pointers = np.concatenate([[0], np.cumsum(listed.sum(axis=1))])
    columns = items[:, :k][listed]
    return sp.csr_array((np.ones(len(columns)), columns, pointers), shape=(len(items), n_items))


def _divide(total: NDArray[np.number], count: NDArray[np.number]) -> Values:
    ratio: Values = np.divide(total, count, out=np.full(len(total), np.nan), where=count > 0)
    return ratio
