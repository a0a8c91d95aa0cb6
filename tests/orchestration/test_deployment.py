"""What `deploy/` ships: the files fit together, and its instance runs schedules on a real PostgreSQL server."""

import os
import pwd
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import yaml

from recsys_dagster.domains import DOMAINS
from recsys_dagster.ingest.samples.write import write_sample
from recsys_dagster.runtime.layout import Layout

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
SERVERS = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
BIN = Path(sys.executable).parent
PATIENCE = 900
"""Seconds until a schedule that fires every minute must have finished its first runs, on the slowest machine."""


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    return yaml.safe_load((DEPLOY / "compose.yaml").read_text(encoding="utf-8"))


def test_the_compose_file_has_the_four_services_and_each_runs_a_program_that_is_there(compose: dict[str, Any]) -> None:
    assert set(compose["services"]) == {"postgres", "code", "webserver", "daemon"}
    for name in ("code", "webserver", "daemon"):
        program = compose["services"][name]["command"][0]
        assert (BIN / program).exists(), program
        assert (DEPLOY.parent / compose["services"][name]["build"]["dockerfile"]).exists()


def test_every_variable_that_the_instance_reads_is_set_for_every_service(compose: dict[str, Any]) -> None:
    read = set(re.findall(r"\{env: (\w+)\}", (DEPLOY / "dagster.yaml").read_text(encoding="utf-8")))
    of_image = set(re.findall(r"(\w+)=/", (DEPLOY / "Dockerfile").read_text(encoding="utf-8")))
    for name in ("code", "webserver", "daemon"):
        assert read <= of_image | set(compose["services"][name]["environment"])


def test_nothing_is_published_beyond_this_machine_and_no_password_is_written_down(compose: dict[str, Any]) -> None:
    ports = [port for service in compose["services"].values() for port in service.get("ports", [])]
    assert ports == ["127.0.0.1:3000:3000"]
    assert "PASSWORD:?" in compose["services"]["postgres"]["environment"]["POSTGRES_PASSWORD"]


def test_the_workspace_names_the_code_service_and_its_port(compose: dict[str, Any]) -> None:
    (location,) = yaml.safe_load((DEPLOY / "workspace.yaml").read_text(encoding="utf-8"))["load_from"]
    command = compose["services"][location["grpc_server"]["host"]]["command"]
    assert str(location["grpc_server"]["port"]) in command


def test_what_is_copied_into_the_image_is_there() -> None:
    lines = (DEPLOY / "Dockerfile").read_text(encoding="utf-8").splitlines()
    copied = [word for line in lines if line.startswith("COPY") for word in line.split()[1:-1]]
    assert copied
    assert not [path for path in copied if not (ROOT / path).exists()]


def test_both_instances_limit_and_watch_runs_alike() -> None:
    ours, servers = (yaml.safe_load((folder / "dagster.yaml").read_text(encoding="utf-8")) for folder in (ROOT, DEPLOY))
    assert {key: servers[key] for key in ours} == ours
    assert set(servers) - set(ours) == {"storage", "compute_logs"}
    assert ours["telemetry"] == {"enabled": False}


# -- on a real server


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port: int = taken.getsockname()[1]
        return port


@contextmanager
def running(command: list[str], log: Path, **options: Any) -> Iterator[subprocess.Popen[bytes]]:
    """A process that is asked to end, by its id, when the block does."""
    with log.open("wb") as output, subprocess.Popen(command, stdout=output, stderr=output, **options) as process:
        try:
            yield process
        finally:
            process.terminate()
            try:
                process.wait(60)
            except subprocess.TimeoutExpired:
                process.kill()


def until(condition: Any, what: str) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, f"waited {PATIENCE} s for {what}"
        time.sleep(0.5)


@pytest.fixture(scope="module")
def postgres() -> Iterator[dict[str, str]]:
    """The variables of a PostgreSQL server of its own on loopback."""
    if not SERVERS:
        pytest.skip("no PostgreSQL server in /usr/lib/postgresql; `apt-get install postgresql` brings one")
    user = "postgres" if os.getuid() == 0 else None
    if user and user not in {entry.pw_name for entry in pwd.getpwall()}:
        pytest.skip("PostgreSQL does not run as root, and there is no user `postgres`")
    folder = Path(tempfile.mkdtemp(prefix="recsys-postgres-"))
    if user:
        shutil.chown(folder, user)
    port = free_port()
    as_server: dict[str, Any] = {"user": user, "cwd": folder}
    initdb = [str(SERVERS[-1] / "initdb"), "--pgdata", str(folder / "data"), "--username", "dagster", "--auth", "trust"]
    subprocess.run([*initdb, "--no-sync"], check=True, capture_output=True, **as_server)
    server = [str(SERVERS[-1] / "postgres"), "-D", str(folder / "data"), "-p", str(port), "-k", str(folder)]
    server += ["-c", "listen_addresses=127.0.0.1", "-c", "fsync=off"]
    try:
        with running(server, folder.with_suffix(".log"), **as_server) as process:
            ready = [str(SERVERS[-1] / "pg_isready"), "--host", "127.0.0.1", "--port", str(port), "--quiet"]
            until(lambda: subprocess.run(ready, check=False).returncode == 0, "PostgreSQL")
            assert process.poll() is None
            yield {
                "DAGSTER_POSTGRES_HOST": "127.0.0.1",
                "DAGSTER_POSTGRES_PORT": str(port),
                "DAGSTER_POSTGRES_DB": "postgres",
                "DAGSTER_POSTGRES_USER": "dagster",
                "DAGSTER_POSTGRES_PASSWORD": "trusted",
            }
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        folder.with_suffix(".log").unlink(missing_ok=True)


def archives(mirror: Path) -> dict[str, str]:
    """Put small ratings of both domains into the mirror; return the settings that choose them."""
    for dataset, form in (("ml-latest-small", "movielens"), ("anime-recommendation-database-2020", "anime-2020")):
        write_sample(form, mirror / form, n_users=60, n_items=40, n_ratings=900, seed=1)
        with zipfile.ZipFile(mirror / f"{dataset}.zip", "w") as archive:
            for file in sorted((mirror / form).iterdir()):
                archive.write(file, file.name)
        later = time.time() + 3600  # still being written, to the sensor's eye: the schedule is to start the runs
        os.utime(mirror / f"{dataset}.zip", (later, later))
    return {
        "RECSYS_MIRROR": str(mirror),
        "RECSYS_MOVIE_DATASET": "ml-latest-small",
        "RECSYS_ANIME_DATASET": "anime-recommendation-database-2020",
        "RECSYS_MODELS": "popularity",
    }


def test_the_daemon_finishes_scheduled_runs_of_both_domains_with_its_history_in_postgresql(
    postgres: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import psycopg2

    home, dagster_home, port = tmp_path / "home", tmp_path / "dagster", free_port()
    dagster_home.mkdir()
    shutil.copy(DEPLOY / "dagster.yaml", dagster_home)
    workspace = tmp_path / "workspace.yaml"
    workspace.write_text(f"load_from:\n  - grpc_server: {{host: 127.0.0.1, port: {port}, location_name: recsys}}\n")
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("RECSYS_", "DAGSTER_"))}
    environment = {
        **clean,
        **postgres,
        **archives(tmp_path / "mirror"),
        "DAGSTER_HOME": str(dagster_home),
        "DAGSTER_LOGS": str(tmp_path / "logs"),
        "RECSYS_HOME": str(home),
        "RECSYS_SCHEDULES": "on",
        "RECSYS_RETRAIN_CRON": "* * * * *",
    }
    for name in (*postgres, "DAGSTER_LOGS"):
        monkeypatch.setenv(name, environment[name])
    module = ["--module-name", "recsys_dagster.definitions"]
    code = [str(BIN / "dagster"), "code-server", "start", "--host", "127.0.0.1", "--port", str(port), *module]
    daemon = [str(BIN / "dagster-daemon"), "run", "--workspace", str(workspace)]
    with ExitStack() as stack:
        instance = stack.enter_context(dg.DagsterInstance.from_config(str(dagster_home)))
        stack.enter_context(running(code, tmp_path / "code.log", env=environment, cwd=tmp_path))
        stack.enter_context(running(daemon, tmp_path / "daemon.log", env=environment, cwd=tmp_path))

        def finished() -> dict[str, dg.DagsterRun]:
            runs = instance.get_runs(dg.RunsFilter(tags={"dagster/schedule_name": "retrain_regularly"}))
            ended = [run for run in runs if run.is_finished]
            assert all(run.is_success for run in ended), (tmp_path / "daemon.log").read_text()[-4000:]
            return {run.tags["dagster/partition"]: run for run in ended}

        until(lambda: set(finished()) == set(DOMAINS), "a scheduled run of both domains")
    for domain in DOMAINS:
        assert Layout(home).published(domain).exists()
    with psycopg2.connect(
        host="127.0.0.1", port=postgres["DAGSTER_POSTGRES_PORT"], dbname="postgres", user="dagster"
    ) as connection:
        cursor = connection.cursor()
        cursor.execute("SELECT count(*) FROM runs WHERE status = 'SUCCESS'")
        assert cursor.fetchall()[0][0] >= len(DOMAINS)
        cursor.execute('SELECT count(DISTINCT partition) FROM event_logs WHERE asset_key = \'["serving", "report"]\'')
        assert cursor.fetchall() == [(len(DOMAINS),)]
