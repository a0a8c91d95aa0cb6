"""Measure the wall time, processor time and peak memory of a block of code in this process."""

import contextlib
import ctypes
import resource
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

_CLEAR_REFS = Path("/proc/self/clear_refs")
_STATUS = Path("/proc/self/status")
_active_blocks: list["ResourceUsage"] = []


@dataclass(eq=False)
class ResourceUsage:
    """The resources that a block used; complete when the block has ended.

    Attributes:
        wall_seconds: elapsed time, plus the time added by `charge`.
        cpu_seconds: processor time of all threads, user and system.
        peak_bytes: largest resident memory of the process during the block, including memory allocated before it.
        added_bytes: how much of `peak_bytes` was not resident before the block.
    """

    wall_seconds: float = 0.0
    cpu_seconds: float = 0.0
    peak_bytes: int = 0
    added_bytes: int = 0
    _resident_before: int = field(default=0, repr=False)


@dataclass(frozen=True)
class StepUsage:
    """The resources that a step of the pipeline used in its last run.

    Attributes:
        step: name of the step.
        wall_seconds, cpu_seconds, peak_bytes: as in ResourceUsage.
        rows_per_second: rows read or written per second; None if the step does not count rows.
        ended_at: seconds since the epoch.
    """

    step: str
    wall_seconds: float
    cpu_seconds: float
    peak_bytes: int
    rows_per_second: float | None
    ended_at: float


@contextlib.contextmanager
def track_resources() -> Iterator[ResourceUsage]:
    """Measure the block; the ResourceUsage is complete after the block, also if it raises."""
    _update_peaks()
    _return_freed_memory()
    _reset_peak()
    usage = ResourceUsage(_resident_before=_peak_bytes())
    wall, cpu = time.perf_counter(), time.process_time()
    _active_blocks.append(usage)
    try:
        yield usage
    finally:
        _update_peaks()
        _active_blocks.remove(usage)
        usage.wall_seconds += time.perf_counter() - wall
        usage.cpu_seconds += time.process_time() - cpu


def charge(usage: ResourceUsage) -> None:
    """Add the usage of a reused result to all blocks that are being measured, as if they had computed it."""
    for block in _active_blocks:
        block.wall_seconds += usage.wall_seconds
        block.cpu_seconds += usage.cpu_seconds
        block.peak_bytes = max(block.peak_bytes, usage.peak_bytes)
        block.added_bytes = max(block.added_bytes, usage.added_bytes)


def _update_peaks() -> None:
    """Update the peak memory of all blocks that are being measured."""
    peak = _peak_bytes()
    for block in _active_blocks:
        block.peak_bytes = max(block.peak_bytes, peak)
        block.added_bytes = max(block.added_bytes, peak - block._resident_before)


def _return_freed_memory() -> None:
    """Let the C library (glibc) return freed memory to the system, so that it does not count for the next block."""
    with contextlib.suppress(AttributeError):
        ctypes.CDLL(None).malloc_trim(0)


def _reset_peak() -> None:
    """Reset the kernel's high-water mark (Linux only; elsewhere it covers the whole process)."""
    with contextlib.suppress(OSError):
        _CLEAR_REFS.write_text("5")


def _peak_bytes() -> int:
    """Return the high-water mark of the resident memory in bytes."""
    try:
        line = next(line for line in _STATUS.read_text().splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) * 1024
    except OSError:
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak if sys.platform == "darwin" else peak * 1024
