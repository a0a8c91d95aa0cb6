"""The lock of a domain: one thread of one process at a time changes what belongs to it."""

import contextlib
import fcntl
import os
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from recsys_dagster.errors import RecsysError
from recsys_dagster.runtime.layout import Layout
from recsys_dagster.runtime.storage import explaining_disk_full


@dataclass
class _Held:
    """A lock of this process: the locked file, the thread that has it, and how often it has taken it."""

    descriptor: int
    thread: int
    depth: int = 1


_held: dict[Path, _Held] = {}
_guard = threading.Lock()


@contextlib.contextmanager
def domain_lock(layout: Layout, domain: str) -> Iterator[None]:
    """Hold the domain during the block. The thread that holds it may take it again.

    The lock is the operating system's (flock), so that a killed process lets go of it.

    Raises:
        RecsysError: another process, or another thread of this one, holds it; the message names that process.
    """
    path = layout.lock(domain).absolute()
    _take(path, domain)
    try:
        yield
    finally:
        _release(path)


def holder_of(layout: Layout, domain: str) -> str | None:
    """Return the id of the other process that holds the domain; None where none does."""
    path = layout.lock(domain).absolute()
    if path in _held or not path.exists():
        return None
    with path.open() as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return file.read() or "unknown"
    return None


def _take(path: Path, domain: str) -> None:
    with _guard:
        held = _held.get(path)
        if held is not None and held.thread == threading.get_ident():
            held.depth += 1
            return
        if held is not None:
            raise _taken(domain, f"process {os.getpid()}, another thread")
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.read(descriptor, 32).decode() or "unknown"
            os.close(descriptor)
            raise _taken(domain, f"process {holder}") from None
        with explaining_disk_full(path):
            os.ftruncate(descriptor, 0)
            os.write(descriptor, str(os.getpid()).encode())
        _held[path] = _Held(descriptor, threading.get_ident())


def _release(path: Path) -> None:
    with _guard:
        held = _held[path]
        held.depth -= 1
        if held.depth == 0:
            del _held[path]
            os.close(held.descriptor)


def _taken(domain: str, holder: str) -> RecsysError:
    return RecsysError(f"another run of the domain {domain!r} is active ({holder}); wait for it to end, then run again")
