"""The service, running on loopback in a thread of the tests, or as a process."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import uvicorn

from recsys_dagster.errors import RecsysError
from recsys_dagster.serving.service.app import create_app
from recsys_dagster.serving.service.snapshot_files import build_snapshot
from recsys_dagster.settings import Settings

TOKEN = "a-secret-of-the-tests"

Serve = Callable[..., httpx.Client]


@contextlib.contextmanager
def running(settings: Settings, cache: Path) -> Iterator[str]:
    """Serve in a thread during the block, and give the address.

    What is published already is read here; a process that reads it, as of later publications, takes a second to start.
    """
    for path in (settings.home / "published").glob("*.duckdb"):
        (cache / path.stem).mkdir(parents=True, exist_ok=True)
        with contextlib.suppress(RecsysError):
            build_snapshot(path, cache / path.stem)
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        config = uvicorn.Config(create_app(settings, cache), access_log=False, log_level="warning")
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        try:
            while not server.started and thread.is_alive():
                time.sleep(0.01)
            yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join()


@contextlib.contextmanager
def serving_process(home: Path, *words: str, **environment: str) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    """Run `recsys serve` with these words during the block; give the process and the address once it is ready."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-c", "from recsys_dagster.cli.main import main; main()", "serve", "--port", str(port)]
    url = f"http://127.0.0.1:{port}"
    with subprocess.Popen([*command, *words], env={**os.environ, "RECSYS_HOME": str(home), **environment}) as service:
        try:
            wait_for(f"{url}/readyz")
            yield service, url
        finally:
            service.send_signal(signal.SIGINT)


def wait_for(url: str) -> None:
    """Wait until an address answers with success."""
    for _ in range(600):
        with contextlib.suppress(httpx.TransportError):
            if httpx.get(url).status_code == 200:
                return
        time.sleep(0.1)
    raise AssertionError(f"{url} does not answer")
