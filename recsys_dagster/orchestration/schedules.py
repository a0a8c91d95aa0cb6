"""When the domains are retrained without anybody asking."""

from collections.abc import Iterator

import dagster as dg

from recsys_dagster.domains import DOMAINS


@dg.schedule(cron_schedule="0 4 * * 1", job_name="retrain")
def retrain_weekly(context: dg.ScheduleEvaluationContext) -> Iterator[dg.RunRequest]:
    """Every Monday at 04:00 UTC: one retrain of each domain, at most once a tick."""
    tick = context.scheduled_execution_time.isoformat()
    for domain in DOMAINS:
        yield dg.RunRequest(run_key=f"{domain}-{tick}", partition_key=domain)
