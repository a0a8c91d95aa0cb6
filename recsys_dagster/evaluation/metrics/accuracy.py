"""The metrics, as pure functions of arrays: one value a user for rankings, one sum a user for rating errors.

What belongs here: definitions. What does not: where the arrays come from (`evaluate`) and how sure their means are
(`intervals`).

Every ranking metric takes the same three arguments and returns a (n_users,) float64:
    hits: (n_users, K) bool; true where the title at that rank of the user's list is relevant. A list with fewer than
        K titles goes on with false: a rank without a title is a miss.
    n_relevant: (n_users,) int; relevant titles of the user, listed or not. A user with none is left out: NaN.
    k: length of the list that counts; where K < k the missing ranks are misses.
Ties are the ranker's matter: the metrics see ranks only, and `Model.recommend` puts the lower index first.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

RankingMetric = Callable[[NDArray[np.bool_], NDArray[np.integer], int], NDArray[np.float64]]
Totals = NDArray[np.float64]
Statistic = Callable[[Totals, Totals], Totals]


def precision(hits: NDArray[np.bool_], n_relevant: NDArray[np.integer], k: int) -> NDArray[np.float64]:
    """Share of the first k ranks that are relevant: hits@k / k, in [0, 1].

    With fewer than k relevant titles even a perfect list stays below 1, at n_relevant / k.

    Source: Manning, Raghavan, Schütze, Introduction to Information Retrieval, 2008, section 8.4.
    """
    return _of_users_with_relevant(_count(hits, k) / k, n_relevant)


def recall(hits: NDArray[np.bool_], n_relevant: NDArray[np.integer], k: int) -> NDArray[np.float64]:
    """Share of the relevant titles among the first k ranks: hits@k / n_relevant, in [0, 1].

    With more than k relevant titles even a perfect list stays below 1, at k / n_relevant.

    Source: Manning, Raghavan, Schütze, Introduction to Information Retrieval, 2008, section 8.3.
    """
    return _of_users_with_relevant(_count(hits, k) / np.maximum(n_relevant, 1), n_relevant)


def capped_recall(hits: NDArray[np.bool_], n_relevant: NDArray[np.integer], k: int) -> NDArray[np.float64]:
    """Hits among the first k ranks over the hits that k ranks can hold: hits@k / min(k, n_relevant), in [0, 1].

    A perfect list gives 1 whatever n_relevant is. Papers that divide the users into known and new ones report this as
    their recall.

    Source: Liang, Krishnan, Hoffman, Jebara, Variational autoencoders for collaborative filtering, WWW 2018, §4.2.
    """
    return _of_users_with_relevant(_count(hits, k) / np.clip(n_relevant, 1, k), n_relevant)


def ndcg(hits: NDArray[np.bool_], n_relevant: NDArray[np.integer], k: int) -> NDArray[np.float64]:
    """Discounted cumulative gain, normalised, of binary relevance: DCG@k / ideal DCG@k, in [0, 1].

    DCG@k is the sum over the hits of 1 / log2(rank + 1), ranks from 1. The ideal list has its min(k, n_relevant)
    relevant titles first, so that a perfect list gives 1 whatever n_relevant is.

    Source: Järvelin, Kekäläinen, Cumulated gain-based evaluation of IR techniques, TOIS 20(4), 2002.
    """
    discounts = 1 / np.log2(np.arange(2, k + 2))
    ideal = np.concatenate([[1], np.cumsum(discounts)])  # [0] is never a result: those users are left out
    rows, ranks = np.nonzero(hits[:, :k])
    # Added up in the order of the ideal's sum, so that a perfect list gives exactly 1.
    gained = np.bincount(rows, discounts[ranks], len(hits))
    return _of_users_with_relevant(gained / ideal[np.minimum(n_relevant, k)], n_relevant)


def mrr(hits: NDArray[np.bool_], n_relevant: NDArray[np.integer], k: int) -> NDArray[np.float64]:
    """Reciprocal of the rank of the first hit within k, 0 where there is none, in [0, 1].

    The mean over users is the mean reciprocal rank.

    Source: Voorhees, The TREC-8 question answering track report, 1999.
    """
    top = hits[:, :k]
    any_hit = top.any(axis=1).astype(np.float64)
    return _of_users_with_relevant(any_hit / (top.argmax(axis=1) + 1), n_relevant)


def average_precision(hits: NDArray[np.bool_], n_relevant: NDArray[np.integer], k: int) -> NDArray[np.float64]:
    """Precision at the rank of each hit within k, summed, divided by n_relevant; in [0, 1].

    The mean over users is MAP@k. With more than k relevant titles even a perfect list stays below 1, at
    k / n_relevant: this is trec_eval's `map_cut`, not the variant that divides by min(k, n_relevant).

    Source: Buckley, Voorhees, Evaluating evaluation measure stability, SIGIR 2000.
    """
    rows, ranks = np.nonzero(hits[:, :k])
    counts = np.bincount(rows, minlength=len(hits))
    hit = np.arange(1, len(rows) + 1) - (np.cumsum(counts) - counts)[rows]
    summed = np.bincount(rows, hit / (ranks + 1), len(hits))
    return _of_users_with_relevant(summed / np.maximum(n_relevant, 1), n_relevant)


def hit_rate(hits: NDArray[np.bool_], n_relevant: NDArray[np.integer], k: int) -> NDArray[np.float64]:
    """1 if any of the first k ranks is relevant, else 0. The mean over users is the hit rate.

    Source: Deshpande, Karypis, Item-based top-N recommendation algorithms, TOIS 22(1), 2004.
    """
    return _of_users_with_relevant((_count(hits, k) > 0).astype(np.float64), n_relevant)


RANKING_METRICS: dict[str, RankingMetric] = {
    "precision": precision,
    "recall": recall,
    "ndcg": ndcg,
    "mrr": mrr,
    "map": average_precision,
    "hit_rate": hit_rate,
}


def coverage(times_recommended: NDArray[np.integer]) -> float:
    """Share of the catalogue that is in at least one list, in [0, 1].

    Args:
        times_recommended: (n_titles,) lists that hold each title of the catalogue; not empty.

    Source: Ge, Delgado-Battenfeld, Jannach, Beyond accuracy, RecSys 2010 (catalogue coverage).
    """
    return float(np.count_nonzero(times_recommended) / len(times_recommended))


def gini(times_recommended: NDArray[np.integer]) -> float:
    """Inequality of how often titles are recommended, in [0, 1 − 1/n]: 0 if all equally often, the most if only one is.

    With the n counts rising, x₁ ≤ … ≤ xₙ: Σ (2i − n − 1) xᵢ / (n Σ xᵢ). NaN where nothing is recommended.

    Args:
        times_recommended: (n_titles,) lists that hold each title of the catalogue; not empty.

    Source: Castells, Hurley, Vargas, Novelty and diversity in recommender systems, Recommender Systems Handbook, 2015,
    §26.3 (sales diversity), there divided by n − 1 for n.
    """
    total, n = int(times_recommended.sum()), len(times_recommended)
    ranks = 2 * np.arange(1, n + 1) - n - 1
    return float((ranks * np.sort(times_recommended)).sum() / (n * total)) if total else float("nan")


def error_sums(rows: NDArray[np.integer], errors: NDArray[np.float64], n_users: int) -> dict[str, NDArray[np.float64]]:
    """Add up the rating errors of each user; sums over any users give the error of those users.

    Args:
        rows: (n,) the user of each pair, in [0, n_users).
        errors: (n,) predicted - rating.
        n_users: users to give sums for; one without a pair gets zeros and so weighs nothing.

    Returns:
        (n_users,) columns `pairs` (number of rated pairs), `absolute_error` and `squared_error` (sums).
    """
    return {
        "pairs": np.bincount(rows, minlength=n_users).astype(np.float64),
        "absolute_error": np.bincount(rows, np.abs(errors), n_users).astype(np.float64),
        "squared_error": np.bincount(rows, errors**2, n_users).astype(np.float64),
    }


def mean(total: Totals, count: Totals) -> Totals:
    """Total / count, element by element; NaN where there is nothing to count.

    Of a ranking metric over the users who have a value; of absolute errors the MAE, Σ|e| / n, in units of the scale;
    of squared errors the MSE, Σe² / n. Every pair weighs the same, so a user with many ratings weighs more.
    """
    return np.divide(total, count, out=np.full_like(total, np.nan), where=count > 0)


def root_mean(total: Totals, count: Totals) -> Totals:
    """√(total / count), element by element: of squared errors the RMSE, √(Σe² / n), in units of the scale.

    It is taken over all pairs; it is not the mean of the users' RMSEs.
    """
    return np.sqrt(mean(total, count))


RATING_METRICS: dict[str, tuple[str, Statistic]] = {
    "rmse": ("squared_error", root_mean),
    "mae": ("absolute_error", mean),
    "mse": ("squared_error", mean),
}
"""By name, the column of `error_sums` and the statistic of its total over `pairs`; each ≥ 0, 0 for no error."""


def _count(hits: NDArray[np.bool_], k: int) -> NDArray[np.int64]:
    counted: NDArray[np.int64] = hits[:, :k].sum(axis=1, dtype=np.int32)
    return counted


def _of_users_with_relevant(values: NDArray[np.float64], n_relevant: NDArray[np.integer]) -> NDArray[np.float64]:
    return np.where(n_relevant > 0, values, np.nan)
