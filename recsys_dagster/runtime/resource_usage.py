"""What a step costs: wall time, processor time and peak memory of this process."""

import contextlib
import ctypes
import resource
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_CLEAR_REFS = Path("/proc/self/clear_refs")
_STATUS = Path("/proc/self/status")
_under_way: list["ResourceUsage"] = []


@dataclass(eq=False)
class ResourceUsage:
    """Filled in when the measured block ends.

    Attributes:
        wall_seconds: elapsed time, and what was charged.
        cpu_seconds: processor time of all threads, user and system.
        peak_bytes: the largest resident memory of the process during the block, what it held before included.
    """

    wall_seconds: float = 0.0
    cpu_seconds: float = 0.0
    peak_bytes: int = 0


@dataclass(frozen=True)
class StepUsage:
    """What a step of the pipeline usage when it last ran.

    Attributes:
        step: its name.
        wall_seconds, cpu_seconds, peak_bytes: as of ResourceUsage.
        rows_per_second: made or read; None where rows are not what it takes time for.
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
    """Measure the block; its ResourceUsage is complete after the block, also when that raises."""
    usage = ResourceUsage()
    _note_peak()
    _give_back()
    _reset_peak()
    wall, cpu = time.perf_counter(), time.process_time()
    _under_way.append(usage)
    try:
        yield usage
    finally:
        _note_peak()
        _under_way.remove(usage)
        usage.wall_seconds += time.perf_counter() - wall
        usage.cpu_seconds += time.process_time() - cpu


def charge(usage: ResourceUsage) -> None:
    """Add, to the blocks that are being measured, what it usage to make something that is used again in them."""
    for block in _under_way:
        block.wall_seconds += usage.wall_seconds
        block.cpu_seconds += usage.cpu_seconds
        block.peak_bytes = max(block.peak_bytes, usage.peak_bytes)


def _note_peak() -> None:
    """Keep the peak until now for all blocks that are being measured."""
    peak = _peak()
    for block in _under_way:
        block.peak_bytes = max(block.peak_bytes, peak)


def _give_back() -> None:
    """Let the C library (glibc) return what it keeps of freed memory, which would count as the next block's."""
    with contextlib.suppress(AttributeError):
        ctypes.CDLL(None).malloc_trim(0)


def _reset_peak() -> None:
    """Start the kernel's high-water mark anew, where it can be (Linux); elsewhere it is that of the whole process."""
    with contextlib.suppress(OSError):
        _CLEAR_REFS.write_text("5")


def _peak() -> int:
    """Return the high-water mark of the resident memory in bytes."""
    try:
        line = next(line for line in _STATUS.read_text().splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) * 1024
    except OSError:
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak if sys.platform == "darwin" else peak * 1024
