"""Time and memory of each step of `recsys run` at full size, from raw files to published lists."""

import os
import shutil
import subprocess
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks.measurement import FOLDER, ROOT, measure
from benchmarks.result import Result, peak, without_target
from benchmarks.sizes import Size
from recsys_dagster.ingest.catalogue import CATALOGUE
from recsys_dagster.runtime.resource_usage import ResourceUsage, StepUsage

TITLE = "From raw files to published lists"
MODELS = "popularity,user_item_bias,als,ease,embedding_mlp"
MEMORY_LIMIT = "3GB"
BOTTLENECKS = {
    "raw/files": "generator: drawing pairs and writing them as text",
    "clean_tables": "DuckDB reading and sorting text, on all cores",
    "features_tables": "DuckDB joins and sorts, on all cores",
    "models/als": "arithmetic: factors² for each rating, factors³ for each user and item",
    "models/ease": "arithmetic: co-occurrence of items, then the Cholesky inverse of items × items",
    "models/embedding_mlp": "memory: scattered rows of embeddings, and Adam over all rows at each step",
    "evaluation/als": "arithmetic: users × items × factors, then the top 100 and the bootstrap",
    "evaluation/ease": "memory: one row of items × items for each item of each user",
    "evaluation/embedding_mlp": "arithmetic: 6,700 operations for each of users × items, in each of two folds",
    "serving/lists": "the champion refitted on all folds, then users × items as in its evaluation",
}
"""What limits the slower steps, by step."""
COMMAND = "from recsys_dagster.cli.main import main; main()"
"""The `recsys` command of this checkout."""


def run(dataset: str) -> tuple[ResourceUsage, dict[str, Any]]:
    """Run `recsys run` on a dataset in an empty home; the usage of each step comes from Dagster's event log."""
    domain = CATALOGUE[dataset].domain
    home = FOLDER / "pipeline" / dataset
    history = home / "dagster"
    history.mkdir(parents=True, exist_ok=True)
    shutil.rmtree(home / "data", ignore_errors=True)
    settings = {
        "DAGSTER_HOME": str(history),
        "RECSYS_HOME": str(home / "data"),
        f"RECSYS_DATASET_{domain.upper()}": dataset,
        "RECSYS_MODELS": MODELS,
        "RECSYS_MEMORY_LIMIT": MEMORY_LIMIT,
    }
    os.environ |= settings
    started, before = time.perf_counter(), os.times()
    process = subprocess.Popen([sys.executable, "-c", COMMAND, "run", "--domain", domain], cwd=ROOT)
    peak_bytes = 0
    while process.poll() is None:
        peak_bytes = max(peak_bytes, _resident_bytes(process.pid))
        time.sleep(0.1)
    after = os.times()
    if process.returncode:
        raise SystemExit(f"recsys run ended with {process.returncode}")
    steps = _steps(domain)
    peak_bytes = max([peak_bytes, *(step.peak_bytes for step in steps)])
    cpu_seconds = after.children_user + after.children_system - before.children_user - before.children_system
    shutil.rmtree(home)
    usage = ResourceUsage(time.perf_counter() - started, cpu_seconds, peak_bytes)
    return usage, {"steps": [asdict(step) for step in steps]}


def results(size: Size) -> list[Result]:
    """Return the wall time and the peak memory of each run; `results_page` lists its steps."""
    rows = []
    for dataset in size.pipeline:
        measurement = measure(run, dataset=dataset)
        minutes = measurement.usage.wall_seconds / 60
        rows += [
            without_target(f"recsys run on {dataset}", f"{minutes:.0f} min", measurement),
            peak(f"recsys run on {dataset}", 8, measurement),
        ]
    return rows


def _steps(domain: str) -> list[StepUsage]:
    """Return the resource usage of each step of the run."""
    import dagster as dg

    from recsys_dagster.orchestration.step_usage import step_usage

    with dg.DagsterInstance.get() as instance:
        steps = step_usage(instance, domain)
    if not steps:
        raise SystemExit(f"Dagster recorded no resource usage for any step of the domain {domain}")
    return steps


def _resident_bytes(pid: int) -> int:
    """Return the resident memory of a process in bytes, or 0 if it has ended."""
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, IndexError):
        return 0
