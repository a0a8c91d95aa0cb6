"""Run one job: `python -m recsys_dagster.spark JOB FOLDER`, with its arguments and its result as JSON in the folder."""

import importlib
import json
import logging
import os
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from recsys_dagster.errors import RecsysError
from recsys_dagster.runtime.spark_process import ARGUMENTS, RESULT
from recsys_dagster.runtime.storage import write_json
from recsys_dagster.spark.failures import cause_of
from recsys_dagster.spark.log import collected_log
from recsys_dagster.spark.session import open_session

_SECONDS_BETWEEN_LOOKS = 0.5


def main(job: str, folder: Path, handlers: Sequence[logging.Handler] = ()) -> None:
    """Run a job and write its result, or the one line that says why there is none.

    Args:
        job: module and function.
        folder: has the arguments, and gets the result.
        handlers: get the log; none: it goes to standard error.
    """
    threading.Thread(target=_exit_without, args=(folder, os.getppid()), daemon=True).start()
    arguments = json.loads((folder / ARGUMENTS).read_text(encoding="utf-8"))
    with collected_log(handlers) as log:
        answer: dict[str, Any]
        try:
            answer = {"result": _call(job, arguments)}
        except RecsysError as error:
            answer = {"error": str(error)}
        except Exception as error:  # Spark may raise anything
            log.exception(job)
            answer = {"error": cause_of(error)}
        write_json(folder / RESULT, answer)


def _call(job: str, arguments: dict[str, Any]) -> dict[str, Any]:
    module, _, function = job.partition(":")
    work = getattr(importlib.import_module(module), function)
    with open_session(job) as session:
        result: dict[str, Any] = work(session, arguments)
    return result


def _exit_without(folder: Path, parent: int) -> None:
    """End the process, and with it the JVM, as soon as nobody waits for its result any more."""
    while folder.exists() and os.getppid() == parent:
        time.sleep(_SECONDS_BETWEEN_LOOKS)
    os._exit(1)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
