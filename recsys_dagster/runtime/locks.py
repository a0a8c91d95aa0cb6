"""The lock of a domain: one process at a time changes what belongs to it."""

import fcntl
import os
from pathlib import Path

from recsys_dagster.errors import RecsysError
from recsys_dagster.runtime.layout import Layout
from recsys_dagster.runtime.storage import explaining_disk_full

_held: dict[Path, int] = {}


def lock_domain(layout: Layout, domain: str) -> None:
    """Take the domain for this process until it ends; taking it twice is taking it once.

    The lock is the operating system's (flock), so a killed process lets go of it.

    Raises:
        RecsysError: another process holds it; the message names that process.
    """
    path = _lock_path(layout, domain)
    if path in _held:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        holder = os.read(descriptor, 32).decode() or "unknown"
        os.close(descriptor)
        raise RecsysError(
            f"another run of the domain {domain!r} is under way (process {holder}); wait for it to end, then run again"
        ) from None
    with explaining_disk_full(path):
        os.ftruncate(descriptor, 0)
        os.write(descriptor, str(os.getpid()).encode())
    _held[path] = descriptor


def holder_of(layout: Layout, domain: str) -> str | None:
    """Return the id of the other process that has taken the domain; None where none has."""
    path = _lock_path(layout, domain)
    if path in _held or not path.exists():
        return None
    with path.open() as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return file.read() or "unknown"
    return None


def _lock_path(layout: Layout, domain: str) -> Path:
    return layout.warehouse(domain).with_suffix(".lock").absolute()
