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
import tomllib
import zipfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import yaml

from recsys_dagster.domains import DOMAINS
from recsys_dagster.ingest.samples.write import write_sample
from recsys_dagster.orchestration.instance import CONFIG
from recsys_dagster.runtime.layout import Layout
from recsys_dagster.settings import Settings

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
SERVERS = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
BIN = Path(sys.executable).parent
PATIENCE = 900
"""Seconds until a schedule that fires every minute must have finished its first runs, on the slowest machine."""


OURS = ("code", "webserver", "daemon")
FIXED = {"RECSYS_HOME": "/data/recsys"}
"""What the volumes decide, and no setting may."""


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    return yaml.safe_load((DEPLOY / "compose.yaml").read_text(encoding="utf-8"))


def image_variables() -> dict[str, str]:
    """What the Dockerfile sets."""
    text = (DEPLOY / "Dockerfile").read_text(encoding="utf-8").replace("\\\n", " ")
    lines = [line.removeprefix("ENV ") for line in text.splitlines() if line.startswith("ENV ")]
    return dict(word.split("=", 1) for line in lines for word in line.split())


def test_the_compose_file_has_the_four_services_and_each_runs_a_program_that_is_there(compose: dict[str, Any]) -> None:
    assert set(compose["services"]) == {"postgres", *OURS}
    for name in OURS:
        service = compose["services"][name]
        for program in (service["command"][0], service["healthcheck"]["test"][1]):
            assert (BIN / program).exists(), program
        assert (DEPLOY.parent / service["build"]["dockerfile"]).exists()


def test_every_variable_that_the_instance_reads_is_set_for_every_service(compose: dict[str, Any]) -> None:
    read = set(re.findall(r"\{env: (\w+)\}", (DEPLOY / "dagster.yaml").read_text(encoding="utf-8")))
    for name in OURS:
        assert read <= image_variables().keys() | set(compose["services"][name]["environment"])


def test_what_the_environment_file_says_is_not_overridden(compose: dict[str, Any]) -> None:
    code = compose["services"]["code"]
    assert [file["path"] for file in code["env_file"]] == [".env"]
    chosen = {name: value for name, value in code["environment"].items() if name.startswith("RECSYS_")}
    for name in FIXED:
        assert chosen.pop(name) == FIXED[name] == image_variables()[name]
    assert len(chosen) > 2
    assert {name for name, value in chosen.items() if not value.startswith(f"${{{name}:-")} == set()


def test_every_setting_that_the_compose_file_names_exists_and_its_own_choices_are_no_settings(
    compose: dict[str, Any],
) -> None:
    known = {f"RECSYS_{name.upper()}" for name in Settings.model_fields}
    text = (DEPLOY / "compose.yaml").read_text(encoding="utf-8")
    assert set(re.findall(r"RECSYS_[A-Z_]+[A-Z]", text)) <= known
    # deploy/.env reaches the code location as it is, and an unknown RECSYS_ variable is refused there.
    own = set(re.findall(r"\$\{([A-Z_]+)", text)) - known
    assert own == {
        "ARCHIVES_FOLDER", "CODE_MEMORY", "DAEMON_MEMORY", "DAGSTER_POSTGRES_PASSWORD", "POSTGRES_IMAGE",
        "POSTGRES_MEMORY", "STOP_GRACE_PERIOD", "WEBSERVER_MEMORY",
    }  # fmt: skip


def test_nothing_is_published_beyond_this_machine_and_no_password_is_written_down(compose: dict[str, Any]) -> None:
    ports = [port for service in compose["services"].values() for port in service.get("ports", [])]
    assert ports == ["127.0.0.1:3000:3000"]
    assert "PASSWORD:?" in compose["services"]["postgres"]["environment"]["POSTGRES_PASSWORD"]


def test_no_service_can_do_more_than_it_has_to(compose: dict[str, Any]) -> None:
    for name, service in compose["services"].items():
        assert service["read_only"] is True, name
        assert service["init"] is True, name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert int(service["user"].partition(":")[0]) > 0, name
        assert {"mem_limit", "stop_grace_period", "healthcheck"} <= service.keys(), name
    mounts = {name: [mount for mount in compose["services"][name]["volumes"] if "/data" in mount] for name in OURS}
    assert mounts == {"code": ["data:/data"], "webserver": ["data:/data:ro"], "daemon": ["data:/data:ro"]}


def test_a_service_starts_when_what_it_needs_is_healthy(compose: dict[str, Any]) -> None:
    needs = {name: compose["services"][name]["depends_on"] for name in OURS}
    healthy = {"condition": "service_healthy"}
    assert needs == {"code": {"postgres": healthy}, "webserver": {"code": healthy}, "daemon": {"code": healthy}}


def test_the_workspace_names_the_code_service_and_its_port(compose: dict[str, Any]) -> None:
    (location,) = yaml.safe_load((DEPLOY / "workspace.yaml").read_text(encoding="utf-8"))["load_from"]
    command = compose["services"][location["grpc_server"]["host"]]["command"]
    assert str(location["grpc_server"]["port"]) in command


def test_what_is_copied_into_the_image_is_there_and_nothing_else_is_sent_to_the_builder() -> None:
    lines = (DEPLOY / "Dockerfile").read_text(encoding="utf-8").splitlines()
    words = [line.split() for line in lines if line.startswith("COPY") and "--from" not in line]
    copied = {word for line in words for word in line[1:-1]}
    assert copied
    assert not [path for path in copied if not (ROOT / path).exists()]
    ignored = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    assert "*" in ignored
    assert {line[1:] for line in ignored if line.startswith("!")} == copied


def test_the_image_runs_as_a_user_of_its_own_and_keeps_what_it_writes_off_its_file_system() -> None:
    stages = (DEPLOY / "Dockerfile").read_text(encoding="utf-8").split("\nFROM ")
    assert "\nUSER recsys\n" in stages[-1]
    assert "pip install" not in stages[-1]
    written = {name: image_variables()[name] for name in ("HOME", "MPLCONFIGDIR", "NUMBA_CACHE_DIR", "DAGSTER_LOGS")}
    assert all(path.startswith(("/tmp", "/data")) for path in written.values())


def test_the_image_has_no_development_tools() -> None:
    dockerfile = (DEPLOY / "Dockerfile").read_text(encoding="utf-8")
    assert re.findall(r"--requirement (\S+)", dockerfile) == ["requirements.lock"]
    installed = set(re.findall(r"^([a-z0-9._-]+)==", (ROOT / "requirements.lock").read_text(), re.MULTILINE))
    (removed,) = re.findall(r"pip uninstall --yes (.*) \\", dockerfile)
    with (ROOT / "pyproject.toml").open("rb") as file:
        groups = tomllib.load(file)["dependency-groups"]
    names = {
        group: {re.split(r"[^\w.-]", one)[0] for one in lines if isinstance(one, str)}
        for group, lines in groups.items()
    }
    assert {"dagster", "dagster-webserver", "dagster-postgres", "tensorflow"} <= installed
    assert len(names["dev"]) > 5
    assert (names["dev"] | names["ui"]) & installed == set()
    assert names["build"] <= set(removed.split())


def test_both_instances_limit_and_watch_runs_alike() -> None:
    ours, servers = (yaml.safe_load(file.read_text(encoding="utf-8")) for file in (CONFIG, DEPLOY / "dagster.yaml"))
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
    """Run a process during the block, then terminate it by its id."""
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


@dataclass
class Services:
    """The services of the Compose file as processes, with their commands and variables.

    What is read-only in their containers is read-only for these processes too, where mounting is allowed: the code, the
    packages, DAGSTER_HOME and, for all but the code location, the volume.
    """

    folder: Path
    compose: dict[str, Any]
    environment: dict[str, str]
    ports: dict[str, str]
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    @property
    def home(self) -> Path:
        return self.folder / "data" / "recsys"

    def words(self, command: list[str]) -> list[str]:
        """A command of the Compose file with this machine's ports and folders."""
        words = [self.ports.get(word, word).replace("0.0.0.0", "127.0.0.1") for word in command]
        words = [word.replace("/dagster/", f"{self.folder}/dagster/") for word in words]
        words = [word.replace(":3000/", f":{self.ports['3000']}/") for word in words]
        return [str(BIN / words[0]), *words[1:]]

    def contained(self, name: str, command: list[str]) -> list[str]:
        """The command with its container's mounts."""
        if not can_mount():
            return command
        written = [mount for mount in self.compose["services"][name]["volumes"] if mount == "data:/data"]
        read_only = [ROOT, Path(sys.prefix), self.folder / "dagster", *([] if written else [self.folder / "data"])]
        return [*IN_OWN_NAMESPACE, *map(str, read_only), "--", *command]

    @property
    def options(self) -> dict[str, Any]:
        return {"env": self.environment, "cwd": self.folder / "tmp"}

    def is_healthy(self, name: str) -> bool:
        """Make the service's own health check."""
        test = self.compose["services"][name]["healthcheck"]["test"]
        assert test[0] == "CMD"
        command = self.contained(name, self.words(test[1:]))
        done = subprocess.run(command, capture_output=True, check=False, **self.options)
        return done.returncode == 0

    def log(self, name: str) -> str:
        return (self.folder / f"{name}.log").read_text(encoding="utf-8", errors="replace")[-4000:]


IN_OWN_NAMESPACE = [
    *("unshare", "--mount", "--propagation", "private", "sh", "-c"),
    'while [ "$1" != -- ]; do mount --bind "$1" "$1" && mount -o remount,bind,ro "$1" || exit 99; shift; done; '
    'shift; exec "$@"',
    "sh",
]
"""Runs the command after `--` with the folders before it read-only."""


def can_mount() -> bool:
    try:
        return subprocess.run([*IN_OWN_NAMESPACE, str(ROOT), "--", "true"], capture_output=True).returncode == 0
    except FileNotFoundError:
        return False


@pytest.fixture(scope="module")
def services(postgres: dict[str, str], compose: dict[str, Any]) -> Iterator[Services]:
    """The three services of the project, on a PostgreSQL server, with a schedule that fires every minute."""
    folder = Path(tempfile.mkdtemp(prefix="recsys-services-"))
    (folder / "dagster").mkdir()
    for name in ("data", "tmp"):
        (folder / name).mkdir()
    ports = {"4000": str(free_port()), "3000": str(free_port())}
    shutil.copy(DEPLOY / "dagster.yaml", folder / "dagster")
    workspace = (DEPLOY / "workspace.yaml").read_text(encoding="utf-8")
    workspace = workspace.replace("host: code", "host: 127.0.0.1").replace("port: 4000", f"port: {ports['4000']}")
    (folder / "dagster" / "workspace.yaml").write_text(workspace, encoding="utf-8")
    image = {
        name: value if name == "PATH" else re.sub(r"^/(?=data|tmp|dagster)", f"{folder}/", value)
        for name, value in image_variables().items()
    }
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("RECSYS_", "DAGSTER_"))}
    environment = {
        **clean,
        **image,
        **postgres,
        **archives(folder / "archives"),
        "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}",
        "RECSYS_SCHEDULES": "on",
        "RECSYS_RETRAIN_CRON": "* * * * *",
    }
    services = Services(folder, compose, environment, ports)
    try:
        with ExitStack() as stack:
            for name in OURS:
                command = services.contained(name, services.words(compose["services"][name]["command"]))
                process = running(command, folder / f"{name}.log", **services.options)
                services.processes[name] = stack.enter_context(process)
            yield services
    finally:
        shutil.rmtree(folder, ignore_errors=True)


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
        runs = instance.get_runs(dg.RunsFilter(tags={"dagster/schedule_name": "retrain_regularly"}))
        ended = [run for run in runs if run.is_finished]
        assert all(run.is_success for run in ended), services.log("daemon") + services.log("code")
        return {run.tags["dagster/partition"]: run for run in ended}

    until(lambda: set(finished()) == set(DOMAINS), "a scheduled run of both domains")
    for domain in DOMAINS:
        assert Layout(services.home).published(domain).exists()
    with psycopg2.connect(
        host="127.0.0.1", port=services.environment["DAGSTER_POSTGRES_PORT"], dbname="postgres", user="dagster"
    ) as connection:
        cursor = connection.cursor()
        cursor.execute("SELECT count(*) FROM runs WHERE status = 'SUCCESS'")
        assert cursor.fetchall()[0][0] >= len(DOMAINS)
        cursor.execute('SELECT count(DISTINCT partition) FROM event_logs WHERE asset_key = \'["serving", "report"]\'')
        assert cursor.fetchall() == [(len(DOMAINS),)]


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
    services.processes["code"].terminate()
    services.processes["code"].wait(PATIENCE)
    statuses = {instance.get_run_by_id(run_id).status for run_id in active}
    assert statuses == {dg.DagsterRunStatus.SUCCESS}, services.log("code")
