"""How fast the sample generator writes CSV, and in how much memory."""

import shutil
from typing import Any

from benchmarks import samples
from benchmarks.figures import Figure, at_least, peak
from benchmarks.measuring import FOLDER, measure
from benchmarks.sizes import ANIME_2020, ML_20M, Size
from recsys_dagster.costs import Cost, measuring
from recsys_dagster.ingest import write_sample

TITLE = "Generating samples"


def write(format_name: str, ratings: int) -> tuple[Cost, dict[str, Any]]:
    """Write a sample, once the compiled loops are warm."""
    warm = FOLDER / "samples" / "warm"
    write_sample(format_name, warm, n_users=100, n_items=200, n_ratings=1000, seed=1)
    shutil.rmtree(warm)
    with measuring() as cost:
        folder = samples.generate(format_name, ratings)
    return cost, {"bytes": sum(path.stat().st_size for path in folder.iterdir())}


def figures(size: Size) -> list[Figure]:
    """Ratings a second in both formats; the lists that come with anime ratings are not counted."""
    found = []
    for (format_name, _), ratings in ((ML_20M, size.movies), (ANIME_2020, size.anime)):
        measurement = measure(write, format_name=format_name, ratings=ratings)
        asked = f"{format_name}, {ratings:,} ratings"
        speed = ratings / measurement.cost.wall_seconds / 1e6
        found += [at_least(asked, speed, 1, "M ratings/s", measurement), peak(asked, 2, measurement)]
    return found
