"""One model on one fold: full ranking for every user who likes something there, and errors of every rating.

Ranking is over all titles of the training fold, never over sampled negatives, minus what the user already has. A
liked title that no training pair mentions still counts as relevant: the user liked it and no list could hold it, so
where the folds are cut by time the best possible recall is below 1, for every model alike.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from recsys_dagster.errors import RecsysError
from recsys_dagster.evaluation.intervals import RESAMPLES, interval, resampled_sums
from recsys_dagster.evaluation.metrics import RANKING_METRICS, RATING_METRICS, Statistic, coverage, error_sums, mean
from recsys_dagster.evaluation.store import MetricRow, write_per_user
from recsys_dagster.interactions import Interactions
from recsys_dagster.models import Model

USERS_A_BLOCK = 8192
PAIRS_A_BLOCK = 2**20


@dataclass(frozen=True)
class Metric:
    """A metric over the users of a fold, with its 95 % interval over users.

    Attributes:
        metric: its name, as in `evaluation.metrics`.
        k: length of the lists; None for rating errors.
        value, low, high: `low` and `high` are None for coverage, which is a property of all lists together.
        users: number of users it is over.
    """

    metric: str
    k: int | None
    value: float
    low: float | None
    high: float | None
    users: int


@dataclass(frozen=True)
class RelevantPairs:
    """Which items are relevant to whom, for finding them in lists.

    Attributes:
        keys: (n,) int64, row of the user times `n_items` plus item, rising, none twice.
        n_items: size of the index space of items.
    """

    keys: NDArray[np.int64]
    n_items: int

    @classmethod
    def of(cls, rows: NDArray[np.integer], items: NDArray[np.int32], n_items: int) -> "RelevantPairs":
        """Return the pairs (rows[i], items[i])."""
        return cls(np.unique(rows.astype(np.int64) * n_items + items), n_items)

    def counts(self, n_rows: int) -> NDArray[np.int64]:
        """Return (n_rows,) the relevant items of each row."""
        return np.bincount(self.keys // self.n_items, minlength=n_rows)

    def hits(self, rows: NDArray[np.integer], items: NDArray[np.int32]) -> NDArray[np.bool_]:
        """Return which of the (len(rows), k) listed items, -1 for none, are relevant to their row."""
        if not len(self.keys):
            return np.zeros(items.shape, dtype=bool)
        wanted = rows[:, None] * np.int64(self.n_items) + items
        found = self.keys[np.minimum(np.searchsorted(self.keys, wanted), len(self.keys) - 1)] == wanted
        hits: NDArray[np.bool_] = found & (items >= 0)
        return hits


@dataclass(frozen=True)
class Evaluation:
    """What an evaluation found.

    Attributes:
        metrics: ranking metrics and coverage at each k, and the rating errors where the model predicts ratings.
        per_user: a row for each user with a rating in the fold, by `user_idx` rising: `user_idx` int32; `relevant`
            int64, liked titles; `<metric>_<k>` float64, NaN for a user who likes nothing in the fold; `pairs`,
            `absolute_error`, `squared_error` float64 sums over the user's rated pairs. A model that only ranks has
            no error columns, a constant no ranking columns.
    """

    metrics: list[Metric]
    per_user: dict[str, NDArray[Any]]

    def rows(self, model: str, version: str, protocol: str, fold: str) -> list[MetricRow]:
        """Return the metrics as rows of `evaluation.metrics`."""
        return [
            MetricRow(model, version, protocol, fold, m.metric, m.k, m.value, m.low, m.high, m.users)
            for m in self.metrics
        ]

    def write_per_user(self, path: Path) -> None:
        """Write `per_user` as a Parquet file, NaN as NULL, replacing `path` atomically."""
        write_per_user(self.per_user, path)


def evaluate(
    model: Model,
    fold: Interactions,
    owned: sp.csr_array | None,
    *,
    like_threshold: float,
    ks: Sequence[int] = (5, 10, 20, 50, 100),
    seed: int,
    resamples: int = RESAMPLES,
) -> Evaluation:
    """Evaluate a fitted model on pairs that it has not seen.

    Args:
        model: fitted on the training fold, whose pairs it leaves out of its lists.
        fold: the pairs to score; those without a rating are neither relevant nor rated.
        owned: (n_users, n_items) CSR of pairs of further folds to leave out, such as validation when testing.
        like_threshold: a title rated at or above it is relevant.
        ks: lengths of the lists.
        seed: of the bootstrap; the ranking itself draws nothing.
        resamples: draws of the bootstrap.

    Raises:
        RecsysError: nothing in the fold is liked; the fold overlaps what is left out of the lists, so that the result
            would be falsely low; or the model's predictions are not numbers.
    """
    rated = fold.rated
    liked = rated.liked(like_threshold)
    if len(liked) == 0:
        raise RecsysError(
            f"{model.name}: no title of the fold is rated {like_threshold:g} or higher, so there is no ranking to "
            "judge; take a dataset with more ratings or lower the domain's like threshold"
        )
    _refuse_overlap(model, rated, owned)
    users = np.unique(rated.users)
    per_user, recommended = _rank(model, users, liked, owned, ks)
    catalogue = model.popularity_ > 0
    asked = int(np.count_nonzero(per_user["relevant"]))
    covered = [Metric("coverage", k, coverage(recommended[k][catalogue]), None, None, asked) for k in ks]

    if model.predicts_ratings:
        errors = predictions(model, rated).astype(np.float64) - rated.ratings
        per_user |= error_sums(np.searchsorted(users, rated.users), errors, len(users))
    ranked = [(name, k) for name in RANKING_METRICS for k in ks]
    return Evaluation(with_intervals(per_user, ranked, seed, resamples) + covered, per_user)


def constant_rating_metrics(
    train: Interactions, fold: Interactions, *, seed: int, resamples: int = RESAMPLES
) -> Evaluation:
    """Evaluate, on the ratings of `fold`, the constant that fits `train` best: its mean rating.

    A model whose error is no smaller has learnt nothing about anybody.

    Raises:
        RecsysError: one of the folds holds no rating.
    """
    rated = fold.rated
    if len(rated) == 0 or len(train.rated) == 0:
        raise RecsysError("a fold holds no ratings, so there is no error to measure; take a dataset with ratings")
    errors = train.rated.ratings.mean(dtype=np.float64) - rated.ratings.astype(np.float64)
    users = np.unique(rated.users)
    per_user = {"user_idx": users} | error_sums(np.searchsorted(users, rated.users), errors, len(users))
    return Evaluation(with_intervals(per_user, (), seed, resamples), per_user)


def _refuse_overlap(model: Model, rated: Interactions, owned: sp.csr_array | None) -> None:
    pairs = rated.matrix(model.n_users_, model.n_items_)
    for source, mask in (("the training fold of the model", model.seen_), ("what the users own already", owned)):
        common = 0 if mask is None else pairs.multiply(mask).nnz
        if common:
            raise RecsysError(
                f"{model.name}: {common} of the {pairs.nnz} pairs to be scored are in {source}; "
                "evaluate on a fold that is left out of both"
            )


def _rank(
    model: Model, users: NDArray[np.int32], liked: Interactions, owned: sp.csr_array | None, ks: Sequence[int]
) -> tuple[dict[str, NDArray[Any]], dict[int, NDArray[np.int64]]]:
    """Rank, block by block, for those of the sorted `users` who like something.

    Returns:
        the ranking columns of `Evaluation.per_user`; and by k the (n_items,) number of lists that hold each item.
    """
    rows = np.searchsorted(users, liked.users)
    wanted = RelevantPairs.of(rows, liked.items, model.n_items_)
    relevant = wanted.counts(len(users))
    per_user: dict[str, NDArray[Any]] = {"user_idx": users, "relevant": relevant}
    per_user |= {f"{name}_{k}": np.full(len(users), np.nan) for name in RANKING_METRICS for k in ks}
    recommended = {k: np.zeros(model.n_items_, dtype=np.int64) for k in ks}
    asked = np.flatnonzero(relevant)
    for start in range(0, len(asked), USERS_A_BLOCK):
        block = asked[start : start + USERS_A_BLOCK]
        items = model.recommend(users[block], max(ks), exclude=owned).items
        hits = wanted.hits(block, items)
        for k in ks:
            for name, metric in RANKING_METRICS.items():
                per_user[f"{name}_{k}"][block] = metric(hits, relevant[block], k)
            listed = items[:, :k]
            recommended[k] += np.bincount(listed[listed >= 0], minlength=model.n_items_)
    return per_user, recommended


def predictions(model: Model, pairs: Interactions) -> NDArray[np.float32]:
    """Return the (n,) predicted ratings of the pairs, block by block; raise RecsysError if one is not a number."""
    predicted = np.empty(len(pairs), dtype=np.float32)
    for start in range(0, len(pairs), PAIRS_A_BLOCK):
        block = slice(start, start + PAIRS_A_BLOCK)
        predicted[block] = model.predict(pairs.users[block], pairs.items[block])
    if not np.isfinite(predicted).all():
        raise RecsysError(f"{model.name}: predicted ratings are not numbers; the model did not converge")
    return predicted


def with_intervals(
    per_user: Mapping[str, NDArray[Any]], ranked: Iterable[tuple[str, int]], seed: int, resamples: int = RESAMPLES
) -> list[Metric]:
    """Return the metrics over all users, each with its interval, all on the same resamples of users.

    Args:
        per_user: the columns of `Evaluation.per_user`.
        ranked: the (metric, k) whose columns are there; with the sums of errors come the rating metrics too.
        seed: of the resamples.
        resamples: their number.
    """
    ranked = list(ranked)
    summed = {name: np.nan_to_num(values) for name, values in per_user.items() if name not in ("user_idx", "relevant")}
    if ranked:
        summed["asked"] = (per_user["relevant"] > 0).astype(np.float64)
    position = {name: index for index, name in enumerate(summed)}
    columns = np.column_stack(list(summed.values()))
    totals, drawn = columns.sum(axis=0), resampled_sums(columns, seed, resamples)

    def metric(name: str, k: int | None, column: str, weight: str, statistic: Statistic) -> Metric:
        i, j = position[column], position[weight]
        value = float(statistic(totals[i : i + 1], totals[j : j + 1])[0])
        found = interval(value, statistic(drawn[:, i], drawn[:, j]))
        return Metric(name, k, value, found.low, found.high, int(np.count_nonzero(summed[weight])))

    metrics = [metric(name, k, f"{name}_{k}", "asked", mean) for name, k in ranked]
    if "pairs" in summed:
        metrics += [metric(n, None, column, "pairs", statistic) for n, (column, statistic) in RATING_METRICS.items()]
    return metrics
