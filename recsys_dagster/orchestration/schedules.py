"""When the domains are retrained without anybody asking."""

from collections.abc import Iterator, Sequence

import dagster as dg

from recsys_dagster.domains import DOMAINS
from recsys_dagster.orchestration.active_runs import active_run
from recsys_dagster.orchestration.resource import Recsys
from recsys_dagster.settings import Settings


def build_schedules(settings: Settings) -> Sequence[dg.ScheduleDefinition]:
    """Return the schedules, which run from the start if the settings say so, and else once they are switched on."""
    status = dg.DefaultScheduleStatus.RUNNING if settings.schedules else dg.DefaultScheduleStatus.STOPPED

    @dg.schedule(cron_schedule=settings.retrain_cron, job_name="retrain", default_status=status)
    def retrain_regularly(
        context: dg.ScheduleEvaluationContext, recsys: dg.ResourceParam[Recsys]
    ) -> Iterator[dg.RunRequest | dg.SkipReason]:
        """One retrain of each domain at RECSYS_RETRAIN_CRON, in UTC; none of a domain that has a run under way."""
        tick = context.scheduled_execution_time.isoformat()
        busy = {domain: reason for domain in DOMAINS if (reason := active_run(context.instance, recsys.layout, domain))}
        for domain in DOMAINS:
            if domain in busy:
                context.log.info(busy[domain])
            else:
                yield dg.RunRequest(run_key=f"{domain}-{tick}", partition_key=domain)
        if len(busy) == len(DOMAINS):
            yield dg.SkipReason("; ".join(busy.values()))

    return [retrain_regularly]
