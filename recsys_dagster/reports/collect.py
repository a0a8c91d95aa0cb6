"""Collect what the page of a domain shows from the results of the earlier steps."""

from collections.abc import Sequence

from recsys_dagster.errors import RecsysError
from recsys_dagster.evaluation.example_lists import pick_example_users, read_example_lists
from recsys_dagster.evaluation.importance import read_importance
from recsys_dagster.evaluation.results import EvaluationResults
from recsys_dagster.evaluation.verdicts import champion_verdicts, comparison_verdicts, find_champion
from recsys_dagster.lifecycle.waiting import find_waiting
from recsys_dagster.model_store.decisions import Decision
from recsys_dagster.model_store.store import ModelStore
from recsys_dagster.models.registry import get_model_class, model_names
from recsys_dagster.models.selection import selected_models
from recsys_dagster.papers.figures import paper_figures
from recsys_dagster.papers.records import FaultRow, PaperConfusion, PaperDetail, PaperRow, read_records
from recsys_dagster.reports.data_profile import read_folds, read_profile
from recsys_dagster.reports.example_users import describe_users, read_listed_items
from recsys_dagster.reports.paper_runs import paper_runs
from recsys_dagster.reports.report import ModelCard, Report
from recsys_dagster.runtime.resource_usage import StepUsage
from recsys_dagster.serving.lookup import open_without_lock
from recsys_dagster.serving.provenance import Provenance
from recsys_dagster.serving.tradeoff import read_tradeoff
from recsys_dagster.warehouse.arrays import has_times, load_fold, load_ids
from recsys_dagster.warehouse.build import format_fold_cuts, reconcile
from recsys_dagster.warehouse.domain_run import DomainRun

SHOWN_FOLD = "test"


def collect_report(run: DomainRun, usage: Sequence[StepUsage] = ()) -> Report:
    """Return what the page of a domain shows; all other steps of the domain have run before.

    Args:
        run: the domain.
        usage: resource usage of the steps, if it was recorded.
    """
    warehouse = run.warehouse
    waiting = find_waiting(run.layout, run.domain.name)
    live = run.layout.published(run.domain.name)
    with open_without_lock(run.layout.waiting(run.domain.name) if waiting and not live.exists() else live) as lists:
        provenance = lists.provenance()
    decision = waiting.decision if waiting and not live.exists() else _decision(run, provenance)
    newest = waiting.decision if waiting else decision
    leaderboard = EvaluationResults(run).leaderboard()
    champion = find_champion(leaderboard, decision)
    if champion is not None:
        leaderboard = leaderboard.compared_with(champion.model)
    cards = _cards(run, [row.model for row in leaderboard.rows])
    origin = run.origin  # opens the warehouse itself
    examples = pick_example_users(load_fold(warehouse, "train"), load_fold(warehouse, "test"), origin.liked_from)
    user_ids, item_ids = load_ids(warehouse)
    files = reconcile(warehouse)
    with warehouse.connect() as connection:
        return Report(
            provenance=provenance,
            waiting=waiting,
            tradeoff=read_tradeoff(run.layout.tradeoff(run.domain.name, newest.model), newest.version),
            profile=read_profile(connection),
            folds=read_folds(connection),
            fold_cuts=format_fold_cuts(connection),
            files=files,
            leaderboard=leaderboard,
            champion=champion.model if champion else None,
            champion_verdicts=champion_verdicts(leaderboard, decision),
            comparison_verdicts=comparison_verdicts(leaderboard),
            models=cards,
            skipped=_skipped(run, {card.name for card in cards} | {outcome.model for outcome in leaderboard.missing}),
            example_users=describe_users(connection, examples, user_ids, item_ids),
            items=read_listed_items(connection, {card.name: card.lists for card in cards}),
            papers=paper_figures(
                run.domain.name,
                read_records(connection, PaperRow),
                without_times=None if has_times(connection) else origin.dataset_id,
            ),
            paper_runs=paper_runs(read_records(connection, PaperDetail), read_records(connection, PaperConfusion)),
            faults=read_records(connection, FaultRow),
            usage=usage,
        )


def _decision(run: DomainRun, provenance: Provenance) -> Decision:
    """Return the latest decision that made the published version the champion."""
    decisions = ModelStore(run.layout).history(run.domain.name)
    for decision in reversed(decisions):
        if (decision.model, decision.version) == (provenance.model, provenance.version):
            return decision
    raise RecsysError(
        f"{run.layout.champion(run.domain.name)}: has no decision on the published {provenance.model} "
        f"{provenance.version}; run `recsys run --domain {run.domain.name}`"
    )


def _cards(run: DomainRun, names: list[str]) -> list[ModelCard]:
    """Return the card of each name that is a model of the registry, in the given order."""
    metrics = EvaluationResults(run).metrics()
    confusion, slices = EvaluationResults(run).confusion(), EvaluationResults(run).slices()
    curves = ModelStore(run.layout).learning_curves(run.domain.name)
    return [
        ModelCard(
            name=name,
            summary=get_model_class(name).summary,
            record=ModelStore(run.layout).record(run.domain.name, name),
            metrics=[row for row in metrics if row.model == name],
            curves=curves.get(name, {}),
            lists=read_example_lists(run.layout.example_lists(run.domain.name, name)),
            confusion=[row for row in confusion if (row.model, row.fold) == (name, SHOWN_FOLD)],
            slices=[row for row in slices if (row.model, row.fold) == (name, SHOWN_FOLD)],
            importances=read_importance(run.layout.importance(run.domain.name, name)),
        )
        for name in names
        if name in model_names()
    ]


def _skipped(run: DomainRun, shown: set[str]) -> dict[str, str]:
    """Return the reason why a model is not on the leaderboard, by name."""
    chosen = selected_models(run.settings)
    reasons = {}
    for name in model_names():
        if name in shown:
            continue
        if name in chosen:
            reasons[name] = "has no results for the current data; train and evaluate it"
        else:
            reasons[name] = "is not selected (RECSYS_MODELS)"
    return reasons
