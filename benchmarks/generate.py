"""Speed and memory of the sample generator."""

import shutil
from typing import Any

from benchmarks import samples
from benchmarks.measurement import FOLDER, measure
from benchmarks.result import Result, at_least, peak, without_target
from benchmarks.sizes import ANIME_2020, ML_20M, Size
from recsys_dagster.ingest.samples.write import write_sample
from recsys_dagster.runtime.resource_usage import ResourceUsage, track_resources

TITLE = "Generating samples"


def write(format_name: str, ratings: int) -> tuple[ResourceUsage, dict[str, Any]]:
    """Write a sample; its loops are compiled beforehand."""
    warm_up = FOLDER / "samples" / "warm-up"
    write_sample(format_name, warm_up, n_users=100, n_items=200, n_ratings=1000, seed=1)
    shutil.rmtree(warm_up)
    with track_resources() as usage:
        samples.generate(format_name, ratings)
    files = samples.sample(format_name, ratings).files.values()
    return usage, {"rows": sum(file.lines for file in files), "bytes": sum(file.bytes for file in files)}


def results(size: Size) -> list[Result]:
    """Return rows per second and ratings per second in both formats.

    The anime format has 1.9 list entries for each rating, so its rows are more than its ratings.
    """
    rows = []
    for (format_name, _), ratings in ((ML_20M, size.movies), (ANIME_2020, size.anime)):
        measurement = measure(write, format_name=format_name, ratings=ratings)
        description = f"{format_name}, {ratings:,} ratings"
        row_speed, rating_speed = (
            n / measurement.usage.wall_seconds / 1e6 for n in (measurement.facts["rows"], ratings)
        )
        rows += [
            at_least(f"{description}: rows", row_speed, 1, "M rows/s", measurement),
            without_target(f"{description}: ratings", f"{rating_speed:.2f} M ratings/s", measurement),
            peak(description, 2, measurement),
        ]
    return rows
