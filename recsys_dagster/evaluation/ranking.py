"""The ranking loop: ask a model for the lists of users, block by block, and compute every metric of these lists.

The folds of the lineage, custom splits, tuning, backtests and the papers all rank here.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from recsys_dagster.data.interactions import Interactions
from recsys_dagster.evaluation.metrics.beyond_accuracy import history_popularity
from recsys_dagster.evaluation.metrics.inputs import Catalogue, RecommendedLists
from recsys_dagster.evaluation.metrics.metric import ListMetric, MetricKey, RankingMetric
from recsys_dagster.evaluation.metrics.registry import find_metric
from recsys_dagster.evaluation.relevance import RelevantPairs
from recsys_dagster.models.base import Model, TopN
from recsys_dagster.runtime.blocks import USERS_PER_BLOCK

SAMPLED_USERS = 200
"""Users whose unfiltered lists are compared with each other."""


@dataclass(frozen=True)
class ListBlock:
    """The lists of some users.

    Attributes:
        users: (n,) int32 indices, rising.
        lists: their n lists.
    """

    users: NDArray[np.int32]
    lists: TopN


@dataclass(frozen=True)
class ListContext:
    """What the metrics beyond accuracy compare lists with.

    Attributes:
        catalogue: the items of the training fold.
        histories: (n_users, n_items) CSR of ones, the pairs of the training fold.
        exclude: (n_users, n_items) CSR of ones, further pairs that the lists leave out; None where there are none.
    """

    catalogue: Catalogue
    histories: sp.csr_array
    exclude: sp.csr_array | None

    def of_users(
        self, users: NDArray[np.int32], items: NDArray[np.int32], hits: NDArray[np.bool_], relevant: sp.csr_array
    ) -> RecommendedLists:
        """Return the lists of some users with what is relevant to them and what they had before."""
        excluded = None if self.exclude is None else self.exclude[users]
        return RecommendedLists(items, hits, relevant, self.histories[users], excluded, self.catalogue)


@dataclass(frozen=True)
class Ranking:
    """The metrics of the lists of n users.

    Attributes:
        users: (n,) int32 indices, rising.
        n_relevant: (n,) int64 number of relevant items of each user.
        values: a (n,) float64 column for each metric and length, NaN for a user without a list or without a relevant
            item.
        times_recommended: by length, (n_items,) number of lists of users with a relevant item that hold each item.
        ranks: (len(relevant),) int32 rank of each relevant pair, from 1; 0 if it is not listed.
    """

    users: NDArray[np.int32]
    n_relevant: NDArray[np.int64]
    values: dict[str, NDArray[np.float64]]
    times_recommended: dict[int, NDArray[np.int64]]
    ranks: NDArray[np.int32]

    @property
    def eligible_users(self) -> NDArray[np.int64]:
        """Positions of the users with a relevant item."""
        return np.flatnonzero(self.n_relevant)

    @property
    def per_user(self) -> dict[str, NDArray[Any]]:
        """All columns by name: `user_idx`, `relevant` and the values."""
        return {"user_idx": self.users, "relevant": self.n_relevant, **self.values}


def lists_of_known_users(
    model: Model, users: NDArray[np.int32], k: int, exclude: sp.csr_array | None = None
) -> Iterator[ListBlock]:
    """Give the lists of users of the training fold, block by block.

    Args:
        model: fitted; it leaves the pairs of its training fold out.
        users: (n,) indices, rising.
        k: length of the lists.
        exclude: (n_users, n_items) CSR of further pairs to leave out.
    """
    for start in range(0, len(users), USERS_PER_BLOCK):
        block = users[start : start + USERS_PER_BLOCK]
        yield ListBlock(block, model.recommend(block, k, exclude=exclude))


def lists_by_history(model: Model, history: Interactions, users: NDArray[np.int32], k: int) -> Iterator[ListBlock]:
    """Give the lists that a model makes of histories alone, block by block, without the items of each history.

    Args:
        model: fitted.
        history: all that is known of the users, whether or not they are in the training fold.
        users: (n,) indices, rising; one without a history is recommended the most popular items.
        k: length of the lists.
    """
    n_genres = model.genres_.shape[1]
    known = history.where(np.isin(history.users, users))
    rows = np.searchsorted(users, known.users).astype(np.int32)
    for start in range(0, len(users), USERS_PER_BLOCK):
        block = users[start : start + USERS_PER_BLOCK]
        is_within = (rows >= start) & (rows < start + len(block))
        part = replace(known.where(is_within), users=rows[is_within] - np.int32(start))
        no_tastes = np.full((len(block), n_genres), np.nan, dtype=np.float32)
        yield ListBlock(block, model.recommend_for(k, part, no_tastes))


def sample_lists(model: Model, k: int) -> NDArray[np.int32] | None:
    """Return the (n, k) items of the lists of up to 200 users with training pairs; None with fewer than two such users.

    Nothing is excluded: what each user has would make lists differ although the order of the items is the same.
    """
    known = np.flatnonzero(np.diff(model.seen_.indptr))
    if len(known) < 2:
        return None
    drawn = known[np.linspace(0, len(known) - 1, min(SAMPLED_USERS, len(known))).astype(np.int64)]
    return model.recommend(drawn.astype(np.int32), k, exclude_seen=False).items


def rank(
    blocks: Iterable[ListBlock],
    users: NDArray[np.int32],
    relevant: RelevantPairs,
    keys: Sequence[MetricKey],
    context: ListContext | None = None,
) -> Ranking:
    """Compute the metrics of lists for each of the users that are evaluated.

    Args:
        blocks: lists of these and perhaps other users; each user at most once.
        users: (n,) indices of the users that are evaluated, rising.
        relevant: their relevant items, by position in `users`.
        keys: ranking metrics and, with a context, metrics of listed items, each with the length of the lists.
        context: what the latter compare lists with; without it they are not computed.
    """
    n_relevant = relevant.counts(len(users))
    ranking_metrics = [(key, metric) for key in keys if isinstance(metric := find_metric(key.name), RankingMetric)]
    list_metrics = [
        (key.k, metric)
        for key in keys
        if context is not None and key.k is not None and isinstance(metric := find_metric(key.name), ListMetric)
    ]
    names = [key.column for key, _ in ranking_metrics] + [metric.column(k) for k, metric in list_metrics]
    values = {name: np.full(len(users), np.nan) for name in names}
    if context is not None:
        values["history_popularity"] = np.full(len(users), np.nan)
    lengths = dict.fromkeys(key.k for key in keys if key.k is not None)
    times_recommended = {k: np.zeros(relevant.n_items, dtype=np.int64) for k in lengths}
    ranks = np.zeros(len(relevant.keys), dtype=np.int32)
    for block in blocks:
        is_evaluated = np.isin(block.users, users[n_relevant > 0], assume_unique=True)
        rows = np.searchsorted(users, block.users[is_evaluated])
        items = block.lists.items[is_evaluated]
        positions = relevant.positions(rows, items)
        hits = positions >= 0
        ranks[positions[hits]] = np.nonzero(hits)[1] + 1
        for key, ranking_metric in ranking_metrics:
            values[key.column][rows] = ranking_metric.function(hits, n_relevant[rows], key.k or items.shape[1])
        for k, counts in times_recommended.items():
            listed = items[:, :k]
            counts += np.bincount(listed[listed >= 0], minlength=len(counts))
        if context is not None:
            lists = context.of_users(users[rows], items, hits, relevant.matrix(rows))
            values["history_popularity"][rows] = history_popularity(lists)
            for k, list_metric in list_metrics:
                values[list_metric.column(k)][rows] = list_metric.function(lists, k)
    return Ranking(users, n_relevant, values, times_recommended, ranks)
