"""Schedules and sensors: what starts runs."""

import json
import os
import subprocess
import sys
import threading
import time
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from pydantic import ValidationError
from small_archive import without_last, write_archive
from watching import look, retrain, settings

from recsys_dagster.domains import BUILT_IN_DOMAINS
from recsys_dagster.errors import TransientError
from recsys_dagster.orchestration import sensors
from recsys_dagster.orchestration.active_runs import PARTITION
from recsys_dagster.orchestration.assets import raw
from recsys_dagster.orchestration.build import build_definitions
from recsys_dagster.orchestration.failures import failed_steps
from recsys_dagster.orchestration.resource import Recsys
from recsys_dagster.runtime.units import DAY_SECONDS
from recsys_dagster.settings import Settings


def tick(chosen: Settings, instance: dg.DagsterInstance) -> Any:
    definitions = build_definitions(chosen)
    with dg.build_schedule_context(
        instance=instance,
        scheduled_execution_time=datetime(2026, 1, 5, 4),
        repository_def=definitions.get_repository_def(),
        resources={"recsys": Recsys.of(chosen)},
    ) as context:
        return definitions.resolve_schedule_def("retrain_regularly").evaluate_tick(context)


def domains_of(found: Any) -> list[str]:
    return [request.partition_key for request in found.run_requests]


def under_way(instance: dg.DagsterInstance, domain: str) -> None:
    run = dg.DagsterRun(job_name="retrain", status=dg.DagsterRunStatus.STARTED, tags={PARTITION: domain})
    instance.add_run(run)


# -- schedules


@pytest.mark.parametrize(("switch", "status"), [("", "STOPPED"), ("off", "STOPPED"), ("on", "RUNNING")])
def test_schedules_and_sensors_are_off_until_they_are_switched_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, switch: str, status: str
) -> None:
    monkeypatch.delenv("RECSYS_SCHEDULES", raising=False)
    if switch:
        monkeypatch.setenv("RECSYS_SCHEDULES", switch)
    repository = build_definitions(Settings(home=tmp_path, _env_file=None)).get_repository_def()
    found = {d.name: d.default_status.name for d in [*repository.schedule_defs, *repository.sensor_defs]}
    assert len(found) == 6
    names = (
        "make_what_is_due",
        "retrain_regularly",
        "watch_staleness",
        "retrain_on_new_files",
        "alarm_on_failure",
        "alarm_on_failed_checks",
    )
    assert {name: found[name] for name in names} == dict.fromkeys(names, status)


def test_the_cron_of_the_retrain_is_a_setting(tmp_path: Path) -> None:
    def cron(**chosen: str) -> Any:
        return build_definitions(settings(tmp_path, **chosen)).resolve_schedule_def("retrain_regularly").cron_schedule

    assert cron() == "0 4 * * 1"
    assert cron(retrain_cron="* * * * *") == "* * * * *"
    with pytest.raises(ValidationError, match="retrain_cron"):
        settings(tmp_path, retrain_cron="every minute")


def test_the_time_zone_of_the_retrain_is_a_setting(tmp_path: Path) -> None:
    chosen = settings(tmp_path, timezone="Europe/Berlin")
    schedule = build_definitions(chosen).resolve_schedule_def("retrain_regularly")
    assert schedule.execution_timezone == "Europe/Berlin"
    assert "0 4 * * 1 (Europe/Berlin)" in (schedule.description or "")


def test_a_tick_asks_for_one_retrain_a_domain(tmp_path: Path, instance: dg.DagsterInstance) -> None:
    found = tick(settings(tmp_path), instance)
    assert domains_of(found) == list(BUILT_IN_DOMAINS)
    assert len({request.run_key for request in found.run_requests}) == len(BUILT_IN_DOMAINS)


def test_a_tick_starts_no_second_run_of_a_domain(tmp_path: Path, instance: dg.DagsterInstance) -> None:
    under_way(instance, "movie")
    assert domains_of(tick(settings(tmp_path), instance)) == ["anime"]
    under_way(instance, "anime")
    found = tick(settings(tmp_path), instance)
    assert domains_of(found) == []
    assert "movie: the run " in found.skip_message
    assert "is active" in found.skip_message


def test_a_tick_starts_no_run_while_a_command_holds_the_domain(tmp_path: Path, instance: dg.DagsterInstance) -> None:
    with holding_movie(tmp_path) as other:
        assert domains_of(tick(settings(tmp_path), instance)) == ["anime"]
        assert f"the process {other.pid} holds it" in look(settings(tmp_path), instance).skip_message
        other.kill()
    assert domains_of(tick(settings(tmp_path), instance)) == ["anime", "movie"]


@contextmanager
def holding_movie(home: Path) -> Iterator[subprocess.Popen[str]]:
    """A process that holds the domain movie."""
    code = (
        "import sys, pathlib; from recsys_dagster.runtime.layout import Layout\n"
        "from recsys_dagster.runtime.locks import domain_lock\n"
        "with domain_lock(Layout(pathlib.Path(sys.argv[1])), 'movie'): print('taken', flush=True); sys.stdin.read()"
    )
    command = [sys.executable, "-c", code, str(home)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "taken\n"
        yield process
        process.kill()


def test_a_run_of_dagster_waits_for_another_process_and_says_so(tmp_path: Path, instance: dg.DagsterInstance) -> None:
    job = build_definitions(settings(tmp_path)).resolve_job_def("ingest")

    def has_said_so() -> bool:
        message = f"another run of the domain 'movie' is active (process {other.pid}); waiting up to 3600 seconds"
        logs = (instance.all_logs(run.run_id) for run in instance.get_runs())
        return any(message in entry.user_message for log in logs for entry in log)

    def let_go() -> None:
        until = time.monotonic() + 60
        while not has_said_so() and time.monotonic() < until:
            time.sleep(0.1)
        other.kill()

    with holding_movie(tmp_path) as other:
        threading.Thread(target=let_go).start()
        result = job.execute_in_process(partition_key="movie", instance=instance)
    assert result.success
    assert has_said_so()


def test_a_run_of_dagster_waits_no_longer_than_the_settings_allow(tmp_path: Path, instance: dg.DagsterInstance) -> None:
    job = build_definitions(settings(tmp_path, wait_seconds=0.5)).resolve_job_def("ingest")
    with holding_movie(tmp_path) as other:
        result = job.execute_in_process(partition_key="movie", instance=instance, raise_on_error=False)
    assert not result.success
    (failure,) = failed_steps(result.all_events)
    assert f"still active after 0.5 seconds of waiting (process {other.pid})" in failure


def test_the_cause_of_a_failed_download_is_named_after_all_retries(
    tmp_path: Path, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise TransientError("the line is down; try again later")

    monkeypatch.setattr(raw, "fetch", fail)
    definitions = build_definitions(settings(tmp_path))
    op = definitions.resolve_assets_def(["raw", "files"]).op
    monkeypatch.setattr(op, "_retry_policy", raw.RETRIES._replace(delay=0.1))
    job = definitions.resolve_job_def("ingest")
    result = job.execute_in_process(partition_key="movie", instance=instance, raise_on_error=False)
    assert failed_steps(result.all_events) == ["raw/files: the line is down; try again later"]


# -- new files


@pytest.fixture
def mirrored(tmp_path: Path) -> Settings:
    """A home whose movie domain takes `ml-latest-small` from a mirror that holds a small one."""
    (tmp_path / "mirror").mkdir()
    chosen = settings(tmp_path / "home", mirror=str(tmp_path / "mirror"), datasets={"movie": "ml-latest-small"})
    drop(chosen)
    return chosen


def drop(chosen: Settings, without: int = 0, age_seconds: float = 3600) -> None:
    """Put ratings into the mirror without the last `without` of them."""
    archive = write_archive(Path(chosen.mirror.get_secret_value()), change=without_last(without))
    then = time.time() - age_seconds
    os.utime(archive, (then, then))


def test_new_files_are_retrained_on_once(mirrored: Settings, instance: dg.DagsterInstance) -> None:
    first = look(mirrored, instance)
    assert domains_of(first) == ["movie"]
    assert domains_of(look(mirrored, instance, first.cursor)) == []

    assert retrain(mirrored, instance).success
    after = look(mirrored, instance, first.cursor)
    assert domains_of(after) == []
    assert after.skip_message == "no new files"

    drop(mirrored, without=9, age_seconds=1800)
    second = look(mirrored, instance, after.cursor)
    assert domains_of(second) == ["movie"]
    assert second.run_requests[0].run_key != first.run_requests[0].run_key


def test_files_that_were_fetched_and_never_published_are_retrained_on(
    mirrored: Settings, instance: dg.DagsterInstance
) -> None:
    assert retrain(mirrored, instance).success
    seen = look(mirrored, instance).cursor
    drop(mirrored, without=9, age_seconds=1800)
    ingest = build_definitions(mirrored).resolve_job_def("ingest")
    assert ingest.execute_in_process(partition_key="movie", instance=instance).success
    assert domains_of(look(mirrored, instance, seen)) == ["movie"]


def test_a_file_that_is_still_being_copied_is_waited_for(mirrored: Settings, instance: dg.DagsterInstance) -> None:
    drop(mirrored, without=9, age_seconds=5)
    found = look(mirrored, instance)
    assert domains_of(found) == []
    drop(mirrored, without=9)
    assert domains_of(look(mirrored, instance, found.cursor)) == ["movie"]


def test_an_archive_with_a_time_in_the_future_is_noticed_once_it_is_complete(
    mirrored: Settings, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    drop(mirrored, without=9, age_seconds=-10 * DAY_SECONDS)
    assert domains_of(look(mirrored, instance)) == [], "it was written just now"
    monkeypatch.setattr(sensors, "SETTLED_SECONDS", 0)
    found = look(mirrored, instance)
    assert domains_of(found) == ["movie"]
    drop(mirrored, without=18, age_seconds=-10 * DAY_SECONDS)
    assert domains_of(look(mirrored, instance, found.cursor)) == ["movie"]


def test_other_content_with_the_same_size_and_time_is_noticed(mirrored: Settings, instance: dg.DagsterInstance) -> None:
    assert mirrored.mirror is not None
    archive = Path(mirrored.mirror.get_secret_value()) / "ml-latest-small.zip"
    before, status = look(mirrored, instance), archive.stat()
    with zipfile.ZipFile(archive) as packed:
        members = {info: packed.read(info) for info in packed.infolist()}
    with zipfile.ZipFile(archive, "w") as packed:
        for info, content in members.items():
            packed.writestr(info, content[:-2] + b"7\n" if info.filename.endswith("ratings.csv") else content)
    os.utime(archive, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert archive.stat().st_size == status.st_size
    assert domains_of(look(mirrored, instance, before.cursor)) == ["movie"]


def test_an_archive_that_was_only_touched_or_copied_again_is_not_new(
    mirrored: Settings, instance: dg.DagsterInstance
) -> None:
    assert mirrored.mirror is not None
    archive = Path(mirrored.mirror.get_secret_value()) / "ml-latest-small.zip"
    assert retrain(mirrored, instance).success
    seen = look(mirrored, instance)
    assert domains_of(seen) == []
    archive.write_bytes(archive.read_bytes())
    os.utime(archive, (time.time() - 100, time.time() - 100))
    assert domains_of(look(mirrored, instance, seen.cursor)) == []


def test_content_that_comes_back_is_another_request(mirrored: Settings, instance: dg.DagsterInstance) -> None:
    first = look(mirrored, instance)
    drop(mirrored, without=9)
    second = look(mirrored, instance, first.cursor)
    drop(mirrored)
    third = look(mirrored, instance, second.cursor)
    keys = {request.run_key for found in (first, second, third) for request in found.run_requests}
    assert len(keys) == 3


def test_new_files_wait_for_the_run_that_is_under_way(mirrored: Settings, instance: dg.DagsterInstance) -> None:
    under_way(instance, "movie")
    found = look(mirrored, instance)
    assert domains_of(found) == []
    assert json.loads(found.cursor).get("movie") is None
