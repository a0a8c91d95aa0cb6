"""`recsys run` at full size, from raw files to published lists: what each step takes."""

import os
import shutil
import subprocess
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks.figures import Figure, peak
from benchmarks.measuring import FOLDER, ROOT, measure
from benchmarks.sizes import Size
from recsys_dagster.ingest.catalogue import get_dataset
from recsys_dagster.runtime.resource_usage import ResourceUsage, StepUsage

TITLE = "From raw files to published lists"
MODELS = "popularity,user_item_bias,als,ease,embedding_mlp"
MEMORY_LIMIT = "3GB"
BOUNDS = {
    "raw/files": "the generator: drawing pairs, and writing them as text",
    "clean_tables": "reading and sorting text in DuckDB, all cores",
    "features_tables": "joins and sorts in DuckDB, all cores",
    "models/als": "arithmetic: factors² for each rating, factors³ for each user and title",
    "models/ease": "arithmetic: the inverse of titles × titles by Cholesky, and before it what occurs together",
    "models/embedding_mlp": "memory: rows of embeddings here and there, and Adam over all of them at each step",
    "evaluation/als": "arithmetic: users × titles × factors, then the choice of 100 and the bootstrap",
    "evaluation/ease": "memory: a row of titles × titles for each title of each user",
    "evaluation/embedding_mlp": "arithmetic: 6,700 operations for each of users × titles, twice, for two folds",
    "serving/lists": "the champion fitted once more, on all folds, then users × titles as in its evaluation",
}
"""What the heavier steps spend their time on."""
COMMAND = "from recsys_dagster.cli.main import main; main()"
"""`recsys`, of this checkout."""


def run(dataset: str) -> tuple[ResourceUsage, dict[str, Any]]:
    """`recsys run` of a domain on a dataset, from nothing; the costs of the steps come from Dagster's records."""
    domain = get_dataset(dataset).domain
    home = FOLDER / "pipeline" / dataset
    history = home / "dagster"
    history.mkdir(parents=True, exist_ok=True)
    shutil.rmtree(home / "data", ignore_errors=True)
    settings = {
        "DAGSTER_HOME": str(history),
        "RECSYS_HOME": str(home / "data"),
        f"RECSYS_{domain.upper()}_DATASET": dataset,
        "RECSYS_MODELS": MODELS,
        "RECSYS_MEMORY_LIMIT": MEMORY_LIMIT,
    }
    os.environ |= settings
    started, before = time.perf_counter(), os.times()
    process = subprocess.Popen([sys.executable, "-c", COMMAND, "run", "--domain", domain], cwd=ROOT)
    highest = 0
    while process.poll() is None:
        highest = max(highest, _resident(process.pid))
        time.sleep(0.1)
    after = os.times()
    if process.returncode:
        raise SystemExit(f"recsys run ended with {process.returncode}")
    steps = _steps(domain)
    highest = max([highest, *(step.peak_bytes for step in steps)])
    processor = after.children_user + after.children_system - before.children_user - before.children_system
    shutil.rmtree(home)
    return ResourceUsage(time.perf_counter() - started, processor, highest), {"steps": [asdict(step) for step in steps]}


def figures(size: Size) -> list[Figure]:
    """The peak memory of the whole; `results` lists the steps."""
    found = []
    for dataset in size.pipeline:
        measurement = measure(run, dataset=dataset)
        minutes = measurement.usage.wall_seconds / 60
        found += [
            Figure(f"recsys run on {dataset}", f"{minutes:.0f} min", "", None, (measurement,)),
            peak(f"recsys run on {dataset}", 8, measurement),
        ]
    return found


def _steps(domain: str) -> list[StepUsage]:
    """Return the cost of each step of the run."""
    import dagster as dg

    from recsys_dagster.orchestration.step_usage import step_usage

    with dg.DagsterInstance.get() as instance:
        steps = step_usage(instance, domain)
    if not steps:
        raise SystemExit(f"no step of the domain {domain} has told its cost")
    return steps


def _resident(pid: int) -> int:
    """Return the memory that a process holds, in bytes; 0 where it is gone."""
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, IndexError):
        return 0
