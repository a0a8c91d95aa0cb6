"""Replacing files whole, and one process a domain."""

import errno
import json
import os
from pathlib import Path

import pytest

from recsys_dagster.errors import RecsysError
from recsys_dagster.runtime.storage import remove_leftovers, replacing, write_json


def test_a_file_is_replaced_by_what_was_written_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "folder" / "pointer.json"
    write_json(path, {"version": 1})
    write_json(path, {"version": 2})
    assert json.loads(path.read_text()) == {"version": 2}
    assert [entry.name for entry in path.parent.iterdir()] == ["pointer.json"]


def test_a_failed_write_leaves_the_previous_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "lists"
    path.write_text("whole")
    with pytest.raises(ValueError, match="halfway"), replacing(path) as beside:
        beside.write_text("half")
        raise ValueError("halfway")
    assert path.read_text() == "whole"
    assert list(tmp_path.iterdir()) == [path]


def test_what_a_killed_writer_left_goes_with_the_next_write_of_the_same_path(tmp_path: Path) -> None:
    mine, other = tmp_path / ".tmp-movie.duckdb-abc", tmp_path / ".tmp-anime.duckdb-abc"
    for folder in (mine, other):
        folder.mkdir()
        (folder / "part").write_text("half")
    with replacing(tmp_path / "movie.duckdb") as beside:
        beside.write_text("whole")
    assert not mine.exists()
    assert other.exists()


def test_a_full_disk_is_told_with_the_file_and_the_cure(tmp_path: Path) -> None:
    path = tmp_path / "lists"
    with pytest.raises(RecsysError, match=r"lists: the disk is full; free some space"), replacing(path):
        descriptor = os.open("/dev/full", os.O_WRONLY)
        try:
            os.write(descriptor, b"x")
        finally:
            os.close(descriptor)
    assert not path.exists()


def test_other_errors_of_the_system_stay_what_they_are(tmp_path: Path) -> None:
    with pytest.raises(PermissionError), replacing(tmp_path / "lists"):
        raise PermissionError(errno.EACCES, "no")


def test_what_killed_runs_left_is_removed_at_any_depth_and_nothing_else(tmp_path: Path) -> None:
    for folder in (".tmp-version-x", "version/.tmp-model.json-y", "version/kept"):
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / "file").touch()
    remove_leftovers(tmp_path)
    assert [str(path.relative_to(tmp_path)) for path in tmp_path.rglob("file")] == ["version/kept/file"]
