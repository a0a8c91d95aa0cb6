"""One evaluation for each model, in the group of the model; and the group `evaluation`: the leaderboard over all."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

import dagster as dg

from recsys_dagster.errors import RecsysError
from recsys_dagster.evaluation.evaluate import Evaluation, constant_rating_metrics, evaluate, evaluate_frozen
from recsys_dagster.evaluation.example_lists import ListedItem, example_lists, pick_example_users, write_example_lists
from recsys_dagster.evaluation.importance import Importance, permutation_importance, write_importance
from recsys_dagster.evaluation.metrics.registry import CHOOSING_METRIC, RATING_METRIC
from recsys_dagster.evaluation.results import EvaluationResults
from recsys_dagster.evaluation.store import (
    CHOOSING_FOLD,
    CONSTANT,
    FROZEN,
    HOLDOUT,
    REPORTED_FOLD,
    ConfusionRow,
    MetricRow,
    SliceRow,
    headline,
    store_metrics,
)
from recsys_dagster.evaluation.user_sample import draw_users
from recsys_dagster.evaluation.verdicts import verdicts
from recsys_dagster.experiments.tracking import describe_untracked, track_fit
from recsys_dagster.model_store.outcomes import read_outcome
from recsys_dagster.model_store.store import ModelRecord, ModelStore
from recsys_dagster.models.attempt import attempt
from recsys_dagster.models.registry import model_family, model_names
from recsys_dagster.orchestration.asset_keys import EVALUATION_DATA, MODEL_RESULTS
from recsys_dagster.orchestration.metadata import (
    Materialized,
    leaderboard_table,
    markdown_table,
    picture,
    stage_tags,
    usage_metadata,
)
from recsys_dagster.orchestration.outcomes import conclude, fitted_check
from recsys_dagster.orchestration.partitions import Partitioned, for_each_domain
from recsys_dagster.orchestration.resource import Recsys
from recsys_dagster.reports.figures import cached_svg, to_svg
from recsys_dagster.reports.model_plots import plot_confusion, plot_importance, plot_leaderboard, slice_figures
from recsys_dagster.runtime.resource_usage import track_resources
from recsys_dagster.warehouse.arrays import Holdout, load_holdout
from recsys_dagster.warehouse.domain_run import DomainRun


@dataclass(frozen=True)
class _Results:
    """The results of a model on both folds; `frozen` is empty where the folds are cut by hash."""

    folds: dict[str, Evaluation]
    frozen: dict[str, Evaluation]
    lists: list[ListedItem]
    importances: list[Importance]


@dataclass(frozen=True)
class _Rows:
    """The rows of the tables in the schema `evaluation`."""

    metrics: list[MetricRow]
    slices: list[SliceRow]
    confusion: list[ConfusionRow]


def _evaluate(run: DomainRun, name: str, holdout: Holdout) -> _Results:
    """Evaluate the current version of a model on the validation and the test fold."""
    data, threshold, seed = holdout.data, holdout.data.like_threshold, run.settings.seed
    drawn = {
        fold: draw_users(pairs, run.settings.evaluation_users, seed)
        for fold, pairs in ((CHOOSING_FOLD, data.validation), (REPORTED_FOLD, holdout.test))
    }
    model, _ = ModelStore(run.layout).load(run.domain.name, name, id_map_hash=holdout.id_map_hash)
    excluded = {CHOOSING_FOLD: None, REPORTED_FOLD: data.validation.matrix(data.n_users, data.n_items)}
    folds, frozen = {}, {}
    for fold, pairs in drawn.items():
        folded_in, exclude = holdout.folded_in(fold, pairs), excluded[fold]
        folds[fold] = evaluate(
            model, pairs, exclude, like_threshold=threshold, folded_in=folded_in, data=data, seed=seed
        )
        if folded_in is not None:
            frozen[fold] = evaluate_frozen(model, pairs, exclude, like_threshold=threshold, seed=seed)
    examples = pick_example_users(data.train, holdout.test, threshold)
    lists = example_lists(model, examples, excluded[REPORTED_FOLD], holdout.item_ids)
    importances = permutation_importance(model, drawn[REPORTED_FOLD], threshold, seed=seed)
    return _Results(folds, frozen, list(lists), list(importances))


def _store(run: DomainRun, name: str, version: str, results: _Results) -> _Rows:
    """Store the results of a version: tables in the warehouse, one file for each fold, and the record of the model."""
    layout, domain = run.layout, run.domain.name
    rows = _Rows([], [], [])
    for fold, result in results.folds.items():
        rows.metrics.extend(result.rows(name, version, HOLDOUT, fold))
        rows.slices.extend(result.slice_rows(name, version, HOLDOUT, fold))
        rows.confusion.extend(result.confusion_rows(name, version, HOLDOUT, fold))
    frozen = [row for fold, result in results.frozen.items() for row in result.rows(name, version, FROZEN, fold)]
    with run.warehouse.connect() as connection:
        store_metrics(connection, rows.metrics + frozen, rows.slices, rows.confusion)
    for fold, result in results.folds.items():
        result.write_per_user(layout.per_user(domain, fold, name))
    write_example_lists(results.lists, layout.example_lists(domain, name))
    write_importance(results.importances, layout.importance(domain, name))
    ModelStore(layout).record_metrics(domain, name, version, headline(rows.metrics))
    return rows


def _plots(rows: _Rows, importances: Sequence[Importance]) -> dict[str, str]:
    """Return the plots as SVG: errors on the test fold, parts of the users and items, importance of inputs."""
    figures = {}
    cells = [row for row in rows.confusion if row.fold == REPORTED_FOLD]
    if cells:
        figures["confusion"] = cached_svg(plot_confusion, tuple(cells))
    figures |= dict(slice_figures([row for row in rows.slices if row.fold == REPORTED_FOLD]))
    if importances:
        figures["importance"] = cached_svg(plot_importance, tuple(importances))
    return figures


def _track(
    context: dg.AssetExecutionContext, run: DomainRun, record: ModelRecord, rows: _Rows, plots: dict[str, str]
) -> dict[str, str]:
    """Show the fit in MLflow where the settings name one; return its run as metadata. A failure is only logged."""
    try:
        run_id = track_fit(run.settings, run.domain.name, record, rows.metrics, plots)
    except RecsysError as error:
        context.log.warning(describe_untracked(error))
        return {}
    return {} if run_id is None else {"mlflow_run": run_id}


def _evaluation_asset(name: str) -> Partitioned[dg.AssetsDefinition]:
    @for_each_domain(
        dg.asset,
        key=["evaluation", name],
        group_name=f"models_{model_family(name)}",
        description=f"Metrics of `{name}` on the validation fold and the test fold, for ratings and for lists.",
        kinds={"numpy", "duckdb"},
        tags=stage_tags("evaluation", family=model_family(name)),
        metadata={"dagster/table_name": "evaluation.metrics"},
        deps=[["models", name], *EVALUATION_DATA],
        check_specs=[fitted_check("evaluation", name)],
    )
    def evaluation(context: dg.AssetExecutionContext, recsys: Recsys) -> Materialized:
        run = recsys.hold(context.partition_key)
        fit = read_outcome(run.layout, run.domain.name, name)
        if fit is not None and not fit.version:
            return conclude(run, fit, {})
        holdout = load_holdout(run.warehouse)
        with track_resources() as usage:
            attempted = attempt(
                name,
                partial(_evaluate, run, name, holdout),
                seconds=run.settings.model_seconds,
                id_map_hash=holdout.id_map_hash,
            )
        results, outcome = attempted.value, attempted.outcome
        if results is None:
            return conclude(run, replace(outcome, version=fit.version if fit else ""), usage_metadata(usage))
        record = ModelStore(run.layout).record(run.domain.name, name)
        version = record.version
        rows = _store(run, name, version, results)
        plots = _plots(rows, results.importances)
        table = [[row.fold, row.metric, row.k, row.value, row.low, row.high, row.users] for row in rows.metrics]
        return conclude(
            run,
            replace(outcome, version=version),
            {
                "version": version,
                **headline(rows.metrics),
                **{title: picture(svg) for title, svg in plots.items()},
                **_track(context, run, record, rows, plots),
                "metrics": markdown_table(["fold", "metric", "k", "value", "low", "high", "users"], table),
                **usage_metadata(usage, len(holdout.data.validation) + len(holdout.test)),
            },
        )

    return evaluation


evaluations = [_evaluation_asset(name) for name in model_names()]


@for_each_domain(
    dg.asset,
    key=["evaluation", "leaderboard"],
    group_name="evaluation",
    kinds={"numpy", "duckdb", "matplotlib"},
    tags=stage_tags("evaluation"),
    metadata={"dagster/table_name": "evaluation.metrics"},
    deps=[*MODEL_RESULTS, *EVALUATION_DATA],
)
def leaderboard(context: dg.AssetExecutionContext, recsys: Recsys) -> Materialized:
    """All models and the constant in one table, with 95 % intervals, and sentences on which model beats which."""
    run = recsys.hold(context.partition_key)
    warehouse = run.warehouse
    holdout = load_holdout(warehouse)
    data = holdout.data
    rows: list[MetricRow] = []
    with track_resources() as usage:
        for fold, pairs in ((CHOOSING_FOLD, data.validation), (REPORTED_FOLD, holdout.test)):
            if data.scale is not None:
                drawn = draw_users(pairs, run.settings.evaluation_users, run.settings.seed)
                constant = constant_rating_metrics(data.train, drawn, seed=run.settings.seed)
                rows += constant.rows(CONSTANT, "", HOLDOUT, fold)
        with warehouse.connect() as connection:
            store_metrics(connection, rows)
        board = EvaluationResults(run).compare()
    return dg.MaterializeResult(
        metadata={
            "leaderboard": markdown_table(*leaderboard_table(board)),
            **{
                key.column: picture(to_svg(plot_leaderboard(board, key)))
                for key in (CHOOSING_METRIC, RATING_METRIC)
                if any(key in row.shown for row in board.rows)
            },
            "verdicts": dg.MetadataValue.md("\n".join(f"- {sentence}" for sentence in verdicts(board))),
            "dagster/row_count": len(board.rows) + len(board.missing),
            **usage_metadata(usage),
        }
    )
