"""The services of `deploy/` as processes on this machine, on a PostgreSQL server of their own."""

import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml
from running_servers import free_port, running_postgres
from small_archive import write_archive

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
BIN = Path(sys.executable).parent
OURS = ("code", "webserver", "daemon")
PATIENCE = 900
"""Seconds until a schedule that fires every minute must have finished its first runs, on the slowest machine."""


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    return yaml.safe_load((DEPLOY / "compose.yaml").read_text(encoding="utf-8"))


def image_variables() -> dict[str, str]:
    """What the Dockerfile sets."""
    text = (DEPLOY / "Dockerfile").read_text(encoding="utf-8").replace("\\\n", " ")
    lines = [line.removeprefix("ENV ") for line in text.splitlines() if line.startswith("ENV ")]
    return dict(word.split("=", 1) for line in lines for word in line.split())


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
    with running_postgres("dagster", "geheim") as address:
        yield {
            "DAGSTER_POSTGRES_HOST": "127.0.0.1",
            "DAGSTER_POSTGRES_PORT": str(urlsplit(address).port),
            "DAGSTER_POSTGRES_DB": "postgres",
            "DAGSTER_POSTGRES_USER": "dagster",
            "DAGSTER_POSTGRES_PASSWORD": "geheim",
        }


def archives(mirror: Path) -> dict[str, str]:
    """Put small ratings of both domains into the mirror; return the settings that choose them."""
    for dataset, form in (("ml-latest-small", "movielens"), ("anime-recommendation-database-2020", "anime-2020")):
        write_archive(mirror, dataset, form)
    return {
        "RECSYS_MIRROR": str(mirror),
        "RECSYS_DATASET_MOVIE": "ml-latest-small",
        "RECSYS_DATASET_ANIME": "anime-recommendation-database-2020",
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

    def touch_archives(self) -> None:
        """Make the archives look as if they were still being written, so that no sensor starts a run."""
        for archive in (self.folder / "archives").iterdir():
            archive.touch()

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
