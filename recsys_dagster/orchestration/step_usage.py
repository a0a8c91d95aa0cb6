"""Read the resource usage of the steps of a domain from Dagster's records."""

import dagster as dg

from recsys_dagster.orchestration.metadata import CPU_SECONDS, PEAK_MEMORY, ROWS_PER_SECOND, WALL_SECONDS
from recsys_dagster.runtime.resource_usage import StepUsage


def step_usage(instance: dg.DagsterInstance, domain: str) -> list[StepUsage]:
    """Return the usage of each step when it last materialised an asset, in the order in which the steps ended.

    Args:
        instance: holds the records; an ephemeral one has only those of the current run.
        domain: the partition.
    """
    usages: dict[str, StepUsage] = {}
    for key in instance.all_asset_keys():
        records = dg.AssetRecordsFilter(key, asset_partitions=[domain])
        for record in instance.fetch_materializations(records, limit=1).records:
            event = record.event_log_entry.dagster_event
            metadata = record.asset_materialization.metadata if record.asset_materialization else {}
            if event is None or WALL_SECONDS not in metadata:
                continue
            figures = {name: float(str(value.value)) for name, value in metadata.items() if name in _FIGURES}
            step = (event.step_key or "").replace("__", "/")
            usages[step] = StepUsage(
                step,
                figures[WALL_SECONDS],
                figures[CPU_SECONDS],
                round(figures[PEAK_MEMORY] * 1e6),
                figures.get(ROWS_PER_SECOND),
                record.timestamp,
            )
    return sorted(usages.values(), key=lambda usage: usage.ended_at)


_FIGURES = {WALL_SECONDS, CPU_SECONDS, PEAK_MEMORY, ROWS_PER_SECOND}
