"""The schedules: when the domains are retrained regularly."""

from collections.abc import Iterator, Sequence

import dagster as dg

from recsys_dagster.orchestration.active_runs import active_run
from recsys_dagster.orchestration.resource import Recsys
from recsys_dagster.settings import Settings


def build_schedules(settings: Settings, domains: Sequence[str]) -> Sequence[dg.ScheduleDefinition]:
    """Return the schedules; they are on from the start if RECSYS_SCHEDULES is, else once the UI switches them on."""
    status = dg.DefaultScheduleStatus.RUNNING if settings.schedules else dg.DefaultScheduleStatus.STOPPED

    @dg.schedule(
        cron_schedule=settings.retrain_cron,
        execution_timezone=settings.timezone,
        job_name="retrain",
        default_status=status,
        description=f"Retrains every domain at {settings.retrain_cron} ({settings.timezone}); "
        "a domain with an active run is skipped.",
        tags={"recsys/trigger": "schedule"},
    )
    def retrain_regularly(
        context: dg.ScheduleEvaluationContext, recsys: Recsys
    ) -> Iterator[dg.RunRequest | dg.SkipReason]:
        """Request a retrain of each domain that has no active run."""
        tick = context.scheduled_execution_time.isoformat()
        busy = {domain: reason for domain in domains if (reason := active_run(context.instance, recsys.layout, domain))}
        for domain in domains:
            if domain in busy:
                context.log.info(busy[domain])
            else:
                yield dg.RunRequest(run_key=f"{domain}-{tick}", partition_key=domain)
        if len(busy) == len(domains):
            yield dg.SkipReason("; ".join(busy.values()))

    return [retrain_regularly]
