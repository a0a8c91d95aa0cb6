"""Files that are replaced without ever being half-written."""

import contextlib
import errno
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from recsys_dagster.errors import RecsysError


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


def _sync(path: Path) -> None:
    """Flush a file, or every file of a folder, to the disk, so that the rename never outruns the bytes."""
    for file in [path] if path.is_file() else [p for p in path.rglob("*") if p.is_file()]:
        with file.open("rb") as handle:
            os.fsync(handle.fileno())
