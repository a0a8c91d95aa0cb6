"""Measure how important each input is to a model: how much worse it gets with the values of the input permuted.

The importance of an input is the loss with its values permuted among the pairs, minus the loss as it is. It tells what
this model relies on, not what would help another; of two inputs with the same information either may seem unimportant.

Source: Fisher, Rudin, Dominici, All models are wrong, but many are useful, JMLR 20 (177), 2019, section 3.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from recsys_dagster.data.interactions import Interactions
from recsys_dagster.evaluation.intervals import Interval, paired_differences
from recsys_dagster.evaluation.metrics.ratios import mean, root_mean
from recsys_dagster.evaluation.metrics.registry import RATING_METRIC
from recsys_dagster.models.base import Model
from recsys_dagster.models.capabilities import FeatureGroups, RatingPredictor, SeparableInputs
from recsys_dagster.runtime.storage import write_json

MAX_PAIRS = 50_000
REPEATS = 5
LOG_LOSS = "log_loss"
NDCG_LOSS = "ndcg_loss"
MIN_PROBABILITY = 1e-7


@dataclass(frozen=True)
class Importance:
    """How important an input is to a model.

    Attributes:
        input: one of the model's `inputs`, or of its groups of features.
        metric: `rmse` of ratings, `log_loss` (nats) of likes, or `ndcg_loss` of lists, 1 − NDCG@100.
        whole: the loss with no input permuted.
        value, low, high: what permuting the input adds to the loss, and its 95 % interval over users.
    """

    input: str
    metric: str
    whole: float
    value: float
    low: float
    high: float


def permutation_importance(
    model: Model, fold: Interactions, like_threshold: float | None, *, seed: int, repeats: int = REPEATS
) -> list[Importance]:
    """Return the importance of each input of a fitted model, largest first; none for a model without separable inputs.

    That of a group of features was measured while fitting; it has nothing to do with the fold.

    Args:
        model: fitted.
        fold: pairs that it was not fitted on; at most 50,000 of the rated ones, drawn by the seed, are used.
        like_threshold: a rating at or above it is a like; None with implicit feedback, where nothing can be measured.
        seed: of the drawn pairs, the permutations and the bootstrap.
        repeats: permutations of each input; the loss of a pair is its mean over them.
    """
    if isinstance(model, FeatureGroups):
        return _group_importance(model, seed)
    rated = fold.rated
    if not isinstance(model, SeparableInputs) or not len(rated) or like_threshold is None:
        return []
    random = np.random.default_rng(seed)
    if len(rated) > MAX_PAIRS:
        drawn = np.zeros(len(rated), dtype=bool)
        drawn[random.choice(len(rated), MAX_PAIRS, replace=False, shuffle=False)] = True
        rated = rated.where(drawn)
    unpermuted = {name: rated.users if name == "user" else rated.items for name in model.inputs}

    def losses(sources: dict[str, NDArray[np.int32]]) -> NDArray[np.float64]:
        predicted = model.predict_from(sources).astype(np.float64)
        if isinstance(model, RatingPredictor):
            squared: NDArray[np.float64] = (predicted - rated.ratings) ** 2
            return squared
        likely = np.where(rated.ratings >= like_threshold, predicted, 1 - predicted)
        surprise: NDArray[np.float64] = -np.log(np.maximum(likely, MIN_PROBABILITY))
        return surprise

    permuted = {name: np.zeros(len(rated)) for name in model.inputs}
    for name, total in permuted.items():
        for _ in range(repeats):
            others = unpermuted[name][random.permutation(len(rated))]
            total += losses({**unpermuted, name: others}) / repeats
    users, rows = np.unique(rated.users, return_inverse=True)

    def by_user(values: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.bincount(rows, values, minlength=len(users)).astype(np.float64, copy=False)

    statistic, metric = (root_mean, RATING_METRIC.name) if isinstance(model, RatingPredictor) else (mean, LOG_LOSS)
    whole, pairs = by_user(losses(unpermuted)), np.bincount(rows).astype(np.float64)
    columns = np.column_stack([by_user(total) for total in permuted.values()])
    differences = paired_differences(columns, whole, pairs, statistic, seed=seed)
    before = float(statistic(whole.sum(keepdims=True), pairs.sum(keepdims=True))[0])
    return _sorted_importances(list(permuted), metric, before, differences)


def _group_importance(model: FeatureGroups, seed: int) -> list[Importance]:
    """Return what each group of features adds to the NDCG, largest first."""
    losses = 1 - model.group_ndcg_
    ones = np.ones(len(losses))
    differences = paired_differences(losses[:, 1:], losses[:, 0], ones, mean, seed=seed)
    return _sorted_importances(model.groups_, NDCG_LOSS, float(losses[:, 0].mean()), differences)


def _sorted_importances(
    names: Sequence[str], metric: str, whole: float, differences: Sequence[Interval]
) -> list[Importance]:
    importances = [
        Importance(name, metric, whole, added.value, added.low, added.high)
        for name, added in zip(names, differences, strict=True)
    ]
    return sorted(importances, key=lambda importance: -importance.value)


def write_importance(importances: Sequence[Importance], path: Path) -> None:
    """Write importances as JSON, replacing `path` atomically."""
    write_json(path, [asdict(importance) for importance in importances])


def read_importance(path: Path) -> list[Importance]:
    """Return what `write_importance` wrote; nothing for a model whose importances were never kept."""
    if not path.exists():
        return []
    return [Importance(**importance) for importance in json.loads(path.read_text(encoding="utf-8"))]
