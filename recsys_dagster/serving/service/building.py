"""Read published files in a process of its own, which takes neither the interpreter nor the memory of one that answers.

The process is this module run as a program. Of all processes of a service only one has it at a time.
"""

import contextlib
import fcntl
import logging
import os
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from recsys_dagster.errors import RecsysError
from recsys_dagster.serving.service.snapshot_files import build_snapshot

NICENESS = 5
"""Added to that of the service, so that answers go first where the processors are busy."""
LONGEST_PAUSE_SECONDS = 60.0
"""Between two attempts to read the same publication; the pauses double from the first to this."""
FIRST_PAUSE_SECONDS = 1.0
_UNREADABLE = 3
"""Exit code for a file that no further attempt would read."""

_log = logging.getLogger(__name__)


@dataclass
class _Attempts:
    """What came of reading one publication.

    Attributes:
        name: the publication.
        pause: seconds to wait after the next failure.
        due: when the next attempt may begin, by the monotonic clock.
        fault: why it cannot be read; empty while it may still be.
    """

    name: str
    pause: float = FIRST_PAUSE_SECONDS
    due: float = 0.0
    fault: str = ""


@dataclass
class _Running:
    """A process that reads the publication of a domain, and what it says about errors."""

    domain: str
    process: subprocess.Popen[bytes]
    errors: IO[bytes] = field(repr=False)


class Builder:
    """Starts the processes of one process of the service, and finds what those of any have built."""

    def __init__(self, cache: Path) -> None:
        self._cache = cache
        self._attempts: dict[str, _Attempts] = {}
        self._running: _Running | None = None

    def find(self, path: Path, name: str) -> Path | None:
        """Return the folder with the arrays of a publication; None until there is one, which is then being built.

        Args:
            path: the published file of a domain.
            name: `publication_name` of it.

        Raises:
            RecsysError: the file cannot be read; further calls raise it until the file is another one.
        """
        domain = path.stem
        folder = self._cache / domain / name
        self._note_end()
        if folder.is_dir():
            self._attempts.pop(domain, None)
            return folder
        attempts = self._attempts.get(domain)
        if attempts is None or attempts.name != name:
            attempts = self._attempts[domain] = _Attempts(name)
        if attempts.fault:
            raise RecsysError(attempts.fault)
        if self._running is None and time.monotonic() >= attempts.due:
            self._start(path, folder)
        return folder if folder.is_dir() else None

    def has_failed(self, domain: str) -> bool:
        """Return whether an attempt at the publication of a domain has failed and is to be repeated."""
        attempts = self._attempts.get(domain)
        return attempts is not None and attempts.due > 0

    def stop(self) -> None:
        """End the process that may be running."""
        if self._running is not None:
            self._running.process.terminate()
            self._running.process.wait()
            self._running.errors.close()
            self._running = None

    def _start(self, path: Path, folder: Path) -> None:
        """Start a process unless another process of the service has one.

        It inherits the lock, which the system releases when it ends in whatever way.
        """
        folder.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(self._cache / ".building", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if folder.is_dir():  # it was finished since we looked
                return
            errors = tempfile.TemporaryFile()  # noqa: SIM115 - it is read when the process has ended
            process = subprocess.Popen(  # noqa: S603 - this module, with paths of this service
                [sys.executable, "-m", __name__, str(path), str(folder.parent)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=errors,
                pass_fds=(descriptor,),
            )
            self._running = _Running(path.stem, process, errors)
        except BlockingIOError:
            pass
        finally:
            os.close(descriptor)

    def _note_end(self) -> None:
        """Note how the process has ended, if it has."""
        running = self._running
        if running is None or running.process.poll() is None:
            return
        self._running = None
        with running.errors as errors:
            errors.seek(0)
            message = errors.read().decode(errors="replace").strip()
        code, attempts = running.process.returncode, self._attempts.get(running.domain)
        if code == 0 or attempts is None:
            return
        if code == _UNREADABLE:
            attempts.fault = message
            return
        reason = message.rpartition("\n")[2] or f"it was ended by signal {-code}"
        _log.warning("%s: reading the lists failed (%s); trying again in %g s", running.domain, reason, attempts.pause)
        attempts.due = time.monotonic() + attempts.pause
        attempts.pause = min(2 * attempts.pause, LONGEST_PAUSE_SECONDS)


def main(path: Path, cache: Path) -> None:
    """Build the snapshot of a published file, then remove the earlier ones of its domain from the cache."""
    os.nice(NICENESS)
    try:
        folder = build_snapshot(path, cache)
    except RecsysError as error:
        sys.stderr.write(str(error))
        sys.exit(_UNREADABLE)
    for other in cache.iterdir():
        # Also what killed processes of this kind have left: there is only one at a time.
        if other != folder:
            with contextlib.suppress(FileNotFoundError):
                shutil.rmtree(other)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
