"""Disturb a real run at points spread over all of its writes, and examine what is left. Run it as a program.

    python tests/orchestration/disturbing.py kill FOLDER POINTS
    python tests/orchestration/disturbing.py fill FOLDER POINTS

A home that has published the lists of some ratings gets others. The run on these is counted once: every file that it
opens for writing, renames, makes or removes, and every DuckDB file that it opens. Then, for each point, a copy of the
home is run and SIGKILLed at its share of that count, or some milliseconds later, in the middle of what native code
does there; or the disk that FOLDER is on, which has to be a small one, is filled to the last byte at that moment and
emptied after the run. What readers then see is compared with the lists before and after; and the next run has to make
it good. One JSON line a point goes to standard output.

Each run is a fork of this process, which has imported everything, knows the lineage of the columns and has started
nothing, so that a point takes seconds.
"""

import json
import os
import shutil
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import dagster as dg
import duckdb
from small_archive import without_last, write_archive

from recsys_dagster.ingest.formats import FORMATS
from recsys_dagster.orchestration.build import build_definitions
from recsys_dagster.runtime.layout import Layout
from recsys_dagster.serving.lookup import PublishedFile
from recsys_dagster.settings import Settings
from recsys_dagster.warehouse.lineage import column_lineage
from recsys_dagster.warehouse.sql_files import sql_tables

WRITES = {"os.rename", "os.remove", "os.rmdir", "os.mkdir", "shutil.rmtree", "tempfile.mkdtemp"}
DELAYS = (0.0, 0.003, 0.01, 0.03)
"""Seconds after a write at which the run is killed, in turn."""


def settings(folder: Path, home: str) -> Settings:
    return Settings(
        home=folder / home,
        mirror=str(folder),
        datasets={"movie": "ml-latest-small"},
        models=("popularity",),
        _env_file=None,
    )


def drop(folder: Path, without: int) -> None:
    """Put ratings into the mirror without the last `without` of them: so few that the drift checks pass."""
    write_archive(folder, change=without_last(without))


def in_child(work: Callable[[], Any], log: Path) -> tuple[int, Any]:
    """Do the work in a fork; return how that ended (0 or minus the signal) and what the work returned."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        code = 1
        try:
            output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
            os.dup2(output, 1)
            os.dup2(output, 2)
            os.write(writing, json.dumps(work()).encode())
            code = 0
        except Exception:  # told in the log, and by the code
            traceback.print_exc()
            sys.stderr.flush()
        finally:
            os._exit(code)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        told = pipe.read()
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status), json.loads(told) if told else None


def kill(delay: float) -> None:
    """Kill this process in `delay` seconds."""

    def die() -> None:
        time.sleep(delay)
        os.kill(os.getpid(), signal.SIGKILL)

    if delay:
        threading.Thread(target=die, daemon=True).start()
    else:
        die()


def fill(filler: Path) -> None:
    """Take all that is free of the disk."""
    with filler.open("wb", buffering=0) as file, suppress(OSError):
        while True:
            file.write(bytes(2**20))
    with filler.open("ab", buffering=0) as file, suppress(OSError):
        while True:
            file.write(bytes(512))


def counted_run(chosen: Settings, at: int | None = None, disturb: Callable[[], None] = lambda: None) -> int:
    """Retrain and return the count of writes; `disturb` at that one, if any."""
    count = 0

    def write() -> None:
        nonlocal count
        count += 1
        if count == at:
            disturb()

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        opened = event == "open" and isinstance(arguments[2], int) and arguments[2] & (os.O_WRONLY | os.O_RDWR)
        if event in WRITES or opened:
            write()

    connect = duckdb.connect

    def counted_connect(*arguments: Any, **options: Any) -> Any:
        write()
        return connect(*arguments, **options)

    duckdb.connect = counted_connect
    sys.addaudithook(hook)
    job = build_definitions(chosen).resolve_job_def("retrain")
    with dg.DagsterInstance.ephemeral() as instance:
        job.execute_in_process(partition_key="movie", instance=instance)
    return count


def seen(chosen: Settings) -> dict[str, Any]:
    """All that readers get from the published file, without the versions, which tell the time of a run."""
    path = Layout(chosen.home).published("movie")
    with PublishedFile(path) as published:
        data_version = published.provenance().data_version
        published.recommendations(1, 5)
    with duckdb.connect(path, read_only=True) as connection:
        tables = {
            "recommendations": "user_id, rank, item_id, score, model",
            "items": "*",
            "leaderboard": "model, protocol, fold, metric, k, value, low, high, users",
        }
        rows = {
            table: repr(connection.execute(f"SELECT {columns} FROM {table} ORDER BY ALL").fetchall())
            for table, columns in tables.items()
        }
        versions = connection.execute("SELECT count(DISTINCT version) FROM recommendations").fetchall()[0][0]
    return {"data_version": data_version, "versions": versions, **rows}


def leftovers(home: Path) -> list[str]:
    return [str(path.relative_to(home)) for path in home.rglob(".tmp-*")]


def main(how: str, folder: Path, points: int) -> None:
    log = folder.parent / "log"
    base = settings(folder, "base")
    drop(folder, without=9)
    column_lineage(sql_tables("features")[0], FORMATS["movielens"])  # of all tables at once
    assert in_child(partial(counted_run, base), log)[0] == 0
    before = in_child(partial(seen, base), log)[1]
    drop(folder, without=0)
    whole = settings(folder, "whole")
    shutil.copytree(base.home, whole.home)
    code, writes = in_child(partial(counted_run, whole), log)
    assert code == 0
    after = in_child(partial(seen, whole), log)[1]
    assert before != after
    for point in range(points):
        chosen = settings(folder, "killed")
        with suppress(FileNotFoundError):
            shutil.rmtree(chosen.home)
        shutil.copytree(base.home, chosen.home)
        at, delay = 1 + point * writes // points, DELAYS[point % len(DELAYS)]
        disturb = partial(kill, delay) if how == "kill" else partial(fill, folder / "filler")
        start = log.stat().st_size
        ended = in_child(partial(counted_run, chosen, at, disturb), log)[0]
        said = log.read_bytes()[start:].decode()
        (folder / "filler").unlink(missing_ok=True)
        opened, left = in_child(partial(seen, chosen), log)
        again = in_child(partial(counted_run, chosen), log)[0]
        result = in_child(partial(seen, chosen), log)[1]
        told = {
            "point": point,
            "write": at,
            "of": writes,
            "ended": ended,
            "said_why": "free some space" in said,
            "opened": opened == 0,
            "left": "before" if left == before else "after" if left == after else "mixed",
            "next_run": again,
            "same_result": result == after,
            "leftovers": leftovers(chosen.home),
        }
        sys.stdout.write(json.dumps(told) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]))
