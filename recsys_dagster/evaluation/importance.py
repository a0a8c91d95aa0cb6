"""What matters: how much worse a model gets when one of its inputs is taken from other pairs.

The importance of an input is the loss with the values of that input permuted among the pairs, minus the loss as it is.
It says what this model leans on, not what would help another; of two inputs that say the same, either may look
unimportant.

Source: Fisher, Rudin, Dominici, All models are wrong, but many are useful, JMLR 20 (177), 2019, section 3.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recsys_dagster.data.interactions import Interactions
from recsys_dagster.evaluation.intervals import paired_differences
from recsys_dagster.evaluation.metrics.ratios import mean, root_mean
from recsys_dagster.models.base import Model
from recsys_dagster.models.capabilities import RatingPredictor, SeparableInputs
from recsys_dagster.runtime.storage import write_json

MOST_PAIRS = 50_000
REPEATS = 5
LEAST_PROBABILITY = 1e-7


@dataclass(frozen=True)
class Importance:
    """How much an input matters to a model.

    Attributes:
        input: one of `Model.inputs`.
        metric: `rmse` of ratings, or `log_loss` (nats) of likes.
        whole: the loss with every input in its place.
        value, low, high: what permuting the input adds to it, and the 95 % interval over users.
    """

    input: str
    metric: str
    whole: float
    value: float
    low: float
    high: float


def permutation_importance(
    model: Model, fold: Interactions, like_threshold: float, *, seed: int, repeats: int = REPEATS
) -> list[Importance]:
    """Return the importance of each input of a fitted model, largest first; none of a model without `inputs`.

    Args:
        model: what is asked.
        fold: pairs that it was not fitted on; at most 50,000 of the rated ones, drawn by the seed, are used.
        like_threshold: from which rating on a title is liked.
        seed: of the drawn pairs, the permutations and the bootstrap.
        repeats: permutations of each input; a pair counts with its mean loss over them.
    """
    rated = fold.rated
    if not isinstance(model, SeparableInputs) or not len(rated):
        return []
    random = np.random.default_rng(seed)
    if len(rated) > MOST_PAIRS:
        drawn = np.zeros(len(rated), dtype=bool)
        drawn[random.choice(len(rated), MOST_PAIRS, replace=False, shuffle=False)] = True
        rated = rated.where(drawn)
    in_place = {name: rated.users if name == "user" else rated.items for name in model.inputs}

    def losses(sources: dict[str, NDArray[np.int32]]) -> NDArray[np.float64]:
        predicted = model.predict_from(sources).astype(np.float64)
        if isinstance(model, RatingPredictor):
            squared: NDArray[np.float64] = (predicted - rated.ratings) ** 2
            return squared
        likely = np.where(rated.ratings >= like_threshold, predicted, 1 - predicted)
        surprise: NDArray[np.float64] = -np.log(np.maximum(likely, LEAST_PROBABILITY))
        return surprise

    permuted = {name: np.zeros(len(rated)) for name in model.inputs}
    for name, total in permuted.items():
        for _ in range(repeats):
            elsewhere = in_place[name][random.permutation(len(rated))]
            total += losses({**in_place, name: elsewhere}) / repeats
    users, rows = np.unique(rated.users, return_inverse=True)

    def by_user(values: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.bincount(rows, values, minlength=len(users)).astype(np.float64, copy=False)

    statistic, metric = (root_mean, "rmse") if isinstance(model, RatingPredictor) else (mean, "log_loss")
    whole, pairs = by_user(losses(in_place)), np.bincount(rows).astype(np.float64)
    columns = np.column_stack([by_user(total) for total in permuted.values()])
    found = paired_differences(columns, whole, pairs, statistic, seed=seed)
    before = float(statistic(whole.sum(keepdims=True), pairs.sum(keepdims=True))[0])
    importances = [
        Importance(name, metric, before, added.value, added.low, added.high)
        for name, added in zip(permuted, found, strict=True)
    ]
    return sorted(importances, key=lambda importance: -importance.value)


def write_importance(found: Sequence[Importance], path: Path) -> None:
    """Write them as JSON, replacing `path` atomically."""
    write_json(path, [asdict(importance) for importance in found])


def read_importance(path: Path) -> list[Importance]:
    """Return what `write_importance` wrote; nothing of a model that was evaluated before it was kept."""
    if not path.exists():
        return []
    found: Any = json.loads(path.read_text(encoding="utf-8"))
    return [Importance(**importance) for importance in found]
