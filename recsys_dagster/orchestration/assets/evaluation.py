"""One evaluation for each model, in the group of the model; and the group `evaluation`: the leaderboard over all."""

from collections.abc import Sequence
from dataclasses import replace

import dagster as dg

from recsys_dagster.evaluation.evaluate import Evaluation, constant_rating_metrics, evaluate
from recsys_dagster.evaluation.example_lists import ListedItem, example_lists, pick_example_users, write_example_lists
from recsys_dagster.evaluation.importance import Importance, permutation_importance, write_importance
from recsys_dagster.evaluation.metrics.registry import CHOOSING_METRIC, RATING_METRIC
from recsys_dagster.evaluation.results import EvaluationResults
from recsys_dagster.evaluation.store import (
    CONSTANT,
    HOLDOUT,
    REPORTED_FOLD,
    ConfusionRow,
    MetricRow,
    SliceRow,
    headline,
    store_metrics,
)
from recsys_dagster.evaluation.verdicts import verdicts
from recsys_dagster.model_store.outcomes import read_outcome
from recsys_dagster.model_store.store import ModelStore
from recsys_dagster.models.attempt import State, attempt
from recsys_dagster.models.registry import model_family, model_names
from recsys_dagster.orchestration.asset_keys import MODEL_RESULTS, TRAINING_DATA
from recsys_dagster.orchestration.metadata import Materialized, markdown_table, picture, stage_tags, usage_metadata
from recsys_dagster.orchestration.outcomes import conclude, fitted_check
from recsys_dagster.orchestration.partitions import domain_partitions
from recsys_dagster.orchestration.resource import Recsys
from recsys_dagster.reports.figures import cached_svg, to_svg
from recsys_dagster.reports.model_plots import plot_confusion, plot_importance, plot_leaderboard, slice_figures
from recsys_dagster.runtime.resource_usage import track_resources
from recsys_dagster.warehouse.arrays import load_holdout


def _pictures(
    confusion: Sequence[ConfusionRow], parts: Sequence[SliceRow], importances: Sequence[Importance]
) -> dict[str, dg.MarkdownMetadataValue]:
    """Where a model errs on the test fold, for whom it works, and what matters to it; as on the page."""
    figures = {}
    cells = [row for row in confusion if row.fold == REPORTED_FOLD]
    if cells:
        figures["confusion"] = cached_svg(plot_confusion, tuple(cells))
    figures |= dict(slice_figures([row for row in parts if row.fold == REPORTED_FOLD]))
    if importances:
        figures["importance"] = cached_svg(plot_importance, tuple(importances))
    return {title: picture(svg) for title, svg in figures.items()}


def _evaluation_asset(name: str) -> dg.AssetsDefinition:
    @dg.asset(
        key=["evaluation", name],
        group_name=f"models_{model_family(name)}",
        partitions_def=domain_partitions,
        description=f"How well `{name}` predicts and ranks what it has not seen, on the validation and the test fold.",
        kinds={"numpy", "duckdb"},
        tags=stage_tags("evaluation", family=model_family(name)),
        metadata={"dagster/table_name": "evaluation.metrics"},
        deps=[["models", name], *TRAINING_DATA],
        check_specs=[fitted_check("evaluation", name)],
    )
    def evaluation(context: dg.AssetExecutionContext, recsys: Recsys) -> Materialized:
        run = recsys.hold(context.partition_key)
        warehouse = run.warehouse
        fit = read_outcome(run.layout, run.domain.name, name)
        if fit is not None and not fit.version:
            return conclude(run, fit, {})
        holdout = load_holdout(warehouse, run.domain)
        data, test, index = holdout.data, holdout.test, holdout.id_map_hash
        owned = {"validation": None, "test": data.validation.matrix(data.n_users, data.n_items)}
        examples = pick_example_users(data.train, test, run.domain.like_threshold)
        found: dict[str, Evaluation] = {}
        lists: list[ListedItem] = []
        importances: list[Importance] = []

        def judge() -> None:
            model, _ = ModelStore(run.layout).load(run.domain.name, name, id_map_hash=index)
            for fold, pairs in {"validation": data.validation, "test": test}.items():
                found[fold] = evaluate(
                    model,
                    pairs,
                    owned[fold],
                    like_threshold=run.domain.like_threshold,
                    data=data,
                    seed=run.settings.seed,
                )
            lists.extend(example_lists(model, examples, owned["test"], holdout.item_ids))
            importances.extend(permutation_importance(model, test, run.domain.like_threshold, seed=run.settings.seed))

        with track_resources() as usage:
            outcome = attempt(name, judge, seconds=run.settings.model_seconds, id_map_hash=index).outcome
        if outcome.state is not State.FITTED:
            outcome = replace(outcome, version=fit.version if fit else "")
            return conclude(run, outcome, usage_metadata(usage))
        record = ModelStore(run.layout).record(run.domain.name, name)
        rows, parts, confusion = [], [], []
        for fold, result in found.items():
            rows += result.rows(name, record.version, HOLDOUT, fold)
            parts += result.slice_rows(name, record.version, HOLDOUT, fold)
            confusion += result.confusion_rows(name, record.version, HOLDOUT, fold)
        with warehouse.connect() as connection:
            store_metrics(connection, rows, parts, confusion)
        for fold, result in found.items():
            result.write_per_user(run.layout.per_user(run.domain.name, fold, name))
        write_example_lists(lists, run.layout.example_lists(run.domain.name, name))
        write_importance(importances, run.layout.importance(run.domain.name, name))
        ModelStore(run.layout).record_metrics(run.domain.name, name, record.version, headline(rows))
        table = [[row.fold, row.metric, row.k, row.value, row.low, row.high, row.users] for row in rows]
        return conclude(
            run,
            replace(outcome, version=record.version),
            {
                "version": record.version,
                **headline(rows),
                **_pictures(confusion, parts, importances),
                "metrics": markdown_table(["fold", "metric", "k", "value", "low", "high", "users"], table),
                **usage_metadata(usage, len(data.validation) + len(test)),
            },
        )

    return evaluation


evaluations = [_evaluation_asset(name) for name in model_names()]


@dg.asset(
    key=["evaluation", "leaderboard"],
    group_name="evaluation",
    partitions_def=domain_partitions,
    kinds={"numpy", "duckdb", "matplotlib"},
    tags=stage_tags("evaluation"),
    metadata={"dagster/table_name": "evaluation.metrics"},
    deps=[*MODEL_RESULTS, *TRAINING_DATA],
)
def leaderboard(context: dg.AssetExecutionContext, recsys: Recsys) -> Materialized:
    """All models side by side, the constant among them, with intervals and plain words on who beats whom."""
    run = recsys.hold(context.partition_key)
    warehouse = run.warehouse
    holdout = load_holdout(warehouse, run.domain)
    data, test = holdout.data, holdout.test
    rows: list[MetricRow] = []
    with track_resources() as usage:
        for fold, pairs in {"validation": data.validation, "test": test}.items():
            constant = constant_rating_metrics(data.train, pairs, seed=run.settings.seed)
            rows += constant.rows(CONSTANT, "", HOLDOUT, fold)
        with warehouse.connect() as connection:
            store_metrics(connection, rows)
        board = EvaluationResults(run).compare()
    records = board.records()
    return dg.MaterializeResult(
        metadata={
            "leaderboard": markdown_table(list(records[0]), [list(record.values()) for record in records]),
            **{key.column: picture(to_svg(plot_leaderboard(board, key))) for key in (CHOOSING_METRIC, RATING_METRIC)},
            "verdicts": dg.MetadataValue.md("\n".join(f"- {sentence}" for sentence in verdicts(board))),
            "dagster/row_count": len(records),
            **usage_metadata(usage),
        }
    )
