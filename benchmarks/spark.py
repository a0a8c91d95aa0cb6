"""Time and memory from CSV files to clean tables and features, by DuckDB and by Spark on this machine."""

import os
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

from benchmarks import samples
from benchmarks.measurement import FOLDER, measure
from benchmarks.result import Result, ratio, without_target
from benchmarks.sizes import ML_20M, Size
from recsys_dagster.ingest.catalogue import CATALOGUE
from recsys_dagster.runtime.resource_usage import ResourceUsage, track_resources
from recsys_dagster.warehouse.build import build_clean, build_features
from recsys_dagster.warehouse.database import Warehouse

TITLE = "Tables by DuckDB and by Spark"
DRIVER_MEMORY = "4g"
"""Heap of Spark's one process (RECSYS_SPARK_MEMORY); what is outside the heap, and Python, come on top."""
SECONDS_BETWEEN_LOOKS = 0.2


def tables(engine: Literal["duckdb", "spark"], ratings: int) -> tuple[ResourceUsage, dict[str, Any]]:
    """Build the clean tables and the features of a sample by one of the engines, in a new warehouse."""
    manifest = samples.sample(ML_20M[0], ratings)
    os.environ["RECSYS_SPARK_MEMORY"] = DRIVER_MEMORY
    warehouse = Warehouse(FOLDER / "warehouses" / f"{engine}-{ratings}.duckdb", samples.MEMORY_LIMIT, engine=engine)
    warehouse.path.unlink(missing_ok=True)
    shutil.rmtree(warehouse.parquet, ignore_errors=True)
    with _of_all_processes() as whole, track_resources() as usage:
        build_clean(warehouse, CATALOGUE["sample-movie"], manifest)
        built = build_features(warehouse, samples.SEED)
    usage.peak_bytes, usage.cpu_seconds = whole.peak_bytes, whole.cpu_seconds
    return usage, {table.name: table.rows for table in built}


def results(size: Size) -> list[Result]:
    """Return Spark's time as a multiple of DuckDB's, and the memory of its processes, at rising numbers of ratings."""
    rows = []
    for ratings in size.engines:
        duckdb = measure(tables, engine="duckdb", ratings=ratings)
        spark = measure(tables, engine="spark", ratings=ratings)
        description = f"{ML_20M[0]}, {ratings:,} ratings: Spark"
        rows += [
            without_target(description, f"{1 / ratio(spark, duckdb):.3g} × DuckDB's time", spark, duckdb),
            without_target(f"{description}: peak memory", f"{spark.usage.peak_bytes / 2**30:.2f} GiB", spark),
        ]
    return rows


@contextmanager
def _of_all_processes() -> Iterator[ResourceUsage]:
    """Measure this process and all that it starts, directly or not."""
    usage, ended, seconds = ResourceUsage(), threading.Event(), dict[int, float]()

    def watch() -> None:
        while not ended.wait(SECONDS_BETWEEN_LOOKS):
            seen = _processes()
            usage.peak_bytes = max(usage.peak_bytes, sum(resident for resident, _ in seen.values()))
            seconds.update({pid: cpu for pid, (_, cpu) in seen.items()})

    before = sum(os.times()[:2])
    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield usage
    finally:
        ended.set()
        thread.join()
        usage.cpu_seconds = sum(seconds.values()) - before


def _processes() -> dict[int, tuple[int, float]]:
    """Return the resident bytes and the processor seconds of this process and its descendants, by process id."""
    parents: dict[int, int] = {}
    usage_by_pid: dict[int, tuple[int, float]] = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
        except OSError:  # it has just ended
            continue
        pid, ticks = int(folder.name), int(fields[11]) + int(fields[12])
        parents[pid] = int(fields[1])
        usage_by_pid[pid] = int(fields[21]) * os.sysconf("SC_PAGE_SIZE"), ticks / os.sysconf("SC_CLK_TCK")
    pids = [os.getpid()]
    for pid in pids:
        pids += [child for child, parent in parents.items() if parent == pid]
    return {pid: usage_by_pid[pid] for pid in pids}
