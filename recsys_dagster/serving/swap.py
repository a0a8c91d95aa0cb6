"""Put a finished file in the place of the published one, and restore the previous one; each step is one rename.

Readers see the old file or the new one, whenever a process is killed, and whatever other programs have open.
"""

import contextlib
import errno
import fcntl
import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import IO

from recsys_dagster.errors import RecsysError
from recsys_dagster.runtime.storage import replacing

_NOWHERE = "an-earlier-file-is-open-for-writing/until-the-next-publication"
"""A path in a folder that does not exist, so that nothing can be created there; `ls -l` shows it."""


def swap_in(built: Path, published: Path, *previous: Path) -> None:
    """Publish the file `built`, and keep the files that were published before.

    If the process is killed in between, the newest earlier file may be the published file itself; `earlier_files`
    recognises that.

    Args:
        built: the new file.
        published: the file that readers open.
        previous: where earlier files are kept, the newest first; the oldest is discarded when all are taken.
    """
    published.parent.mkdir(parents=True, exist_ok=True)
    if published.exists() and previous:
        kept = earlier_files(published, *previous)
        for source, target in zip(kept, previous, strict=False):  # no gaps, such as a rollback leaves
            _move(source, target)
        for step in range(min(len(kept), len(previous) - 1), 0, -1):
            _move(previous[step - 1], previous[step])
        with replacing(previous[0]) as unfinished:
            _link(published, unfinished)
        set_log_aside(previous[0])
    _publish(built, published, previous)


def restore_previous(published: Path, *previous: Path) -> None:
    """Publish the newest earlier file again; it is then no longer among the earlier ones.

    Raises:
        RecsysError: there is no earlier file.
    """
    earlier = earlier_files(published, *previous)
    if not earlier:
        raise RecsysError(f"{previous[0]}: there are no previous lists to go back to")
    _publish(earlier[0], published, earlier[1:])


def earlier_files(published: Path, *previous: Path) -> list[Path]:
    """Return the earlier files that can be restored, the newest first."""
    return [path for path in previous if path.exists() and not (published.exists() and path.samefile(published))]


def has_previous(published: Path, *previous: Path) -> bool:
    """Return whether there is an earlier file to restore."""
    return bool(earlier_files(published, *previous))


def replace_database(source: Path, target: Path) -> None:
    """Rename a DuckDB file over another one, and set aside the write-ahead logs of both.

    The log of the target belongs to the file that is replaced. It is set aside before the rename, so that the new file
    is never next to it, and again afterwards, because a program that has the old file open may just have begun one.
    """
    set_log_aside(source)
    set_log_aside(target)
    os.replace(source, target)
    set_log_aside(target)


def set_log_aside(path: Path) -> None:
    """Rename the write-ahead log next to a DuckDB file, if there is one, so that DuckDB does not apply it.

    Nothing of this project leaves a log there: it is of another program that had the file open and was killed, or still
    has it open.
    """
    for log in logs(path):
        with contextlib.suppress(FileNotFoundError):
            if log.is_symlink():  # by which an earlier swap kept a log away
                log.unlink()
            else:
                os.replace(log, log.with_name(f"{log.name}.set-aside"))


def logs(path: Path) -> list[Path]:
    """Return the paths at which DuckDB keeps the write-ahead log of a file, and its states during a checkpoint."""
    return [path.with_name(f"{path.name}.wal{state}") for state in ("", ".checkpoint", ".recovery")]


def _publish(source: Path, published: Path, earlier: Sequence[Path]) -> None:
    """Rename a file to the published one, and keep programs that have a replaced one open from leaving a log there.

    Such a program knows its log by name only. It could begin one at any time, until it ends, and no other program could
    open the published file any more.
    """
    with contextlib.ExitStack() as stack:
        replaced = [stack.enter_context(path.open("rb")) for path in (published, *earlier) if path.exists()]
        replace_database(source, published)
        if any(map(_is_open_for_writing, replaced)):
            _keep_logs_away(published)


def _is_open_for_writing(file: IO[bytes]) -> bool:
    """Return whether another process has a DuckDB file open for writing, which DuckDB locks then."""
    try:
        fcntl.lockf(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError as error:
        return error.errno in (errno.EACCES, errno.EAGAIN)
    fcntl.lockf(file, fcntl.LOCK_UN)
    return False


def _keep_logs_away(path: Path) -> None:
    """Put a link to nowhere in the place of each log: readers find no log there, and writers cannot make one.

    The next swap removes it. Until then nobody can write to the published file; reading is not affected.
    """
    for log in logs(path):
        while True:
            try:
                log.symlink_to(_NOWHERE)
            except FileExistsError:  # begun since the rename
                set_log_aside(path)
            except OSError:  # a file system without links
                return
            else:
                break


def _move(source: Path, target: Path) -> None:
    if source != target:
        target.parent.mkdir(parents=True, exist_ok=True)
        replace_database(source, target)


def _link(source: Path, target: Path) -> None:
    """Give a file a second name, or copy it if the file system has no hard links."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)
