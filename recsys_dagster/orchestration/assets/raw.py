"""The group `raw`: the files as published."""

import dagster as dg

from recsys_dagster.evaluation.workspace import Workspace
from recsys_dagster.ingest.fetching import fetch
from recsys_dagster.orchestration.metadata import Materialized, cost_metadata, markdown_table
from recsys_dagster.orchestration.partitions import domain_partitions
from recsys_dagster.runtime.resource_usage import measuring


@dg.asset(key=["raw", "files"], group_name="raw", partitions_def=domain_partitions, kinds={"csv", "python"})
def raw_files(context: dg.AssetExecutionContext, workspace: dg.ResourceParam[Workspace]) -> Materialized:
    """The publisher's files, verified and unpacked, with a manifest of where they came from.

    A mirror is asked first, then the publisher; the samples are generated. Nothing is fetched twice.
    """
    domain = workspace.claim(context.partition_key)
    dataset = workspace.dataset(domain)
    with measuring() as cost:
        manifest = fetch(dataset, workspace.settings)
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
            **cost_metadata(cost, sum(file.lines for file in manifest.files.values())),
        },
    )
