"""Compare ratios and peak memory with those that are committed, and find what has become worse.

Times differ from machine to machine; ratios of two measurements on one machine, and memory, do so little.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmarks.result import Result
from recsys_dagster.runtime.storage import write_json

TOLERANCE = 0.3
"""Share by which a value may be worse than the committed one: about what repeated runs differ by on two cores."""


def comparable(results_by_title: Mapping[str, Sequence[Result]]) -> dict[str, Result]:
    """Return the results that are ratios or memory, by their section and description."""
    return {
        f"{title}: {result.description}": result
        for title, results in results_by_title.items()
        for result in results
        if result.number is not None and (result.unit.startswith("×") or result.unit == "GiB")
    }


def find_regressions(results: Mapping[str, Result], committed: Mapping[str, float]) -> list[str]:
    """Return a line for each result that is worse than the committed value by more than the tolerance."""
    lines = []
    for name, result in results.items():
        before, now = committed.get(name), result.number
        if before is None or now is None:
            continue
        is_worse = now < before * (1 - TOLERANCE) if result.higher_is_better else now > before * (1 + TOLERANCE)
        if is_worse:
            lines.append(f"{name}: {now:.3g} {result.unit}, was {before:.3g} ({now / before - 1:+.0%})")
    return lines


def read_committed(path: Path, size: str) -> dict[str, float]:
    """Return the committed values of a size by name; none where there is no file."""
    return _read(path).get(size, {})


def write_committed(path: Path, size: str, results: Mapping[str, Result]) -> None:
    """Replace the values of a size that were measured, rounded to three digits; the others stay."""
    values = _read(path)
    values[size] = values.get(size, {}) | {name: float(f"{result.number:.3g}") for name, result in results.items()}
    write_json(path, values)


def _read(path: Path) -> dict[str, dict[str, float]]:
    """Return the committed values by size and name; nothing where there is no file."""
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
