"""How much memory the machine still has, and a refusal in time of what would not fit."""

import logging
from pathlib import Path

from recsys_dagster.errors import RecsysError
from recsys_dagster.runtime.units import GIB

MEMINFO = Path("/proc/meminfo")
CGROUP = Path("/sys/fs/cgroup")

log = logging.getLogger(__name__)


def available_bytes() -> int | None:
    """Return the bytes that can be allocated without swapping, or None where the system does not tell.

    The least of Linux's MemAvailable and what the control group (a container's limit, version 2) has left.
    """
    found = []
    if MEMINFO.exists():
        fields = dict(line.split(":", 1) for line in MEMINFO.read_text(encoding="ascii").splitlines())
        found.append(int(fields["MemAvailable"].split()[0]) * 1024)
    limit, used = CGROUP / "memory.max", CGROUP / "memory.current"
    if limit.exists() and used.exists() and limit.read_text(encoding="ascii").strip() != "max":
        found.append(int(limit.read_text(encoding="ascii")) - int(used.read_text(encoding="ascii")))
    return min(found) if found else None


def require(needed: int, what: str, cure: str) -> None:
    """Log that `what` takes `needed` bytes; raise RecsysError, which ends in `cure`, if they are not available."""
    available = available_bytes()
    log.info("%s takes %.2f GiB", what, needed / GIB)
    if available is not None and needed > available:
        raise RecsysError(f"{what} takes {needed / GIB:.2f} GiB and {available / GIB:.2f} GiB are free; {cure}")
