"""Detect models whose metrics mislead: they may have seen the test fold, or treat all users alike.

A model that was fitted on pairs of a fold is refused outright by `evaluate`. A leak by another way (a feature that was
computed before the split, a file read on the side) shows in two ways here:

- The model is far better on the test fold than on validation, relative to a baseline. Both folds are new to an honest
  model; one fold may be harder than the other, but then it is so for the baseline too. The ratio of model to baseline
  has to improve from validation to test by a quarter (NDCG) or a tenth (RMSE), and by more than four standard errors.
- The model is better than is possible. Users do not repeat their own ratings that well: an RMSE below a third of the
  constant's, or an NDCG@10 above 0.9 where popularity does not reach half of that, has been read off somewhere.

A leak of both folds that helps only a little is not detected.

Source of the noise of ratings: Amatriain, Pujol, Oliver, I like it… I like it not, UMAP 2009.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeGuard

import numpy as np

from recsys_dagster.data.list_lengths import SHORT_LIST
from recsys_dagster.evaluation.metrics.metric import MetricKey
from recsys_dagster.evaluation.metrics.registry import CHOOSING_METRIC, FOLDED_IN, RATING_METRIC, label_of
from recsys_dagster.evaluation.store import CHOOSING_FOLD, CONSTANT, REPORTED_FOLD, MetricRow
from recsys_dagster.models.registry import RANKING_BASELINE, RATING_BASELINE

STANDARD_ERRORS = 4.0
NDCG_LEAP = 1.25
RMSE_LEAP = 0.9
LOWEST_ERROR_RATIO = 1 / 3
HIGHEST_NDCG = 0.9
SAME_LIST_OVERLAP = 0.95
"""From this overlap on, the lists are nearly the same for all users."""
CONSTANT_STD_RATIO = 0.01
"""Below this share of the constant's RMSE, the standard deviation of predictions counts as zero."""

_Rows = Mapping[tuple[str, MetricKey], MetricRow]
"""The rows of a model by fold and metric."""


class Severity(StrEnum):
    """What a diagnostic means for the model.

    DISQUALIFYING: the model cannot be champion.
    WARNING: a reader should know of it before reading the model's metrics.
    """

    DISQUALIFYING = "disqualifying"
    WARNING = "warning"


@dataclass(frozen=True)
class Diagnostic:
    """Something wrong with a model.

    Attributes:
        severity: what it means for the model.
        name: in a word or two, such as `leak`.
        message: half a sentence that continues the model's name.
    """

    severity: Severity
    name: str
    message: str


def diagnose(metrics: Sequence[MetricRow]) -> dict[str, list[Diagnostic]]:
    """Return the diagnostics by model; a model without any is absent.

    Args:
        metrics: rows of one protocol, one version a model; baselines and constant are compared with if they are among
            them.
    """
    by_model: dict[str, dict[tuple[str, MetricKey], MetricRow]] = {}
    for row in metrics:
        by_model.setdefault(row.model, {})[row.fold, row.key] = row
    constant = by_model.pop(CONSTANT, {})
    diagnostics = {
        model: [
            Diagnostic(severity, name, message)
            for severity, name, message in (
                (Severity.DISQUALIFYING, "leak", _leap(rows, by_model)),
                (Severity.DISQUALIFYING, "leak", _too_good(rows, constant, by_model.get(RANKING_BASELINE, {}))),
                (Severity.WARNING, "constant", _constant(rows, constant)),
                (Severity.WARNING, "same list", _same_list(rows)),
                (Severity.WARNING, "frozen list", _frozen(rows)),
            )
            if message is not None
        ]
        for model, rows in by_model.items()
    }
    return {model: some for model, some in diagnostics.items() if some}


def disqualified(metrics: Sequence[MetricRow]) -> set[str]:
    """Return the models that cannot be champion, because they may have seen the test fold."""
    return {
        model
        for model, diagnostics in diagnose(metrics).items()
        if any(one.severity is Severity.DISQUALIFYING for one in diagnostics)
    }


def _leap(rows: _Rows, by_model: Mapping[str, _Rows]) -> str | None:
    """Return a message if the model is better on test than on validation, relative to a baseline."""
    for key, baseline, leap in (
        (CHOOSING_METRIC, RANKING_BASELINE, NDCG_LEAP),
        (RATING_METRIC, RATING_BASELINE, RMSE_LEAP),
    ):
        four = [
            by_key.get((fold, key))
            for fold in (CHOOSING_FOLD, REPORTED_FOLD)
            for by_key in (rows, by_model.get(baseline, {}))
        ]
        known = [row for row in four if _has_interval(row)]
        if len(known) < len(four):
            continue
        before, base_before, after, base_after = known
        ratios = [before.value / base_before.value, after.value / base_after.value]
        change = np.log(ratios[1] / ratios[0])
        # The relative standard errors of the four values, as if they were of different users: rather too large.
        error = np.sqrt(sum(_relative_error(row) ** 2 for row in known))
        improvement = change / np.log(leap)  # from 1 on it is as large as the leap, and in the better direction
        if improvement > 1 and abs(change) > STANDARD_ERRORS * error:
            return (
                f"may have seen the test fold: {label_of(key)} is {ratios[1]:.2f} times that of {baseline} there, "
                f"{ratios[0]:.2f} times on validation"
            )
    return None


def _too_good(rows: _Rows, constant: _Rows, popularity: _Rows) -> str | None:
    """Return a message if the model is better on test than is possible."""
    error, ndcg = (rows.get((REPORTED_FOLD, key)) for key in (RATING_METRIC, CHOOSING_METRIC))
    constant_error = constant.get((REPORTED_FOLD, RATING_METRIC))
    popular = popularity.get((REPORTED_FOLD, CHOOSING_METRIC))
    if error and constant_error and error.value < LOWEST_ERROR_RATIO * constant_error.value:
        unbelievable = error
    elif ndcg and popular and ndcg.value > HIGHEST_NDCG and popular.value < HIGHEST_NDCG / 2:
        unbelievable = ndcg
    else:
        return None
    return (
        f"may have seen the test fold: {label_of(unbelievable.key)} {unbelievable.value:.2f} there, "
        "which no honest model reaches"
    )


def _constant(rows: _Rows, constant: _Rows) -> str | None:
    spread = rows.get((REPORTED_FOLD, MetricKey("prediction_std")))
    error = constant.get((REPORTED_FOLD, RATING_METRIC))
    if spread is None or spread.value > CONSTANT_STD_RATIO * (error.value if error else 1):
        return None
    return "predicts the same rating for every pair"


def _same_list(rows: _Rows) -> str | None:
    overlap = rows.get((REPORTED_FOLD, MetricKey("overlap", SHORT_LIST)))
    if overlap is None or overlap.value < SAME_LIST_OVERLAP:
        return None
    if overlap.value > 1 - 1e-9:
        return "recommends the same list to all users"
    return f"recommends nearly the same list to all users ({overlap.value:.0%} of the items in common)"


def _frozen(rows: _Rows) -> str | None:
    folded_in = rows.get((REPORTED_FOLD, MetricKey(FOLDED_IN.name)))
    if folded_in is None or folded_in.value > 0:
        return None
    return "cannot fold in what users did since the training fold: its lists are the frozen ones"


def _has_interval(row: MetricRow | None) -> TypeGuard[MetricRow]:
    return row is not None and row.value > 0 and row.low is not None and row.high is not None


def _relative_error(row: MetricRow) -> float:
    """Return standard error / value, from the 95 % interval."""
    return ((row.high or 0) - (row.low or 0)) / (2 * 1.96 * row.value)
