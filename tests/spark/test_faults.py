"""Faults of real processes on Spark: the run goes on with the right rows, or ends with one line and the last tables."""

import os
import pickle
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from handmade import MOVIES, RATINGS_HEADER, dataset_of, manifest_of
from spark_environment import configure, needs_spark
from whole_runs import Home, home

from recsys_dagster.errors import RecsysError
from recsys_dagster.ingest.formats import FORMATS
from recsys_dagster.ingest.manifest import Manifest
from recsys_dagster.runtime import spark_process
from recsys_dagster.runtime.spark_process import run_spark
from recsys_dagster.warehouse.build import build_clean
from recsys_dagster.warehouse.database import Warehouse
from recsys_dagster.warehouse.sql_files import sql_tables

__all__ = ["home"]

pytestmark = needs_spark
MOVIELENS = dataset_of("movielens")


def ratings(folder: Path, stars: int) -> Manifest:
    """200 users who gave every one of three films the same rating."""
    rows = "".join(f"{user},{item},{stars},{10**9 + user}\n" for user in range(200) for item in (1, 2, 3))
    files: dict[str, str | bytes] = {"movies.csv": MOVIES, "ratings.csv": RATINGS_HEADER + rows}
    return manifest_of(folder, FORMATS["movielens"], files)


def tables(warehouse: Warehouse) -> dict[str, list[tuple[object, ...]]]:
    with warehouse.connect() as connection:
        return {
            table.name: connection.execute(f"SELECT * FROM clean.{table.name} ORDER BY ALL").fetchall()
            for table in sql_tables("clean")
        }


@pytest.fixture
def warehouse(tmp_path: Path) -> Warehouse:
    """A domain that Spark makes the tables of, with those of its last run, in which all ratings are 3."""
    path = tmp_path / "home" / "warehouse" / "movie.duckdb"
    build_clean(Warehouse(path), MOVIELENS, ratings(tmp_path / "before", 3))
    return Warehouse(path, engine="spark")


def require_failure(warehouse: Warehouse, manifest: Manifest, cause: str) -> None:
    """Require that a build ends with the cause in one line, and leaves nothing but the last tables."""
    before = tables(warehouse)
    with pytest.raises(RecsysError) as failed:
        build_clean(warehouse, MOVIELENS, manifest)
    assert cause in str(failed.value)
    assert "\n" not in str(failed.value)
    assert tables(warehouse) == before
    assert list(warehouse.parquet.iterdir()) == []


def wait_for(condition: Callable[[], object], seconds: float = 900) -> None:
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, "it did not happen"
        time.sleep(0.02)


def parents() -> dict[int, int]:
    """The parent of every process; one that has ended but was not waited for is none."""
    found = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, parent = path.read_text().rpartition(")")[2].split()[:2]
        except OSError:
            continue
        if state != "Z":
            found[int(path.parent.name)] = int(parent)
    return found


def descendants(pid: int) -> list[int]:
    found, of = [pid], parents()
    for one in found:
        found += [child for child, parent in of.items() if parent == one]
    return found[1:]


def command_line(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text()
    except OSError:
        return ""


def virtual_machines(pid: int) -> list[int]:
    return [child for child in descendants(pid) if "java" in command_line(child).partition("\0")[0]]


def copy_of_spark(folder: Path) -> Path:
    """A folder with links to all of Spark, as its executors write their logs beside it."""
    folder.mkdir()
    (spark,) = Path(spark_process.__file__).parents[2].glob(".venv-spark/lib/python*/site-packages/pyspark")
    for path in spark.iterdir():
        (folder / path.name).symlink_to(path)
    return folder


def test_the_rows_are_right_although_an_executor_is_killed_in_the_middle(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    configure(
        tmp_path, monkeypatch, "spark.master local-cluster[2,1,512]", "spark.executor.memory 512m",
        "spark.sql.files.maxPartitionBytes 2k",
    )  # fmt: skip
    monkeypatch.setenv("SPARK_HOME", str(copy_of_spark(tmp_path / "spark")))
    (tmp_path / "inputs").write_bytes(pickle.dumps((MOVIELENS, ratings(tmp_path / "raw-files", 5))))
    pieces, killed = tmp_path / "raw" / "ratings", []

    def kill() -> None:
        wait_for(lambda: list(pieces.glob("*.parquet")))
        before = len(list(pieces.glob("*.parquet")))
        pid = next(pid for pid in virtual_machines(os.getpid()) if "CoarseGrainedExecutor" in command_line(pid))
        os.kill(pid, signal.SIGKILL)
        killed.append(before)

    thread = threading.Thread(target=kill)
    thread.start()
    done = run_spark("spark_jobs:read_ratings", {"inputs": str(tmp_path / "inputs"), "folder": str(tmp_path)})
    thread.join()
    (before,) = killed
    assert before < len(list(pieces.glob("*.parquet"))), "it was in the middle"
    assert "Lost executor" in capfd.readouterr().err
    pairs = [(user, item) for user in range(200) for item in (1, 2, 3)]
    assert [tuple(map(float, row)) for row in done["rows"]] == [(n, *pair, 5) for n, pair in enumerate(pairs)]


@pytest.fixture
def full_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk on which folders can be created, and nothing can be written."""
    disk = tmp_path / "disk"
    disk.mkdir()
    if os.geteuid() != 0:
        pytest.skip("only root can mount a small disk")
    command = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(disk)]
    mounted = subprocess.run(command, capture_output=True, text=True, check=False)
    if mounted.returncode:
        pytest.skip(f"no small disk could be mounted: {mounted.stderr.strip()}")
    try:
        with pytest.raises(OSError, match="No space left"), (disk / "filling").open("wb", buffering=0) as file:
            while True:
                file.write(bytes(4096))
        yield disk
    finally:
        subprocess.run(["umount", "--lazy", str(disk)], check=True)


def test_a_full_scratch_disk_is_said_in_one_line_and_the_last_tables_stay(
    warehouse: Warehouse, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, full_disk: Path
) -> None:
    configure(tmp_path, monkeypatch, f"spark.local.dir {full_disk}")
    require_failure(warehouse, ratings(tmp_path / "after", 5), "the disk is full; free some space, or point")


def test_a_master_that_does_not_answer_is_said_in_one_line_and_the_last_tables_stay(
    warehouse: Warehouse, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket() as unused:  # bound, and nobody listens
        unused.bind(("127.0.0.1", 0))
        master = f"spark://127.0.0.1:{unused.getsockname()[1]}"
        configure(tmp_path, monkeypatch, f"spark.master {master}")
        cause = f"the Spark master {master} does not answer (Connection refused); start it, or correct"
        require_failure(warehouse, ratings(tmp_path / "after", 5), cause)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL], ids=["stopped", "killed"])
def test_a_second_run_is_refused_and_no_process_outlives_a_run_that_is_cancelled(
    number: signal.Signals, home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    configure(tmp_path, monkeypatch)
    home.environment["RECSYS_ENGINE"] = "spark"
    command, environment = home.command("run", "--domain", "movie")
    build = home.path / "warehouse" / "movie"
    with (
        (tmp_path / "log").open("w") as log,
        subprocess.Popen(command, env=environment, cwd=home.path.parent, stdout=log, stderr=log) as first,
    ):
        try:
            wait_for(lambda: first.poll() is not None or list(build.glob(".tmp*/raw/ratings/*.parquet")))
            started = descendants(first.pid)
            assert virtual_machines(first.pid), (tmp_path / "log").read_text()
            if number == signal.SIGTERM:
                second = home.recsys("run", "--domain", "movie")
                assert second.returncode == 1
                assert second.stderr.count("\n") == 1
                assert f"another run of the domain 'movie' is active (process {first.pid})" in second.stderr
                assert first.poll() is None, "the first goes on"
            first.send_signal(number)
            first.wait()
        finally:
            first.kill()
    assert first.returncode in (-number, 128 + number)
    wait_for(lambda: not set(started) & parents().keys(), 60)
    assert not (build / "clean").exists()
    assert not (home.path / "published").exists()
