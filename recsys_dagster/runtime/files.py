"""Open files and folders under RECSYS_HOME without following links, which might lead out of it."""

import errno
import os
import stat
import tempfile
from pathlib import Path
from typing import IO, Literal

from recsys_dagster.errors import RecsysError
from recsys_dagster.runtime.layout import Layout

_MODES = {"ab": os.O_WRONLY | os.O_CREAT | os.O_APPEND, "rb": os.O_RDONLY}


def open_without_links(path: Path, mode: Literal["ab", "rb"]) -> IO[bytes]:
    """Open a regular file; raise RecsysError if the path is a link or anything else but a file."""
    return os.fdopen(open_descriptor(path, _MODES[mode]), mode)


def open_descriptor(path: Path, flags: int, mode: int = 0o666) -> int:
    """Open a regular file and return its descriptor.

    Args:
        path: the file.
        flags: as of os.open.
        mode: permissions of a new file, before the umask.

    Raises:
        RecsysError: the path is a link or not a regular file, or it is to be written and is a hard link.
        OSError: it cannot be opened.
    """
    try:
        descriptor = os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK, mode)
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.EISDIR, errno.ENXIO):
            raise _refusal(path) from None
        raise
    status = os.fstat(descriptor)
    is_written = flags & (os.O_WRONLY | os.O_RDWR) != 0
    if not stat.S_ISREG(status.st_mode) or (is_written and status.st_nlink > 1):
        os.close(descriptor)
        raise _refusal(path)
    return descriptor


def check_home(layout: Layout, folder: Path) -> None:
    """Create a folder under RECSYS_HOME, and check that everything can be written there, and nowhere else.

    Args:
        layout: the paths under RECSYS_HOME.
        folder: the folder that is needed; with its parents it is created if it does not exist.

    Raises:
        RecsysError: RECSYS_HOME or the folder cannot be created or written, or a link leads out of RECSYS_HOME.
    """
    home = layout.home.absolute()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except (OSError, ValueError) as error:
        reason = (error.strerror if isinstance(error, OSError) else None) or str(error)
        raise RecsysError(
            f"{folder}: cannot be written ({reason}); make it writable, or set RECSYS_HOME (now {home}) to a folder "
            "that is"
        ) from None


def refuse_links_outside(layout: Layout, folders: list[Path]) -> None:
    """Raise RecsysError if one of the folders, or a link anywhere in them, leads out of RECSYS_HOME."""
    home = layout.home.resolve()
    for folder in folders:
        links = [path for path in folder.rglob("*") if path.is_symlink()] if folder.is_dir() else []
        for path in [folder, *links]:
            if not path.resolve().is_relative_to(home):
                raise RecsysError(
                    f"{path}: leads out of RECSYS_HOME, to {path.resolve()}; put the files there themselves, or set "
                    "RECSYS_HOME to a folder on the other disk"
                )


def _refusal(path: Path) -> RecsysError:
    return RecsysError(f"{path}: not a file of this project, but a link or something else; remove it, then run again")
