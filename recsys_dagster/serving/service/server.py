"""Run the application under uvicorn."""

import gc
import ipaddress
import logging
import os
import socket
import tempfile
from pathlib import Path

from fastapi import FastAPI

from recsys_dagster.errors import RecsysError, UsageError
from recsys_dagster.runtime.layout import Layout
from recsys_dagster.serving.rules import read_rules
from recsys_dagster.serving.service.app import create_app
from recsys_dagster.settings import Settings, read_settings

GRACE_SECONDS = 10
"""How long requests may take that are in flight when the service is stopped."""

_CACHE = "_RECSYS_SERVE_CACHE"


def run_server(settings: Settings, host: str, port: int, workers: int) -> None:
    """Serve until SIGINT or SIGTERM, then finish the requests in flight.

    Raises:
        UsageError: the address is not this machine's own and there is no token.
        RecsysError: the port is taken, the address is not this machine's, or the rules of a domain are faulty.
    """
    import uvicorn

    if settings.serve_token is None and not _is_loopback(host):
        raise UsageError(
            f"--host {host}: others can reach this address; set RECSYS_SERVE_TOKEN to a secret of at least 16 "
            "characters, which clients send as `Authorization: Bearer <token>`"
        )
    _check_port(host, port)
    for path in sorted(Layout(settings.home).rules("x").parent.glob("*.yaml")):
        read_rules(path)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    with tempfile.TemporaryDirectory(prefix="recsys-serve-") as cache:
        os.environ[_CACHE] = cache
        if workers > 1:
            # `recsys_dagster.serving.service.measures.SHARED_FOLDER`
            figures = Path(cache) / ".figures"
            figures.mkdir()
            os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(figures)
        uvicorn.run(
            "recsys_dagster.serving.service.server:create_app_of_worker",
            factory=True,
            host=host,
            port=port,
            workers=workers,
            access_log=False,
            server_header=False,
            log_level="warning",
            timeout_graceful_shutdown=GRACE_SECONDS,
        )


def create_app_of_worker() -> FastAPI:
    """Return the application of one process of `run_server`; the processes share the snapshots."""
    return create_frozen_app(read_settings(), Path(os.environ.pop(_CACHE)))


def create_frozen_app(settings: Settings, cache: Path) -> FastAPI:
    """Return `create_app`, and let the garbage collector pass over all that was made until now.

    That is mostly what was imported. To look through it takes 30 to 60 ms, in which nothing is answered.
    """
    app = create_app(settings, cache)
    gc.collect()
    gc.freeze()
    return app


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _check_port(host: str, port: int) -> None:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise RecsysError(
                f"{host}:{port} cannot be listened on ({error.strerror}); name another one with --port"
            ) from None
