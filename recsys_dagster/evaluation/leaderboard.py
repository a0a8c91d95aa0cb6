"""Which model is better: one row a model, the paired differences that matter, and both said in plain sentences.

Validation chooses (NDCG@10), test reports. The two baselines, popularity and the damped bias, are never left out:
a figure means little without the figure that costs nothing beside it.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from recsys_dagster.errors import RecsysError
from recsys_dagster.evaluation.intervals import Interval, paired_differences
from recsys_dagster.evaluation.metrics import RATING_METRICS, mean
from recsys_dagster.evaluation.store import MetricRow, PerUser
from recsys_dagster.models import Outcome, State

HOLDOUT = "holdout"
CHOOSING = ("ndcg", 10)
CHOOSING_FOLD = "validation"
REPORTED_FOLD = "test"
RANKING_BASELINE = "popularity"
RATING_BASELINE = "user_item_bias"
CONSTANT = "constant"
BASELINES = (RANKING_BASELINE, RATING_BASELINE)
SHOWN: tuple[tuple[str, int | None], ...] = (
    ("ndcg", 10),
    ("recall", 10),
    ("mrr", 10),
    ("hit_rate", 10),
    ("coverage", 10),
    ("rmse", None),
    ("mae", None),
)
COMPARED_COLUMNS = ("user_idx", "ndcg_10", "pairs", "squared_error")
"""The per-user columns that `build_leaderboard` needs; the others need not be read."""

_SAID = {RANKING_BASELINE: "popularity", RATING_BASELINE: "the damped bias", CONSTANT: "the constant"}
_METRIC_SAID = {"ndcg": "NDCG", "rmse": "RMSE"}


@dataclass(frozen=True)
class LeaderboardRow:
    """One model.

    Attributes:
        model, version: what was evaluated.
        rank: from 1, by the choosing metric; a row that has none (a constant) comes last.
        chosen_by: the choosing metric on validation, or None.
        shown: metrics of the reported fold by (metric, k); absent where the model does not have it.
        behind: the choosing metric on the reported fold minus the champion's, paired; None for the champion and where
            there are no per-user results.
    """

    model: str
    version: str
    rank: int
    chosen_by: MetricRow | None
    shown: dict[tuple[str, int | None], MetricRow]
    behind: Interval | None

    @property
    def distinguishable(self) -> bool | None:
        """Whether it is distinguishable from the champion; None where that is not known."""
        return None if self.behind is None else self.behind.excludes_zero


@dataclass(frozen=True)
class Comparison:
    """A model against a baseline on the reported fold, by one metric.

    Attributes:
        model, baseline: rows of the metric.
        difference: model minus baseline over the same users; None where there are no per-user results.
    """

    model: MetricRow
    baseline: MetricRow
    difference: Interval | None = None


@dataclass(frozen=True)
class Leaderboard:
    """Rows best first, and each model against the baselines.

    Attributes:
        rows: the models that have figures.
        comparisons: each against the baselines.
        missing: the models that were to be here and failed or were left out, with the reason.
    """

    rows: list[LeaderboardRow]
    comparisons: list[Comparison] = field(default_factory=list)
    missing: list[Outcome] = field(default_factory=list)

    @property
    def champion(self) -> str:
        """The model that validation chooses."""
        return self.rows[0].model

    def records(self) -> list[dict[str, Any]]:
        """Return the rows flat: rank, model, version, champion, distinguishable, state, reason, `validation_ndcg_10`,
        each shown metric as `<metric>_<k>`, and each with `_low` and `_high`; None where there is no value. The missing
        models come last: they have a model, a state and a reason.
        """
        records = []
        for row in self.rows:
            record: dict[str, Any] = {
                "rank": row.rank,
                "model": row.model,
                "version": row.version,
                "champion": row.model == self.champion,
                "distinguishable": row.distinguishable,
                "state": str(State.FITTED),
                "reason": None,
            }
            columns = {f"{CHOOSING_FOLD}_{_column(*CHOOSING)}": row.chosen_by}
            columns |= {_column(*key): row.shown.get(key) for key in SHOWN}
            for name, found in columns.items():
                record[name] = found.value if found else None
                record[f"{name}_low"] = found.low if found else None
                record[f"{name}_high"] = found.high if found else None
            records.append(record)
        for outcome in self.missing:
            known = {"model": outcome.model, "champion": False, "state": str(outcome.state), "reason": outcome.reason}
            records.append(dict.fromkeys(records[0]) | known)
        return records


def choose_champion(metrics: Sequence[MetricRow], *, protocol: str = HOLDOUT) -> str:
    """Return the model with the highest NDCG@10 on validation.

    A model without that metric, or whose value is not a number, is no candidate. Of equal models popularity wins, then
    the damped bias, then the first by name.

    Raises:
        RecsysError: popularity, which is always a candidate, was not evaluated.
    """
    found = _by_model(metrics, protocol, CHOOSING_FOLD, CHOOSING)
    values = {model: row.value for model, row in found.items() if not np.isnan(row.value)}
    _require(values, [RANKING_BASELINE])
    return min(values, key=lambda model: (-values[model], *_simpler_first(model)))


def build_leaderboard(
    metrics: Sequence[MetricRow],
    per_user: Mapping[str, PerUser] | None = None,
    *,
    missing: Iterable[Outcome] = (),
    protocol: str = HOLDOUT,
    seed: int,
) -> Leaderboard:
    """Set the models side by side.

    Args:
        metrics: rows of `evaluation.metrics`, one version a model.
        per_user: by model, the per-user results on the reported fold (`COMPARED_COLUMNS` are enough); models that are
            not in it are compared by value only.
        missing: what came of the models that were to be here and are not.
        protocol: whose rows count.
        seed: of the paired bootstrap.

    Raises:
        RecsysError: a baseline was not evaluated, or per-user results are not of the same users.
    """
    per_user = per_user or {}
    champion = choose_champion(metrics, protocol=protocol)
    choosing = _by_model(metrics, protocol, CHOOSING_FOLD, CHOOSING)
    reported = {key: _by_model(metrics, protocol, REPORTED_FOLD, key) for key in SHOWN}
    versions = {row.model: row.version for row in metrics if row.protocol == protocol}
    _require(versions, BASELINES)

    behind = _differences(per_user, CHOOSING, champion, seed)

    def position(model: str) -> tuple[float, bool, int, str]:
        value = choosing[model].value if model in choosing else np.nan
        return (np.inf if np.isnan(value) else -value, *_simpler_first(model))

    rows = [
        LeaderboardRow(
            model,
            versions[model],
            rank,
            choosing.get(model),
            {key: found[model] for key, found in reported.items() if model in found},
            behind.get(model),
        )
        for rank, model in enumerate(sorted(versions, key=position), start=1)
    ]
    comparisons = []
    for key, baseline in ((CHOOSING, RANKING_BASELINE), (("rmse", None), RATING_BASELINE)):
        found = reported[key]
        differences = _differences(per_user, key, baseline, seed)
        comparisons += [
            Comparison(found[row.model], found[baseline], differences.get(row.model))
            for row in rows
            if baseline in found and row.model in found and row.model not in (baseline, CONSTANT)
        ]
    errors = reported["rmse", None]
    if RATING_BASELINE in errors and CONSTANT in errors:
        difference = _differences(per_user, ("rmse", None), CONSTANT, seed).get(RATING_BASELINE)
        comparisons.append(Comparison(errors[RATING_BASELINE], errors[CONSTANT], difference))
    return Leaderboard(rows, comparisons, list(missing))


def verdicts(leaderboard: Leaderboard) -> list[str]:
    """Return what the leaderboard says, in sentences: the champion, its equals, the missing, who beats a baseline."""
    first = leaderboard.rows[0]
    sentences = []
    if first.chosen_by is not None:
        sentence = f"{first.model} is the champion: {_estimate(first.chosen_by)} on {CHOOSING_FOLD}"
        if CHOOSING in first.shown:
            sentence += f", {_estimate(first.shown[CHOOSING])} on {REPORTED_FOLD}"
        sentences.append(sentence + ".")
    equals = [row.model for row in leaderboard.rows if row.distinguishable is False]
    if equals:
        sentences.append(f"Not distinguishable from {first.model} on {REPORTED_FOLD}: {', '.join(equals)}.")
    elif any(row.distinguishable for row in leaderboard.rows):
        sentences.append(f"Every other model is distinguishable from {first.model} on {REPORTED_FOLD}.")
    sentences += [f"{outcome}." for outcome in leaderboard.missing]
    return sentences + [_sentence(comparison) for comparison in leaderboard.comparisons]


def _sentence(comparison: Comparison) -> str:
    """Say in one line whether the model beats the baseline."""
    model, baseline, difference = comparison.model, comparison.baseline, comparison.difference
    gain = baseline.value - model.value if model.metric in RATING_METRICS else model.value - baseline.value
    verb = "beats" if gain > 0 else "does not beat"
    name, other = _said(model.model), _said(baseline.model)
    line = f"{name} {verb} {other}: {_label(model)} {model.value:.3f} against {baseline.value:.3f}"
    if difference is None:
        return line + "."
    line += f" (difference {difference.value:+.4f}, 95 % {difference.low:+.4f} to {difference.high:+.4f})"
    return line + ("." if difference.excludes_zero else ", which may be chance.")


def _estimate(row: MetricRow) -> str:
    return f"{_label(row)} {row.value:.3f} (95 % {row.low:.3f} to {row.high:.3f})"


def _label(row: MetricRow) -> str:
    name = _METRIC_SAID[row.metric]
    return name if row.k is None else f"{name}@{row.k}"


def _said(model: str) -> str:
    return _SAID.get(model, model)


def _column(metric: str, k: int | None) -> str:
    return metric if k is None else f"{metric}_{k}"


def _simpler_first(model: str) -> tuple[bool, int, str]:
    """Sort key among equals: the baselines in their order, then by name."""
    return (model not in BASELINES, BASELINES.index(model) if model in BASELINES else 0, model)


def _by_model(
    metrics: Sequence[MetricRow], protocol: str, fold: str, key: tuple[str, int | None]
) -> dict[str, MetricRow]:
    return {row.model: row for row in metrics if (row.protocol, row.fold, row.metric, row.k) == (protocol, fold, *key)}


def _require(evaluated: Mapping[str, Any], needed: Sequence[str]) -> None:
    missing = [model for model in needed if model not in evaluated]
    if missing:
        raise RecsysError(
            f"{' and '.join(missing)} not evaluated, and no leaderboard stands without; "
            f"run {' and '.join(f'evaluation/{model}' for model in missing)} first"
        )


def _differences(
    per_user: Mapping[str, PerUser], key: tuple[str, int | None], reference: str, seed: int
) -> dict[str, Interval]:
    """Return, for each other model that has the metric per user, its difference to the reference."""
    if reference not in per_user:
        return {}
    rating = key[0] in RATING_METRICS
    column, statistic = RATING_METRICS[key[0]] if rating else (_column(*key), mean)
    base = per_user[reference]
    others = [model for model, found in per_user.items() if model != reference and column in found]
    if column not in base or not others:
        return {}
    known = ~np.isnan(base[column])
    for model in others:
        found = per_user[model]
        same = np.array_equal(found["user_idx"], base["user_idx"]) and np.array_equal(~np.isnan(found[column]), known)
        if not same:
            raise RecsysError(
                f"{model} and {reference} were evaluated on different users; run evaluation/{model} and "
                f"evaluation/{reference} again on the same folds"
            )
    weights = base["pairs"][known] if rating else np.ones(int(known.sum()))
    values = np.column_stack([per_user[model][column][known] for model in others])
    found_all = paired_differences(values, base[column][known], weights, statistic, seed=seed)
    return dict(zip(others, found_all, strict=True))
