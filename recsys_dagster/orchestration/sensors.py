"""The sensors: retrain on new raw files, watch the age of the lists, raise alarms on runs that failed."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import dagster as dg

from recsys_dagster.errors import RecsysError
from recsys_dagster.ingest.declared import watched_files
from recsys_dagster.ingest.mirror import archive_in_mirror, watched_identity
from recsys_dagster.lifecycle.waiting import describe_waiting, find_waiting
from recsys_dagster.orchestration.active_runs import PARTITION, active_run
from recsys_dagster.orchestration.alarms import raise_alarm
from recsys_dagster.orchestration.failures import failed_checks, failed_steps
from recsys_dagster.orchestration.resource import Recsys
from recsys_dagster.orchestration.staleness import FRESH, check_age
from recsys_dagster.serving.lookup import open_without_lock
from recsys_dagster.settings import Settings
from recsys_dagster.warehouse.domain_run import DomainRun

SETTLED_SECONDS = 60
"""An archive that was modified more recently may not be complete yet."""


def build_sensors(settings: Settings, domains: Sequence[str]) -> Sequence[dg.SensorDefinition]:
    """Return the sensors; they are on from the start if RECSYS_SCHEDULES is, else once the UI switches them on."""
    status = dg.DefaultSensorStatus.RUNNING if settings.schedules else dg.DefaultSensorStatus.STOPPED
    conditions = dg.AutomationConditionSensorDefinition(
        "make_what_is_due",
        target=dg.AssetSelection.all(),
        default_status=status,
        description="Materialises the comparison of the domains when the run of a domain has ended.",
    )
    return [_file_sensor(status, domains), _staleness_sensor(status, domains), *_alarm_sensors(status), conditions]


def _file_sensor(status: dg.DefaultSensorStatus, domains: Sequence[str]) -> dg.SensorDefinition:
    @dg.sensor(
        job_name="retrain",
        minimum_interval_seconds=30,
        default_status=status,
        description="Retrains a domain when its archive in the mirror, or its files, are newer than its lists.",
        tags={"recsys/trigger": "files"},
    )
    def retrain_on_new_files(context: dg.SensorEvaluationContext, recsys: Recsys) -> dg.SensorResult:
        """Request a retrain of each domain whose lists were made from other files.

        There is one request for each state of the files: if that run fails, the schedule or a user tries again. A
        mirror behind a URL and the publishers are not contacted; the schedule's runs do that.
        """
        seen: dict[str, str] = json.loads(context.cursor or "{}")
        requests, reasons = [], []
        for domain in domains:
            if reason := active_run(context.instance, recsys.layout, domain):
                reasons.append(reason)
                continue
            try:
                run = recsys.look_at(domain)
                identity, is_complete, changed_at = _watch(run)
            except RecsysError as error:  # such as a damaged declaration, or a dataset that only a user switches to
                reasons.append(str(error))
                continue
            if not is_complete:
                continue  # it may still be copied
            state = _state_of_files(run, identity)
            if state != seen.get(domain):
                seen[domain] = state
                if _are_new(run, identity):
                    # Content that comes back after another one is a new request: the time makes its key unique.
                    key = f"{domain} {state} {changed_at}".rstrip()
                    requests.append(dg.RunRequest(run_key=key, partition_key=domain))
        nothing = "; ".join(reasons) or "no new files"
        return dg.SensorResult(
            run_requests=requests, skip_reason=None if requests else nothing, cursor=json.dumps(seen)
        )

    return retrain_on_new_files


def _staleness_sensor(status: dg.DefaultSensorStatus, domains: Sequence[str]) -> dg.SensorDefinition:
    @dg.sensor(
        minimum_interval_seconds=3600,
        default_status=status,
        description="Evaluates the check lists_are_fresh of each domain; raises an alarm a day while it fails.",
        tags={"recsys/trigger": "age"},
    )
    def watch_staleness(context: dg.SensorEvaluationContext, recsys: Recsys) -> dg.SensorResult:
        """Evaluate the check `lists_are_fresh` of each domain, and raise an alarm a day while its lists are too old."""
        alarmed: dict[str, str] = json.loads(context.cursor or "{}")
        today = datetime.now(UTC).date().isoformat()
        evaluations = []
        for domain in domains:
            passed, description = check_age(recsys, domain)
            evaluations.append(
                dg.AssetCheckEvaluation(
                    asset_key=FRESH.asset_key,
                    check_name=FRESH.name,
                    passed=passed,
                    description=description,
                    metadata={},
                    partition=domain,
                )
            )
            if not passed and alarmed.get(domain) != today:
                raise_alarm(recsys.settings, f"recsys: {description}", context.log)
                alarmed[domain] = today
        return dg.SensorResult(asset_events=evaluations, cursor=json.dumps(alarmed))

    return watch_staleness


def _alarm_sensors(status: dg.DefaultSensorStatus) -> Sequence[dg.SensorDefinition]:
    @dg.run_failure_sensor(default_status=status, description="Raises an alarm with the cause when a run has failed.")
    def alarm_on_failure(context: dg.RunFailureSensorContext, recsys: Recsys) -> None:
        """Write to the log and to RECSYS_WEBHOOK which run failed, in which step, and why."""
        events = _events(context, dg.DagsterEventType.STEP_FAILURE)
        causes = failed_steps(events) or [context.failure_event.message or "it ended without a message"]
        raise_alarm(recsys.settings, _about(context.dagster_run, "failed", causes), context.log)

    @dg.run_status_sensor(
        run_status=dg.DagsterRunStatus.SUCCESS,
        default_status=status,
        description="Raises an alarm when a run has published but a model or a check of it failed, or if lists wait.",
    )
    def alarm_on_failed_checks(context: dg.RunStatusSensorContext, recsys: Recsys) -> None:
        """Write to the log and to RECSYS_WEBHOOK what failed in a successful run, and that its lists wait."""
        failures = failed_checks(_events(context, dg.DagsterEventType.ASSET_CHECK_EVALUATION))
        waiting = _waiting_lists(context, recsys)
        if waiting:
            raise_alarm(recsys.settings, _about(context.dagster_run, "is done", [*failures, waiting]), context.log)
        elif failures:
            raise_alarm(recsys.settings, _about(context.dagster_run, "has published, but", failures), context.log)

    return [alarm_on_failure, alarm_on_failed_checks]


def _watch(run: DomainRun) -> tuple[str | None, bool, str]:
    """Return the identity of what a domain's files come from, whether it is complete, and when it changed.

    The identity is None if only a server could tell it.
    """
    dataset = run.dataset
    if dataset.declaration is not None:
        identity, is_complete = watched_files(dataset.declaration, run.settings, SETTLED_SECONDS)
        return identity, is_complete, ""  # the identity has the times of the files
    archive = archive_in_mirror(dataset, run.settings)
    if archive is None:
        return None, True, ""
    identity = watched_identity(archive, SETTLED_SECONDS)
    return identity, identity is not None, str(archive.stat().st_ctime_ns)


def _state_of_files(run: DomainRun, identity: str | None) -> str:
    """Return a string that changes with the content of the files to train on.

    Args:
        run: the domain.
        identity: of the archive in the mirror or of the declared files; None if there are none.
    """
    manifest = run.fetched
    return " ".join([run.dataset.id, manifest.data_version if manifest else "-", identity or ""]).rstrip()


def _are_new(run: DomainRun, identity: str | None) -> bool:
    """Return whether the files differ from those that the published lists were made from."""
    dataset = run.dataset
    manifest = run.fetched
    if manifest is None:
        return identity is not None
    if identity is not None and identity != manifest.identity:
        return True
    try:
        with open_without_lock(run.layout.published(run.domain.name)) as published:
            lists = published.provenance()
    except RecsysError:  # nothing is published, or it cannot be read
        return True
    return (lists.dataset, lists.data_version) != (dataset.id, manifest.data_version)


def _events(context: Any, kind: dg.DagsterEventType) -> list[dg.DagsterEvent]:
    """Return the events of that kind of the run that a sensor was called for."""
    entries = context.instance.all_logs(context.dagster_run.run_id, of_type=kind)
    return [entry.dagster_event for entry in entries if entry.dagster_event]


def _waiting_lists(context: dg.RunStatusSensorContext, recsys: Recsys) -> str | None:
    """Return a line on the lists that the run has left to wait for approval; None if it has left none."""
    made = {event.asset_key for event in _events(context, dg.DagsterEventType.ASSET_MATERIALIZATION)}
    domain = context.dagster_run.tags.get(PARTITION)
    if domain is None or FRESH.asset_key not in made:
        return None
    waiting = find_waiting(recsys.layout, domain)
    return describe_waiting(domain, waiting) if waiting else None


def _about(run: dg.DagsterRun, what: str, causes: Sequence[str]) -> str:
    """Format an alarm: which run of which domain, and each cause on a line."""
    subject = f"recsys: {run.job_name} of {run.tags.get(PARTITION, 'no domain')} {what}"
    return "\n".join([f"{subject} (run {run.run_id})", *causes])
