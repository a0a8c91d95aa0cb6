"""Open the Dagster instance that holds the history of runs: `recsys run` and the UI share it."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import dagster as dg

from recsys_dagster.orchestration.active_runs import COMMAND_TAG, PARTITION, UNFINISHED
from recsys_dagster.runtime.layout import Layout
from recsys_dagster.runtime.storage import explaining_disk_full, replacing

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
    """Open the instance that keeps the history."""
    with dg.DagsterInstance.from_config(str(prepare_home(layout))) as instance:
        yield instance


def close_dead_runs(instance: dg.DagsterInstance, domain: str) -> None:
    """Mark the unfinished runs of `recsys run` on a domain as failed.

    The caller holds the domain, so the processes of these runs are gone.
    """
    unfinished = dg.RunsFilter(statuses=UNFINISHED, tags={PARTITION: domain, COMMAND_TAG: "run"})
    for run in instance.get_runs(unfinished):
        instance.report_run_failed(run, "The process of `recsys run` ended before the run did.")
