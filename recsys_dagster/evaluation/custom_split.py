"""Models side by side on a split of somebody's own: fitted on its training part, judged by its test, all written down.

Two tasks. Without a fold-in the people of the test are users of the training part: each pair of the test is predicted,
and lists are made for every user of the training part, without what they have there. With a fold-in they are new: its
pairs are all that is known of them, and only lists are made.

What the test rates at or above the like threshold, or has without a rating, is relevant, also where no list could hold
it because nobody has it in the training part.
"""

import contextlib
import logging
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recsys_dagster.data.split import Split
from recsys_dagster.errors import RecsysError
from recsys_dagster.evaluation.evaluate import predictions
from recsys_dagster.evaluation.lists import RelevantPairs
from recsys_dagster.evaluation.metrics.accuracy import RANKING_METRICS, RankingMetric, capped_recall, error_sums
from recsys_dagster.evaluation.summary import RATING_RATIOS, Metric, ranking_ratios, with_intervals
from recsys_dagster.models.base import Model, TopN
from recsys_dagster.models.capabilities import FoldIn, RatingPredictor
from recsys_dagster.models.refit import fit_on_all
from recsys_dagster.models.registry import get_model_class
from recsys_dagster.runtime.blocks import USERS_PER_BLOCK
from recsys_dagster.runtime.progress import announce
from recsys_dagster.runtime.resource_usage import ResourceUsage, track_resources
from recsys_dagster.runtime.storage import replacing, write_json

LIST_LENGTH = 100
RANKED: tuple[tuple[str, int], ...] = (("recall", 20), ("recall", 50), ("ndcg", 100), ("ndcg", 10))
"""Metrics and lengths of lists that are reported unless others are asked for."""

_METRICS: dict[str, RankingMetric] = RANKING_METRICS | {"recall": capped_recall}

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class ModelResult:
    """What came of a model.

    Attributes:
        model: its name.
        skipped: why there are no results of it; None where there are.
        metrics: RMSE, MAE and MSE where it predicted ratings, then the ranked ones, each with its interval.
        params: what it was fitted with.
        fit, scoring: what fitting, and then predicting and ranking, cost; with several seeds, with the first.
        by_seed: the metrics by label of each seed, the first among them, where several were asked for and it matters.
    """

    model: str
    skipped: str | None = None
    metrics: list[Metric] = field(default_factory=list)
    params: dict[str, Any] = field(default_factory=dict)
    fit: ResourceUsage = field(default_factory=ResourceUsage)
    scoring: ResourceUsage = field(default_factory=ResourceUsage)
    by_seed: list[dict[str, float]] = field(default_factory=list)

    @property
    def spread(self) -> dict[str, float]:
        """The standard deviation of each metric over the seeds, by label; empty for a model that is not random."""
        if len(self.by_seed) < 2:
            return {}
        return {label: float(np.std([values[label] for values in self.by_seed], ddof=1)) for label in self.by_seed[0]}

    @property
    def peak_megabytes(self) -> float:
        """The largest resident memory of the process while it was at work, in MB; what it held before included."""
        return max(self.fit.peak_bytes, self.scoring.peak_bytes) / 1e6

    @property
    def values(self) -> dict[str, float]:
        """The metrics by label, such as `rmse` and `ndcg@100`."""
        return {_label(metric): metric.value for metric in self.metrics}

    def described(self) -> dict[str, Any]:
        """Return the results as JSON: metrics and their 95 % intervals by label, seconds, MB."""
        return {
            "metrics": self.values,
            "intervals": {_label(metric): [metric.low, metric.high] for metric in self.metrics},
            "users": {_label(metric): metric.users for metric in self.metrics},
            "by_seed": self.by_seed,
            "spread": self.spread,
            "fit_seconds": round(self.fit.wall_seconds, 3),
            "score_seconds": round(self.scoring.wall_seconds, 3),
            "peak_memory_mb": round(self.peak_megabytes, 1),
            "params": self.params,
        }


def evaluate_split(
    split: Split,
    names: Sequence[str],
    out: Path,
    *,
    seed: int,
    seeds: int = 1,
    ranked: Sequence[tuple[str, int]] = RANKED,
    presets: Mapping[str, str] | None = None,
) -> list[ModelResult]:
    """Fit each model on the split and judge it; return what came of each, in the order of the names.

    Written to `out`, a model at a time, so that an interrupted run leaves the results of those that were done:
    `metrics.json`; `predictions/<model>.parquet` with `user_id`, `item_id`, `prediction` in the order of the test;
    `lists/<model>.parquet` with `user_id`, `rank` from 1, `item_id`, `score`, 100 a user if there are as many.

    A model that cannot do the task, or fails at it, is left out with the reason; the others go on.

    Args:
        split: what is learnt from and judged by.
        names: of the models.
        out: the folder, which exists.
        seed: of the models and the intervals.
        seeds: how many to fit each model with, from `seed` on, to see the spread; a model that comes out the same
            with the second is not random, and is fitted no more. What is written down is of the first.
        ranked: metrics and lengths of lists, up to `LIST_LENGTH`, to report; `recall` is `capped_recall`.
        presets: by model, the name of the parameters to fit it with; the others, and `default`, have their defaults.
    """
    found: list[ModelResult] = []
    for place, name in enumerate(names, start=1):
        announce(f"{name} ({place} of {len(names)}) …")
        contestant = _contest(split, name, out, seed, seeds, ranked, (presets or {}).get(name))
        found.append(contestant)
        write_json(out / "metrics.json", _described(split, found, seed))
        announce(f"{name}: {contestant.skipped or _outcome(contestant)}")
    return found


def _described(split: Split, results: Sequence[ModelResult], seed: int) -> dict[str, Any]:
    data = split.data
    return {
        "split": {
            "train_pairs": len(data.train),
            "test_pairs": len(split.test),
            "fold_in_pairs": None if split.fold_in is None else len(split.fold_in),
            "train_users": len(np.unique(data.train.users)),
            "test_users": len(np.unique(split.test.users)),
            "items": data.n_items,
            "scale": list(data.scale),
            "like_threshold": data.like_threshold,
        },
        "seed": seed,
        "models": {one.model: one.described() for one in results if one.skipped is None},
        "skipped": {one.model: one.skipped for one in results if one.skipped is not None},
    }


def _outcome(contestant: ModelResult) -> str:
    labels = [label for label in ("rmse", "ndcg@100") if label in contestant.values]
    shown = [f"{label} {contestant.values[label]:.4f}" for label in labels]
    return ", ".join([*shown, f"fitted in {contestant.fit.wall_seconds:.1f} s"])


def _contest(
    split: Split, name: str, out: Path, seed: int, seeds: int, ranked: Sequence[tuple[str, int]], preset: str | None
) -> ModelResult:
    kind = get_model_class(name)
    predicted, listed = (out / folder / f"{name}.parquet" for folder in ("predictions", "lists"))
    for left_by_another_run in (predicted, listed):
        left_by_another_run.unlink(missing_ok=True)
    unable = _unable(kind, split)
    if unable:
        return ModelResult(name, unable)
    params = None if preset in (None, "default") else kind.presets[preset]
    try:
        with track_resources() as fitting:
            model = fit_on_all(kind, split.data, seed=seed, params=params)
        with track_resources() as scoring:
            metrics = _judge(model, split, predicted, listed, seed, ranked)
        first = {_label(metric): metric.value for metric in metrics}
        by_seed = [first]
        while len(by_seed) < seeds and by_seed[1:2] != [first]:
            other = fit_on_all(kind, split.data, seed=seed + len(by_seed), params=params)
            with tempfile.TemporaryDirectory(prefix=".tmp-", dir=out) as folder:
                again = _judge(other, split, Path(folder) / "p.parquet", Path(folder) / "l.parquet", seed, ranked)
            by_seed.append({_label(metric): metric.value for metric in again})
        random = by_seed if by_seed[1:2] not in ([], [first]) else []
    except RecsysError as error:
        return ModelResult(name, str(error).removeprefix(f"{name}: "))
    except MemoryError:
        return ModelResult(name, "the memory did not suffice")
    except Exception as error:  # whatever a library raises is that one model's failure, and is shown as such
        log.debug("%s failed", name, exc_info=True)
        return ModelResult(name, f"{type(error).__name__}: {error}")
    return ModelResult(name, None, metrics, model.params.model_dump(), fitting, scoring, random)


def _unable(kind: type[Model], split: Split) -> str | None:
    """Return why models of the kind cannot do the task; None if they can."""
    if split.fold_in is not None and not issubclass(kind, FoldIn):
        return "cannot serve people who are not in the training part"
    if kind.needs_item_features and not split.data.item_features.genres.nnz:
        return "needs the genres of the titles; give --titles"
    return None


def _judge(
    model: Model, split: Split, predicted: Path, listed: Path, seed: int, ranked: Sequence[tuple[str, int]]
) -> list[Metric]:
    """Predict and rank, write both down, and return the metrics."""
    judged = np.unique(split.test.users)
    per_user: dict[str, NDArray[Any]] = {"user_idx": judged}
    if split.fold_in is None and isinstance(model, RatingPredictor):
        per_user |= _predict(model, split, judged, predicted)
    per_user |= _rank(model, split, judged, listed, ranked)
    return with_intervals(per_user, [*RATING_RATIOS, *ranking_ratios(ranked)], seed)


def _predict(model: Model, split: Split, judged: NDArray[np.int32], path: Path) -> dict[str, NDArray[np.float64]]:
    """Write the prediction of each pair; return the sums of errors of each judged user, none if nothing is rated."""
    test = split.test
    ratings = predictions(model, test)
    with _writing(path, {"user_id": "int64", "item_id": "int64", "prediction": "float32"}) as write:
        write(split.people[test.users], split.item_ids[test.items], ratings)
    rated = ~np.isnan(test.ratings)
    errors = ratings[rated].astype(np.float64) - test.ratings[rated]
    rows = np.searchsorted(judged, test.users[rated])
    return error_sums(rows, errors, len(judged)) if len(rows) else {}


def _rank(
    model: Model, split: Split, judged: NDArray[np.int32], path: Path, ranked: Sequence[tuple[str, int]]
) -> dict[str, NDArray[Any]]:
    """Write the lists; return `relevant` and the columns of the ranked metrics of each judged user.

    A judged user who has no list, being unknown to the training part, counts as one without anything relevant.
    """
    liked = split.test.positive(split.data.like_threshold)
    wanted = RelevantPairs.of(np.searchsorted(judged, liked.users), liked.items, split.data.n_items)
    counts = wanted.counts(len(judged))
    columns: dict[str, NDArray[Any]] = {"relevant": np.zeros_like(counts)}
    columns |= {f"{name}_{k}": np.full(len(judged), np.nan) for name, k in ranked}
    schema = {"user_id": "int64", "rank": "int32", "item_id": "int64", "score": "float32"}
    with _writing(path, schema) as write:
        for people, top in _lists(model, split):
            row, place = np.nonzero(top.items >= 0)
            items, scores = top.items[row, place], top.scores[row, place]
            write(split.people[people[row]], place + 1, split.item_ids[items], scores)
            asked = np.isin(people, judged)
            rows = np.searchsorted(judged, people[asked])
            hits = wanted.positions(rows, top.items[asked]) >= 0
            columns["relevant"][rows] = counts[rows]
            for name, k in ranked:
                columns[f"{name}_{k}"][rows] = _METRICS[name](hits, counts[rows], k)
    return columns


def _lists(model: Model, split: Split) -> Iterator[tuple[NDArray[np.int32], TopN]]:
    """Give, block by block, positions in `split.people`, rising, and their lists."""
    fold_in = split.fold_in
    if fold_in is None:
        known = np.unique(split.data.train.users)
        for start in range(0, len(known), USERS_PER_BLOCK):
            people = known[start : start + USERS_PER_BLOCK]
            yield people, model.recommend(people, LIST_LENGTH)
        return
    n_genres = split.data.item_features.genres.shape[1]
    for start in range(0, len(split.people), USERS_PER_BLOCK):
        people = np.arange(start, min(start + USERS_PER_BLOCK, len(split.people)), dtype=np.int32)
        part = fold_in.where((fold_in.users >= start) & (fold_in.users < start + USERS_PER_BLOCK))
        history = replace(part, users=part.users - np.int32(start))
        unstated = np.full((len(people), n_genres), np.nan, dtype=np.float32)
        yield people, model.recommend_for(LIST_LENGTH, history, unstated)


@contextlib.contextmanager
def _writing(path: Path, schema: dict[str, str]) -> Iterator[Callable[..., None]]:
    """Give a function that writes columns as further rows of a Parquet file, which takes its place at the end."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    types = pa.schema([(name, pa.type_for_alias(alias)) for name, alias in schema.items()])
    with replacing(path) as beside, pq.ParquetWriter(beside, types, compression="zstd") as writer:
        yield lambda *columns: writer.write_table(pa.table(list(map(pa.array, columns)), types.names).cast(types))


def _label(metric: Metric) -> str:
    return metric.metric if metric.k is None else f"{metric.metric}@{metric.k}"
