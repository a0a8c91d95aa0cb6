"""Lock a domain, so that only one thread of one process changes it at a time, and wait for a lock with a bound."""

import contextlib
import fcntl
import os
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from recsys_dagster.errors import RecsysError
from recsys_dagster.runtime.files import check_home, open_descriptor, refuse_links_outside
from recsys_dagster.runtime.layout import Layout
from recsys_dagster.runtime.storage import explaining_disk_full

POLL_SECONDS = 0.5
"""Pause between two attempts to take a lock."""


@dataclass
class _HeldLock:
    """A lock of this process: the locked file, the thread that holds it, and how often it has taken it."""

    descriptor: int
    thread: int
    depth: int = 1


_held: dict[Path, _HeldLock] = {}
_guard = threading.Lock()


@contextlib.contextmanager
def domain_lock(
    layout: Layout, domain: str, *, wait_seconds: float = 0, on_wait: Callable[[str], None] | None = None
) -> Iterator[None]:
    """Lock the domain during the block; the thread that holds the lock may take it again.

    The lock is released by the operating system if the process is killed (flock).

    Args:
        layout: the paths under RECSYS_HOME.
        domain: name of the domain.
        wait_seconds: how long to wait while another process or thread holds the lock.
        on_wait: called once with a message before waiting.

    Raises:
        RecsysError: the lock is held by another process, which the message names, or by another thread; or RECSYS_HOME
            cannot be written, or contains links that lead out of it.
    """
    path = layout.lock(domain).absolute()
    held = _held.get(path)
    if held is None or held.thread != threading.get_ident():
        check_home(layout, path.parent)
        refuse_links_outside(layout, layout.domain_folders(domain))
    _take(path, f"another run of the domain {domain!r}", wait_seconds, on_wait)
    try:
        yield
    finally:
        _release(path)


@contextlib.contextmanager
def file_lock(
    path: Path, activity: str, *, wait_seconds: float = 0, on_wait: Callable[[str], None] | None = None
) -> Iterator[None]:
    """Lock a file of an existing folder during the block; see `domain_lock`.

    Args:
        path: the file, which is created if it does not exist.
        activity: what holds the lock, for messages, such as "another download of ml-25m".
        wait_seconds: how long to wait while another process or thread holds the lock.
        on_wait: called once with a message before waiting.

    Raises:
        RecsysError: the lock is held by another process or thread.
    """
    path = path.absolute()
    _take(path, activity, wait_seconds, on_wait)
    try:
        yield
    finally:
        _release(path)


def holder_of(layout: Layout, domain: str) -> str | None:
    """Return the id of the other process that holds the domain's lock; None if no other process does."""
    path = layout.lock(domain).absolute()
    if path in _held or not path.exists():
        return None
    descriptor = open_descriptor(path, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return _read_holder(descriptor)
    finally:
        os.close(descriptor)
    return None


def _take(path: Path, activity: str, wait_seconds: float, on_wait: Callable[[str], None] | None) -> None:
    """Take the lock, or wait for it; raise RecsysError if it is still held after `wait_seconds`."""
    deadline = time.monotonic() + wait_seconds
    has_waited = False
    while (holder := _try_to_take(path)) is not None:
        remaining = deadline - time.monotonic()
        if remaining <= 0:
            waited = f" after {wait_seconds:g} seconds of waiting" if has_waited else ""
            still = "still " if has_waited else ""
            raise RecsysError(f"{activity} is {still}active{waited} ({holder}); wait for it to end, then run again")
        if not has_waited and on_wait is not None:
            on_wait(f"{activity} is active ({holder}); waiting up to {wait_seconds:g} seconds for it to end")
        has_waited = True
        time.sleep(min(POLL_SECONDS, remaining))


def _try_to_take(path: Path) -> str | None:
    """Take the lock and return None, or return who holds it."""
    with _guard:
        held = _held.get(path)
        if held is not None and held.thread == threading.get_ident():
            held.depth += 1
            return None
        if held is not None:
            return f"process {os.getpid()}, another thread"
        descriptor = open_descriptor(path, os.O_RDWR | os.O_CREAT)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            with explaining_disk_full(path):
                os.ftruncate(descriptor, 0)
                os.write(descriptor, str(os.getpid()).encode())
        except BlockingIOError:
            holder = _read_holder(descriptor)
            os.close(descriptor)
            return f"process {holder}"
        except BaseException:
            os.close(descriptor)
            raise
        _held[path] = _HeldLock(descriptor, threading.get_ident())
        return None


def _release(path: Path) -> None:
    with _guard:
        held = _held[path]
        held.depth -= 1
        if held.depth == 0:
            del _held[path]
            os.close(held.descriptor)


def _read_holder(descriptor: int) -> str:
    """Return the process id in a lock file."""
    return os.pread(descriptor, 32, 0).decode("ascii", "replace") or "unknown"
