"""Find the active run of a domain: a run of Dagster, or another process that holds the domain."""

import dagster as dg

from recsys_dagster.runtime.layout import Layout
from recsys_dagster.runtime.locks import holder_of

PARTITION = "dagster/partition"
UNFINISHED = [
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]


def active_run(instance: dg.DagsterInstance, layout: Layout, domain: str) -> str | None:
    """Return a description of the active run of the domain; None where there is none."""
    unfinished = dg.RunsFilter(statuses=UNFINISHED, tags={PARTITION: domain})
    for run in instance.get_runs(unfinished, limit=1):
        return f"{domain}: the run {run.run_id[:8]} is active"
    holder = holder_of(layout, domain)
    return holder and f"{domain}: the process {holder} holds it"
