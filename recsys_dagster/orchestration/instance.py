"""Open the Dagster instance that holds the history of runs: `recsys run` and the UI share it."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import dagster as dg

from recsys_dagster.errors import RecsysError
from recsys_dagster.orchestration.active_runs import COMMAND_TAG, PARTITION, UNFINISHED
from recsys_dagster.runtime.layout import Layout
from recsys_dagster.runtime.storage import explaining_disk_full, replacing
from recsys_dagster.runtime.text import printable

CONFIG = Path(__file__).with_name("dagster.yaml")
CODE_LOCATION = "recsys"
REPOSITORY_TAG = {".dagster/repository": f"__repository__@{CODE_LOCATION}"}
"""By this tag the UI shows a run among the runs of its job."""


def prepare_home(layout: Layout) -> Path:
    """Return the folder of the instance: DAGSTER_HOME if it is set, else one under RECSYS_HOME with its dagster.yaml.

    Raises:
        RecsysError: the disk is full.
    """
    if home := os.environ.get("DAGSTER_HOME"):
        return Path(home)
    folder = layout.dagster().absolute()
    with explaining_disk_full(folder):
        folder.mkdir(parents=True, exist_ok=True)
        target, text = folder / "dagster.yaml", CONFIG.read_text(encoding="utf-8")
        if not target.exists() or target.read_text(encoding="utf-8") != text:
            with replacing(target) as temporary:
                temporary.write_text(text, encoding="utf-8")
    return folder


@contextmanager
def open_instance(layout: Layout) -> Iterator[dg.DagsterInstance]:
    """Open the instance that keeps the history.

    Raises:
        RecsysError: its dagster.yaml is wrong, or the database that it names does not answer.
    """
    home = prepare_home(layout)
    try:
        instance = dg.DagsterInstance.from_config(str(home))
    except Exception as error:  # each storage raises errors of its own
        cause: BaseException = error
        while cause.__cause__ is not None:
            cause = cause.__cause__
        raise RecsysError(
            f"{home}: Dagster's history cannot be opened ({_telling_line(cause)}); start its database and set the "
            "variables that dagster.yaml reads, or unset DAGSTER_HOME"
        ) from error
    with instance:
        yield instance


def _telling_line(error: BaseException) -> str:
    """Return the line of an error's message that says what is wrong; Dagster's begins with a dump of its schema."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    telling = [line.partition("PostProcessingError: ")[2] for line in lines if "environment variable" in line] or lines
    return printable(telling[0])[:300] if telling else type(error).__name__


def close_dead_runs(instance: dg.DagsterInstance, domain: str) -> None:
    """Mark the unfinished runs of `recsys run` on a domain as failed.

    The caller holds the domain, so the processes of these runs are gone.
    """
    unfinished = dg.RunsFilter(statuses=UNFINISHED, tags={PARTITION: domain, COMMAND_TAG: "run"})
    for run in instance.get_runs(unfinished):
        instance.report_run_failed(run, "The process of `recsys run` ended before the run did.")
