"""Time from CSV files to clean tables, compared with DuckDB loading the same files without any cleaning."""

from typing import Any

import duckdb

from benchmarks import samples
from benchmarks.measurement import FOLDER, measure
from benchmarks.result import Result, at_most, peak, ratio
from benchmarks.sizes import ANIME_2020, ML_20M, Size
from recsys_dagster.runtime.resource_usage import ResourceUsage, track_resources
from recsys_dagster.warehouse.build import reconcile

TITLE = "Ingest and clean"


def clean(format_name: str, ratings: int) -> tuple[ResourceUsage, dict[str, Any]]:
    """Build the clean tables of a sample."""
    manifest = samples.sample(format_name, ratings)
    with track_resources() as usage:
        warehouse = samples.clean(format_name, ratings, manifest)
    return usage, {"rows": sum(account.rows_in for account in reconcile(warehouse))}


def plain_tables(format_name: str, ratings: int) -> tuple[ResourceUsage, dict[str, Any]]:
    """Load the same files with CREATE TABLE … AS SELECT * FROM read_csv(…)."""
    manifest = samples.sample(format_name, ratings)
    path = FOLDER / "plain.duckdb"
    path.unlink(missing_ok=True)
    with track_resources() as usage, duckdb.connect(path, config={"memory_limit": samples.MEMORY_LIMIT}) as connection:
        for number, file in enumerate(manifest.files.values()):
            connection.execute(f"CREATE TABLE file_{number} AS SELECT * FROM read_csv('{file.path}')")
    path.unlink()
    return usage, {}


def results(size: Size) -> list[Result]:
    """Return our time as a multiple of loading plain tables, and the peak memory."""
    rows = []
    for (format_name, _), ratings in ((ML_20M, size.movies), (ANIME_2020, size.anime)):
        plain = measure(plain_tables, format_name=format_name, ratings=ratings)
        ours = measure(clean, format_name=format_name, ratings=ratings)
        description = f"{format_name}, {ratings:,} ratings, {ours.facts['rows']:,} rows"
        rows += [
            at_most(description, 1 / ratio(ours, plain), 2.5, "× plain read_csv", ours, plain),
            peak(description, 4, ours),
        ]
    return rows
