"""The services of `deploy/` run schedules on a real PostgreSQL server."""

from collections.abc import Iterator
from dataclasses import replace

import dagster as dg
import pytest
from running_servers import free_port
from services import OURS, PATIENCE, Services, can_mount, until

from recsys_dagster.domains import BUILT_IN_DOMAINS
from recsys_dagster.runtime.layout import Layout


@pytest.fixture
def instance(services: Services, monkeypatch: pytest.MonkeyPatch) -> Iterator[dg.DagsterInstance]:
    """The instance of the services."""
    for name, value in services.environment.items():
        if name.startswith("DAGSTER_"):
            monkeypatch.setenv(name, value)
    with dg.DagsterInstance.from_config(str(services.folder / "dagster")) as instance:
        yield instance


def test_the_daemon_finishes_scheduled_runs_of_both_domains_with_its_history_in_postgresql(
    services: Services, instance: dg.DagsterInstance
) -> None:
    import psycopg2

    def finished() -> dict[str, dg.DagsterRun]:
        services.touch_archives()
        runs = instance.get_runs(dg.RunsFilter(tags={"dagster/schedule_name": "retrain_regularly"}))
        ended = [run for run in runs if run.is_finished]
        assert all(run.is_success for run in ended), services.log("daemon") + services.log("code")
        return {run.tags["dagster/partition"]: run for run in ended}

    until(lambda: set(finished()) == set(BUILT_IN_DOMAINS), "a scheduled run of both domains")
    for domain in BUILT_IN_DOMAINS:
        assert Layout(services.home).published(domain).exists()
    options = {
        name: services.environment[f"DAGSTER_POSTGRES_{name.upper()}"] for name in ("host", "port", "user", "password")
    }
    with psycopg2.connect(dbname="postgres", **options) as connection:
        cursor = connection.cursor()
        cursor.execute("SELECT count(*) FROM runs WHERE status = 'SUCCESS'")
        assert cursor.fetchall()[0][0] >= len(BUILT_IN_DOMAINS)
        cursor.execute('SELECT count(DISTINCT partition) FROM event_logs WHERE asset_key = \'["serving", "report"]\'')
        assert cursor.fetchall() == [(len(BUILT_IN_DOMAINS),)]


def test_each_service_is_healthy_and_a_service_that_is_not_there_is_not(services: Services) -> None:
    for name in OURS:
        until(lambda name=name: services.is_healthy(name), f"the health check of {name}")
        assert services.processes[name].poll() is None, services.log(name)
    elsewhere = replace(services, ports={"4000": str(free_port()), "3000": str(free_port())})
    assert not elsewhere.is_healthy("code")
    assert not elsewhere.is_healthy("webserver")


def test_only_the_code_location_writes_and_only_to_the_volume(services: Services) -> None:
    if not can_mount():
        pytest.skip("making folders read-only for a process needs the right to mount")
    for name in OURS:
        assert "Read-only file system" not in (services.folder / f"{name}.log").read_text(encoding="utf-8")
    assert {path.name for path in (services.folder / "dagster").iterdir()} == {"dagster.yaml", "workspace.yaml"}
    assert list((services.folder / "data" / "logs").rglob("*.err")), "the logs of steps are on the volume"


def test_a_code_location_that_is_stopped_lets_its_active_run_end(
    services: Services, instance: dg.DagsterInstance
) -> None:
    started = dg.RunsFilter(statuses=[dg.DagsterRunStatus.STARTED])
    until(lambda: instance.get_runs(started), "a run that is active")
    active = [run.run_id for run in instance.get_runs(started)]
    # As `docker compose stop` does; a daemon that goes on would launch one run after the other.
    for name in ("daemon", "code"):
        services.processes[name].terminate()
        services.processes[name].wait(PATIENCE)
    statuses = {instance.get_run_by_id(run_id).status for run_id in active}
    assert statuses == {dg.DagsterRunStatus.SUCCESS}, services.log("code")
