"""Run a job of `recsys_dagster.spark` in Spark's own environment, a process apart, and return its result.

PySpark brings a JVM and needs another version of pandas than the pipeline, so it is installed in `.venv-spark`.
"""

import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any

from recsys_dagster.errors import RecsysError
from recsys_dagster.runtime.layout import Layout
from recsys_dagster.runtime.storage import temporary_folder

ARGUMENTS, RESULT = "arguments.json", "result.json"
"""Files in the folder through which the two processes exchange what a job needs and returns."""

_ENVIRONMENT = ".venv-spark"

Start = Callable[[Path, Sequence[str]], int]
"""Runs a job by the interpreter of Spark's environment, given its name and its folder; returns the exit status."""


def run_spark(job: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Run a job on Spark and return what it returns.

    The process ends with this call, also where an exception interrupts it or this process is killed.

    Args:
        job: module and function, such as `recsys_dagster.spark.tables:build_clean`; it gets the Spark session and the
            arguments, and returns a dictionary.
        arguments: of the job, as JSON can write them; large data are paths of Parquet files.

    Raises:
        RecsysError: Java or `.venv-spark` is missing, or the job failed; the message is its cause.
    """
    python = _find_python()
    with tempfile.TemporaryDirectory(prefix="recsys-spark-") as name:
        folder = Path(name)
        (folder / ARGUMENTS).write_text(json.dumps(dict(arguments)), encoding="utf-8")
        status = _start.get()(python, [job, name])
        result = folder / RESULT
        if not result.exists():
            raise RecsysError(
                f"the Spark process ended with status {status} before the job {job!r} did; its log says why (memory: "
                "RECSYS_SPARK_MEMORY)"
            )
        answer: dict[str, Any] = json.loads(result.read_text(encoding="utf-8"))
    if "error" in answer:
        raise RecsysError(answer["error"])
    return dict(answer["result"])


@contextmanager
def shared_folder(layout: Layout) -> Iterator[Path]:
    """Create an empty folder for files that go to Spark and come back; it is removed when the block ends."""
    layout.spark().mkdir(parents=True, exist_ok=True)
    with temporary_folder(layout.spark()) as folder:
        yield folder


def spark_problem() -> str | None:
    """Return what has to be installed before Spark can run, in one line; None if nothing has to be."""
    java = Path(os.environ["JAVA_HOME"], "bin", "java") if os.environ.get("JAVA_HOME") else None
    if shutil.which(java or "java") is None:
        return "Spark needs Java 17 or 21; install it (on Debian: apt-get install openjdk-17-jre-headless)"
    if _python() is None:
        return f"Spark needs {_ENVIRONMENT}; run `make setup-spark`"
    return None


@contextmanager
def started_by(start: Start) -> Iterator[None]:
    """Let `start` run the process of every `run_spark` in the block."""
    token = _start.set(start)
    try:
        yield
    finally:
        _start.reset(token)


def _start_plainly(python: Path, arguments: Sequence[str]) -> int:
    process = subprocess.Popen([python, "-m", "recsys_dagster.spark", *arguments])  # noqa: S603
    try:
        return process.wait()
    finally:
        process.kill()
        process.wait()


_start: ContextVar[Start] = ContextVar("start", default=_start_plainly)


def _find_python() -> Path:
    problem, python = spark_problem(), _python()
    if problem is not None or python is None:
        raise RecsysError(problem or "")
    return python


def _python() -> Path | None:
    """Return the interpreter of Spark's environment: beside the package or in the current folder."""
    folders = (Path(__file__).parents[2], Path.cwd())
    paths = (folder / _ENVIRONMENT / "bin" / "python" for folder in folders)
    return next((path for path in paths if path.exists()), None)
