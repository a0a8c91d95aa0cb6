"""Where things lie under RECSYS_HOME, and how they are replaced without ever being half-written."""

import contextlib
import errno
import fcntl
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from recsys_dagster.errors import RecsysError


@dataclass(frozen=True)
class Layout:
    """The folders and files of one RECSYS_HOME."""

    home: Path

    def raw(self, dataset_id: str) -> Path:
        """Folder of a dataset's published files and their manifest."""
        return self.home / "raw" / dataset_id

    def warehouse(self, domain: str) -> Path:
        """The DuckDB file of a domain; one process at a time opens it."""
        return self.home / "warehouse" / f"{domain}.duckdb"

    def models(self, domain: str) -> Path:
        """Folder of a domain's model versions and its champion pointer."""
        return self.home / "models" / domain

    def evaluation(self, domain: str) -> Path:
        """Folder of a domain's per-user results."""
        return self.home / "evaluation" / domain

    def protocol(self, domain: str, protocol: str) -> Path:
        """Folder of what `recsys evaluate` found under a protocol, and of the split it made for it."""
        return self.evaluation(domain) / "protocols" / protocol

    def report(self, domain: str) -> Path:
        """The domain's HTML page."""
        return self.home / "reports" / domain / "index.html"

    def comparison(self) -> Path:
        """The HTML page that sets the domains side by side."""
        return self.home / "reports" / "index.html"

    def published(self, domain: str) -> Path:
        """The DuckDB file that readers open."""
        return self.home / "published" / f"{domain}.duckdb"

    def previous(self, domain: str) -> Path:
        """The published file before that one, kept to go back to."""
        return self.home / "published" / "previous" / f"{domain}.duckdb"

    def built(self, domain: str) -> Path:
        """The file that is to be published once it has passed its checks."""
        return self.home / "published" / "built" / f"{domain}.duckdb"


def sha256(path: Path) -> str:
    """Return the hex SHA-256 of a file, read in blocks."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a path beside `path` to write to; rename it into place if the block succeeds, else remove it.

    What a killed writer of the same path left is removed first: one process at a time writes a path.

    Raises:
        RecsysError: the disk is full, naming the file and what to do.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    prefix = f".tmp-{path.name}-"
    for leftover in path.parent.glob(f"{prefix}*"):
        shutil.rmtree(leftover, ignore_errors=True)
    folder = Path(tempfile.mkdtemp(prefix=prefix, dir=path.parent))
    beside = folder / path.name
    try:
        with explaining_disk_full(path):
            yield beside
            _sync(beside)
        os.replace(beside, path)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def explaining_disk_full(path: Path) -> Iterator[None]:
    """Turn 'no space left' inside the block into a RecsysError that names `path` and the cure."""
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise RecsysError(
            f"{path}: the disk is full; free some space or point RECSYS_HOME at a larger disk, then run again "
            "(what was there before is untouched)"
        ) from error


def write_json(path: Path, value: Any) -> None:
    """Write `value` as indented JSON, replacing `path` atomically."""
    with replacing(path) as beside:
        beside.write_text(json.dumps(value, indent=2, sort_keys=True) + "\n", encoding="utf-8")


def read_json(path: Path, cure: str) -> dict[str, Any]:
    """Return the object in a JSON file; raise RecsysError, naming the cure, where it is missing or damaged."""
    try:
        value: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise RecsysError(f"{path}: not there; {cure}") from None
    except ValueError:
        raise RecsysError(f"{path}: damaged; {cure}") from None
    return value


def remove_leftovers(folder: Path) -> None:
    """Remove what killed runs left beside their targets, at any depth; only while holding the folder's lock."""
    for leftover in list(folder.rglob(".tmp-*")):
        shutil.rmtree(leftover, ignore_errors=True)


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


def _sync(path: Path) -> None:
    """Flush a file, or every file of a folder, to the disk, so that the rename never outruns the bytes."""
    for file in [path] if path.is_file() else [p for p in path.rglob("*") if p.is_file()]:
        with file.open("rb") as handle:
            os.fsync(handle.fileno())
