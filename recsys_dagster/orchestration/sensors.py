"""What Dagster looks out for: new raw files, and runs that somebody must hear of."""

import json
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import dagster as dg

from recsys_dagster.domains import DOMAINS
from recsys_dagster.errors import RecsysError
from recsys_dagster.ingest.fetching import archive_identity, archive_in_mirror
from recsys_dagster.ingest.manifest import read_manifest
from recsys_dagster.orchestration.active_runs import PARTITION, active_run
from recsys_dagster.orchestration.alarms import raise_alarm
from recsys_dagster.orchestration.failures import failed_checks, failed_steps
from recsys_dagster.orchestration.resource import Recsys
from recsys_dagster.orchestration.staleness import judge_age, lists_are_fresh
from recsys_dagster.serving.lookup import open_without_lock
from recsys_dagster.settings import Settings
from recsys_dagster.warehouse.domain_run import DomainRun

SETTLED_SECONDS = 60
"""An archive that was written to more recently may still be on its way."""


def build_sensors(settings: Settings) -> Sequence[dg.SensorDefinition]:
    """Return the sensors, which run from the start if the settings say so, and else once they are switched on."""
    status = dg.DefaultSensorStatus.RUNNING if settings.schedules else dg.DefaultSensorStatus.STOPPED
    conditions = dg.AutomationConditionSensorDefinition(
        "make_what_is_due",
        target=dg.AssetSelection.all(),
        default_status=status,
        description="Makes what stands over the domains when a domain's run is through: their comparison.",
    )
    return [_file_sensor(status), _staleness_sensor(status), *_alarm_sensors(status), conditions]


def _file_sensor(status: dg.DefaultSensorStatus) -> dg.SensorDefinition:
    @dg.sensor(job_name="retrain", minimum_interval_seconds=30, default_status=status)
    def retrain_on_new_files(context: dg.SensorEvaluationContext, recsys: dg.ResourceParam[Recsys]) -> dg.SensorResult:
        """A retrain of a domain whose archive in the mirror, or whose fetched files, are not those of its lists.

        One retrain for each state of the files: if it fails, the schedule or a person tries again. What only the
        network could tell is left to the schedule.
        """
        seen: dict[str, str] = json.loads(context.cursor or "{}")
        requests, reasons = [], []
        for domain in DOMAINS.values():
            if reason := active_run(context.instance, recsys.layout, domain.name):
                reasons.append(reason)
                continue
            run = recsys.look_at(domain.name)
            state = _state_of_files(run)
            if state is not None and state != seen.get(domain.name):
                seen[domain.name] = state
                if _are_new(run):
                    requests.append(dg.RunRequest(run_key=f"{domain.name} {state}", partition_key=domain.name))
        nothing = "; ".join(reasons) or "no new files"
        return dg.SensorResult(
            run_requests=requests, skip_reason=None if requests else nothing, cursor=json.dumps(seen)
        )

    return retrain_on_new_files


def _staleness_sensor(status: dg.DefaultSensorStatus) -> dg.SensorDefinition:
    @dg.sensor(minimum_interval_seconds=3600, default_status=status)
    def watch_staleness(context: dg.SensorEvaluationContext, recsys: dg.ResourceParam[Recsys]) -> dg.SensorResult:
        """The check `lists_are_fresh` of each domain, every hour, and an alarm a day while its lists are too old."""
        told: dict[str, str] = json.loads(context.cursor or "{}")
        today = datetime.now(UTC).date().isoformat()
        evaluations = []
        for domain in DOMAINS:
            passed, said = judge_age(recsys, domain)
            evaluations.append(
                dg.AssetCheckEvaluation(
                    asset_key=lists_are_fresh.check_key.asset_key,
                    check_name=lists_are_fresh.check_key.name,
                    passed=passed,
                    description=said,
                    metadata={},
                    partition=domain,
                )
            )
            if not passed and told.get(domain) != today:
                raise_alarm(recsys.settings, f"recsys: {said}", context.log)
                told[domain] = today
        return dg.SensorResult(asset_events=evaluations, cursor=json.dumps(told))

    return watch_staleness


def _alarm_sensors(status: dg.DefaultSensorStatus) -> Sequence[dg.SensorDefinition]:
    @dg.run_failure_sensor(default_status=status)
    def alarm_on_failure(context: dg.RunFailureSensorContext, recsys: dg.ResourceParam[Recsys]) -> None:
        """Tell the log and RECSYS_WEBHOOK that a run failed, where and why."""
        events = _events(context, dg.DagsterEventType.STEP_FAILURE)
        causes = failed_steps(events) or [context.failure_event.message or "it ended without a word"]
        raise_alarm(recsys.settings, _about(context.dagster_run, "failed", causes), context.log)

    @dg.run_status_sensor(run_status=dg.DagsterRunStatus.SUCCESS, default_status=status)
    def alarm_on_failed_checks(context: dg.RunStatusSensorContext, recsys: dg.ResourceParam[Recsys]) -> None:
        """Tell the log and RECSYS_WEBHOOK of a run that went through with something red, such as a failed model."""
        found = failed_checks(_events(context, dg.DagsterEventType.ASSET_CHECK_EVALUATION))
        if found:
            raise_alarm(recsys.settings, _about(context.dagster_run, "went through, but", found), context.log)

    return [alarm_on_failure, alarm_on_failed_checks]


def _state_of_files(run: DomainRun) -> str | None:
    """Return a word that changes with the files that there are to train on; None while they are being written."""
    dataset = run.dataset
    manifest = read_manifest(dataset, run.settings)
    archive = archive_in_mirror(dataset, run.settings)
    words = [dataset.id, manifest.data_version if manifest else "-"]
    if archive is not None:
        stat = archive.stat()
        if time.time() - stat.st_mtime < SETTLED_SECONDS:
            return None
        words += [str(stat.st_size), str(stat.st_mtime_ns)]
    return " ".join(words)


def _are_new(run: DomainRun) -> bool:
    """Tell whether the files are others than those that the published lists are made of."""
    dataset = run.dataset
    manifest = read_manifest(dataset, run.settings)
    archive = archive_in_mirror(dataset, run.settings)
    if manifest is None:
        return archive is not None
    if archive is not None and archive_identity(archive) != manifest.identity:
        return True
    try:
        with open_without_lock(run.layout.published(run.domain.name)) as published:
            lists = published.provenance()
    except RecsysError:  # nothing is published, or nothing that can be read
        return True
    return (lists.dataset, lists.data_version) != (dataset.id, manifest.data_version)


def _events(context: Any, kind: dg.DagsterEventType) -> list[dg.DagsterEvent]:
    """Return the events of that kind of the run that a sensor is told of."""
    entries = context.instance.all_logs(context.dagster_run.run_id, of_type=kind)
    return [entry.dagster_event for entry in entries if entry.dagster_event]


def _about(run: dg.DagsterRun, what: str, causes: Sequence[str]) -> str:
    """The alarm's text: which run of which domain, and each cause on a line."""
    subject = f"recsys: {run.job_name} of {run.tags.get(PARTITION, 'no domain')} {what}"
    return "\n".join([f"{subject} (run {run.run_id})", *causes])
