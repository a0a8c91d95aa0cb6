"""The result of a benchmark: a described value, its target, and the measurements behind it."""

from dataclasses import dataclass

from benchmarks.measurement import Measurement


@dataclass(frozen=True)
class Result:
    """One row of the results.

    Attributes:
        description: what was measured, on what data.
        value: the measured value with its unit.
        target: the bound that the value should keep; empty if there is none.
        met: whether it does; None if there is no target.
        measurements: the measurements that the value is computed from, ours first.
        number: the value without its unit; None if there is no target.
        unit: its unit; ratios start with ×.
        higher_is_better: whether a higher value is better than a lower one.
    """

    description: str
    value: str
    target: str
    met: bool | None
    measurements: tuple[Measurement, ...]
    number: float | None = None
    unit: str = ""
    higher_is_better: bool = True


def without_target(description: str, value: str, *measurements: Measurement) -> Result:
    """Return a result that has no target."""
    return Result(description, value, "", None, measurements)


def at_least(description: str, value: float, target: float, unit: str, *measurements: Measurement) -> Result:
    """Return a result whose value should be the target or higher."""
    text, bound = f"{value:,.3g} {unit}", f"≥ {target:g} {unit}"
    return Result(description, text, bound, value >= target, measurements, value, unit)


def at_most(description: str, value: float, target: float, unit: str, *measurements: Measurement) -> Result:
    """Return a result whose value should be the target or lower."""
    text, bound = f"{value:,.3g} {unit}", f"≤ {target:g} {unit}"
    return Result(description, text, bound, value <= target, measurements, value, unit, higher_is_better=False)


def peak(description: str, target: float, measurement: Measurement) -> Result:
    """Return the peak memory of a measurement, which should be at most `target` GiB."""
    return at_most(f"{description}: peak memory", measurement.usage.peak_bytes / 2**30, target, "GiB", measurement)


def ratio(ours: Measurement, peer: Measurement) -> float:
    """Return the peer's wall time divided by ours."""
    return peer.usage.wall_seconds / ours.usage.wall_seconds
