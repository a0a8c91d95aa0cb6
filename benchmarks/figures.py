"""What was asked, what was found, what was hoped for."""

from dataclasses import dataclass

from benchmarks.measuring import Measurement


@dataclass(frozen=True)
class Figure:
    """One answer.

    Attributes:
        asked: what was asked, of what.
        found: the figure.
        target: what it should be; empty where there is no target.
        met: whether it is; None where there is no target.
        measurements: what it is worked out from, ours first.
    """

    asked: str
    found: str
    target: str
    met: bool | None
    measurements: tuple[Measurement, ...]


def at_least(asked: str, value: float, target: float, unit: str, *measurements: Measurement) -> Figure:
    """Return a figure that should be as high as the target or higher."""
    return Figure(asked, f"{value:,.3g} {unit}", f"≥ {target:g} {unit}", value >= target, measurements)


def at_most(asked: str, value: float, target: float, unit: str, *measurements: Measurement) -> Figure:
    """Return a figure that should be as low as the target or lower."""
    return Figure(asked, f"{value:,.3g} {unit}", f"≤ {target:g} {unit}", value <= target, measurements)


def peak(asked: str, target: float, measurement: Measurement) -> Figure:
    """Return the peak memory of a measurement, which should be below so many GiB."""
    return at_most(f"{asked}: peak memory", measurement.usage.peak_bytes / 2**30, target, "GiB", measurement)


def ratio(ours: Measurement, peer: Measurement) -> float:
    """Return how many times as long the peer takes."""
    return peer.usage.wall_seconds / ours.usage.wall_seconds
