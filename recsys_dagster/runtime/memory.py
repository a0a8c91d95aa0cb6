"""Find out how much memory is available, and refuse work that needs more."""

import logging
from pathlib import Path

from recsys_dagster.errors import RecsysError
from recsys_dagster.runtime.units import GIB

MEMINFO = Path("/proc/meminfo")
CGROUP = Path("/sys/fs/cgroup")

log = logging.getLogger(__name__)


def available_bytes() -> int | None:
    """Return the number of bytes that can be allocated without swapping; None if the system does not report it.

    This is the smaller of Linux's MemAvailable and what the control group (the limit of a container) has left.
    """
    candidates = []
    if MEMINFO.exists():
        fields = dict(line.split(":", 1) for line in MEMINFO.read_text(encoding="ascii").splitlines())
        candidates.append(int(fields["MemAvailable"].split()[0]) * 1024)
    limit, used = CGROUP / "memory.max", CGROUP / "memory.current"
    if limit.exists() and used.exists() and limit.read_text(encoding="ascii").strip() != "max":
        candidates.append(int(limit.read_text(encoding="ascii")) - int(used.read_text(encoding="ascii")))
    return min(candidates) if candidates else None


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
