"""Compile functions with numba, and cache the machine code in a folder that this process can write.

By itself numba caches next to the source file or in the user's cache folder. If it can write neither, as in a container
with a read-only file system and no home, it fails at import. Then the cache is under RECSYS_HOME or, if that cannot be
written either or the variable is not set, in a temporary folder of this process.
"""

import atexit
import functools
import os
import shutil
import stat
import tempfile
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any, Literal

import numba

from recsys_dagster.runtime.layout import Layout


def compiled(
    *,
    parallel: bool = False,
    nogil: bool = False,
    fastmath: Collection[str] = (),
    inline: Literal["never", "always"] = "never",
) -> Callable[[Callable[..., Any]], Any]:
    """Return a decorator that compiles a function at its first call, and caches the machine code.

    Args:
        parallel: whether loops over numba.prange run on several threads.
        nogil: whether other Python threads run meanwhile.
        fastmath: names of the fast-math flags of LLVM that are allowed.
        inline: whether calls from compiled functions are replaced by the body.
    """
    options: dict[str, Any] = {"parallel": parallel, "nogil": nogil, "inline": inline}
    if fastmath:
        options["fastmath"] = set(fastmath)

    decorator: Callable[[Callable[..., Any]], Any] = numba.njit(cache=use_writable_cache(), **options)
    return decorator


@functools.cache
def use_writable_cache() -> bool:
    """Let numba cache in a folder that this process can write; return whether there is one."""
    config: Any = numba.config
    if config.CACHE_DIR:
        return can_write(Path(config.CACHE_DIR))
    if can_write(Path(__file__).parent / "__pycache__") or can_write(_user_cache()):
        return True
    for make in (_home_cache, _temporary_cache):
        try:
            folder = make()
        except OSError:
            continue
        if is_private(folder) and can_write(folder):
            config.CACHE_DIR = str(folder)
            return True
    return False


def can_write(folder: Path) -> bool:
    """Return whether this process can create files in the folder, which is created if it does not exist."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return True
    except OSError:
        return False


def is_private(folder: Path) -> bool:
    """Return whether only the user of this process can write to the folder: numba executes what it finds there."""
    status = folder.lstat()
    writable_by_others = status.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
    return stat.S_ISDIR(status.st_mode) and status.st_uid == os.getuid() and not writable_by_others


def _user_cache() -> Path:
    """Return the folder in which numba caches if it cannot write next to the source file."""
    from numba.misc import appdirs

    directories: Any = appdirs
    return Path(directories.AppDirs(appname="numba", appauthor=False).user_cache_dir)


def _home_cache() -> Path:
    """Create and return the cache folder under RECSYS_HOME."""
    home = os.environ.get("RECSYS_HOME")
    if not home:
        raise FileNotFoundError("RECSYS_HOME is not set")
    folder = Layout(Path(home).absolute()).compiled()
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    return folder


def _temporary_cache() -> Path:
    """Create and return a folder that is removed when this process ends."""
    folder = Path(tempfile.mkdtemp(prefix="recsys-numba-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder
