"""The group `raw`: the files as published."""

import dagster as dg

from recsys_dagster.errors import RecsysError, TransientError
from recsys_dagster.ingest.feedback import take_feedback, with_feedback
from recsys_dagster.ingest.fetching import fetch
from recsys_dagster.orchestration.metadata import Materialized, location, markdown_table, stage_tags, usage_metadata
from recsys_dagster.orchestration.partitions import for_each_domain
from recsys_dagster.orchestration.resource import Recsys
from recsys_dagster.runtime.resource_usage import track_resources

RETRIES = dg.RetryPolicy(max_retries=2, delay=30, backoff=dg.Backoff.EXPONENTIAL, jitter=dg.Jitter.PLUS_MINUS)
"""When the network or a server fails: two more tries, after half a minute and after a minute."""


@for_each_domain(
    dg.asset,
    key=["raw", "files"],
    group_name="raw",
    kinds={"csv", "python"},
    tags=stage_tags("raw"),
    retry_policy=RETRIES,
)
def raw_files(context: dg.AssetExecutionContext, recsys: Recsys) -> Materialized:
    """The publisher's files, verified and unpacked, with a manifest that says where they came from.

    The mirror is tried first, then the publisher; samples are generated. Nothing is fetched twice. With RECSYS_FEEDBACK
    the events that `recsys serve` was told of are one more file.
    """
    try:
        run = recsys.hold(context.partition_key)
        dataset = run.dataset
        context.log.info(f"{run.domain.name}: dataset {dataset.id}")
        with track_resources() as usage:
            fetched = fetch(dataset, run.settings)
            take_feedback(dataset, run.settings)
            manifest = with_feedback(fetched, run.settings)
    except RecsysError as error:
        is_last = context.op_execution_context.retry_number >= RETRIES.max_retries
        if isinstance(error, TransientError) and not is_last:
            raise
        raise dg.Failure(f"raw/files: {error}", allow_retries=False) from error
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
            **location(manifest.folder),
            "bytes": sum(file.bytes for file in manifest.files.values()),
            "files": markdown_table(["file", "bytes", "lines", "sha256"], rows),
            "dagster/row_count": sum(file.lines for file in manifest.files.values()),
            "dagster/column_schema": dg.TableSchema(columns),
            **usage_metadata(usage, sum(file.lines for file in manifest.files.values())),
        },
    )
