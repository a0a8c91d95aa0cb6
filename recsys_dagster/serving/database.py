"""Open a published DuckDB file for reading, next to other programs that may have it open.

DuckDB lets one process open a file for writing and then no other process open it at all. Most clients, such as DuckDB's
own shell, open for writing unless told otherwise. A client that is killed also leaves a write-ahead log next to the
file, which does not fit the file that is published next.
"""

import contextlib
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import duckdb

from recsys_dagster.errors import RecsysError
from recsys_dagster.runtime.storage import temporary_folder
from recsys_dagster.serving.swap import logs, set_log_aside
from recsys_dagster.warehouse.database import is_locked, lock_holder


def open_database(path: Path) -> duckdb.DuckDBPyConnection:
    """Open a DuckDB file for reading.

    A write-ahead log that belongs to an earlier file of the same name is set aside.

    Raises:
        RecsysError: the file is damaged or not a database, or another program has it open for writing.
    """
    try:
        return _connect(path)
    except duckdb.Error as error:
        if not _is_foreign_log(error):
            raise unreadable(path, error) from error
    try:
        set_log_aside(path)
        return _connect(path)
    except OSError as error:
        raise RecsysError(
            f"{logs(path)[0]}: another program left this log of an earlier {path.name}, and it cannot be moved "
            f"({error.strerror}); delete it, then try again"
        ) from error
    except duckdb.Error as error:
        raise unreadable(path, error) from error


@contextlib.contextmanager
def path_without_lock(path: Path) -> Iterator[Path]:
    """Give a path under which a published file can be read even while another program has it open for writing.

    This is the file itself or, if it cannot be opened, a temporary copy. The copy holds the publication without the
    other program's changes.

    Raises:
        RecsysError: the file is damaged or not a database, or it is open for writing and there is no room for a copy.
    """
    try:
        connection = open_database(path)
    except RecsysError as error:
        if not isinstance(error.__cause__, duckdb.Error) or not is_locked(error.__cause__):
            raise
    else:
        with connection:  # as long as it is open, no other program can open the file for writing
            yield path
        return
    with contextlib.ExitStack() as stack:
        yield _copy(path, stack)


def _copy(path: Path, stack: contextlib.ExitStack) -> Path:
    """Return a copy of the file, in its folder or else among the system's temporary files, that the stack removes."""
    for parent in (path.parent, Path(tempfile.gettempdir())):
        try:
            folder = stack.enter_context(temporary_folder(parent, path.name))
            return Path(shutil.copyfile(path, folder / path.name))
        except OSError as error:
            reason = error
    raise RecsysError(
        f"{path}: open for writing in another program, and it cannot be copied ({reason.strerror}); close it there, "
        "then try again"
    ) from reason


def unreadable(path: Path, error: duckdb.Error) -> RecsysError:
    """Return the error for a published file that DuckDB cannot read: one line that names the cause and the cure."""
    if is_locked(error):
        return RecsysError(
            f"{path}: open for writing in {lock_holder(error)}; close it there, or open it there for reading only, "
            "then try again"
        )
    reason = str(error).partition("\n")[0]
    return RecsysError(
        f"{path}: not a readable published file ({reason}); run `recsys run --domain {path.stem}` to publish again"
    )


def _connect(path: Path) -> duckdb.DuckDBPyConnection:
    return duckdb.connect(path, read_only=True)


def _is_foreign_log(error: duckdb.Error) -> bool:
    return "WAL" in str(error)
