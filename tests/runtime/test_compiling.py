"""Compiled code is cached where the process can write: also where the code is read-only and there is no home."""

import ctypes
import os
import shutil
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import recsys_dagster
from recsys_dagster.runtime.compiling import can_write, is_private

RANK = """
import sys
import numpy as np
from recsys_dagster.models.base import top_k
import numba
assert sys.argv[1] in top_k.__code__.co_filename
print(top_k(np.array([[1, 3, 2], [3, 2, 1]], np.float32), 2)[0].tolist(), numba.config.CACHE_DIR)
"""

PR_CAPBSET_DROP, CAP_DAC_OVERRIDE = 24, 1


def obey_permissions() -> None:
    """Let the permissions of files hold for this process even if its user is root."""
    ctypes.CDLL(None).prctl(PR_CAPBSET_DROP, CAP_DAC_OVERRIDE, 0, 0, 0)


@pytest.fixture
def read_only_code(tmp_path: Path) -> Iterator[Path]:
    """A copy of the package without compiled files, in which nothing can be written, as in an image."""
    code = tmp_path / "code"
    source = Path(recsys_dagster.__file__).parent
    shutil.copytree(source, code / "recsys_dagster", ignore=shutil.ignore_patterns("__pycache__"))
    for path in [code, *code.rglob("*")]:
        path.chmod(0o555 if path.is_dir() else 0o444)
    yield code
    for path in [code, *code.rglob("*")]:
        path.chmod(0o755)


def rank(code: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Rank with compiled code in a process that may not write to the code folder, nor to any home."""
    return subprocess.run(
        [sys.executable, "-c", RANK, str(code)],
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(code), "HOME": "/proc/nowhere", **environment},
        cwd="/",
        preexec_fn=obey_permissions,
        capture_output=True,
        text=True,
        check=False,
    )


def test_read_only_code_without_a_home_is_compiled_and_cached_under_recsys_home(
    read_only_code: Path, tmp_path: Path
) -> None:
    home = tmp_path / "home"
    home.mkdir()
    for _ in range(2):
        ran = rank(read_only_code, RECSYS_HOME=str(home))
        assert ran.stdout == f"[[1, 2], [0, 1]] {home / 'cache' / 'numba'}\n", ran.stderr[-2000:]
    assert list((home / "cache" / "numba").rglob("*.nbc"))
    assert stat.S_IMODE((home / "cache" / "numba").stat().st_mode) == 0o700


def test_with_a_read_only_home_too_the_cache_is_temporary_and_removed(read_only_code: Path, tmp_path: Path) -> None:
    home, temporary = tmp_path / "home", tmp_path / "temporary"
    for folder, mode in ((home, 0o555), (temporary, 0o777)):
        folder.mkdir()
        folder.chmod(mode)
    ran = rank(read_only_code, RECSYS_HOME=str(home), TMPDIR=str(temporary))
    assert ran.stdout.startswith(f"[[1, 2], [0, 1]] {temporary / 'recsys-numba-'}"), ran.stderr[-2000:]
    assert list(temporary.iterdir()) == []


def test_without_recsys_home_the_cache_is_temporary(read_only_code: Path, tmp_path: Path) -> None:
    ran = rank(read_only_code, TMPDIR=str(tmp_path))
    assert ran.stdout.startswith(f"[[1, 2], [0, 1]] {tmp_path / 'recsys-numba-'}"), ran.stderr[-2000:]


def test_where_nothing_can_be_written_it_is_compiled_without_a_cache(read_only_code: Path) -> None:
    ran = rank(read_only_code, RECSYS_HOME="/proc/nowhere", TMPDIR="/proc/nowhere", NUMBA_CACHE_DIR="/proc/nowhere")
    assert ran.stdout == "[[1, 2], [0, 1]] /proc/nowhere\n", ran.stderr[-2000:]


def test_a_folder_that_others_can_write_to_is_not_private(tmp_path: Path) -> None:
    folder = tmp_path / "cache"
    folder.mkdir(mode=0o700)
    assert is_private(folder)
    folder.chmod(0o777)
    assert not is_private(folder)
    link = tmp_path / "link"
    link.symlink_to(folder)
    assert not is_private(link)


def test_a_folder_under_a_file_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert not can_write(tmp_path / "file" / "folder")
    assert can_write(tmp_path / "new" / "folder")
