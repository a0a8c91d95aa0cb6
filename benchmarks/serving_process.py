"""The service as a process on loopback, and wrk as the load."""

import contextlib
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from benchmarks.published_lists import DOMAIN
from recsys_dagster.serving.service.server import create_frozen_app
from recsys_dagster.settings import read_settings

CONSTANT = "/constant"
_CONSTANT_BYTES = "BENCHMARKS_CONSTANT_BYTES"
_WRK = shutil.which("wrk")


def has_wrk() -> bool:
    """Return whether the load generator is installed (Debian package wrk); one in Python would be the bottleneck."""
    return _WRK is not None


def app_with_constant():
    """Return the service with one more route of FastAPI, which answers with a constant; it is matched first."""
    from starlette.responses import Response

    cache = tempfile.mkdtemp(prefix="benchmark-serve-", dir=os.environ["RECSYS_HOME"])
    app = create_frozen_app(read_settings(), Path(cache))
    content = b'"' + b"x" * (int(os.environ[_CONSTANT_BYTES]) - 2) + b'"'

    async def constant() -> Response:
        return Response(content, media_type="application/json")

    app.add_api_route(CONSTANT, constant)
    app.router.routes.insert(0, app.router.routes.pop())
    return app


@dataclass(frozen=True)
class Load:
    """What wrk saw.

    Attributes:
        per_second: answers a second.
        median, p99: latency in seconds.
        failures: requests without an answer, or with another status than success.
    """

    per_second: float
    median: float
    p99: float
    failures: int


@contextlib.contextmanager
def serving(home: Path, answer_bytes: int, *words: str) -> Iterator[tuple[int, str]]:
    """Serve the home during the block; give the id of the process and the address once it is ready.

    Args:
        home: RECSYS_HOME.
        answer_bytes: length of the constant.
        *words: arguments of `recsys serve`, which has no constant; none: one process with it.
    """
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    address = ["--port", str(port)]
    if words:
        command = ["-c", "from recsys_dagster.cli.main import main; main()", "serve", *address, *words]
    else:
        factory = "benchmarks.serving_process:app_with_constant"
        command = ["-m", "uvicorn", "--factory", factory, *address, "--no-access-log", "--log-level", "warning"]
    environment = {**os.environ, "RECSYS_HOME": str(home), _CONSTANT_BYTES: str(answer_bytes)}
    url = f"http://127.0.0.1:{port}"
    process = subprocess.Popen([sys.executable, *command], env=environment, stderr=subprocess.DEVNULL)
    try:
        while process.poll() is None:
            with contextlib.suppress(urllib.error.URLError, ConnectionError), urllib.request.urlopen(f"{url}/readyz"):
                break
            time.sleep(0.2)
        yield process.pid, url
    finally:
        process.send_signal(signal.SIGINT)
        process.wait()


def load(url: str, path: str, seconds: float, *, connections: int = 16, pause: float = 0) -> Load:
    """Ask for a path again and again.

    Args:
        url: of the service.
        path: with %d in the place of a random user below the number that follows it, such as /users/%d:1000/history.
        seconds: how long.
        connections: requests at a time.
        pause: mean pause in seconds of a connection between two requests, exponentially distributed.
    """
    template, _, rest = path.partition("%d:")
    users, _, tail = rest.partition("/")
    target = f'"{template}" .. math.random(0, {int(users) - 1}) .. "/{tail}"' if rest else f'"{path}"'
    script = (
        f'request = function() return wrk.format("GET", {target}) end\n'
        f"delay = function() return math.floor(-math.log(1 - math.random()) * {1000 * pause:.3f}) end\n"
        'done = function(summary, latency) io.write(string.format("RESULT %d %d %d %d %d %d\\n", summary.requests,'
        " summary.duration, latency:percentile(50), latency:percentile(99), summary.errors.status,"
        " summary.errors.connect + summary.errors.read + summary.errors.write + summary.errors.timeout)) end\n"
    )
    if not pause:
        script = script.replace(script.splitlines()[1] + "\n", "")
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as file:
        file.write(script)
        file.flush()
        command = [str(_WRK), "-t1", f"-c{connections}", f"-d{seconds:g}s", "--timeout", "10s", "-s", file.name, url]
        output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    found = re.search(r"RESULT (\d+) (\d+) (\d+) (\d+) (\d+) (\d+)", output)
    if found is None:
        raise RuntimeError(output)
    requests, duration, median, p99, status, sockets = map(int, found.groups())
    return Load(requests / duration * 1e6, median / 1e6, p99 / 1e6, status + sockets)


def look_up(users: int) -> str:
    """Return the path of the list of a random user."""
    return f"/v1/{DOMAIN}/users/%d:{users}/recommendations?n=10"


def memory(pid: int, *, private: bool = False) -> int:
    """Return the largest memory in bytes that a process has had, or what it has now without files that it maps."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    fields = dict(line.split(":", 1) for line in lines if ":" in line)
    return int(fields["RssAnon" if private else "VmHWM"].split()[0]) * 1024
