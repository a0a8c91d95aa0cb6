"""The service, running on loopback in a thread of the tests."""

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import uvicorn

from recsys_dagster.serving.service.app import create_app
from recsys_dagster.settings import Settings

TOKEN = "a-secret-of-the-tests"

Serve = Callable[..., httpx.Client]


@contextlib.contextmanager
def running(settings: Settings, cache: Path) -> Iterator[str]:
    """Serve in a thread during the block, and give the address."""
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
