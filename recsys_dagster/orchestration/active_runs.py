"""Whether a domain is being worked on, by a run of Dagster's or by `recsys run` beside it."""

import dagster as dg

from recsys_dagster.evaluation.workspace import Workspace
from recsys_dagster.runtime.locks import holder_of

PARTITION = "dagster/partition"
UNFINISHED = [
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]


def under_way(instance: dg.DagsterInstance, workspace: Workspace, domain: str) -> str | None:
    """Return which run of the domain is under way, in words; None where there is none."""
    unfinished = dg.RunsFilter(statuses=UNFINISHED, tags={PARTITION: domain})
    for run in instance.get_runs(unfinished, limit=1):
        return f"{domain}: the run {run.run_id[:8]} is under way"
    holder = holder_of(workspace.layout, domain)
    return holder and f"{domain}: the process {holder} is at work on it"
