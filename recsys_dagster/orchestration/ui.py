"""Start the Dagster UI of `make dev` on the history that `recsys run` writes."""

import importlib.util
import os
import signal
import socket
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

from recsys_dagster.errors import RecsysError
from recsys_dagster.orchestration.instance import prepare_home
from recsys_dagster.reports.server import LOCAL_URL, PORT, serve_pages
from recsys_dagster.runtime.layout import Layout
from recsys_dagster.runtime.progress import announce
from recsys_dagster.settings import Settings

HOST = "127.0.0.1"
PROJECT = Path(__file__).resolve().parents[2]


def run_ui(settings: Settings, port: int) -> int:
    """Run `dg dev` and serve the reports until it ends; return its exit code.

    Args:
        settings: of the deployment.
        port: of the UI. The reports are served on their own port, which the links in the UI name.

    Raises:
        RecsysError: `dg` is not installed, the port is taken, or the project's folder is not here.
    """
    if importlib.util.find_spec("dagster_dg_cli") is None:
        raise RecsysError("the UI needs the package dagster-dg-cli; `make dev` installs it")
    if not (PROJECT / "pyproject.toml").is_file():
        raise RecsysError(
            f"{PROJECT}: not the project's folder; run `make dev` in a checkout, or see docs/operations.md"
        )
    _require_free(port)
    layout = Layout(settings.home.absolute())
    environment = {
        "RECSYS_PAGES_URL": LOCAL_URL,
        **os.environ,
        "DAGSTER_HOME": str(prepare_home(layout)),
        "RECSYS_HOME": str(layout.home),
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}",
    }
    command = [str(Path(sys.executable).with_name("dg")), "dev", "--use-active-venv", "--host", HOST]
    with ExitStack() as stack:
        try:
            stack.enter_context(serve_pages(layout.reports()))
        except RecsysError as error:
            announce(f"The links from the UI to the reports do not work: {error}.")
        announce(f"Dagster UI: http://{HOST}:{port} (reports: {LOCAL_URL}); Ctrl-C ends it")
        return _run_until_stopped([*command, "--port", str(port)], environment)


def _require_free(port: int) -> None:
    if port == PORT:
        raise RecsysError(f"port {port} is for the reports; choose another with --port")
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as error:
            raise RecsysError(
                f"port {port} of {HOST} is taken ({error.strerror}); end the program that uses it, or choose another "
                "port: make dev PORT=3100"
            ) from None


def _run_until_stopped(command: list[str], environment: dict[str, str]) -> int:
    """Run the command; pass SIGTERM on to it as SIGINT, which a Ctrl-C in the terminal sends it anyway."""
    processes: list[subprocess.Popen[bytes]] = []

    def interrupt(number: int, _frame: object) -> None:
        if number == signal.SIGTERM:
            for process in processes:
                process.send_signal(signal.SIGINT)

    # A handler is not inherited, "ignore" is: so the command stops even if this process runs in the background.
    former = {number: signal.signal(number, interrupt) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        processes.append(subprocess.Popen(command, env=environment, cwd=PROJECT))  # noqa: S603
        return processes[0].wait()
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)
