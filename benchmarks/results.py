"""The page: every figure beside its target, and what it was worked out from."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmarks import pipeline
from benchmarks.figures import Figure
from benchmarks.measuring import Measurement, machine
from benchmarks.sizes import Size
from recsys_dagster.runtime.resource_usage import StepUsage

CURVES = "scaling.svg"
_VERSIONS = ("duckdb", "implicit", "jax", "keras", "numba", "numpy", "pandas", "ranx", "scipy", "tensorflow")
_MET = {True: "yes", False: "**no**", None: ""}


def write(path: Path, size: Size, answers: Mapping[str, Sequence[Figure]]) -> None:
    """Write the page of all answers, by title."""
    measurements = _distinct(answers)
    versions: dict[str, str] = {}
    for measurement in measurements:
        versions |= {name: measurement.packages[name] for name in _VERSIONS if name in measurement.packages}
    days = sorted(measurement.at[:10] for measurement in measurements)
    peers = next((m.facts["versions"] for m in measurements if "versions" in m.facts), {})
    lines = [
        "# What it costs",
        "",
        f"`make bench{'' if size.name == 'full' else f' SIZE={size.name}'}` wrote this page; size {size.name}, "
        f"measured {f'on {days[0]}' if days[0] == days[-1] else f'from {days[0]} to {days[-1]}'}.",
        "",
        f"- Machine: {machine()}",
        f"- Versions: {', '.join(f'{name} {found}' for name, found in sorted(versions.items()))}",
        f"- RecTools apart: {', '.join(f'{name} {found}' for name, found in peers.items()) or 'not measured'}",
        "",
        "Each measurement ran in a process of its own. The load is the number of processes that ran or waited: above "
        "one beside two cores, seconds of the clock say little, and seconds of processors more.",
    ]
    for title, figures in answers.items():
        rows = [(f.asked, f.found, f.target, _MET[f.met]) for f in figures]
        lines += ["", f"## {title}", "", *_table(("what", "figure", "target", "met"), rows)]
        if title == pipeline.TITLE:
            for run in _distinct({title: figures}):
                lines += ["", f"Steps of {run.arguments['dataset']}:", "", *_steps(run)]
    lines += ["", "## Scaling curves", "", f"![Time and memory over rows]({CURVES})"]
    lines += ["", "## Every measurement", "", *_costs(measurements), ""]
    path.write_text("\n".join(lines), encoding="utf-8")


def _distinct(answers: Mapping[str, Sequence[Figure]]) -> list[Measurement]:
    taken = {
        (m.what, str(m.arguments)): m for figures in answers.values() for figure in figures for m in figure.measurements
    }
    return list(taken.values())


def _costs(measurements: Sequence[Measurement]) -> list[str]:
    rows = [
        (
            m.what,
            ", ".join(
                f"{name} {value:,}" if isinstance(value, int) else str(value) for name, value in m.arguments.items()
            ),
            f"{m.usage.wall_seconds:,.2f}",
            f"{m.usage.cpu_seconds:,.2f}",
            f"{m.usage.peak_bytes / 2**30:.2f}",
            f"{m.load:.1f}",
        )
        for m in measurements
    ]
    return _table(("what", "of", "wall s", "processor s", "peak GiB", "load"), rows)


def _steps(run: Measurement) -> list[str]:
    steps = [StepUsage(**told) for told in run.facts["steps"]]
    rows = [
        (
            step.step,
            f"{step.wall_seconds:,.1f}",
            f"{step.cpu_seconds:,.1f}",
            f"{step.peak_bytes / 2**30:.2f}",
            "" if step.rows_per_second is None else f"{step.rows_per_second:,.0f}",
            pipeline.BOUNDS.get(step.step, ""),
        )
        for step in sorted(steps, key=lambda step: -step.wall_seconds)
    ]
    return _table(("step", "wall s", "processor s", "peak GiB", "rows/s", "spent on"), rows)


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    return [f"| {' | '.join(row)} |" for row in (header, ["---"] * len(header), *rows)]
