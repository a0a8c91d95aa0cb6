"""Write files so that no reader ever sees a half-written one, and explain a full disk and other faults of it."""

import contextlib
import errno
import fcntl
import glob
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from recsys_dagster.errors import RecsysError

TEMPORARY = ".tmp-"
"""First characters of the names of all temporary folders."""

_FULL = (errno.ENOSPC, errno.EDQUOT)
DISK_FULL = "the disk is full; free some space or point RECSYS_HOME at a larger disk, then run again"
FULL_SIGNS = (
    "No space left on device",
    "Disk quota exceeded",
    "File too large",
    "database or disk is full",
    "disk I/O error",  # SQLite, where it cannot extend its write-ahead log
)
"""What the texts of errors of DuckDB, SQLite and the system contain when the disk is full."""
_UNWRITABLE = "make it writable, or set RECSYS_HOME to another folder"
_CURES = {
    errno.EACCES: _UNWRITABLE,
    errno.EPERM: _UNWRITABLE,
    errno.EROFS: _UNWRITABLE,
    errno.ENAMETOOLONG: "set RECSYS_HOME to a folder with a shorter name",
}


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file in hex; the file is read in blocks."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextlib.contextmanager
def temporary_folder(parent: Path, name: str = "") -> Iterator[Path]:
    """Create an empty folder in `parent`, and remove it with its content when the block ends.

    The folder is locked during the block, so that `remove_leftovers` can tell it from one that a killed process left.

    Args:
        parent: an existing folder.
        name: part of the folder's name, for `remove_leftovers`.
    """
    folder, descriptor = _create_locked(parent, f"{TEMPORARY}{name}-" if name else TEMPORARY)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(descriptor)


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a temporary path to write to, and move it to `path` if the block succeeds.

    Several processes may replace the same path at the same time: the last one wins. What a killed process left is
    removed.

    Args:
        path: a file or a folder; its parent is created if it does not exist.

    Raises:
        RecsysError: the disk is full.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    remove_leftovers(path.parent, path.name)
    with explaining_disk_full(path), temporary_folder(path.parent, path.name) as folder:
        temporary = folder / path.name
        yield temporary
        _sync(temporary)
        os.replace(temporary, path)


@contextlib.contextmanager
def explaining_disk_full(path: Path) -> Iterator[None]:
    """Convert an OSError for a full disk inside the block into a RecsysError that names `path` and the cure."""
    try:
        yield
    except OSError as error:
        if error.errno not in _FULL:
            raise
        raise RecsysError(f"{path}: {DISK_FULL} (the previous state is untouched)") from error


def is_disk_full(error: BaseException | None) -> bool:
    """Return whether an error, or one that caused it, says that the disk is full; databases say it in their text."""
    while error is not None:
        if isinstance(error, OSError) and error.errno in _FULL:
            return True
        if any(sign in str(error) for sign in FULL_SIGNS):
            return True
        error = error.__cause__ or error.__context__
    return False


def describe_os_error(error: OSError) -> str:
    """Describe an error of the system in one line, with the file and, where there is one, the cure."""
    reason = error.strerror or str(error) or type(error).__name__
    cure = _CURES.get(error.errno or 0)
    described = DISK_FULL if error.errno in _FULL else f"{reason}; {cure}" if cure else reason
    return f"{error.filename}: {described}" if error.filename else described


def write_json(path: Path, value: Any) -> None:
    """Write `value` as indented JSON, replacing `path` atomically."""
    with replacing(path) as temporary:
        temporary.write_text(json.dumps(value, indent=2, sort_keys=True) + "\n", encoding="utf-8")


def read_json(path: Path, cure: str) -> dict[str, Any]:
    """Return the object in a JSON file.

    Args:
        path: the file.
        cure: what the user can do if the file is missing or damaged; the message ends with it.

    Raises:
        RecsysError: the file is missing, cannot be read, or holds no JSON object.
    """
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        raise RecsysError(f"{path}: not there; {cure}") from None
    except OSError as error:
        raise RecsysError(f"{path}: cannot be read ({error.strerror}); {cure}") from None
    except (ValueError, RecursionError):
        raise RecsysError(f"{path}: damaged; {cure}") from None
    if not isinstance(value, dict):
        raise RecsysError(f"{path}: damaged; {cure}")
    return value


def remove_leftovers(folder: Path, name: str | None = None) -> None:
    """Remove the temporary folders that killed processes left.

    Args:
        folder: where to look, at any depth.
        name: that of `temporary_folder`; only such folders are removed then, and only directly in `folder`. None: all.
    """
    leftovers = folder.rglob(f"{TEMPORARY}*") if name is None else folder.glob(f"{TEMPORARY}{glob.escape(name)}-*")
    _remove_unlocked(list(leftovers))


def _create_locked(parent: Path, prefix: str) -> tuple[Path, int]:
    """Create a folder and lock it; return it with the descriptor that holds the lock."""
    while True:
        folder = Path(tempfile.mkdtemp(prefix=prefix, dir=parent))
        try:
            descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        except FileNotFoundError:  # another process took it for a leftover, before it was locked
            continue
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        if folder.exists():
            return folder, descriptor
        os.close(descriptor)


def _remove_unlocked(folders: Iterable[Path]) -> None:
    """Remove the folders that no process has locked; a file or a link of such a name is left alone."""
    for folder in folders:
        try:
            descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        except OSError:
            continue
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(folder, ignore_errors=True)
        except BlockingIOError:
            pass
        finally:
            os.close(descriptor)


def _sync(path: Path) -> None:
    """Flush a file, or every file of a folder, to the disk, so that it is complete before it is renamed."""
    for file in [path] if path.is_file() else [p for p in path.rglob("*") if p.is_file()]:
        with file.open("rb") as handle:
            os.fsync(handle.fileno())
