"""What the steps of a domain cost when they last ran, as Dagster's records have it."""

import dagster as dg

from recsys_dagster.orchestration.metadata import CPU_SECONDS, PEAK_MEMORY, ROWS_PER_SECOND, WALL_SECONDS
from recsys_dagster.runtime.resource_usage import StepUsage


def step_usage(instance: dg.DagsterInstance, domain: str) -> list[StepUsage]:
    """Return a line for each step that made assets and told its cost, in the order they ended in.

    Args:
        instance: holds the records; one that forgets knows the run that it is in.
        domain: the partition.
    """
    found: dict[str, StepUsage] = {}
    for key in instance.all_asset_keys():
        asked = dg.AssetRecordsFilter(key, asset_partitions=[domain])
        for record in instance.fetch_materializations(asked, limit=1).records:
            event = record.event_log_entry.dagster_event
            told = record.asset_materialization.metadata if record.asset_materialization else {}
            if event is None or WALL_SECONDS not in told:
                continue
            figures = {name: float(str(value.value)) for name, value in told.items() if name in _TOLD}
            step = (event.step_key or "").replace("__", "/")
            found[step] = StepUsage(
                step,
                figures[WALL_SECONDS],
                figures[CPU_SECONDS],
                round(figures[PEAK_MEMORY] * 1e6),
                figures.get(ROWS_PER_SECOND),
                record.timestamp,
            )
    return sorted(found.values(), key=lambda cost: cost.ended_at)


_TOLD = {WALL_SECONDS, CPU_SECONDS, PEAK_MEMORY, ROWS_PER_SECOND}
