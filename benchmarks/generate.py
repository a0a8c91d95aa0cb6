"""How fast the sample generator writes CSV, and in how much memory."""

import shutil
from typing import Any

from benchmarks import samples
from benchmarks.figures import Figure, at_least, peak
from benchmarks.measuring import FOLDER, measure
from benchmarks.sizes import ANIME_2020, ML_20M, Size
from recsys_dagster.ingest.samples.write import write_sample
from recsys_dagster.runtime.resource_usage import ResourceUsage, track_resources

TITLE = "Generating samples"


def write(format_name: str, ratings: int) -> tuple[ResourceUsage, dict[str, Any]]:
    """Write a sample, once the compiled loops are warm."""
    warm = FOLDER / "samples" / "warm"
    write_sample(format_name, warm, n_users=100, n_items=200, n_ratings=1000, seed=1)
    shutil.rmtree(warm)
    with track_resources() as usage:
        samples.generate(format_name, ratings)
    written = samples.sample(format_name, ratings).files.values()
    return usage, {"rows": sum(file.lines for file in written), "bytes": sum(file.bytes for file in written)}


def figures(size: Size) -> list[Figure]:
    """Rows a second in both formats, and ratings a second: beside each anime rating stand 1.9 entries of a list."""
    found = []
    for (format_name, _), ratings in ((ML_20M, size.movies), (ANIME_2020, size.anime)):
        measurement = measure(write, format_name=format_name, ratings=ratings)
        asked = f"{format_name}, {ratings:,} ratings"
        rows, rated = (n / measurement.usage.wall_seconds / 1e6 for n in (measurement.facts["rows"], ratings))
        found += [
            at_least(f"{asked}: rows", rows, 1, "M rows/s", measurement),
            Figure(f"{asked}: ratings", f"{rated:.2f} M ratings/s", "", None, (measurement,)),
            peak(asked, 2, measurement),
        ]
    return found
