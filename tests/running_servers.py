"""PostgreSQL and Redis servers of the tests' own, on loopback."""

import contextlib
import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

POSTGRES = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
START_SECONDS = 60


def free_port() -> int:
    """Return a port of loopback that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextlib.contextmanager
def running_postgres(user: str = "tester", password: str | None = None) -> Iterator[str]:
    """Run a PostgreSQL server during the block, and give the address of its database; skip where there is none.

    It asks for the password, or trusts everybody where there is none.
    """
    if not POSTGRES:
        pytest.skip("no PostgreSQL server in /usr/lib/postgresql; `apt-get install postgresql` brings one")
    system_user = "postgres" if os.getuid() == 0 else None
    if system_user and system_user not in {entry.pw_name for entry in pwd.getpwall()}:
        pytest.skip("PostgreSQL does not run as root, and there is no user `postgres`")
    with tempfile.TemporaryDirectory(prefix="recsys-postgres-", ignore_cleanup_errors=True) as name:
        folder, port = Path(name), free_port()
        (folder / "password").write_text(password or "")
        if system_user:
            shutil.chown(folder, system_user)
        bin_ = POSTGRES[-1]
        make = [bin_ / "initdb", "--pgdata", folder / "data", "--username", user, "--no-sync"]
        make += ["--auth", "scram-sha-256", "--pwfile", folder / "password"] if password else ["--auth", "trust"]
        subprocess.run(make, check=True, capture_output=True, user=system_user, cwd=folder)
        server = [bin_ / "postgres", "-D", folder / "data", "-p", str(port), "-k", folder, "-c", "fsync=off"]
        ready = [bin_ / "pg_isready", "--host", "127.0.0.1", "--port", str(port), "--quiet"]
        with _running([*server, "-c", "listen_addresses=127.0.0.1"], system_user, folder):
            _until(lambda: subprocess.run(ready, check=False).returncode == 0, "PostgreSQL")
            yield f"postgresql://{user}{f':{password}' if password else ''}@127.0.0.1:{port}/postgres"


@contextlib.contextmanager
def running_redis() -> Iterator[str]:
    """Run a Redis server during the block, and give its address; skip where there is none."""
    program = shutil.which("redis-server")
    if program is None:
        pytest.skip("no redis-server; `apt-get install redis-server` brings one")
    with tempfile.TemporaryDirectory(prefix="recsys-redis-") as name:
        port = free_port()
        server = [program, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", name]
        with _running(server, None, Path(name)):
            _until(lambda: _listens(port), "Redis")
            yield f"redis://127.0.0.1:{port}/0"


@contextlib.contextmanager
def _running(command: list[str | Path], user: str | None, folder: Path) -> Iterator[None]:
    with subprocess.Popen(command, user=user, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as one:
        try:
            yield
        finally:
            one.terminate()
            try:
                one.wait(20)
            except subprocess.TimeoutExpired:
                one.kill()


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _until(is_true: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + START_SECONDS
    while not is_true():
        assert time.monotonic() < deadline, f"{what} did not start"
        time.sleep(0.1)
