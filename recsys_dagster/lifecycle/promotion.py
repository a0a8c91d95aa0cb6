"""Decide who is the champion of a domain: by the gate of a run, or by hand.

Each decision goes into the history once its lists are published.

The caller holds the domain (`with DomainRun(…)`).
"""

from collections.abc import Sequence
from dataclasses import dataclass

from pydantic import ValidationError

from recsys_dagster.errors import RecsysError
from recsys_dagster.evaluation.diagnostics import disqualified
from recsys_dagster.evaluation.evaluate import evaluate
from recsys_dagster.evaluation.leaderboard import choose_champion
from recsys_dagster.evaluation.results import EvaluationResults
from recsys_dagster.evaluation.store import CHOOSING_FOLD, CONSTANT, HOLDOUT, headline, read_per_user
from recsys_dagster.evaluation.user_sample import draw_users
from recsys_dagster.lifecycle.dataset_choice import published_dataset
from recsys_dagster.lifecycle.gate import GATE_COLUMNS, Candidate, Challenge, Tolerances, evaluate_challengers
from recsys_dagster.lifecycle.pending import settle, write_pending
from recsys_dagster.lifecycle.publication import build_lists, checked_provenance, remove_old_versions, swap_in_lists
from recsys_dagster.model_store.decisions import Decision
from recsys_dagster.model_store.store import ModelRecord, ModelStore, params_of
from recsys_dagster.models.attempt import State, attempt
from recsys_dagster.models.registry import get_model_class
from recsys_dagster.runtime.resource_usage import track_resources
from recsys_dagster.serving.provenance import Provenance
from recsys_dagster.warehouse.arrays import id_map_hash, load_holdout
from recsys_dagster.warehouse.domain_run import DomainRun


@dataclass(frozen=True)
class ChampionUpdate:
    """The decision of a run on the champion.

    Attributes:
        decision: the row of the history, once its lists are published.
        challenges: each challenger compared with the champion; empty if there was no champion to challenge.
    """

    decision: Decision
    challenges: tuple[Challenge, ...]


def update_champion(run: DomainRun) -> ChampionUpdate:
    """Let the gate decide whose lists are published next, and who is champion then; the decision becomes pending.

    The model with the best validation result becomes champion without a comparison if there is no champion yet, if the
    champion was fitted on another dataset, or if it cannot be fitted on today's data.

    Raises:
        RecsysError: popularity was not evaluated.
    """
    settle(run.layout, run.domain.name)
    update = _decide(run)
    write_pending(run.layout, run.domain.name, update.decision)
    return update


def _decide(run: DomainRun) -> ChampionUpdate:
    candidates = _candidates(run)
    champion, reason = _champion_or_reason(run, candidates)
    if champion is None:
        return ChampionUpdate(_choose_best(run, candidates, reason), ())
    settings = run.settings
    challengers = [one for one in candidates if (one.model, one.version) != (champion.model, champion.version)]
    result = evaluate_challengers(
        champion,
        challengers,
        Tolerances(
            coverage=settings.gate_coverage_tolerance,
            rmse=settings.gate_rmse_tolerance,
            least_active=settings.gate_least_active_tolerance,
        ),
        seed=settings.seed,
    )
    decision = ModelStore(run.layout).decide(
        run.domain.name,
        result.model,
        result.version,
        reason=result.reason,
        by="gate",
        objections={one.model: "; ".join(one.objections) for one in result.challenges if one.objections},
    )
    return ChampionUpdate(decision, result.challenges)


def promote(run: DomainRun, model: str, version: str | None, reason: str) -> Provenance:
    """Make a version the champion by hand, the current one unless one is named, and publish its lists.

    Everything is changed or nothing: the lists are built and checked before the decision is recorded.

    Raises:
        UsageError: there is no model of that name.
        RecsysError: the version cannot be loaded, or its lists fail a check; champion and lists stay as they were.
    """
    layout, domain, store = run.layout, run.domain.name, ModelStore(run.layout)
    settle(layout, domain)
    _, record = store.load(domain, model, version, id_map_hash=id_map_hash(run.warehouse))
    decision = store.decide(domain, model, record.version, reason=reason, by="hand")
    build_lists(run, decision)
    provenance = checked_provenance(run)
    swap_in_lists(run, layout.built(domain), decision, provenance)
    remove_old_versions(run)
    return provenance


def _candidates(run: DomainRun) -> list[Candidate]:
    """Return the current version of each model that was evaluated on today's folds and is not disqualified."""
    rows = EvaluationResults(run).metrics()
    excluded = disqualified(rows) | {CONSTANT}
    rows = [row for row in rows if row.model not in excluded]
    return [
        Candidate(
            name,
            version,
            [row for row in rows if row.model == name],
            read_per_user(run.layout.per_user(run.domain.name, CHOOSING_FOLD, name), GATE_COLUMNS),
        )
        for name, version in sorted({(row.model, row.version) for row in rows})
    ]


def _champion_or_reason(run: DomainRun, candidates: Sequence[Candidate]) -> tuple[Candidate | None, str]:
    """Return the champion, evaluated on today's folds; or None, and why there is no champion to challenge."""
    if not ModelStore(run.layout).history(run.domain.name):
        return None, "the first choice"
    published, dataset = published_dataset(run.settings, run.domain), run.origin.dataset_id
    if published not in (None, dataset):
        return None, f"the dataset changed from {published} to {dataset}, so the gate starts anew"
    try:
        return _champion_today(run, candidates), ""
    except (RecsysError, ValidationError) as error:
        return None, f"the champion could not be fitted on today's data ({str(error).splitlines()[0]})"


def _choose_best(run: DomainRun, candidates: Sequence[Candidate], reason: str) -> Decision:
    name = choose_champion([row for one in candidates for row in one.metrics])
    version = next(one.version for one in candidates if one.model == name)
    reason = f"{reason}: {name} has the highest NDCG@10 on validation"
    return ModelStore(run.layout).decide(run.domain.name, name, version, reason=reason, by="gate")


def _champion_today(run: DomainRun, candidates: Sequence[Candidate]) -> Candidate:
    """Return the champion on today's folds.

    That is the version of this run if it has the champion's parameters. Else the champion is fitted again, because the
    run skipped the model, or gave it other parameters; the version of this run is then a challenger.
    """
    store, domain = ModelStore(run.layout), run.domain.name
    name, version = store.champion(domain)
    record = store.record(domain, name, version)
    for one in candidates:
        if one.model == name and _have_equal_params(record, store.record(domain, name, one.version)):
            return one
    for outcome in EvaluationResults(run).missing():
        if outcome.model == name:
            raise RecsysError(f"{name} {outcome.state}: {outcome.reason}")
    model_class, index = get_model_class(name), id_map_hash(run.warehouse)
    holdout = load_holdout(run.warehouse)
    data, settings = holdout.data, run.settings
    model = model_class(params_of(record), seed=record.seed)
    with track_resources() as usage:
        fit = attempt(name, lambda: model.fit(data), seconds=settings.model_seconds, id_map_hash=index).outcome
    if fit.state is not State.FITTED:
        raise RecsysError(f"{name} {fit.state}: {fit.reason}")
    validation = draw_users(data.validation, settings.evaluation_users, settings.seed)
    folded_in = holdout.folded_in(CHOOSING_FOLD, validation)
    result = evaluate(
        model, validation, None, like_threshold=data.like_threshold, folded_in=folded_in, seed=settings.seed
    )
    fitted = store.save(
        domain,
        model,
        data_version=run.origin.data_version,
        id_map_hash=index,
        usage=usage,
        current=False,
    )
    rows = result.rows(name, fitted, HOLDOUT, CHOOSING_FOLD)
    store.record_metrics(domain, name, fitted, headline(rows))
    return Candidate(name, fitted, rows, result.per_user)


def _have_equal_params(one: ModelRecord, other: ModelRecord) -> bool:
    return (params_of(one), one.seed) == (params_of(other), other.seed)
