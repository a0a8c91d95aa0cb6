"""The group `papers`: the papers as published and what their faults do; in no weekly retrain, for it takes long."""

from collections.abc import Sequence

import dagster as dg
from pydantic import Field

from recsys_dagster.orchestration.asset_keys import TRAINING_DATA, keys
from recsys_dagster.orchestration.metadata import Materialized, markdown_table, stage_tags, usage_metadata
from recsys_dagster.orchestration.partitions import domain_partitions
from recsys_dagster.orchestration.resource import Recsys
from recsys_dagster.papers.faults import describe_fault, show_faults
from recsys_dagster.papers.records import FaultRow, PaperConfusion, PaperRow, store_records
from recsys_dagster.papers.running import lineage_folds, run_papers
from recsys_dagster.runtime.resource_usage import track_resources


class PapersConfig(dg.Config):
    """Which papers to run."""

    papers: list[str] = Field([], description="Numbers, such as 000; empty: all that are about the domain.")


class FaultsConfig(dg.Config):
    """Which faults to show."""

    faults: list[str] = Field([], description="Names, such as leaky-tastes; empty: all.")


@dg.asset(
    key=["papers", "as_published"],
    group_name="papers",
    partitions_def=domain_partitions,
    kinds={"numpy", "duckdb"},
    tags=stage_tags("papers"),
    metadata={"dagster/table_name": "evaluation.papers"},
    deps=[*TRAINING_DATA, *keys("clean", ("ratings", "interactions"))],
)
def as_published(context: dg.AssetExecutionContext, config: PapersConfig, recsys: Recsys) -> Materialized:
    """Each paper's figures as printed, ours under its own protocol on the data that are here, and ours honestly."""
    run = recsys.hold(context.partition_key)
    dataset, seed = run.origin.dataset_id, run.settings.seed
    warehouse = run.warehouse
    with track_resources() as usage:
        found = list(run_papers(warehouse, run.domain, dataset, config.papers or None, seed=seed))
    papers = [row for row in found if isinstance(row, PaperRow)]
    with warehouse.connect() as connection:
        store_records(connection, PaperRow, dataset, papers)
        store_records(connection, PaperConfusion, dataset, [row for row in found if isinstance(row, PaperConfusion)])
    return dg.MaterializeResult(
        metadata={
            "figures": markdown_table(
                ["paper", "system", "metric", "printed", "as published", "trivial", "honest", "trivial, honest"],
                [
                    [
                        row.paper,
                        row.system,
                        row.metric,
                        row.printed,
                        row.as_published,
                        row.as_published_trivial,
                        row.honest,
                        row.honest_trivial,
                    ]
                    for row in papers
                ],
            ),
            "dataset": dataset,
            "dagster/row_count": len(papers),
            **usage_metadata(usage),
        }
    )


@dg.asset(
    key=["papers", "faults"],
    group_name="papers",
    partitions_def=domain_partitions,
    kinds={"numpy", "duckdb"},
    tags=stage_tags("papers"),
    metadata={"dagster/table_name": "evaluation.papers"},
    deps=TRAINING_DATA,
)
def faults(context: dg.AssetExecutionContext, config: FaultsConfig, recsys: Recsys) -> Materialized:
    """Each fault of the papers switched on and off, all else equal: by how much does the score lie?"""
    run = recsys.hold(context.partition_key)
    dataset, warehouse = run.origin.dataset_id, run.warehouse
    folds = lineage_folds(warehouse, run.domain, dataset, seed=run.settings.seed)
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
