"""Compare models on a split of the user's own: fit each on the training part and evaluate it on the test.

There are two tasks. Without a fold-in the users of the test are users of the training part: each interaction of the
test is predicted, and lists are made for every user of the training part, without what they have there. With a fold-in
they are new users: the interactions of the fold-in are all that is known of them, and only lists are made.

An item that is relevant counts also where no list can hold it because no user has it in the training part.
"""

import contextlib
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recsys_dagster.data.list_lengths import LONG_LIST
from recsys_dagster.data.split import Ids, Split
from recsys_dagster.evaluation.evaluate import nothing_relevant, predictions
from recsys_dagster.evaluation.metrics.classification import auc, classification_sums
from recsys_dagster.evaluation.metrics.metric import MetricKey
from recsys_dagster.evaluation.metrics.rating_errors import error_sums, interval_sums
from recsys_dagster.evaluation.metrics.registry import CHOOSING_METRIC, RATING_METRIC, rating_ratios, user_ratio
from recsys_dagster.evaluation.ranking import ListBlock, lists_by_history, lists_of_known_users, rank
from recsys_dagster.evaluation.relevance import Relevance, RelevantPairs
from recsys_dagster.evaluation.summary import MetricValue, with_intervals
from recsys_dagster.models.attempt import attempt
from recsys_dagster.models.base import DEFAULT, Model
from recsys_dagster.models.capabilities import FoldIn, RatingPredictor
from recsys_dagster.models.classifiers.likes import LikeModel
from recsys_dagster.models.params import Params
from recsys_dagster.models.refit import calibrate_on_hold_out, fit_on_all
from recsys_dagster.models.registry import get_model_class
from recsys_dagster.runtime.progress import announce
from recsys_dagster.runtime.resource_usage import ResourceUsage, track_resources
from recsys_dagster.runtime.storage import replacing, temporary_folder, write_json

REPORTED_METRICS = (
    MetricKey("capped_recall", 20),
    MetricKey("capped_recall", 50),
    MetricKey("ndcg", LONG_LIST),
    CHOOSING_METRIC,
)
"""Ranking metrics that are reported unless a protocol names others."""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class ModelResult:
    """The result of one model.

    Attributes:
        model: its name.
        skipped: why there are no results; None where there are.
        metrics: RMSE, MAE and MSE if the model predicts ratings, then ranking metrics, each with its interval.
        params: the parameters that it was fitted with.
        fit, scoring: resources used by fitting, and then by predicting and ranking; with several seeds, of the first.
        by_seed: the metrics by name for each seed, the first among them, if several were requested and they differ.
    """

    model: str
    skipped: str | None = None
    metrics: list[MetricValue] = field(default_factory=list)
    params: Params = field(default_factory=Params)
    fit: ResourceUsage = field(default_factory=ResourceUsage)
    scoring: ResourceUsage = field(default_factory=ResourceUsage)
    by_seed: list[dict[str, float]] = field(default_factory=list)

    @property
    def spread(self) -> dict[str, float]:
        """The standard deviation of each metric that every seed has, by name; empty for a model that is not random."""
        if len(self.by_seed) < 2:
            return {}
        names = [name for name in self.by_seed[0] if all(name in values for values in self.by_seed)]
        return {name: float(np.std([values[name] for values in self.by_seed], ddof=1)) for name in names}

    @property
    def peak_megabytes(self) -> float:
        """The memory that the work needed beyond what the process held before, in MB."""
        return max(self.fit.added_bytes, self.scoring.added_bytes) / 1e6

    @property
    def values(self) -> dict[str, float]:
        """The metrics by name, such as `rmse` and `ndcg@100`."""
        return {str(metric.key): metric.value for metric in self.metrics}

    def to_json(self) -> dict[str, object]:
        """Return the result for `metrics.json`: metrics and their 95 % intervals by name, seconds, MB."""
        return {
            "metrics": self.values,
            "intervals": {str(metric.key): [metric.low, metric.high] for metric in self.metrics},
            "users": {str(metric.key): metric.users for metric in self.metrics},
            "by_seed": self.by_seed,
            "spread": self.spread,
            "fit_seconds": round(self.fit.wall_seconds, 3),
            "score_seconds": round(self.scoring.wall_seconds, 3),
            "peak_memory_mb": round(self.peak_megabytes, 1),
            "params": self.params.model_dump(),
        }


@dataclass(frozen=True)
class _Task:
    """What every model of a comparison is evaluated on; see the arguments of `evaluate_split`."""

    split: Split
    seed: int
    seeds: int
    metrics: Sequence[MetricKey]
    relevance: Relevance
    model_seconds: float | None

    def describe(self) -> dict[str, object]:
        """Return the sizes of the split and how relevance is decided, for `metrics.json`."""
        data, split = self.split.data, self.split
        return {
            "train_pairs": len(data.train),
            "test_pairs": len(split.test),
            "fold_in_pairs": None if split.fold_in is None else len(split.fold_in),
            "train_users": len(np.unique(data.train.users)),
            "test_users": len(np.unique(split.test.users)),
            "items": data.n_items,
            "scale": None if data.scale is None else list(data.scale),
            "like_threshold": data.like_threshold,
            "relevance": str(self.relevance),
        }


def evaluate_split(
    split: Split,
    names: Sequence[str],
    out: Path,
    *,
    seed: int,
    seeds: int = 1,
    metrics: Sequence[MetricKey] = REPORTED_METRICS,
    relevance: Relevance = Relevance.POSITIVE,
    model_seconds: float | None = None,
    presets: Mapping[str, str] | None = None,
) -> list[ModelResult]:
    """Fit and evaluate each model on a split; return the results in the order of the names.

    Results are written to `out` after each model, so that an interrupted run keeps those of the models before:
    `metrics.json`; `predictions/<model>.parquet` with `user_id`, `item_id`, `prediction` in the order of the test;
    `lists/<model>.parquet` with `user_id`, `rank` from 1, `item_id`, `score`, 100 a user if there are as many.

    A model that cannot do the task, or fails, is skipped with the reason; the others go on.

    Args:
        split: the interactions to learn from and to evaluate on.
        names: names of the models.
        out: the folder, which exists.
        seed: of the models and the intervals.
        seeds: number of seeds, from `seed` on, to fit each model with, to see the spread. A model whose metrics are the
            same with the second seed is not random, and is fitted no more. The files written are of the first seed.
        metrics: ranking metrics to report, of lists of up to `LONG_LIST`.
        relevance: which interactions of the test make an item relevant.
        model_seconds: wall time after which the work on a model is interrupted; None for no limit.
        presets: by model, the name of the parameters to fit it with; the others, and `default`, have their defaults.
    """
    task = _Task(split, seed, seeds, metrics, relevance, model_seconds)
    no_ranking = _why_no_ranking(task)
    if no_ranking:
        announce(f"no ranking metrics: {no_ranking}")
    results: list[ModelResult] = []
    for place, name in enumerate(names, start=1):
        announce(f"{name} ({place} of {len(names)}) …")
        result = _evaluate_model(task, name, out, (presets or {}).get(name, DEFAULT))
        results.append(result)
        written = {
            "split": task.describe() | {"no_ranking_metrics": no_ranking},
            "seed": task.seed,
            "models": {one.model: one.to_json() for one in results if one.skipped is None},
            "skipped": {one.model: one.skipped for one in results if one.skipped is not None},
        }
        write_json(out / "metrics.json", written)
        announce(f"{name}: {result.skipped or _format_result(result)}")
    return results


def _why_no_ranking(task: _Task) -> str | None:
    """Return why no model can have ranking metrics; None if they can."""
    split, threshold = task.split, task.split.data.like_threshold
    users = np.unique(task.relevance.relevant(split.test, threshold).users)
    if not len(users):
        return nothing_relevant(split.test, threshold, "test")
    if split.fold_in is None and not np.isin(users, split.data.train.users).any():
        return "no user with a relevant item in the test is in the training part, so there is no list to evaluate"
    return None


def _format_result(result: ModelResult) -> str:
    names = [str(key) for key in (RATING_METRIC, MetricKey("ndcg", LONG_LIST)) if str(key) in result.values]
    shown = [f"{name} {result.values[name]:.4f}" for name in names]
    return ", ".join([*shown, f"fitted in {result.fit.wall_seconds:.1f} s"])


def _evaluate_model(task: _Task, name: str, out: Path, preset: str) -> ModelResult:
    model_class = get_model_class(name)
    files = [out / folder / f"{name}.parquet" for folder in ("predictions", "lists")]
    for left_by_another_run in files:
        left_by_another_run.unlink(missing_ok=True)
    reason = _why_unable(model_class, task.split)
    if reason:
        return ModelResult(name, reason)
    params = model_class.preset(preset)
    result = attempt(name, lambda: _fit_and_evaluate(task, model_class, params, out), seconds=task.model_seconds)
    if result.outcome.trace:
        log.debug("%s failed: %s", name, result.outcome.trace)
    return result.value or ModelResult(name, result.outcome.reason)


def _fit_and_evaluate(task: _Task, model_class: type[Model], params: Params, out: Path) -> ModelResult:
    with track_resources() as fit:
        model = fit_on_all(model_class, task.split.data, seed=task.seed, params=params)
    if task.split.fold_in is None:
        calibrate_on_hold_out(model, task.split.data)
    with track_resources() as scoring:
        metrics = _score(task, model, out)
    result = ModelResult(model_class.name, None, metrics, model.params, fit, scoring)
    by_seed = [result.values]
    for seed in range(task.seed + 1, task.seed + task.seeds):
        model = fit_on_all(model_class, task.split.data, seed=seed, params=params)
        with temporary_folder(out) as folder:
            metrics = _score(task, model, folder)
        by_seed.append({str(metric.key): metric.value for metric in metrics})
        if by_seed[1].items() <= by_seed[0].items():  # without an interval, which the seed of the held-out part changes
            return result
    return replace(result, by_seed=by_seed if task.seeds > 1 else [])


def _why_unable(model_class: type[Model], split: Split) -> str | None:
    """Return why models of the class cannot do the task; None if they can."""
    if split.fold_in is not None and not issubclass(model_class, FoldIn):
        return "cannot serve users who are not in the training part"
    if model_class.needs_item_features and not split.data.item_features.genres.nnz:
        return "needs the genres of the items; give --titles"
    return None


def _score(task: _Task, model: Model, out: Path) -> list[MetricValue]:
    """Predict and rank, write both to `out`, and return the metrics."""
    split = task.split
    test_users = np.unique(split.test.users)
    per_user: dict[str, NDArray[Any]] = {}
    if split.fold_in is None and isinstance(model, RatingPredictor):
        per_user |= _predict(model, split, test_users, out / "predictions" / f"{model.name}.parquet")
    of_pairs: list[MetricValue] = []
    if split.fold_in is None and isinstance(model, LikeModel):
        sums, of_pairs = _classify(model, split, test_users)
        per_user |= sums
    relevant = task.relevance.relevant(split.test, split.data.like_threshold)
    pairs = RelevantPairs.of(np.searchsorted(test_users, relevant.users), relevant.items, split.data.n_items)
    blocks = _write_lists(_lists(model, split), split, out / "lists" / f"{model.name}.parquet")
    per_user |= rank(blocks, test_users, pairs, task.metrics).per_user
    return with_intervals(per_user, [*rating_ratios(), *map(user_ratio, task.metrics)], task.seed) + of_pairs


def _classify(
    model: LikeModel, split: Split, users: NDArray[np.int32]
) -> tuple[dict[str, NDArray[np.float64]], list[MetricValue]]:
    """Return each user's sums of right and wrong answers, and the AUC of all pairs; neither if no pair is rated."""
    rated, threshold = split.test.rated, split.data.like_threshold
    if not len(rated) or threshold is None:
        return {}, []
    liked = rated.ratings >= threshold
    probabilities = model.like_probabilities(rated.users, rated.items)
    rows = np.searchsorted(users, rated.users)
    sums = classification_sums(rows, liked, probabilities >= 0.5, probabilities, len(users))
    value = auc(liked, probabilities)
    return sums, [] if np.isnan(value) else [MetricValue("like_auc", None, value, None, None, len(users))]


def _predict(model: Model, split: Split, users: NDArray[np.int32], path: Path) -> dict[str, NDArray[np.float64]]:
    """Write the prediction of each pair; return each user's sums of errors and of intervals, none if none is rated."""
    test = split.test
    ratings = predictions(model, test)
    schema = {"user_id": _id_type(split.test_user_ids), "item_id": _id_type(split.item_ids), "prediction": "float32"}
    with _parquet_writer(path, schema) as write:
        write(split.test_user_ids[test.users], split.item_ids[test.items], ratings)
    if not len(test.rated):
        return {}
    predicted, rows = ratings[~np.isnan(test.ratings)], np.searchsorted(users, test.rated.users)
    errors = predicted.astype(np.float64) - test.rated.ratings
    return error_sums(rows, errors, len(users)) | interval_sums(model, test.rated, predicted, rows, len(users))


def _lists(model: Model, split: Split) -> Iterator[ListBlock]:
    """Give the lists of all users of the training part or, with a fold-in, of all new users."""
    if split.fold_in is None:
        return lists_of_known_users(model, np.unique(split.data.train.users), LONG_LIST)
    new_users = np.arange(len(split.test_user_ids), dtype=np.int32)
    return lists_by_history(model, split.fold_in, new_users, LONG_LIST)


def _write_lists(blocks: Iterator[ListBlock], split: Split, path: Path) -> Iterator[ListBlock]:
    """Write lists as they pass by; the file takes its place at the end."""
    users, items = _id_type(split.test_user_ids), _id_type(split.item_ids)
    schema = {"user_id": users, "rank": "int32", "item_id": items, "score": "float32"}
    with _parquet_writer(path, schema) as write:
        for block in blocks:
            row, place = np.nonzero(block.lists.items >= 0)
            listed, scores = block.lists.items[row, place], block.lists.scores[row, place]
            write(split.test_user_ids[block.users[row]], place + 1, split.item_ids[listed], scores)
            yield block


def _id_type(ids: Ids) -> str:
    """Return Arrow's name of the type of ids."""
    return "string" if ids.dtype == np.object_ else "int64"


@contextlib.contextmanager
def _parquet_writer(path: Path, schema: dict[str, str]) -> Iterator[Callable[..., None]]:
    """Give a function that appends columns to a Parquet file, which takes its place at the end."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    types = pa.schema([(name, pa.type_for_alias(alias)) for name, alias in schema.items()])
    with replacing(path) as unfinished, pq.ParquetWriter(unfinished, types, compression="zstd") as writer:

        def append(*columns: NDArray[np.number] | Ids) -> None:
            writer.write_table(pa.table(list(map(pa.array, columns)), types.names).cast(types))

        yield append
