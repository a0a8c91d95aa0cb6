"""What a reader has to know of a model before its figures: that it may have seen the test, or treats everybody alike.

All of it is read off `evaluation.metrics`.

A model that was fitted on pairs of a fold is refused outright by `evaluate`. What leaks by another way (a feature that
was computed before the split, a file read on the side) shows in two ways here:

- it is far better on the test fold than on validation, by comparison with what a baseline is on the two. Both folds
  are new to an honest model; a fold may be harder than the other, but then it is so for the baseline too. The ratio of
  model to baseline has to improve from validation to test by a quarter (NDCG) or a tenth (RMSE), and by more than four
  standard errors;
- it is better than can be. People do not repeat their own ratings that well: an error below a third of the constant's,
  or an NDCG@10 above 0.9 where popularity does not reach half of that, has been read off somewhere.

A leak of both folds that helps a little is not found.

Source of the noise of ratings: Amatriain, Pujol, Oliver, I like it… I like it not, UMAP 2009.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from recsys_dagster.evaluation.store import MetricRow

STANDARD_ERRORS = 4.0
NDCG_LEAP = 1.25
RMSE_LEAP = 0.9
LEAST_ERROR = 1 / 3
MOST_NDCG = 0.9
ALIKE = 0.95
"""From this overlap of lists on, they are nearly the same for everybody."""
SPREAD = 0.01
"""Below this share of the constant's error, predictions do not differ."""

_RATING_BASELINE, _RANKING_BASELINE, _CONSTANT = "user_item_bias", "popularity", "constant"
_Key = tuple[str, str, int | None]


class Concern(StrEnum):
    """What a remark is about."""

    LEAK = "leak"
    CONSTANT = "constant"
    SAME_LIST = "same list"


@dataclass(frozen=True)
class Remark:
    """Something to know of a model.

    Attributes:
        concern: what it is about; a model with a `LEAK` is no candidate for champion.
        text: half a sentence that goes on after the model's name.
    """

    concern: Concern
    text: str


def remarks(metrics: Sequence[MetricRow]) -> dict[str, list[Remark]]:
    """Return, by model, what there is to know of those of which there is something.

    Args:
        metrics: rows of one protocol, one version a model; the baselines and the constant are compared with where they
            are among them.
    """
    by_model: dict[str, dict[_Key, MetricRow]] = {}
    for row in metrics:
        by_model.setdefault(row.model, {})[row.fold, row.metric, row.k] = row
    found = {}
    for model, rows in by_model.items():
        if model == _CONSTANT:
            continue
        texts = [(Concern.LEAK, text) for text in (_leap(rows, by_model), _too_good(rows, by_model)) if text]
        texts += [(Concern.CONSTANT, text) for text in [_constant(rows, by_model)] if text]
        texts += [(Concern.SAME_LIST, text) for text in [_same_list(rows)] if text]
        if texts:
            found[model] = [Remark(concern, text) for concern, text in texts]
    return found


def suspects(metrics: Sequence[MetricRow]) -> set[str]:
    """Return the models that may have seen the test fold."""
    return {
        model for model, found in remarks(metrics).items() if any(remark.concern is Concern.LEAK for remark in found)
    }


def _leap(rows: Mapping[_Key, MetricRow], by_model: Mapping[str, Mapping[_Key, MetricRow]]) -> str | None:
    """Say that it leaps from validation to test, or nothing."""
    for metric, k, baseline, leap in (
        ("ndcg", 10, _RANKING_BASELINE, NDCG_LEAP),
        ("rmse", None, _RATING_BASELINE, RMSE_LEAP),
    ):
        keys = [("validation", metric, k), ("test", metric, k)]
        four = [found.get(key) for key in keys for found in (rows, by_model.get(baseline, {}))]
        before, base_before, after, base_after = four
        if not before or not base_before or not after or not base_after or not all(_measured(row) for row in four):
            continue
        ratios = [before.value / base_before.value, after.value / base_after.value]
        change = np.log(ratios[1] / ratios[0])
        # The relative standard errors of the four figures, as if they were of different users: rather too large.
        error = np.sqrt(sum(_relative_error(row) ** 2 for row in four if row))
        better = change / np.log(leap)  # from 1 on it has leapt, and to the better side
        if better > 1 and abs(change) > STANDARD_ERRORS * error:
            name = "NDCG@10" if k else "RMSE"
            return (
                f"may have seen the test fold: {name} is {ratios[1]:.2f} times that of {baseline} there, "
                f"{ratios[0]:.2f} times on validation"
            )
    return None


def _too_good(rows: Mapping[_Key, MetricRow], by_model: Mapping[str, Mapping[_Key, MetricRow]]) -> str | None:
    """Say that it is better than can be, or nothing."""
    error, constant = rows.get(("test", "rmse", None)), by_model.get(_CONSTANT, {}).get(("test", "rmse", None))
    if error and constant and error.value < LEAST_ERROR * constant.value:
        return f"may have seen the test fold: RMSE {error.value:.2f} there, which no honest model reaches"
    ndcg = rows.get(("test", "ndcg", 10))
    popular = by_model.get(_RANKING_BASELINE, {}).get(("test", "ndcg", 10))
    if ndcg and popular and ndcg.value > MOST_NDCG and popular.value < MOST_NDCG / 2:
        return f"may have seen the test fold: NDCG@10 {ndcg.value:.2f} there, which no honest model reaches"
    return None


def _constant(rows: Mapping[_Key, MetricRow], by_model: Mapping[str, Mapping[_Key, MetricRow]]) -> str | None:
    spread, constant = (
        rows.get(("test", "prediction_std", None)),
        by_model.get(_CONSTANT, {}).get(("test", "rmse", None)),
    )
    if spread is None or spread.value > SPREAD * (constant.value if constant else 1):
        return None
    return "predicts the same rating for every pair"


def _same_list(rows: Mapping[_Key, MetricRow]) -> str | None:
    overlap = rows.get(("test", "overlap", 10))
    if overlap is None or overlap.value < ALIKE:
        return None
    if overlap.value > 1 - 1e-9:
        return "recommends the same list to everybody"
    return f"recommends nearly the same list to everybody ({overlap.value:.0%} of the titles in common)"


def _measured(row: MetricRow | None) -> bool:
    return row is not None and row.value > 0 and row.low is not None and row.high is not None


def _relative_error(row: MetricRow) -> float:
    """Standard error over value, out of the 95 % interval."""
    return ((row.high or 0) - (row.low or 0)) / (2 * 1.96 * row.value)
