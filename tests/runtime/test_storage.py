"""Files are replaced as a whole."""

import errno
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from recsys_dagster.errors import RecsysError
from recsys_dagster.runtime.storage import (
    describe_os_error,
    is_disk_full,
    remove_leftovers,
    replacing,
    temporary_folder,
    write_json,
)


def test_a_file_is_replaced_by_the_temporary_one(tmp_path: Path) -> None:
    path = tmp_path / "folder" / "pointer.json"
    write_json(path, {"version": 1})
    write_json(path, {"version": 2})
    assert json.loads(path.read_text()) == {"version": 2}
    assert [entry.name for entry in path.parent.iterdir()] == ["pointer.json"]


def test_a_failed_write_leaves_the_previous_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "lists"
    path.write_text("whole")
    with pytest.raises(ValueError, match="halfway"), replacing(path) as temporary:
        temporary.write_text("half")
        raise ValueError("halfway")
    assert path.read_text() == "whole"
    assert list(tmp_path.iterdir()) == [path]


def test_what_a_killed_writer_left_is_removed_by_the_next_write_of_the_same_path(tmp_path: Path) -> None:
    mine, other = tmp_path / ".tmp-movie.duckdb-abc", tmp_path / ".tmp-anime.duckdb-abc"
    for folder in (mine, other):
        folder.mkdir()
        (folder / "part").write_text("half")
    with replacing(tmp_path / "movie.duckdb") as temporary:
        temporary.write_text("whole")
    assert not mine.exists()
    assert other.exists()


def test_a_full_disk_is_an_error_with_the_file_and_the_cure(tmp_path: Path) -> None:
    path = tmp_path / "lists"
    with pytest.raises(RecsysError, match=r"lists: the disk is full; free some space"), replacing(path):
        descriptor = os.open("/dev/full", os.O_WRONLY)
        try:
            os.write(descriptor, b"x")
        finally:
            os.close(descriptor)
    assert not path.exists()


def test_other_errors_of_the_system_are_not_converted(tmp_path: Path) -> None:
    with pytest.raises(PermissionError), replacing(tmp_path / "lists"):
        raise PermissionError(errno.EACCES, "no")


def test_what_killed_runs_left_is_removed_at_any_depth_and_nothing_else(tmp_path: Path) -> None:
    for folder in (".tmp-version-x", "version/.tmp-model.json-y", "version/kept"):
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / "file").touch()
    remove_leftovers(tmp_path)
    assert [str(path.relative_to(tmp_path)) for path in tmp_path.rglob("file")] == ["version/kept/file"]


REPLACE = """
import sys
from pathlib import Path
from recsys_dagster.runtime.storage import replacing
for count in range(300):
    with replacing(Path(sys.argv[1])) as temporary:
        temporary.write_text(f"{sys.argv[2]} {count}")
        assert temporary.exists()
"""


def test_two_processes_may_replace_the_same_file_at_the_same_time(tmp_path: Path) -> None:
    path = tmp_path / "index.html"
    writers = [
        subprocess.Popen([sys.executable, "-c", REPLACE, str(path), name], stderr=subprocess.PIPE, text=True)
        for name in ("first", "second")
    ]
    for writer in writers:
        assert writer.wait(60) == 0, writer.stderr and writer.stderr.read()
    assert path.read_text().endswith(" 299")
    assert list(tmp_path.iterdir()) == [path]


def test_a_temporary_folder_that_is_in_use_is_not_a_leftover(tmp_path: Path) -> None:
    with temporary_folder(tmp_path) as folder:
        (folder / "part").touch()
        remove_leftovers(tmp_path)
        assert (folder / "part").exists()
    assert list(tmp_path.iterdir()) == []


def test_files_and_links_that_only_look_like_leftovers_are_left_alone(tmp_path: Path) -> None:
    outside, home = tmp_path / "outside", tmp_path / "home"
    (outside / "folder").mkdir(parents=True)
    home.mkdir()
    (home / ".tmp-link").symlink_to(outside)
    (home / ".tmp-file").touch()
    remove_leftovers(home)
    assert (outside / "folder").exists()
    assert {path.name for path in home.iterdir()} == {".tmp-link", ".tmp-file"}


@pytest.mark.parametrize(
    ("number", "message"),
    [
        (
            errno.ENOSPC,
            "/home/x: the disk is full; free some space or point RECSYS_HOME at a larger disk, then run again",
        ),
        (errno.EROFS, "/home/x: Read-only file system; make it writable, or set RECSYS_HOME to another folder"),
        (errno.EIO, "/home/x: Input/output error"),
    ],
)
def test_errors_of_the_system_are_described_in_one_line(number: int, message: str) -> None:
    assert describe_os_error(OSError(number, os.strerror(number), "/home/x")) == message
    assert describe_os_error(OSError("odd")) == "odd"


def test_a_full_disk_is_recognised_behind_other_errors() -> None:
    assert is_disk_full(OSError(errno.ENOSPC, "x"))
    assert is_disk_full(RuntimeError("(sqlite3.OperationalError) database or disk is full"))
    wrapped = ValueError("could not write")
    wrapped.__cause__ = OSError(errno.EDQUOT, "x")
    assert is_disk_full(wrapped)
    assert not is_disk_full(OSError(errno.EIO, "x"))
    assert not is_disk_full(None)
