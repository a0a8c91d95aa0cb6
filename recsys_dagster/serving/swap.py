"""Putting a finished file in the place of the published one, and going back; each step is one rename.

Readers have the old file or the new one, whenever a process is killed.
"""

import os
import shutil
from pathlib import Path

from recsys_dagster.errors import RecsysError
from recsys_dagster.runtime.storage import replacing


def swap_in(built: Path, published: Path, previous: Path) -> None:
    """Publish the file `built`; what was published until now becomes `previous`, and what that was is gone.

    Killed halfway, `previous` is the published file itself, which `has_previous` tells from an earlier one.
    """
    published.parent.mkdir(parents=True, exist_ok=True)
    if published.exists():
        with replacing(previous) as beside:
            _link(published, beside)
    os.replace(built, published)


def restore_previous(published: Path, previous: Path) -> None:
    """Publish the previous file again; there is none before it then.

    Raises:
        RecsysError: there is no previous file.
    """
    if not has_previous(published, previous):
        raise RecsysError(
            f"{previous}: there are no lists to go back to; only the last ones before the present are kept, once"
        )
    os.replace(previous, published)


def has_previous(published: Path, previous: Path) -> bool:
    """Tell whether there is an earlier file to go back to."""
    return previous.exists() and not (published.exists() and previous.samefile(published))


def _link(source: Path, target: Path) -> None:
    """Give a file a second name; copy it where the file system knows no second names."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)
