"""Ranking metrics, as pure functions of which ranks of each user's list are relevant: one value a user.

Each takes the same three arguments and returns (n_users,) float64:
    hits: (n_users, K) bool; true where the item at that rank of the user's list is relevant. The ranks beyond the end
        of a list with fewer than K items are false.
    n_relevant: (n_users,) int; number of items that are relevant to the user, listed or not. NaN is returned for a user
        with none.
    k: number of ranks that count; ranks from K on are misses.
The metrics see ranks only: in which order items of equal score are listed is the model's matter (`Model.recommend`
lists the lower index first).
"""

import numpy as np
from numpy.typing import NDArray


def precision(hits: NDArray[np.bool_], n_relevant: NDArray[np.integer], k: int) -> NDArray[np.float64]:
    """Return the share of the first k ranks that are relevant: hits@k / k, in [0, 1].

    With fewer than k relevant items even a perfect list stays below 1, at n_relevant / k.

    Source: Manning, Raghavan, Schütze, Introduction to Information Retrieval, 2008, section 8.4.
    """
    return _nan_without_relevant(_count(hits, k) / k, n_relevant)


def recall(hits: NDArray[np.bool_], n_relevant: NDArray[np.integer], k: int) -> NDArray[np.float64]:
    """Return the share of the relevant items that are among the first k ranks: hits@k / n_relevant, in [0, 1].

    With more than k relevant items even a perfect list stays below 1, at k / n_relevant; `capped_recall` does not.

    Source: Manning, Raghavan, Schütze, Introduction to Information Retrieval, 2008, section 8.3.
    """
    return _nan_without_relevant(_count(hits, k) / np.maximum(n_relevant, 1), n_relevant)


def capped_recall(hits: NDArray[np.bool_], n_relevant: NDArray[np.integer], k: int) -> NDArray[np.float64]:
    """Return the hits among the first k ranks as a share of the most there can be: hits@k / min(k, n_relevant).

    It is in [0, 1], and a perfect list gives 1 whatever n_relevant is. Papers on recommendation to new users report it
    under the name of recall.

    Source: Liang, Krishnan, Hoffman, Jebara, Variational autoencoders for collaborative filtering, WWW 2018, §4.2.

    Two hits among the first two ranks, for a user with four relevant items:

    >>> hits, n_relevant = np.array([[True, True]]), np.array([4])
    >>> float(capped_recall(hits, n_relevant, 2)[0]), float(recall(hits, n_relevant, 2)[0])
    (1.0, 0.5)
    """
    return _nan_without_relevant(_count(hits, k) / np.clip(n_relevant, 1, k), n_relevant)


def ndcg(hits: NDArray[np.bool_], n_relevant: NDArray[np.integer], k: int) -> NDArray[np.float64]:
    """Return the normalised discounted cumulative gain of binary relevance: DCG@k / ideal DCG@k, in [0, 1].

    DCG@k is the sum over the hits of 1 / log2(rank + 1), ranks from 1. The ideal list has its min(k, n_relevant)
    relevant items first, so that a perfect list gives 1 whatever n_relevant is.

    Source: Järvelin, Kekäläinen, Cumulated gain-based evaluation of IR techniques, TOIS 20(4), 2002.

    The only relevant item at rank 1, at rank 2, and not listed:

    >>> hits = np.array([[True, False], [False, True], [False, False]])
    >>> ndcg(hits, np.array([1, 1, 1]), 2).round(3).tolist()
    [1.0, 0.631, 0.0]
    """
    discounts = 1 / np.log2(np.arange(2, k + 2))
    ideal = np.concatenate([[1], np.cumsum(discounts)])  # users without a relevant item, [0], are NaN in the end
    rows, ranks = np.nonzero(hits[:, :k])
    # Added up in the order of the ideal's sum, so that a perfect list gives exactly 1.
    gained = np.bincount(rows, discounts[ranks], len(hits))
    return _nan_without_relevant(gained / ideal[np.minimum(n_relevant, k)], n_relevant)


def mrr(hits: NDArray[np.bool_], n_relevant: NDArray[np.integer], k: int) -> NDArray[np.float64]:
    """Return the reciprocal of the rank of the first hit within k, 0 where there is none; in [0, 1].

    The mean over users is the mean reciprocal rank.

    Source: Voorhees, The TREC-8 question answering track report, 1999.
    """
    top = hits[:, :k]
    any_hit = top.any(axis=1).astype(np.float64)
    return _nan_without_relevant(any_hit / (top.argmax(axis=1) + 1), n_relevant)


def average_precision(hits: NDArray[np.bool_], n_relevant: NDArray[np.integer], k: int) -> NDArray[np.float64]:
    """Return the sum of the precision at the rank of each hit within k, divided by n_relevant; in [0, 1].

    The mean over users is MAP@k. With more than k relevant items even a perfect list stays below 1, at
    k / n_relevant: this is trec_eval's `map_cut`, not the variant that divides by min(k, n_relevant).

    Source: Buckley, Voorhees, Evaluating evaluation measure stability, SIGIR 2000.
    """
    rows, ranks = np.nonzero(hits[:, :k])
    counts = np.bincount(rows, minlength=len(hits))
    hit = np.arange(1, len(rows) + 1) - (np.cumsum(counts) - counts)[rows]
    summed = np.bincount(rows, hit / (ranks + 1), len(hits))
    return _nan_without_relevant(summed / np.maximum(n_relevant, 1), n_relevant)


def hit_rate(hits: NDArray[np.bool_], n_relevant: NDArray[np.integer], k: int) -> NDArray[np.float64]:
    """Return 1 if any of the first k ranks is relevant, else 0. The mean over users is the hit rate.

    Source: Deshpande, Karypis, Item-based top-N recommendation algorithms, TOIS 22(1), 2004.
    """
    return _nan_without_relevant((_count(hits, k) > 0).astype(np.float64), n_relevant)


def _count(hits: NDArray[np.bool_], k: int) -> NDArray[np.int64]:
    counted: NDArray[np.int64] = hits[:, :k].sum(axis=1, dtype=np.int32)
    return counted


def _nan_without_relevant(values: NDArray[np.float64], n_relevant: NDArray[np.integer]) -> NDArray[np.float64]:
    return np.where(n_relevant > 0, values, np.nan)
