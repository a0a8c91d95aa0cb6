"""Which model is better: one row a model, and each against each other one (`verdicts` says it in plain sentences).

Validation chooses (NDCG@10), test reports. The two baselines, popularity and the damped bias, are never left out:
a figure means little without the figure that costs nothing beside it.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import TypeAdapter

from recsys_dagster.errors import RecsysError
from recsys_dagster.evaluation.diagnostics import Concern, Remark, remarks, suspects
from recsys_dagster.evaluation.intervals import Interval
from recsys_dagster.evaluation.metrics.accuracy import RATING_METRICS, mean
from recsys_dagster.evaluation.significance import SIGNIFICANT, Paired, compare_all, holm
from recsys_dagster.evaluation.store import MetricRow, PerUser
from recsys_dagster.models.attempt import Outcome, State
from recsys_dagster.models.registry import BASELINES, RANKING_BASELINE, RATING_BASELINE
from recsys_dagster.runtime.storage import write_json

HOLDOUT = "holdout"
CHOOSING = ("ndcg", 10)
CHOOSING_FOLD = "validation"
REPORTED_FOLD = "test"


CONSTANT = "constant"
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

COMPARED: tuple[tuple[str, int | None], ...] = (CHOOSING, ("rmse", None))
"""The metrics by which each model is compared with each other one."""


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
        p: of that difference, corrected for the number of models that are compared with the champion.
        remarks: what to know of it before its figures.
    """

    model: str
    version: str
    rank: int
    chosen_by: MetricRow | None
    shown: dict[tuple[str, int | None], MetricRow]
    behind: Interval | None
    p: float | None = None
    remarks: list[Remark] = field(default_factory=list)

    @property
    def is_suspect(self) -> bool:
        """Whether it may have seen the test fold."""
        return any(remark.concern is Concern.LEAK for remark in self.remarks)

    @property
    def distinguishable(self) -> bool | None:
        """Whether it is distinguishable from the champion; None where that is not known."""
        return None if self.p is None else self.p < SIGNIFICANT


@dataclass(frozen=True)
class Comparison:
    """A model against a baseline on the reported fold, by one metric.

    Attributes:
        model, baseline: rows of the metric.
        difference: model minus baseline over the same users; None where there are no per-user results.
        p: of that difference, corrected for the number of models that are compared with the baseline.
    """

    model: MetricRow
    baseline: MetricRow
    difference: Interval | None = None
    p: float | None = None


@dataclass(frozen=True)
class Leaderboard:
    """Rows best first, and each model against the baselines.

    Attributes:
        rows: the models that have figures.
        comparisons: each against the baselines.
        missing: the models that were to be here and failed or were left out, with the reason.
        pairs: each two models by each metric of `COMPARED`, on the reported fold.
    """

    rows: list[LeaderboardRow]
    comparisons: list[Comparison] = field(default_factory=list)
    missing: list[Outcome] = field(default_factory=list)
    pairs: list[Paired] = field(default_factory=list)

    @property
    def champion(self) -> str:
        """The model that validation chooses."""
        return next(row.model for row in self.rows if not row.is_suspect)

    def records(self) -> list[dict[str, Any]]:
        """Return the rows flat: rank, model, version, champion, distinguishable, p, state, reason, remarks,
        `validation_ndcg_10`, each shown metric as `<metric>_<k>`, and each with `_low` and `_high`; None where there is
        no value. The missing models come last: they have a model, a state, a reason and remarks.
        """
        records = []
        for row in self.rows:
            record: dict[str, Any] = {
                "rank": row.rank,
                "model": row.model,
                "version": row.version,
                "champion": row.model == self.champion,
                "distinguishable": row.distinguishable,
                "p": row.p,
                "state": str(State.FITTED),
                "reason": None,
                "remarks": "; ".join(remark.text for remark in row.remarks) or None,
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
            told = {"remarks": f"{outcome.state}: {outcome.reason}"}
            records.append(dict.fromkeys(records[0]) | known | told)
        return records

    def write(self, path: Path) -> None:
        """Write it as JSON, replacing `path` atomically."""
        rows = [{**asdict(row), "shown": [asdict(metric) for metric in row.shown.values()]} for row in self.rows]
        write_json(path, {**asdict(replace(self, rows=[])), "rows": rows})

    @classmethod
    def read(cls, path: Path) -> "Leaderboard":
        """Return what `write` wrote; raise RecsysError if there is nothing, or of another version of the project."""
        try:
            found = json.loads(path.read_text(encoding="utf-8"))
            for row in found["rows"]:
                row["shown"] = {(metric["metric"], metric["k"]): metric for metric in row["shown"]}
            return TypeAdapter(cls).validate_python(found)
        except FileNotFoundError:
            reason = "there is no leaderboard yet"
        except (ValueError, KeyError, TypeError):
            reason = "not a leaderboard of this version"
        raise RecsysError(f"{path}: {reason}; materialise evaluation/leaderboard (or `recsys run`) first")


def choose_champion(metrics: Sequence[MetricRow], *, protocol: str = HOLDOUT) -> str:
    """Return the model with the highest NDCG@10 on validation.

    A model without that metric, whose value is not a number, or that may have seen the test fold, is no candidate. Of
    equal models popularity wins, then the damped bias, then the first by name.

    Raises:
        RecsysError: popularity, which is always a candidate, was not evaluated.
    """
    found = _by_model(metrics, protocol, CHOOSING_FOLD, CHOOSING)
    suspected = suspects([row for row in metrics if row.protocol == protocol])
    values = {model: row.value for model, row in found.items() if not np.isnan(row.value) and model not in suspected}
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

    pairs = [pair for key in COMPARED for pair in _compared(per_user, key, seed)]
    behind = _against([pair for pair in pairs if (pair.metric, pair.k) == CHOOSING], champion)
    remarked = remarks([row for row in metrics if row.protocol == protocol])

    def position(model: str) -> tuple[float, bool, int, str]:
        value = choosing[model].value if model in choosing else np.nan
        return (np.inf if np.isnan(value) else -value, *_simpler_first(model))

    rows = []
    for rank, model in enumerate(sorted(versions, key=position), start=1):
        shown = {key: found[model] for key, found in reported.items() if model in found}
        difference, p = behind.get(model, (None, None))
        known = remarked.get(model, [])
        rows.append(LeaderboardRow(model, versions[model], rank, choosing.get(model), shown, difference, p, known))
    comparisons = []
    for key, baseline in zip(COMPARED, (RANKING_BASELINE, RATING_BASELINE), strict=True):
        found = reported[key]
        against = _against([pair for pair in pairs if (pair.metric, pair.k) == key], baseline)
        comparisons += [
            Comparison(found[row.model], found[baseline], *against.get(row.model, (None, None)))
            for row in rows
            if baseline in found and row.model in found and row.model not in (baseline, CONSTANT)
        ]
    errors = reported["rmse", None]
    if RATING_BASELINE in errors and CONSTANT in errors:
        against = _against([pair for pair in pairs if pair.metric == "rmse"], CONSTANT)
        found_against = against.get(RATING_BASELINE, (None, None))
        comparisons.append(Comparison(errors[RATING_BASELINE], errors[CONSTANT], *found_against))
    return Leaderboard(rows, comparisons, list(missing), pairs)


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


def _against(pairs: Sequence[Paired], reference: str) -> dict[str, tuple[Interval, float]]:
    """Return, by model, its difference to the reference, and the p of it corrected for the number of these models."""
    found = {}
    for pair in pairs:
        if pair.other == reference:
            found[pair.model] = (pair.difference, pair.p)
        elif pair.model == reference:
            found[pair.other] = (pair.difference.negated, pair.p)
    corrected = holm([p for _, p in found.values()])
    return {model: (difference, p) for (model, (difference, _)), p in zip(found.items(), corrected, strict=True)}


def _compared(per_user: Mapping[str, PerUser], key: tuple[str, int | None], seed: int) -> list[Paired]:
    """Compare all models that have the metric per user, in the order of their names."""
    rating = key[0] in RATING_METRICS
    column, statistic = RATING_METRICS[key[0]] if rating else (_column(*key), mean)
    names = sorted(model for model, found in per_user.items() if column in found)
    if len(names) < 2:
        return []
    base = per_user[names[0]]
    known = ~np.isnan(base[column])
    for model in names[1:]:
        found = per_user[model]
        same = np.array_equal(found["user_idx"], base["user_idx"]) and np.array_equal(~np.isnan(found[column]), known)
        if not same:
            raise RecsysError(
                f"{model} and {names[0]} were evaluated on different users; run evaluation/{model} and "
                f"evaluation/{names[0]} again on the same folds"
            )
    weights = base["pairs"][known] if rating else np.ones(int(known.sum()))
    values = np.column_stack([per_user[model][column][known] for model in names])
    return compare_all(names, values, weights, statistic, key, seed=seed)
