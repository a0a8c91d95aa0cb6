"""Who is a domain's champion: chosen by the gate of a run, or by a person's hand; each decision goes into the history.

The caller holds the domain (`with DomainRun(…)`).
"""

from dataclasses import dataclass

import numpy as np
from pydantic import ValidationError

from recsys_dagster.errors import RecsysError
from recsys_dagster.evaluation.diagnostics import disqualified
from recsys_dagster.evaluation.evaluate import evaluate
from recsys_dagster.evaluation.leaderboard import choose_champion
from recsys_dagster.evaluation.results import EvaluationResults
from recsys_dagster.evaluation.store import CONSTANT, HOLDOUT, headline, read_per_user
from recsys_dagster.lifecycle.gate import GATE_COLUMNS, Candidate, Tolerances, Trial, judge
from recsys_dagster.lifecycle.publication import build_lists, publish_built
from recsys_dagster.model_store.decisions import Decision
from recsys_dagster.model_store.store import ModelRecord, ModelStore, params_of
from recsys_dagster.models.attempt import State, attempt
from recsys_dagster.models.registry import get_model_class
from recsys_dagster.runtime.resource_usage import track_resources
from recsys_dagster.serving.lookup import Provenance
from recsys_dagster.warehouse.arrays import id_map_hash, load_training_data
from recsys_dagster.warehouse.domain_run import DomainRun


@dataclass(frozen=True)
class Chosen:
    """What the gate did.

    Attributes:
        decision: the new row of the history.
        trials: each challenger against the champion; empty where there was none to be challenged.
    """

    decision: Decision
    trials: tuple[Trial, ...]


def choose(run: DomainRun) -> Chosen:
    """Let the challengers of this run stand against the champion, and crown who comes out on top.

    Where there is no champion yet, or it cannot be had on today's data any more, the best on validation is chosen.

    Raises:
        RecsysError: popularity was not evaluated.
    """
    candidates = _candidates(run)
    champion, missing = None, "the first choice"
    if ModelStore(run.layout).history(run.domain.name):
        try:
            champion = _champion_today(run, candidates)
        except (RecsysError, ValidationError) as error:
            missing = f"the champion could not be had on today's data ({str(error).splitlines()[0]})"
    if champion is None:
        name = choose_champion([row for one in candidates for row in one.metrics])
        version = next(one.version for one in candidates if one.model == name)
        reason = f"{missing}: {name} has the highest NDCG@10 on validation"
        return Chosen(ModelStore(run.layout).set_champion(run.domain.name, name, version, reason=reason, by="gate"), ())
    settings = run.settings
    challengers = [one for one in candidates if (one.model, one.version) != (champion.model, champion.version)]
    data = load_training_data(run.warehouse, run.domain)
    verdict = judge(
        champion,
        challengers,
        np.bincount(data.train.users, minlength=data.n_users),
        Tolerances(
            coverage=settings.gate_coverage_tolerance,
            rmse=settings.gate_rmse_tolerance,
            least_active=settings.gate_least_active_tolerance,
        ),
        seed=settings.seed,
    )
    decision = ModelStore(run.layout).set_champion(
        run.domain.name,
        verdict.model,
        verdict.version,
        reason=verdict.reason,
        by="gate",
        objections={trial.model: "; ".join(trial.objections) for trial in verdict.trials if trial.objections},
    )
    return Chosen(decision, verdict.trials)


def promote(run: DomainRun, model: str, version: str | None, reason: str) -> Provenance:
    """Make a version the champion by hand, the current one unless named, and publish its lists.

    Raises:
        UsageError: there is no model of that name.
        RecsysError: the version cannot be loaded, and the champion stays; or its lists fail a check, and the published
            lists stay (`recsys rollback` then gives their model its place back).
    """
    index = id_map_hash(run.warehouse)
    _, record = ModelStore(run.layout).load(run.domain.name, model, version, id_map_hash=index)
    ModelStore(run.layout).set_champion(run.domain.name, model, record.version, reason=reason, by="hand")
    build_lists(run)
    return publish_built(run)


def _candidates(run: DomainRun) -> list[Candidate]:
    """Return the current version of each model that was evaluated on today's folds and is above suspicion."""
    known = [row for row in EvaluationResults(run).metrics() if row.protocol == HOLDOUT]
    barred = disqualified(known) | {CONSTANT}
    rows = [row for row in known if row.model not in barred]
    return [
        Candidate(
            name,
            version,
            [row for row in rows if row.model == name],
            read_per_user(run.layout.per_user(run.domain.name, "validation", name), GATE_COLUMNS),
        )
        for name, version in sorted({(row.model, row.version) for row in rows})
    ]


def _champion_today(run: DomainRun, candidates: list[Candidate]) -> Candidate:
    """Return the champion on today's folds: the version of this run if that was made alike, else one fitted for it.

    It is fitted anew where the run left the model out, or gave it other parameters: these then are a challenger.
    """
    name, version = ModelStore(run.layout).champion(run.domain.name)
    record = ModelStore(run.layout).record(run.domain.name, name, version)
    for one in candidates:
        if one.model == name and _alike(record, ModelStore(run.layout).record(run.domain.name, name, one.version)):
            return one
    for outcome in EvaluationResults(run).missing():
        if outcome.model == name:
            raise RecsysError(f"{name} {outcome.state}: {outcome.reason}")
    warehouse, kind = run.warehouse, get_model_class(name)
    index = id_map_hash(warehouse)
    data = load_training_data(warehouse, run.domain)
    model = kind(params_of(record), seed=record.seed)
    with track_resources() as usage:
        fit = attempt(name, lambda: model.fit(data), seconds=run.settings.model_seconds, id_map_hash=index).outcome
    if fit.state is not State.FITTED:
        raise RecsysError(f"{name} {fit.state}: {fit.reason}")
    found = evaluate(model, data.validation, None, like_threshold=run.domain.like_threshold, seed=run.settings.seed)
    fitted = ModelStore(run.layout).save(
        run.domain.name,
        model,
        data_version=run.manifest.data_version,
        id_map_hash=index,
        usage=usage,
        current=False,
    )
    rows = found.rows(name, fitted, HOLDOUT, "validation")
    ModelStore(run.layout).record_metrics(run.domain.name, name, fitted, headline(rows))
    return Candidate(name, fitted, rows, found.per_user)


def _alike(one: ModelRecord, other: ModelRecord) -> bool:
    return (params_of(one), one.seed) == (params_of(other), other.seed)
