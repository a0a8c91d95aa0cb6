"""Time from a declared CSV file to clean tables, compared with the same ratings in a built-in format."""

from pathlib import Path
from typing import Any

import duckdb
import yaml

from benchmarks import ingest, samples
from benchmarks.measurement import FOLDER, measure
from benchmarks.result import Result, at_most, peak, ratio
from benchmarks.sizes import ML_20M, Size
from recsys_dagster.ingest.catalogue import get_dataset
from recsys_dagster.ingest.fetching import fetch
from recsys_dagster.runtime.resource_usage import ResourceUsage, track_resources
from recsys_dagster.settings import Settings
from recsys_dagster.warehouse.build import build_clean
from recsys_dagster.warehouse.database import Warehouse

TITLE = "Declared datasets"

_TEXT_IDS = {
    "ratings": "md5(userId)::UUID AS userId, 'SKU-' || movieId AS movieId, rating, timestamp",
    "movies": "'SKU-' || movieId AS movieId, title, genres",
}


def clean(ratings: int, ids: str) -> tuple[ResourceUsage, dict[str, Any]]:
    """Build the clean tables of a sample that is declared as CSV, with `integer` or `text` ids."""
    home = FOLDER / "declared" / f"{ids}-{ratings}"
    settings = Settings(home=home, mirror=None)
    _declare(home, samples.sample(ML_20M[0], ratings).folder, ids)
    dataset = get_dataset("ratings", settings)
    manifest = fetch(dataset, settings)
    warehouse = Warehouse(FOLDER / "warehouses" / f"declared-{ids}-{ratings}.duckdb", samples.MEMORY_LIMIT)
    warehouse.path.unlink(missing_ok=True)
    with track_resources() as usage:
        build_clean(warehouse, dataset, manifest)
    return usage, {}


def _declare(home: Path, folder: Path, ids: str) -> None:
    """Write the declaration of a sample, and its files anew where the ids are texts."""
    declared = home / "datasets"
    declared.mkdir(parents=True, exist_ok=True)
    files = {name: folder / f"{name}.csv" for name in _TEXT_IDS}
    if ids == "text":
        for name, columns in _TEXT_IDS.items():
            target = declared / f"{name}.csv"
            if not target.exists():
                source = f"read_csv('{files[name]}', all_varchar = true, header = true)"
                duckdb.execute(f"COPY (SELECT {columns} FROM {source}) TO '{target}' (HEADER)")
            files[name] = target
    interactions = {"user": "userId", "item": "movieId", "rating": "rating", "time": "timestamp"}
    genres = {"column": "genres", "separator": "|"}
    content = {
        "domain": "movie",
        "ratings": {"scale": [0.5, 5], "liked_from": 4},
        "interactions": {"files": str(files["ratings"]), **interactions},
        "items": {"files": str(files["movies"]), "item": "movieId", "title": "title", "genres": genres},
    }
    (declared / "ratings.yaml").write_text(yaml.safe_dump(content), encoding="utf-8")


def results(size: Size) -> list[Result]:
    """Return our time as a multiple of that of the built-in format, and the peak memory."""
    rows = []
    built_in = measure(ingest.clean, format_name=ML_20M[0], ratings=size.declared)
    for ids, target in (("integer", 1.2), ("text", 2)):
        ours = measure(clean, ratings=size.declared, ids=ids)
        description = f"CSV with {ids} ids, {size.declared:,} ratings"
        rows += [
            at_most(description, 1 / ratio(ours, built_in), target, "× the built-in format", ours, built_in),
            peak(description, 4, ours),
        ]
    return rows
