"""When the domains are retrained without anybody asking."""

from collections.abc import Iterator

import dagster as dg

from recsys_dagster.domains import DOMAINS
from recsys_dagster.orchestration.jobs import retrain


@dg.schedule(cron_schedule="0 4 * * 1", job=retrain)
def retrain_weekly(context: dg.ScheduleEvaluationContext) -> Iterator[dg.RunRequest]:
    """Every Monday at 04:00 UTC: one retrain of each domain, at most once a tick."""
    tick = context.scheduled_execution_time.isoformat()
    for domain in DOMAINS:
        yield dg.RunRequest(run_key=f"{domain}-{tick}", partition_key=domain)
