"""Build the leaderboard: a row for each model, and each model compared with each other one.

The validation fold ranks the models, the test fold is reported; the gate decides later who becomes champion. The two
baselines, popularity and the damped bias, are always on it: the value of a metric means little without that of a model
that costs nothing. `verdicts` states the results in sentences.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import numpy as np
from pydantic import TypeAdapter

from recsys_dagster.errors import RecsysError
from recsys_dagster.evaluation.diagnostics import Diagnostic, Severity, diagnose, disqualified
from recsys_dagster.evaluation.intervals import Interval
from recsys_dagster.evaluation.metrics.metric import MetricKey
from recsys_dagster.evaluation.metrics.registry import CHOOSING_METRIC, LEADERBOARD_METRICS, RATING_METRIC, user_ratio
from recsys_dagster.evaluation.significance import SIGNIFICANT, Paired, compare_all, holm
from recsys_dagster.evaluation.store import (
    CHOOSING_COLUMN,
    CHOOSING_FOLD,
    CONSTANT,
    FROZEN,
    HOLDOUT,
    REPORTED_FOLD,
    MetricRow,
    PerUser,
)
from recsys_dagster.models.attempt import Outcome, State
from recsys_dagster.models.registry import BASELINES, RANKING_BASELINE, RATING_BASELINE
from recsys_dagster.runtime.storage import write_json

BASELINE_OF = {CHOOSING_METRIC: RANKING_BASELINE, RATING_METRIC: RATING_BASELINE}
"""The metrics by which each model is compared with each other one, and the baseline of each."""
COMPARED_COLUMNS = tuple(
    dict.fromkeys(
        ["user_idx"]
        + [column for ratio in map(user_ratio, BASELINE_OF) for column in (ratio.weight, ratio.total) if column]
    )
)
"""The per-user columns that `build_leaderboard` needs; the others need not be read."""


@dataclass(frozen=True)
class LeaderboardRow:
    """One model.

    Attributes:
        model, version: what was evaluated.
        rank: from 1, by the choosing metric; a row without it (the constant) comes last.
        chosen_by: the choosing metric on the choosing fold; None if the model does not have it.
        shown: metrics of the reported fold; those that the model does not have are absent.
        difference: the choosing metric on the reported fold minus that of the reference, which is the leader unless
            `compared_with` names another model; paired over users; None for the reference and where there are no
            per-user results.
        p: of that difference, corrected for the number of models that are compared with the reference.
        diagnostics: what is wrong with the model.
        frozen: the choosing metric of the frozen lists on the reported fold; None where the folds are cut by hash.
    """

    model: str
    version: str
    rank: int
    chosen_by: MetricRow | None
    shown: dict[MetricKey, MetricRow]
    difference: Interval | None
    p: float | None = None
    diagnostics: list[Diagnostic] = field(default_factory=list)
    frozen: MetricRow | None = None

    @property
    def is_disqualified(self) -> bool:
        """Whether the model cannot be champion."""
        return any(one.severity is Severity.DISQUALIFYING for one in self.diagnostics)

    @property
    def distinguishable(self) -> bool | None:
        """Whether the model is distinguishable from the reference; None where that is not known."""
        return None if self.p is None else self.p < SIGNIFICANT


@dataclass(frozen=True)
class Comparison:
    """A model compared with a baseline on the reported fold, by one metric.

    Attributes:
        model, baseline: rows of the metric.
        difference: model minus baseline over the same users; None if there are no per-user results.
        p: of that difference, corrected for the number of models that are compared with the baseline.
    """

    model: MetricRow
    baseline: MetricRow
    difference: Interval | None = None
    p: float | None = None


@dataclass(frozen=True)
class Leaderboard:
    """The models, best first, and their comparisons.

    Attributes:
        rows: the models that have metrics.
        comparisons: each model with the baseline of each metric of `BASELINE_OF`.
        missing: the models that failed or were skipped, with the reason.
        pairs: each two models by each metric of `BASELINE_OF`, on the reported fold.
    """

    rows: list[LeaderboardRow]
    comparisons: list[Comparison] = field(default_factory=list)
    missing: list[Outcome] = field(default_factory=list)
    pairs: list[Paired] = field(default_factory=list)

    @property
    def leader(self) -> str:
        """The best model on the choosing fold that is not disqualified."""
        return next(row.model for row in self.rows if not row.is_disqualified)

    @property
    def is_folded_in(self) -> bool:
        """Whether lists are made in the middle of what users did in a fold, with what they had done before."""
        return any(row.frozen is not None for row in self.rows)

    def records(self) -> list[dict[str, str | int | float | bool | None]]:
        """Return the rows flat: rank, model, version, leader, distinguishable, p, state, reason, diagnostics,
        `validation_ndcg_10`, `frozen_ndcg_10`, each shown metric as `<metric>_<k>`, and each with `_low` and `_high`;
        None where there is no value. The missing models come last: they have a model, a state, a reason and
        diagnostics.
        """
        records = []
        for row in self.rows:
            record: dict[str, str | int | float | bool | None] = {
                "rank": row.rank,
                "model": row.model,
                "version": row.version,
                "leader": row.model == self.leader,
                "distinguishable": row.distinguishable,
                "p": row.p,
                "state": str(State.FITTED),
                "reason": None,
                "diagnostics": "; ".join(one.message for one in row.diagnostics) or None,
            }
            columns = {CHOOSING_COLUMN: row.chosen_by, f"{FROZEN}_{CHOOSING_METRIC.column}": row.frozen}
            columns |= {key.column: row.shown.get(key) for key in LEADERBOARD_METRICS}
            for name, metric in columns.items():
                record[name] = metric.value if metric else None
                record[f"{name}_low"] = metric.low if metric else None
                record[f"{name}_high"] = metric.high if metric else None
            records.append(record)
        for outcome in self.missing:
            state = {"model": outcome.model, "leader": False, "state": str(outcome.state), "reason": outcome.reason}
            message = {"diagnostics": f"{outcome.state}: {outcome.reason}"}
            records.append(dict.fromkeys(records[0]) | state | message)
        return records

    def compared_with(self, model: str) -> "Leaderboard":
        """Return the leaderboard with the differences of all rows from this model instead of from the leader."""
        differences = _with_reference(self.pairs, CHOOSING_METRIC, model)
        rows = [
            replace(row, difference=difference, p=p)
            for row in self.rows
            for difference, p in [differences.get(row.model, (None, None))]
        ]
        return replace(self, rows=rows)

    def write(self, path: Path) -> None:
        """Write the leaderboard as JSON, replacing `path` atomically."""
        rows = [{**asdict(row), "shown": [asdict(metric) for metric in row.shown.values()]} for row in self.rows]
        write_json(path, {**asdict(replace(self, rows=[])), "rows": rows})

    @classmethod
    def read(cls, path: Path) -> "Leaderboard":
        """Return what `write` wrote; raise RecsysError if there is nothing, or of another version of the project."""
        try:
            stored = json.loads(path.read_text(encoding="utf-8"))
            for row in stored["rows"]:
                row["shown"] = {MetricKey(metric["metric"], metric["k"]): metric for metric in row["shown"]}
            return TypeAdapter(cls).validate_python(stored)
        except FileNotFoundError:
            reason = "there is no leaderboard yet"
        except (ValueError, KeyError, TypeError):
            reason = "not a leaderboard of this version"
        raise RecsysError(f"{path}: {reason}; materialise evaluation/leaderboard (or `recsys run`) first")


def choose_champion(metrics: Sequence[MetricRow], *, protocol: str = HOLDOUT) -> str:
    """Return the model with the highest choosing metric on the choosing fold.

    A model without that metric, whose value is not a number, or that is disqualified by a diagnostic cannot be
    champion. Of equal models popularity is chosen, then the damped bias, then the first by name.

    Raises:
        RecsysError: popularity, which can always be champion, was not evaluated.
    """
    rows = _by_model(metrics, protocol, CHOOSING_FOLD, CHOOSING_METRIC)
    excluded = disqualified([row for row in metrics if row.protocol == protocol])
    values = {model: row.value for model, row in rows.items() if not np.isnan(row.value) and model not in excluded}
    _require(values, [RANKING_BASELINE])
    return min(values, key=lambda model: (-values[model], *_baselines_first(model)))


def build_leaderboard(
    metrics: Sequence[MetricRow],
    per_user: Mapping[str, PerUser] | None = None,
    *,
    missing: Iterable[Outcome] = (),
    protocol: str = HOLDOUT,
    seed: int,
) -> Leaderboard:
    """Build the leaderboard of a protocol.

    Args:
        metrics: rows of `evaluation.metrics`, one version a model; those of `FROZEN` are shown beside the protocol's.
        per_user: by model, the per-user results on the reported fold (`COMPARED_COLUMNS` are enough); models that are
            not in it are compared by value only.
        missing: outcomes of the models that failed or were skipped.
        protocol: whose rows count.
        seed: of the paired bootstrap.

    Raises:
        RecsysError: a baseline was neither evaluated nor skipped, or per-user results are of different users.
    """
    champion = choose_champion(metrics, protocol=protocol)
    frozen = _by_model(metrics, FROZEN, REPORTED_FOLD, CHOOSING_METRIC)
    metrics = [row for row in metrics if row.protocol == protocol]
    missing = list(missing)
    skipped = {outcome.model for outcome in missing if outcome.state is State.SKIPPED}
    _require({row.model for row in metrics}, [name for name in BASELINES if name not in skipped])
    pairs = [pair for key in BASELINE_OF for pair in _compare(per_user or {}, key, seed)]
    rows = _rows(metrics, frozen, protocol, _with_reference(pairs, CHOOSING_METRIC, champion))
    return Leaderboard(rows, _comparisons(rows, pairs), missing, pairs)


def _rows(
    metrics: Sequence[MetricRow],
    frozen: Mapping[str, MetricRow],
    protocol: str,
    differences: Mapping[str, tuple[Interval, float]],
) -> list[LeaderboardRow]:
    """Return the rows, best first, given the difference of each model from the reference."""
    choosing = _by_model(metrics, protocol, CHOOSING_FOLD, CHOOSING_METRIC)
    reported = {key: _by_model(metrics, protocol, REPORTED_FOLD, key) for key in LEADERBOARD_METRICS}
    versions = {row.model: row.version for row in metrics}
    diagnostics = diagnose(metrics)

    def position(model: str) -> tuple[float, bool, int, str]:
        value = choosing[model].value if model in choosing else np.nan
        return (np.inf if np.isnan(value) else -value, *_baselines_first(model))

    rows = []
    for rank, model in enumerate(sorted(versions, key=position), start=1):
        shown = {key: by_model[model] for key, by_model in reported.items() if model in by_model}
        difference, p = differences.get(model, (None, None))
        rows.append(
            LeaderboardRow(
                model,
                versions[model],
                rank,
                choosing.get(model),
                shown,
                difference,
                p,
                diagnostics.get(model, []),
                frozen.get(model),
            )
        )
    return rows


def _comparisons(rows: Sequence[LeaderboardRow], pairs: Sequence[Paired]) -> list[Comparison]:
    """Return each model compared with the baseline of each metric, and the rating baseline with the constant."""
    comparisons = []
    for key, baseline in BASELINE_OF.items():
        values = {row.model: row.shown[key] for row in rows if key in row.shown}
        differences = _with_reference(pairs, key, baseline)
        comparisons += [
            Comparison(values[model], values[baseline], *differences.get(model, (None, None)))
            for model in values
            if baseline in values and model not in (baseline, CONSTANT)
        ]
    errors = {row.model: row.shown[RATING_METRIC] for row in rows if RATING_METRIC in row.shown}
    if RATING_BASELINE in errors and CONSTANT in errors:
        difference = _with_reference(pairs, RATING_METRIC, CONSTANT).get(RATING_BASELINE, (None, None))
        comparisons.append(Comparison(errors[RATING_BASELINE], errors[CONSTANT], *difference))
    return comparisons


def _baselines_first(model: str) -> tuple[bool, int, str]:
    """Return the sort key among equals: the baselines in their order, then by name."""
    return (model not in BASELINES, BASELINES.index(model) if model in BASELINES else 0, model)


def _by_model(metrics: Sequence[MetricRow], protocol: str, fold: str, key: MetricKey) -> dict[str, MetricRow]:
    return {row.model: row for row in metrics if (row.protocol, row.fold, row.key) == (protocol, fold, key)}


def _require(evaluated: Iterable[str], needed: Sequence[str]) -> None:
    known = set(evaluated)
    missing = [model for model in needed if model not in known]
    if missing:
        raise RecsysError(
            f"{' and '.join(missing)} not evaluated, and every leaderboard needs them; "
            f"run {' and '.join(f'evaluation/{model}' for model in missing)} first"
        )


def _with_reference(pairs: Sequence[Paired], key: MetricKey, reference: str) -> dict[str, tuple[Interval, float]]:
    """Return, by model, its difference from the reference, and the p of it corrected for the number of these models."""
    differences = {}
    for pair in pairs:
        if pair.key == key and pair.other == reference:
            differences[pair.model] = (pair.difference, pair.p)
        elif pair.key == key and pair.model == reference:
            differences[pair.other] = (pair.difference.negated, pair.p)
    corrected = holm([p for _, p in differences.values()])
    return {model: (difference, p) for (model, (difference, _)), p in zip(differences.items(), corrected, strict=True)}


def _compare(per_user: Mapping[str, PerUser], key: MetricKey, seed: int) -> list[Paired]:
    """Compare all models that have the metric per user, in the order of their names."""
    ratio = user_ratio(key)
    names = sorted(model for model, columns in per_user.items() if ratio.total in columns)
    if len(names) < 2:
        return []
    base = per_user[names[0]]
    has_value = ~np.isnan(base[ratio.total])
    for model in names[1:]:
        columns = per_user[model]
        if not (
            np.array_equal(columns["user_idx"], base["user_idx"])
            and np.array_equal(~np.isnan(columns[ratio.total]), has_value)
        ):
            raise RecsysError(
                f"{model} and {names[0]} were evaluated on different users; run evaluation/{model} and "
                f"evaluation/{names[0]} again on the same folds"
            )
    weights = np.ones(int(has_value.sum())) if ratio.weight is None else base[ratio.weight][has_value]
    values = np.column_stack([per_user[model][ratio.total][has_value] for model in names])
    return compare_all(names, values, weights, ratio.statistic, key, seed=seed)
