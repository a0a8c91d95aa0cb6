"""Fetching into a home that was tampered with, that cannot be written, and with which permissions."""

import hashlib
import json
import os
import re
import subprocess
from pathlib import Path

import pytest
from tiny import SMALL, WHOLE, contents

from recsys_dagster.errors import RecsysError
from recsys_dagster.ingest.fetching import fetch
from recsys_dagster.ingest.manifest import read_manifest
from recsys_dagster.settings import Settings

# -- a home that was tampered with


def tamper(home: Path, **changes: object) -> Path:
    path = home / "raw/ml-latest-small/manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))
    return path


@pytest.mark.parametrize("folder", ["../../../outside", "{outside}", "..", ".", "", "0123456789abcdef/../.."])
def test_a_manifest_that_names_a_folder_outside_is_refused_and_nothing_there_is_removed(mirrored, tmp_path, folder):
    fetch(SMALL, mirrored)
    outside = tmp_path / "outside" / "precious"
    outside.mkdir(parents=True)
    (outside / "file").write_text("valuable")
    tamper(mirrored.home, folder=folder.format(outside=outside.parent))
    before = contents(tmp_path)
    with pytest.raises(RecsysError, match=r"manifest\.json: it names the folder .*; remove the file, then run again"):
        fetch(SMALL, mirrored)
    assert contents(tmp_path) == before


def test_a_manifest_that_names_files_outside_is_refused(mirrored, tmp_path):
    fetch(SMALL, mirrored)
    path = mirrored.home / "raw/ml-latest-small/manifest.json"
    files = {f"../../../{name}": file for name, file in json.loads(path.read_text())["files"].items()}
    checksums = "".join(f"{files[name]['sha256']}  {name}\n" for name in sorted(files))
    tamper(mirrored.home, files=files, folder=hashlib.sha256(checksums.encode()).hexdigest()[:16])
    with pytest.raises(RecsysError, match="names files in other folders"):
        read_manifest(SMALL, mirrored)


@pytest.mark.parametrize(
    "content",
    ["[]", "7", "null", "{}", "[" * 100_000, '{"files": 3}', '{"dataset_id": 1}', "\ufeff{}", "\x00"],
    ids=lambda content: content[:20],
)
def test_a_manifest_that_is_none_is_written_anew(mirrored, content):
    manifest = fetch(SMALL, mirrored)
    (mirrored.home / "raw/ml-latest-small/manifest.json").write_text(content)
    assert fetch(SMALL, mirrored).files == manifest.files


@pytest.mark.parametrize(
    "values", [{"bytes": "7"}, {"bytes": None}, {"lines": "x"}, {"header": 3}, {"sha256": 3}], ids=str
)
def test_a_manifest_with_values_of_another_type_is_written_anew(mirrored, values):
    manifest = fetch(SMALL, mirrored)
    path = mirrored.home / "raw/ml-latest-small/manifest.json"
    files = json.loads(path.read_text())["files"]
    tamper(mirrored.home, files=files | {"movies.csv": files["movies.csv"] | values})
    assert fetch(SMALL, mirrored).files == manifest.files


def test_foreign_files_in_the_folder_of_a_dataset_are_left_alone(mirrored):
    manifest = fetch(SMALL, mirrored)
    foreign = manifest.folder.parent / "notes"
    foreign.mkdir()
    (foreign / "mine.txt").write_text("valuable")
    (manifest.folder.parent / "mine.zip").write_text("valuable")
    fetch(SMALL, mirrored)
    assert (foreign / "mine.txt").exists()
    assert (manifest.folder.parent / "mine.zip").exists()


@pytest.mark.parametrize("name", [".lock", "manifest.json", "0123456789abcdef", "ml-latest-small.zip.part", "notes"])
def test_a_link_that_leads_out_of_the_home_is_refused_and_not_followed(mirrored, tmp_path, name):
    fetch(SMALL, mirrored)
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "file").write_text("valuable")
    link = mirrored.home / "raw/ml-latest-small" / name
    link.unlink(missing_ok=True)
    link.symlink_to(outside / "file" if "." in name else outside)
    with pytest.raises(RecsysError, match=rf"{re.escape(str(link))}: leads out of RECSYS_HOME, to {outside}"):
        fetch(SMALL, mirrored)
    assert [path.name for path in outside.iterdir()] == ["file"]
    assert (outside / "file").read_text() == "valuable"


def test_a_folder_that_leads_out_of_the_home_is_refused(mirrored, tmp_path):
    outside = tmp_path / "outside"
    outside.mkdir()
    mirrored.home.mkdir()
    (mirrored.home / "raw").symlink_to(outside)
    with pytest.raises(RecsysError, match=rf"leads out of RECSYS_HOME, to {outside}"):
        fetch(SMALL, mirrored)
    assert not any(path.is_file() for path in outside.rglob("*"))


def test_a_link_within_the_home_in_place_of_the_files_is_replaced(mirrored, tmp_path):
    manifest = fetch(SMALL, mirrored)
    moved = mirrored.home / "elsewhere"
    manifest.folder.rename(moved)
    manifest.folder.symlink_to(moved)
    assert fetch(SMALL, mirrored).files == manifest.files
    assert not manifest.folder.is_symlink()
    assert (moved / "ratings.csv").exists()


def test_the_home_itself_may_be_a_link(mirrored, tmp_path):
    (tmp_path / "big").mkdir()
    mirrored.home.symlink_to(tmp_path / "big")
    assert fetch(SMALL, mirrored) == fetch(SMALL, mirrored)


# -- a home that cannot be written


@pytest.mark.parametrize(
    "home", ["/dev/null", "/dev/null/data", "/proc/data", "/proc/version", "/x" * 3000, "/" + "x" * 300]
)
def test_an_impossible_home_is_an_error_in_one_line(pack, home):
    with pytest.raises(
        RecsysError, match=r"cannot be written .*set RECSYS_HOME \(now /.*to a folder that is$"
    ) as raised:
        fetch(SMALL, Settings(home=home, mirror=str(pack(WHOLE).parent)))
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("is_new", [True, False])
def test_a_read_only_home_is_an_error_in_one_line(small_disk, pack, is_new):
    settings = Settings(home=small_disk / "home", mirror=str(pack(WHOLE).parent))
    if not is_new:
        fetch(SMALL, settings)
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    with pytest.raises(RecsysError, match=r"cannot be written \(Read-only file system\); make it writable"):
        fetch(SMALL, settings)


# -- permissions


@pytest.mark.parametrize("umask", [0o022, 0o002, 0o077, 0o000])
def test_files_follow_the_umask(mirrored, umask):
    previous = os.umask(umask)
    try:
        fetch(SMALL, mirrored)
    finally:
        os.umask(previous)
    for path in mirrored.home.rglob("*"):
        expected = (0o777 if path.is_dir() else 0o666) & ~umask
        assert path.stat().st_mode & 0o777 == expected, path
