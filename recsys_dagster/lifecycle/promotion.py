"""Who is a domain's champion: chosen by the gate of a run, or by a person's hand; each decision goes into the history.

Whoever calls holds the domain (`Workspace.claim`).
"""

from dataclasses import dataclass

import numpy as np
from pydantic import ValidationError

from recsys_dagster.domains import Domain
from recsys_dagster.errors import RecsysError
from recsys_dagster.evaluation.diagnostics import suspects
from recsys_dagster.evaluation.evaluate import evaluate
from recsys_dagster.evaluation.leaderboard import CONSTANT, HOLDOUT, choose_champion
from recsys_dagster.evaluation.store import headline, read_per_user
from recsys_dagster.evaluation.workspace import Workspace
from recsys_dagster.lifecycle.gate import GATE_COLUMNS, Candidate, Tolerances, Trial, judge
from recsys_dagster.lifecycle.publication import build_lists, publish_built
from recsys_dagster.model_store.decisions import Decision
from recsys_dagster.model_store.store import ModelRecord
from recsys_dagster.models.attempt import State, attempt
from recsys_dagster.models.registry import model_class
from recsys_dagster.runtime.resource_usage import measuring
from recsys_dagster.serving.lookup import Provenance
from recsys_dagster.warehouse.arrays import id_map_hash, load_training_data


@dataclass(frozen=True)
class Chosen:
    """What the gate did.

    Attributes:
        decision: the new row of the history.
        trials: each challenger against the champion; empty where there was none to be challenged.
    """

    decision: Decision
    trials: tuple[Trial, ...]


def choose(workspace: Workspace, domain: Domain) -> Chosen:
    """Let the challengers of this run stand against the champion, and crown who comes out on top.

    Where there is no champion yet, or it cannot be had on today's data any more, the best on validation is chosen.

    Raises:
        RecsysError: popularity was not evaluated.
    """
    candidates = _candidates(workspace, domain)
    champion, missing = None, "the first choice"
    if workspace.store.history(domain.name):
        try:
            champion = _champion_today(workspace, domain, candidates)
        except (RecsysError, ValidationError) as error:
            missing = f"the champion could not be had on today's data ({str(error).splitlines()[0]})"
    if champion is None:
        name = choose_champion([row for one in candidates for row in one.metrics])
        version = next(one.version for one in candidates if one.model == name)
        reason = f"{missing}: {name} has the highest NDCG@10 on validation"
        return Chosen(workspace.store.crown(domain.name, name, version, reason=reason, by="gate"), ())
    settings = workspace.settings
    challengers = [one for one in candidates if (one.model, one.version) != (champion.model, champion.version)]
    data = load_training_data(workspace.warehouse(domain), domain)
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
    decision = workspace.store.crown(domain.name, verdict.model, verdict.version, reason=verdict.reason, by="gate")
    return Chosen(decision, verdict.trials)


def promote(workspace: Workspace, domain: Domain, model: str, version: str | None, reason: str) -> Provenance:
    """Make a version the champion by hand, the current one unless named, and publish its lists.

    Raises:
        UsageError: there is no model of that name.
        RecsysError: the version cannot be loaded, and the champion stays; or its lists fail a check, and the published
            lists stay (`recsys rollback` then gives their model its place back).
    """
    index = id_map_hash(workspace.warehouse(domain))
    _, record = workspace.store.load(domain.name, model, version, id_map_hash=index)
    workspace.store.crown(domain.name, model, record.version, reason=reason, by="hand")
    build_lists(workspace, domain)
    return publish_built(workspace, domain)


def _candidates(workspace: Workspace, domain: Domain) -> list[Candidate]:
    """Return the current version of each model that was evaluated on today's folds and is above suspicion."""
    known = [row for row in workspace.metrics(domain) if row.protocol == HOLDOUT]
    barred = suspects(known) | {CONSTANT}
    rows = [row for row in known if row.model not in barred]
    return [
        Candidate(
            name,
            version,
            [row for row in rows if row.model == name],
            read_per_user(workspace.per_user(domain, "validation", name), GATE_COLUMNS),
        )
        for name, version in sorted({(row.model, row.version) for row in rows})
    ]


def _champion_today(workspace: Workspace, domain: Domain, candidates: list[Candidate]) -> Candidate:
    """Return the champion on today's folds: the version of this run if that was made alike, else one fitted for it.

    It is fitted anew where the run left the model out, or gave it other parameters: these then are a challenger.
    """
    name, version = workspace.store.champion(domain.name)
    record = workspace.store.record(domain.name, name, version)
    for one in candidates:
        if one.model == name and _alike(record, workspace.store.record(domain.name, name, one.version)):
            return one
    for outcome in workspace.missing(domain):
        if outcome.model == name:
            raise RecsysError(f"{name} {outcome.state}: {outcome.reason}")
    warehouse, kind = workspace.warehouse(domain), model_class(name)
    index = id_map_hash(warehouse)
    data = load_training_data(warehouse, domain)
    model = kind(kind.params_type(**record.params), seed=record.seed)
    with measuring() as cost:
        fit = attempt(name, lambda: model.fit(data), seconds=workspace.settings.model_seconds, id_map_hash=index)
    if fit.state is not State.FITTED:
        raise RecsysError(f"{name} {fit.state}: {fit.reason}")
    found = evaluate(model, data.validation, None, like_threshold=domain.like_threshold, seed=workspace.settings.seed)
    fitted = workspace.store.save(
        domain.name,
        model,
        data_version=workspace.manifest(domain).data_version,
        id_map_hash=index,
        cost=cost,
        current=False,
    )
    rows = found.rows(name, fitted, HOLDOUT, "validation")
    workspace.store.record_metrics(domain.name, name, fitted, headline(rows))
    return Candidate(name, fitted, rows, found.per_user)


def _alike(one: ModelRecord, other: ModelRecord) -> bool:
    return (one.params, one.seed) == (other.params, other.seed)
