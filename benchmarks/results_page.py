"""Write RESULTS.md: every result with its target, and the measurements behind it."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmarks import pipeline
from benchmarks.measurement import Measurement, machine
from benchmarks.result import Result
from benchmarks.sizes import Size
from recsys_dagster.runtime.resource_usage import StepUsage

CURVES = "scaling.svg"
_VERSIONS = ("duckdb", "implicit", "jax", "keras", "numba", "numpy", "pandas", "ranx", "scipy", "tensorflow")
_MET = {True: "yes", False: "**no**", None: ""}


def write(path: Path, size: Size, results_by_title: Mapping[str, Sequence[Result]]) -> None:
    """Write the page of all results, given by the title of their section."""
    measurements = _distinct(results_by_title)
    versions: dict[str, str] = {}
    for measurement in measurements:
        versions |= {name: measurement.packages[name] for name in _VERSIONS if name in measurement.packages}
    days = sorted(measurement.at[:10] for measurement in measurements)
    rectools = next((m.facts["versions"] for m in measurements if "versions" in m.facts), {})
    lines = [
        "# Benchmark results",
        "",
        f"Written by `make bench{'' if size.name == 'full' else f' SIZE={size.name}'}`; size {size.name}, "
        f"measured {f'on {days[0]}' if days[0] == days[-1] else f'from {days[0]} to {days[-1]}'}.",
        "",
        f"- Machine: {machine()}",
        f"- Versions: {', '.join(f'{name} {version}' for name, version in sorted(versions.items()))}",
        f"- RecTools' own environment: "
        f"{', '.join(f'{name} {version}' for name, version in rectools.items()) or 'not measured'}",
        "",
        "Each measurement ran in its own process. The load is the number of processes that were running or waiting for "
        "a processor. On two cores, a load above one makes wall time unreliable; CPU time is then the better figure.",
    ]
    for title, results in results_by_title.items():
        rows = [(result.description, result.value, result.target, _MET[result.met]) for result in results]
        lines += ["", f"## {title}", "", *_table(("measured", "result", "target", "met"), rows)]
        if title == pipeline.TITLE:
            for run in _distinct({title: results}):
                lines += ["", f"Steps of {run.arguments['dataset']}:", "", *_steps(run)]
    lines += ["", "## Scaling curves", "", f"![Time and memory over rows]({CURVES})"]
    lines += ["", "## All measurements", "", *_measurement_table(measurements), ""]
    path.write_text("\n".join(lines), encoding="utf-8")


def _distinct(results_by_title: Mapping[str, Sequence[Result]]) -> list[Measurement]:
    measurements = {
        (measurement.name, str(measurement.arguments)): measurement
        for results in results_by_title.values()
        for result in results
        for measurement in result.measurements
    }
    return list(measurements.values())


def _measurement_table(measurements: Sequence[Measurement]) -> list[str]:
    rows = [
        (
            measurement.name,
            ", ".join(
                f"{name} {value:,}" if isinstance(value, int) else str(value)
                for name, value in measurement.arguments.items()
            ),
            f"{measurement.usage.wall_seconds:,.2f}",
            f"{measurement.usage.cpu_seconds:,.2f}",
            f"{measurement.usage.peak_bytes / 2**30:.2f}",
            f"{measurement.load:.1f}",
        )
        for measurement in measurements
    ]
    return _table(("function", "arguments", "wall s", "CPU s", "peak GiB", "load"), rows)


def _steps(run: Measurement) -> list[str]:
    steps = [StepUsage(**step) for step in run.facts["steps"]]
    rows = [
        (
            step.step,
            f"{step.wall_seconds:,.1f}",
            f"{step.cpu_seconds:,.1f}",
            f"{step.peak_bytes / 2**30:.2f}",
            "" if step.rows_per_second is None else f"{step.rows_per_second:,.0f}",
            pipeline.BOTTLENECKS.get(step.step, ""),
        )
        for step in sorted(steps, key=lambda step: -step.wall_seconds)
    ]
    return _table(("step", "wall s", "CPU s", "peak GiB", "rows/s", "bottleneck"), rows)


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    return [f"| {' | '.join(row)} |" for row in (header, ["---"] * len(header), *rows)]
