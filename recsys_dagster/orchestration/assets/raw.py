"""The group `raw`: the files as published."""

import dagster as dg

from recsys_dagster.ingest.fetching import fetch
from recsys_dagster.orchestration.metadata import Materialized, markdown_table, usage_metadata
from recsys_dagster.orchestration.partitions import domain_partitions
from recsys_dagster.orchestration.resource import Recsys
from recsys_dagster.runtime.resource_usage import track_resources


@dg.asset(key=["raw", "files"], group_name="raw", partitions_def=domain_partitions, kinds={"csv", "python"})
def raw_files(context: dg.AssetExecutionContext, recsys: dg.ResourceParam[Recsys]) -> Materialized:
    """The publisher's files, verified and unpacked, with a manifest of where they came from.

    A mirror is asked first, then the publisher; the samples are generated. Nothing is fetched twice.
    """
    run = recsys.hold(context.partition_key)
    dataset = run.dataset
    with track_resources() as usage:
        manifest = fetch(dataset, run.settings)
    columns = [
        dg.TableColumn(f"{file.name}:{column.name}", type=column.type)
        for file in dataset.format.files
        for column in file.columns
    ]
    rows = [[name, file.bytes, file.lines, file.sha256] for name, file in manifest.files.items()]
    return dg.MaterializeResult(
        data_version=dg.DataVersion(manifest.data_version),
        metadata={
            "dataset": dataset.id,
            "format": dataset.format.name,
            "url": manifest.url,
            "licence": manifest.licence,
            "fetched_at": manifest.fetched_at,
            "folder": dg.MetadataValue.path(manifest.folder),
            "bytes": sum(file.bytes for file in manifest.files.values()),
            "files": markdown_table(["file", "bytes", "lines", "sha256"], rows),
            "dagster/column_schema": dg.TableSchema(columns),
            **usage_metadata(usage, sum(file.lines for file in manifest.files.values())),
        },
    )
