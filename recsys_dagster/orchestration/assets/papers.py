"""The group `papers`: replications of the papers, and the effects of their faults. No retrain includes them."""

import inspect
from collections.abc import Sequence

import dagster as dg
from pydantic import Field

from recsys_dagster.orchestration.asset_keys import TRAINING_DATA, keys
from recsys_dagster.orchestration.metadata import Materialized, markdown_table, stage_tags, usage_metadata
from recsys_dagster.orchestration.partitions import Partitioned, for_each_domain
from recsys_dagster.orchestration.resource import Recsys
from recsys_dagster.orchestration.spark_pipes import spark_through
from recsys_dagster.papers.as_published import PAPERS
from recsys_dagster.papers.faults import describe_fault, show_faults
from recsys_dagster.papers.protocols import PREFIX, paper_protocols
from recsys_dagster.papers.records import FaultRow, PaperConfusion, PaperDetail, PaperRow, store_records
from recsys_dagster.papers.running import lineage_folds, run_papers
from recsys_dagster.runtime.resource_usage import track_resources


class FaultsConfig(dg.Config):
    """Which faults to show."""

    faults: list[str] = Field([], description="Names, such as leaky-tastes; empty: all.")


def paper_key(paper: str) -> str:
    """Return the last part of the asset key of a paper, such as `paper_000`."""
    return f"paper_{paper}"


def _paper_asset(paper: str) -> Partitioned[dg.AssetsDefinition]:
    @for_each_domain(
        dg.asset,
        key=["papers", paper_key(paper)],
        group_name="papers",
        description=f"Paper {paper}: the figures as printed, ours under the paper's own protocol, and ours on the "
        f"folds of the lineage.\n\n{inspect.getdoc(PAPERS[paper])}",
        kinds={"numpy", "duckdb"},
        tags=stage_tags("papers"),
        metadata={"dagster/table_name": "evaluation.papers"},
        deps=[*TRAINING_DATA, *keys("clean", ("ratings", "interactions"))],
    )
    def replicate(context: dg.AssetExecutionContext, recsys: Recsys) -> Materialized:
        run = recsys.hold(context.partition_key)
        if f"{PREFIX}{paper}" not in paper_protocols(run.domain):
            return dg.MaterializeResult(
                metadata={"skipped": f"the paper is not about {run.domain.name}", "dagster/row_count": 0}
            )
        if run.origin.scale is None:
            return _skipped_without_ratings()
        dataset = run.origin.dataset_id
        with track_resources() as usage, spark_through(context):
            results = list(run_papers(run.warehouse, run.built_domain, dataset, [paper], seed=run.settings.seed))
        rows = [row for row in results if isinstance(row, PaperRow)]
        confusion = [row for row in results if isinstance(row, PaperConfusion)]
        details = [row for row in results if isinstance(row, PaperDetail)]
        with run.warehouse.connect() as connection:
            store_records(connection, PaperRow, dataset, rows)
            store_records(connection, PaperConfusion, dataset, confusion)
            store_records(connection, PaperDetail, dataset, details)
        return dg.MaterializeResult(
            metadata={
                "figures": markdown_table(
                    ["system", "metric", "printed", "as published", "trivial", "honest", "trivial, honest"],
                    [
                        [
                            row.system,
                            row.metric,
                            row.printed,
                            row.as_published,
                            row.as_published_trivial,
                            row.honest,
                            row.honest_trivial,
                        ]
                        for row in rows
                    ],
                ),
                "dataset": dataset,
                "dagster/row_count": len(rows),
                **usage_metadata(usage),
            }
        )

    return replicate


papers = [_paper_asset(paper) for paper in PAPERS]


@for_each_domain(
    dg.asset,
    key=["papers", "faults"],
    group_name="papers",
    kinds={"numpy", "duckdb"},
    tags=stage_tags("papers"),
    metadata={"dagster/table_name": "evaluation.faults"},
    deps=TRAINING_DATA,
)
def faults(context: dg.AssetExecutionContext, config: FaultsConfig, recsys: Recsys) -> Materialized:
    """The effect of each fault of the papers: the same experiment with the fault and without it."""
    run = recsys.hold(context.partition_key)
    if run.origin.scale is None:
        return _skipped_without_ratings()
    dataset, warehouse = run.origin.dataset_id, run.warehouse
    folds = lineage_folds(warehouse, dataset, seed=run.settings.seed)
    with track_resources() as usage:
        rows: Sequence[FaultRow] = list(show_faults(folds, config.faults or None))
    with warehouse.connect() as connection:
        store_records(connection, FaultRow, dataset, rows)
    named = {row.fault for row in rows}
    return dg.MaterializeResult(
        metadata={
            "effects": markdown_table(
                ["fault", "paper", "system", "metric", "honest", "faulty", "low", "high"],
                [[r.fault, r.paper, r.system, r.metric, r.honest, r.faulty, r.low, r.high] for r in rows],
            ),
            "what they are": dg.MetadataValue.md("\n".join(f"- {one}: {describe_fault(one)}" for one in sorted(named))),
            "dataset": dataset,
            "dagster/row_count": len(rows),
            **usage_metadata(usage),
        }
    )


def _skipped_without_ratings() -> Materialized:
    reason = "the papers predict ratings, and these data are implicit feedback"
    return dg.MaterializeResult(metadata={"skipped": reason, "dagster/row_count": 0})
