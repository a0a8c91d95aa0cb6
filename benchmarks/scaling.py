"""Growth of time and memory with the number of rows, from CSV to arrays."""

from pathlib import Path

import numpy as np

from benchmarks import features, generate, ingest
from benchmarks.measurement import Measurement, measure
from benchmarks.result import Result, at_most
from benchmarks.sizes import ANIME_2020, Size

TITLE = "Scaling"
STEPS = {
    "generate": generate.write,
    "plain read_csv": ingest.plain_tables,
    "ingest and clean": ingest.clean,
    "features": features.tables,
    "load arrays": features.arrays,
}


def curves(size: Size) -> dict[str, list[Measurement]]:
    """Return the measurements of each step at rising numbers of anime ratings."""
    return {
        step: [measure(function, format_name=ANIME_2020[0], ratings=ratings) for ratings in size.curve]
        for step, function in STEPS.items()
    }


def slope(points: list[Measurement]) -> float:
    """Return the exponent b of seconds ∝ ratings^b, fitted by least squares to the larger half of the points."""
    upper = points[len(points) // 2 - 1 :]
    ratings = [_ratings(point) for point in upper]
    seconds = [point.usage.wall_seconds for point in upper]
    return float(np.polyfit(np.log(ratings), np.log(seconds), 1)[0])


def results(size: Size) -> list[Result]:
    """Return by what factor the time of each step grows when the rows double."""
    return [
        at_most(f"twice the rows: {step}", 2 ** slope(points), 2.1, "× the time", *points)
        for step, points in curves(size).items()
    ]


def plot(size: Size, path: Path) -> None:
    """Draw seconds and GiB over rows as an SVG, on logarithmic axes, with the slope of each curve."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    mpl.rcParams["svg.hashsalt"] = "scaling"
    figure = Figure(figsize=(11, 4.5), layout="constrained")
    time, memory = figure.subplots(1, 2)
    for step, points in curves(size).items():
        rows = [_ratings(point) / 1e6 for point in points]
        time.plot(rows, [p.usage.wall_seconds for p in points], "o-", label=f"{step}: slope {slope(points):.2f}")
        memory.plot(rows, [p.usage.peak_bytes / 2**30 for p in points], "o-", label=step)
    for axes, title, ticks in (
        (time, "seconds", (0.1, 0.3, 1, 3, 10, 30)),
        (memory, "peak memory, GiB", (0.125, 0.25, 0.5, 1, 2, 4)),
    ):
        axes.set(xscale="log", yscale="log", xlabel="million ratings (list entries: 1.9 times as many)", title=title)
        axes.set_xticks([ratings / 1e6 for ratings in size.curve], [f"{ratings / 1e6:.3g}" for ratings in size.curve])
        axes.set_yticks(ticks, [f"{tick:g}" for tick in ticks])
        axes.minorticks_off()
        axes.grid(alpha=0.3)
        axes.legend()
    figure.savefig(path, format="svg", metadata={"Date": None})


def _ratings(point: Measurement) -> float:
    return float(point.arguments["ratings"])
