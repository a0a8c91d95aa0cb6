"""The group `serving`: the champion, its lists, and the pages."""

import dagster as dg

from recsys_dagster.errors import RecsysError
from recsys_dagster.experiments.tracking import describe_untracked, track_champion
from recsys_dagster.ingest.domain_lookup import known_domains
from recsys_dagster.lifecycle.promotion import update_champion
from recsys_dagster.lifecycle.publication import build_lists
from recsys_dagster.lifecycle.waiting import Waiting, describe_waiting, find_waiting, publish_or_wait
from recsys_dagster.model_store.store import ModelStore
from recsys_dagster.orchestration.asset_keys import (
    EVALUATION_DATA,
    LEADERBOARD,
    MODEL_RESULTS,
    PROFILE,
    RAW_FILES,
    TRAINING_DATA,
    keys,
    model_keys,
)
from recsys_dagster.orchestration.assets.papers import paper_key
from recsys_dagster.orchestration.metadata import (
    Materialized,
    challengers_table,
    history_table,
    location,
    markdown_table,
    page_link,
    picture,
    stage_tags,
    usage_metadata,
)
from recsys_dagster.orchestration.partitions import for_each_domain
from recsys_dagster.orchestration.pools import FITTING
from recsys_dagster.orchestration.resource import Recsys
from recsys_dagster.orchestration.spark_pipes import spark_through
from recsys_dagster.orchestration.step_usage import step_usage
from recsys_dagster.papers.as_published import PAPERS
from recsys_dagster.quality.lists import overlap_with_published
from recsys_dagster.reports.collect import collect_report
from recsys_dagster.reports.comparison import comparison_records, published_results, write_comparison
from recsys_dagster.reports.page import write_report
from recsys_dagster.runtime.resource_usage import track_resources
from recsys_dagster.serving.export.sinks import export_everywhere
from recsys_dagster.serving.lookup import PublishedFile

SHOWN_USERS, SHOWN_ITEMS = 3, 10
"""Of the lists that the UI shows as an example."""


@for_each_domain(
    dg.asset,
    key=["serving", "champion"],
    group_name="serving",
    kinds={"numpy", "duckdb"},
    tags=stage_tags("serving"),
    deps=[LEADERBOARD, *MODEL_RESULTS, *EVALUATION_DATA],
    pool=FITTING,
)
def champion(context: dg.AssetExecutionContext, recsys: Recsys) -> Materialized:
    """The choice of the next champion: a challenger only if it is significantly better on validation.

    It must beat the champion and popularity by NDCG@10, paired over users, corrected for the number of challengers by
    Holm's method; and its coverage, its RMSE and its NDCG@10 of the least active users must be within the tolerances.
    Otherwise the champion stays, fitted on the new data. The choice counts once its lists have passed their checks and
    are published.
    """
    run = recsys.hold(context.partition_key)
    with track_resources() as usage:
        update = update_champion(run)
    decision = update.decision
    return dg.MaterializeResult(
        metadata={
            "chosen_model": decision.model,
            "chosen_version": decision.version,
            "reason": decision.reason,
            **location(run.layout.pending_decision(run.domain.name)),
            "challengers": markdown_table(*challengers_table(update.challenges)),
            **usage_metadata(usage),
        }
    )


@for_each_domain(
    dg.asset,
    key=["serving", "lists"],
    group_name="serving",
    kinds={"numpy", "duckdb"},
    tags=stage_tags("serving"),
    deps=[
        *keys("serving", ("champion",)),
        LEADERBOARD,
        *MODEL_RESULTS,
        *TRAINING_DATA,
        *keys("clean", ("ratings", "interactions", "users")),
    ],
    pool=FITTING,
)
def lists(context: dg.AssetExecutionContext, recsys: Recsys) -> Materialized:
    """The list of the champion for every user, after a refit on all folds; in a file that waits for its checks."""
    run = recsys.hold(context.partition_key)
    with track_resources() as usage, spark_through(context):
        written = build_lists(run)
    overlap = overlap_with_published(run)
    path = run.layout.built(run.domain.name)
    with PublishedFile(path) as built:
        examples = {user: built.recommendations(user, SHOWN_ITEMS) for user in built.users_with_lists(SHOWN_USERS)}
    return dg.MaterializeResult(
        metadata={
            "dagster/row_count": written.rows,
            "users": written.users,
            "example_lists": markdown_table(
                ["user", "rank", "title", "kind", "year", "score"],
                [
                    [user, item.rank, item.title, item.kind, item.year, item.score]
                    for user, items in examples.items()
                    for item in items
                ],
            ),
            **location(path),
            **({} if overlap is None else {"overlap_with_published_top_10": overlap}),
            **usage_metadata(usage, written.rows),
        }
    )


@for_each_domain(
    dg.asset,
    key=["serving", "recommendations"],
    group_name="serving",
    kinds={"duckdb"},
    tags=stage_tags("serving"),
    deps=[
        *keys("serving", ("champion", "lists")),
        *model_keys(),  # old versions are removed
        *keys("clean", ("items", "interactions", "users")),
        *keys("features", ("users", "interactions")),
    ],
)
def recommendations(context: dg.AssetExecutionContext, recsys: Recsys) -> Materialized:
    """The checked lists, in the one file that readers open; their model is the champion from then on.

    Earlier files are kept for `recsys rollback`. With RECSYS_PROMOTION=manual the lists wait for `recsys approve`
    instead, and readers keep what they have.
    """
    run = recsys.hold(context.partition_key)
    with track_resources() as usage:
        done = publish_or_wait(run)
    try:
        track_champion(recsys.settings, run.domain.name)
    except RecsysError as error:
        context.log.warning(describe_untracked(error))
    if isinstance(done, Waiting):
        context.log.info(describe_waiting(run.domain.name, done))
        return dg.MaterializeResult(
            metadata={
                "waiting_model": done.decision.model,
                "waiting_version": done.decision.version,
                "waiting": describe_waiting(run.domain.name, done),
                **location(run.layout.waiting(run.domain.name)),
                **usage_metadata(usage),
            }
        )
    provenance = done
    return dg.MaterializeResult(
        metadata={
            "model": provenance.model,
            "version": provenance.version,
            **location(run.layout.published(run.domain.name)),
            "history": markdown_table(*history_table(ModelStore(run.layout).history(run.domain.name))),
            **usage_metadata(usage),
        }
    )


@for_each_domain(
    dg.asset,
    key=["serving", "export"],
    group_name="serving",
    kinds={"duckdb"},
    tags=stage_tags("serving"),
    deps=keys("serving", ("recommendations",)),
)
def export(context: dg.AssetExecutionContext, recsys: Recsys) -> Materialized:
    """The published lists, copied to every target of RECSYS_EXPORT: folders, PostgreSQL, Redis.

    Lists that wait are copied once they are approved.
    """
    run = recsys.hold(context.partition_key)
    with track_resources() as usage:
        waits = find_waiting(run.layout, run.domain.name) is not None
        written = [] if waits else export_everywhere(run.layout.published(run.domain.name), recsys.settings)
    return dg.MaterializeResult(
        metadata={
            "targets": markdown_table(["target", "recommendations"], [[one.target, one.rows] for one in written]),
            **usage_metadata(usage),
        }
    )


@for_each_domain(
    dg.asset,
    key=["serving", "report"],
    group_name="serving",
    kinds={"jinja", "matplotlib"},
    tags=stage_tags("serving"),
    deps=[
        *keys("serving", ("champion", "recommendations")),
        *keys("papers", (*map(paper_key, PAPERS), "faults")),
        LEADERBOARD,
        *MODEL_RESULTS,
        PROFILE,
        *keys("features", ("users", "items", "interactions", "fold_cuts")),
        *keys("clean", ("items", "ratings", "interactions", "users", "rejected", "source_files")),
        RAW_FILES,
    ],
)
def report(context: dg.AssetExecutionContext, recsys: Recsys) -> Materialized:
    """One self-contained HTML page: the data, the leaderboard, each model, lists of example users."""
    run = recsys.hold(context.partition_key)
    path = run.layout.report(run.domain.name)
    with track_resources() as usage:
        page = collect_report(run, step_usage(context.instance, run.domain.name))
        write_report(path, page)
    return dg.MaterializeResult(
        metadata={
            **page_link(recsys.settings, path),
            "verdicts": dg.MetadataValue.md(
                "\n".join(f"- {sentence}" for sentence in (*page.champion_verdicts, *page.comparison_verdicts))
            ),
            "bytes": path.stat().st_size,
            **usage_metadata(usage),
        }
    )


@dg.asset(
    key=["serving", "domain_comparison"],
    group_name="serving",
    kinds={"jinja", "matplotlib"},
    tags=stage_tags("serving"),
    deps=keys("serving", ("recommendations", "report")),
    automation_condition=dg.AutomationCondition.eager(),
)
def domain_comparison(recsys: Recsys) -> Materialized:
    """The published results of all domains on one page: which models are good in more than one domain."""
    results = published_results(recsys.layout, known_domains(recsys.settings))
    if not results:
        raise RecsysError("nothing is published yet, so there is nothing to compare; run `recsys run` first")
    path = recsys.layout.comparison()
    with track_resources() as usage:
        figures = write_comparison(path, results)
    records = comparison_records(results)
    return dg.MaterializeResult(
        metadata={
            **page_link(recsys.settings, path),
            "domains": len(results),
            "models": markdown_table(list(records[0]), [list(record.values()) for record in records]),
            **{title: picture(svg) for title, svg in figures},
            **usage_metadata(usage),
        }
    )
