"""The groups `clean` and `features`: one asset for each SQL file, one transaction for each group.

The tables of a group are replaced together or not at all, so that a killed run never leaves new users with old
interactions. Dependencies and column lineage are read out of the SQL itself.
"""

from collections.abc import Callable, Iterator, Sequence
from graphlib import TopologicalSorter

import dagster as dg

from recsys_dagster.errors import RecsysError
from recsys_dagster.ingest.catalogue import get_dataset
from recsys_dagster.orchestration.metadata import (
    Materialized,
    source_references,
    stage_tags,
    table_metadata,
    usage_metadata,
)
from recsys_dagster.orchestration.partitions import Partitioned, for_each_domain
from recsys_dagster.orchestration.previews import ignore_preview_warnings
from recsys_dagster.orchestration.resource import Recsys
from recsys_dagster.orchestration.spark_pipes import spark_through
from recsys_dagster.runtime.resource_usage import track_resources
from recsys_dagster.warehouse.build import TableSummary, build_clean, build_features
from recsys_dagster.warehouse.domain_run import DomainRun
from recsys_dagster.warehouse.lineage import Column, column_lineage, upstream
from recsys_dagster.warehouse.sql_files import SqlTable, sql_tables


def _clean(run: DomainRun) -> list[TableSummary]:
    return build_clean(run.warehouse, run.dataset, run.manifest, max_rejected=run.settings.max_rejected)


def _features(run: DomainRun) -> list[TableSummary]:
    return build_features(run.warehouse, run.settings.seed)


def _spec(table: SqlTable) -> dg.AssetSpec:
    """Return the asset of a table: its key, its description and its dependencies."""
    keys = [("raw", "files") if schema == "raw" else (schema, name) for schema, name in sorted(upstream(table))]
    return dg.AssetSpec(
        key=[table.schema, table.name],
        deps=[dg.AssetKey(key) for key in dict.fromkeys(keys)],
        description=table.description,
        group_name=table.schema,
        kinds={"duckdb", "sql"},
        tags=stage_tags(table.schema),
        metadata={"dagster/table_name": f"{table.schema}.{table.name}", **source_references(table.path)},
    )


def _lineage(run: DomainRun, table: SqlTable) -> dict[str, list[Column]]:
    """Return the column lineage of a table; nothing if the dataset that it was built of is not declared any more."""
    try:
        return column_lineage(table, get_dataset(run.origin.dataset_id, run.settings).format)
    except RecsysError:
        return {}


def _group(group: str, build: Callable[[DomainRun], list[TableSummary]]) -> Partitioned[dg.AssetsDefinition]:
    """Return all tables of a group as one step."""
    known = {(group, table.name): table for table in sql_tables(group)}
    before = {key: upstream(table) & known.keys() for key, table in known.items()}
    tables = {key[1]: known[key] for key in TopologicalSorter(before).static_order()}

    @for_each_domain(dg.multi_asset, name=f"{group}_tables", specs=[_spec(table) for table in tables.values()])
    def assets(context: dg.AssetExecutionContext, recsys: Recsys) -> Iterator[Materialized]:
        run = recsys.hold(context.partition_key)
        with spark_through(context), track_resources() as usage:
            summaries = {summary.name: summary for summary in build(run)}
        rows = sum(summary.rows for summary in summaries.values())  # the usage is that of the whole group, too
        for name, table in tables.items():
            lineage = _lineage(run, table)
            yield dg.MaterializeResult(
                asset_key=[group, name],
                metadata={
                    "engine": run.settings.engine,
                    **table_metadata(summaries[name], lineage),
                    **usage_metadata(usage, rows),
                },
            )

    return assets


clean = _group("clean", _clean)
features = _group("features", _features)


def with_engine(assets: dg.AssetsDefinition, engine: str) -> dg.AssetsDefinition:
    """Return the assets with the engine that makes their tables among their kinds."""
    return assets.map_asset_specs(lambda spec: spec.replace_attributes(kinds={*spec.kinds, engine}))


def schema_checks(clean_tables: dg.AssetsDefinition) -> Sequence[dg.AssetChecksDefinition]:
    """Return the checks that warn when the columns of a clean table are not those of the run before."""
    ignore_preview_warnings()
    return dg.build_column_schema_change_checks(assets=[clean_tables])
