"""Find the active run of a domain: a run of Dagster, or another process that holds the domain."""

import dagster as dg

from recsys_dagster.runtime.layout import Layout
from recsys_dagster.runtime.locks import holder_of

PARTITION = "dagster/partition"
COMMAND_TAG = "recsys/command"
"""Tag of the runs of `recsys run`, which are executed in its own process."""
UNFINISHED = [
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]


def active_run(instance: dg.DagsterInstance, layout: Layout, domain: str) -> str | None:
    """Return a description of the active run of the domain; None where there is none.

    A run of `recsys run` is executed in the process of the command, which holds the domain. Where no process does, that
    run was killed, whatever its status says.
    """
    unfinished = dg.RunsFilter(statuses=UNFINISHED, tags={PARTITION: domain})
    for run in instance.get_runs(unfinished):
        if COMMAND_TAG not in run.tags:
            return f"{domain}: the run {run.run_id[:8]} is active"
    holder = holder_of(layout, domain)
    return holder and f"{domain}: the process {holder} holds it"
