"""Find out how much memory is available, also in containers, and refuse work that needs more."""

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from recsys_dagster.errors import RecsysError
from recsys_dagster.runtime.units import GIB

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Controller:
    """The files of a version of Linux's control groups.

    Attributes:
        limit, usage: names of the files with the limit and the usage in bytes.
        reclaimable: counters in `memory.stat` whose memory the kernel frees when it is needed: the page cache of files
            (except for files in memory) and the kernel's caches.
    """

    limit: str
    usage: str
    reclaimable: frozenset[str]


_VERSION_2 = _Controller(
    "memory.max", "memory.current", frozenset({"active_file", "inactive_file", "slab_reclaimable"})
)
_VERSION_1 = _Controller(
    "memory.limit_in_bytes", "memory.usage_in_bytes", frozenset({"total_active_file", "total_inactive_file"})
)


def available_bytes(root: Path = Path("/")) -> int | None:
    """Return the number of bytes that can be allocated without swapping; None if the system does not report it.

    This is the smallest of Linux's MemAvailable and of what each control group around this process has left, up to the
    outermost that can be seen; a group may have a limit that is lower than those inside it. Memory that the kernel can
    reclaim counts as available.

    Args:
        root: where `proc` and `sys` are, for tests.
    """
    candidates = [*_machine(root), *(left for group in _groups(root) if (left := _left(*group)) is not None)]
    return max(0, min(candidates)) if candidates else None


def require_memory(needed: int, purpose: str, advice: str) -> None:
    """Log how much memory something needs, and refuse it if that is not available.

    Args:
        needed: bytes.
        purpose: what needs the memory; the message begins with it.
        advice: what the user can do instead; the message ends with it.

    Raises:
        RecsysError: less memory is available than needed.
    """
    available = available_bytes()
    log.info("%s takes %.2f GiB", purpose, needed / GIB)
    if available is not None and needed > available:
        raise RecsysError(f"{purpose} takes {needed / GIB:.2f} GiB and {available / GIB:.2f} GiB are free; {advice}")


def _machine(root: Path) -> Iterator[int]:
    """Yield the available memory of the machine, if it is known."""
    for line in _lines(root / "proc/meminfo"):
        if line.startswith("MemAvailable:"):
            yield int(line.split()[1]) * 1024


def _groups(root: Path) -> Iterator[tuple[Path, _Controller]]:
    """Yield the folders of all control groups around this process, from the innermost to the outermost visible one."""
    paths = {}
    for line in _lines(root / "proc/self/cgroup"):
        _, names, path = line.split(":", 2)
        if names == "":
            paths[_VERSION_2] = path
        elif "memory" in names.split(","):
            paths[_VERSION_1] = path
    for controller, mounted_root, mount_point in _mounts(root):
        if controller not in paths:
            continue
        # In a container, the mount may begin at the container's group, or the path may be as seen from outside.
        inside = PurePosixPath(paths[controller])
        parts = inside.relative_to(mounted_root).parts if inside.is_relative_to(mounted_root) else ()
        folder = root / mount_point.lstrip("/")
        for depth in range(len([part for part in parts if part not in ("/", "..")]), -1, -1):
            yield folder.joinpath(*parts[:depth]), controller


def _mounts(root: Path) -> Iterator[tuple[_Controller, str, str]]:
    """Yield (controller, mounted root, mount point) of the file systems with the memory controller."""
    for line in _lines(root / "proc/self/mountinfo"):
        fields, _, rest = line.partition(" - ")
        mounted_root, mount_point = fields.split()[3:5]
        kind, _, options = rest.split(maxsplit=2)
        if kind == "cgroup2":
            yield _VERSION_2, mounted_root, mount_point
        elif kind == "cgroup" and "memory" in options.split(","):
            yield _VERSION_1, mounted_root, mount_point


def _left(folder: Path, controller: _Controller) -> int | None:
    """Return how many bytes a control group has left; None if it has no limit."""
    limit, usage = ("".join(_lines(folder / name)) for name in (controller.limit, controller.usage))
    if not (limit.isdigit() and usage.isdigit()):
        return None
    counters = (line.partition(" ") for line in _lines(folder / "memory.stat"))
    reclaimable = sum(int(value) for name, _, value in counters if name in controller.reclaimable)
    return int(limit) - max(0, int(usage) - reclaimable)


def _lines(path: Path) -> list[str]:
    """Return the lines of a file of the kernel; none if it does not exist or may not be read."""
    try:
        return path.read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:
        return []
