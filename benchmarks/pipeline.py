"""`recsys run` at full size, from raw files to published lists: what each asset takes."""

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from benchmarks.figures import Figure, peak
from benchmarks.measuring import FOLDER, ROOT, measure
from benchmarks.sizes import Size
from recsys_dagster.costs import Cost
from recsys_dagster.ingest import get_dataset

TITLE = "From raw files to published lists"
MODELS = "popularity,user_item_bias,als,ease,embedding_mlp"
MEMORY_LIMIT = "3GB"
COMMAND = "from recsys_dagster.cli import main; main()"
"""`recsys`, of this checkout."""
_COSTS = ("wall_seconds", "cpu_seconds", "peak_memory_mb")


def run(dataset: str) -> tuple[Cost, dict[str, Any]]:
    """`recsys run` of a domain on a dataset, from nothing; the costs of the assets come from Dagster's records."""
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
    assets = _assets(domain)
    highest = max([highest, *(int(costs["peak_memory_mb"] * 1e6) for costs in assets.values())])
    processor = after.children_user + after.children_system - before.children_user - before.children_system
    shutil.rmtree(home)
    return Cost(time.perf_counter() - started, processor, highest), {"assets": assets}


def figures(size: Size) -> list[Figure]:
    """The peak memory of the whole; `results` lists the assets."""
    found = []
    for dataset in size.pipeline:
        measurement = measure(run, dataset=dataset)
        minutes = measurement.cost.wall_seconds / 60
        found += [
            Figure(f"recsys run on {dataset}", f"{minutes:.0f} min", "", None, (measurement,)),
            peak(f"recsys run on {dataset}", 8, measurement),
        ]
    return found


def _assets(domain: str) -> dict[str, dict[str, float]]:
    """Return the costs of each asset that the last run materialised, by key."""
    import dagster as dg

    with dg.DagsterInstance.get() as instance:
        keys = sorted(instance.all_asset_keys(), key=str)
        events = {key.to_user_string(): instance.get_latest_materialization_event(key) for key in keys}
    costs = {}
    for key, event in events.items():
        told = event.asset_materialization.metadata if event and event.asset_materialization else {}
        if all(name in told for name in _COSTS):
            costs[key] = {name: float(told[name].value) for name in _COSTS}
    if not costs:
        raise SystemExit(f"no asset of the domain {domain} has told its cost")
    return costs


def _resident(pid: int) -> int:
    """Return the memory that a process holds, in bytes; 0 where it is gone."""
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, IndexError):
        return 0
