"""Fetching from a folder, over HTTP, from Kaggle and from the generator; what it leaves when that fails."""

import json
import re
import socket
import subprocess
import traceback
import zipfile
from dataclasses import replace

import pytest
from loopback import Stall, Status
from tiny import MOVIES, PATH, RATINGS, SMALL, WHOLE, contents

from recsys_dagster.errors import RecsysError
from recsys_dagster.ingest.archive import BadArchiveError
from recsys_dagster.ingest.catalogue import CATALOGUE, Generated
from recsys_dagster.ingest.fetching import fetch
from recsys_dagster.ingest.manifest import read_manifest
from recsys_dagster.settings import Settings

# -- from a folder


@pytest.mark.parametrize(
    ("dataset_id", "lines"),
    [
        ("ml-latest-small", {"movies.csv": 9_743, "ratings.csv": 100_837, "links.csv": 9_743, "tags.csv": 3_684}),
        ("anime-recommendations-database", {"anime.csv": 12_295, "rating.csv": 520_610}),
        (
            "anime-recommendation-database-2020",
            {
                "anime.csv": 17_563,
                "anime_with_synopsis.csv": 16_215,
                "rating_complete.csv": 100_000,
                "animelist.csv": 500,
            },
        ),
        ("myanimelist", {"anime_cleaned.csv": 17_187, "users_cleaned.csv": 18, "animelists_cleaned.csv": 9_999}),
    ],
)
def test_real_archives_are_unpacked_completely_and_only_once(real_mirror, home, dataset_id, lines):
    dataset, settings = CATALOGUE[dataset_id], Settings(home=home, mirror=str(real_mirror))
    manifest = fetch(dataset, settings)
    assert {name: file.lines for name, file in manifest.files.items()} == lines
    with zipfile.ZipFile(real_mirror / f"{dataset_id}.zip") as archive:
        packed = {name.rpartition("/")[2]: archive.read(name) for name in archive.namelist()}
    for name, file in manifest.files.items():
        assert file.path.read_bytes() == packed[name]
    before = {path: path.stat().st_mtime_ns for path in home.rglob("*")}
    assert fetch(dataset, settings) == manifest == read_manifest(dataset, settings)
    assert {path: path.stat().st_mtime_ns for path in home.rglob("*") if path.name != ".lock"} == {
        path: time for path, time in before.items() if path.name != ".lock"
    }


def test_the_manifest_records_source_licence_and_checksums(mirrored, pack):
    manifest = fetch(SMALL, mirrored)
    written = json.loads((mirrored.home / "raw/ml-latest-small/manifest.json").read_text())
    assert written["url"] == manifest.url == pack(WHOLE).as_uri()
    assert written["licence"] == SMALL.licence
    assert written["folder"] == written["data_version"] == manifest.data_version == manifest.folder.name
    assert written["fetched_at"].endswith("+00:00")
    assert written["files"]["ratings.csv"] == {
        "bytes": len(RATINGS),
        "sha256": subprocess.check_output(["sha256sum", manifest.files["ratings.csv"].path], text=True).split()[0],
        "lines": 3,
        "header": ["userId", "movieId", "rating", "timestamp"],
        "format": "csv",
        "nested": [],
        "stamp": None,
    }
    assert str(mirrored.home) not in json.dumps(written["files"])  # RECSYS_HOME may be moved


def test_a_changed_archive_in_the_mirror_replaces_the_files(mirrored, pack):
    old = fetch(SMALL, mirrored)
    pack({**WHOLE, "ml/ratings.csv": RATINGS + "2,2,1.0,964982224\n"})
    new = fetch(SMALL, mirrored)
    assert new.files["ratings.csv"].lines == 4
    assert new.data_version != old.data_version
    assert not old.folder.exists()


def test_the_same_files_in_a_new_archive_keep_their_data_version(mirrored, pack):
    old = fetch(SMALL, mirrored)
    inode = old.files["ratings.csv"].path.stat().st_ino
    pack({**WHOLE, "ml/README.txt": "packed again"})
    new = fetch(SMALL, mirrored)
    assert new.identity != old.identity
    assert new.data_version == old.data_version
    assert new.files["ratings.csv"].path.stat().st_ino == inode


@pytest.mark.parametrize(
    "members",
    [
        {"ml/movies.csv": MOVIES},
        {**WHOLE, "ml/ratings.csv": ""},
        {**WHOLE, "ml/movies.csv": b"movieId,title,genres\n\xff"},
    ],
    ids=["file missing", "file empty", "not UTF-8"],
)
def test_a_bad_archive_leaves_the_previous_files(mirrored, pack, members):
    manifest = fetch(SMALL, mirrored)
    before = contents(mirrored.home)
    pack(members)
    with pytest.raises(BadArchiveError, match=r"ml-latest-small\.zip"):
        fetch(SMALL, mirrored)
    assert contents(mirrored.home) == before
    assert read_manifest(SMALL, mirrored) == manifest


def test_a_full_disk_leaves_the_previous_files(small_disk, pack):
    settings = Settings(home=small_disk, mirror=str(pack(WHOLE).parent))
    fetch(SMALL, settings)
    before = contents(small_disk)
    pack({**WHOLE, "ml/ratings.csv": RATINGS + "1,1,1.0,1\n" * 120_000})
    with pytest.raises(RecsysError, match="RECSYS_HOME at a larger disk"):
        fetch(SMALL, settings)
    assert contents(small_disk) == before


@pytest.mark.parametrize("damage", ["gone", "shorter", "manifest"])
def test_damaged_files_are_fetched_again(mirrored, damage):
    manifest = fetch(SMALL, mirrored)
    path = manifest.files["ratings.csv"].path
    if damage == "gone":
        path.unlink()
    elif damage == "shorter":
        path.write_text("userId")
    else:
        (manifest.folder.parent / "manifest.json").write_text('{"dataset_id": ')
    assert read_manifest(SMALL, mirrored) is None
    assert fetch(SMALL, mirrored).files == manifest.files
    assert path.read_text() == RATINGS


def test_files_are_fetched_again_when_the_format_has_grown(mirrored):
    fetch(SMALL, mirrored)
    movies, ratings, *_ = SMALL.format.files
    grown = replace(SMALL.format, files=(movies, ratings, replace(movies, name="links.csv")))
    assert read_manifest(replace(SMALL, format=grown), mirrored) is None


def test_what_killed_runs_left_is_removed(mirrored):
    manifest = fetch(SMALL, mirrored)
    raw = manifest.folder.parent
    for leftover in (".tmp-abc", "0123456789abcdef"):
        (raw / leftover).mkdir()
        (raw / leftover / "ratings.csv").write_text("half")
    (raw / "ml-latest-small.zip.part").write_text("half")
    fetch(SMALL, mirrored)
    assert {path.name for path in raw.iterdir()} == {manifest.data_version, "manifest.json", ".lock"}


def test_a_mirror_that_does_not_exist_is_refused(home):
    with pytest.raises(RecsysError, match="RECSYS_MIRROR=/nowhere is neither a folder nor a URL"):
        fetch(SMALL, Settings(home=home, mirror="/nowhere"))


# -- over HTTP


def test_a_second_run_sends_no_request(server, published, home):
    manifest = fetch(published, Settings(home=home))
    requests = len(server.requests)
    assert fetch(published, Settings(home=home)) == manifest
    assert len(server.requests) == requests
    assert {path.name for path in manifest.folder.parent.iterdir()} == {manifest.data_version, "manifest.json", ".lock"}


def test_the_licence_is_shown_before_a_download(published, home, capsys):
    fetch(published, Settings(home=home))
    assert SMALL.licence in " ".join(capsys.readouterr().err.split())


def test_a_mirror_is_asked_before_the_publisher(server, published, home):
    server.files["/mirror/ml-latest-small.zip"] = server.files[PATH]
    manifest = fetch(published, Settings(home=home, mirror=server.url("/mirror/")))
    assert manifest.url == server.url("/mirror/ml-latest-small.zip")
    assert server.ranges_of(PATH) == []


def test_the_publisher_is_asked_for_what_a_mirror_does_not_have(server, published, home, tmp_path):
    assert fetch(published, Settings(home=home, mirror=server.url("/mirror"))).url == server.url(PATH)
    (tmp_path / "empty").mkdir()
    assert fetch(published, Settings(home=home / "2", mirror=str(tmp_path / "empty"))).url == server.url(PATH)


def test_a_mirror_that_fails_is_an_error_and_the_publisher_is_not_asked(server, published, home):
    server.plans["/mirror/ml-latest-small.zip"] = [Status(500)] * 100
    with pytest.raises(RecsysError, match=r"/mirror/ml-latest-small\.zip: the server answered HTTP 500"):
        fetch(published, Settings(home=home, mirror=server.url("/mirror")))
    assert server.ranges_of(PATH) == []


@pytest.fixture
def unreachable():
    """An address that refuses connections."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound but not listening
        yield f"http://127.0.0.1:{taken.getsockname()[1]}"


@pytest.mark.parametrize("mirror", ["unreachable", "no such folder", "forbidden"])
def test_a_mirror_that_cannot_answer_is_an_error_or_with_the_fallback_a_warning(
    server, published, home, unreachable, capsys, mirror
):
    server.plans["/mirror/ml-latest-small.zip"] = [Status(403)] * 2
    mirror = {"unreachable": unreachable, "no such folder": "/nowhere", "forbidden": server.url("/mirror")}[mirror]
    with pytest.raises(RecsysError, match=r"; or set RECSYS_MIRROR_FALLBACK=on to ask the publisher instead$"):
        fetch(published, Settings(home=home, mirror=mirror))
    assert server.ranges_of(PATH) == []
    settings = Settings(home=home, mirror=mirror, mirror_fallback=True)
    manifest = fetch(published, settings)
    assert manifest.url == server.url(PATH)
    assert re.search(r"warning: .*; asking the publisher instead", capsys.readouterr().err)
    assert fetch(published, settings) == manifest


def test_a_presigned_mirror_is_used_and_its_token_kept_nowhere(server, published, home, capsys):
    server.files["/mirror/ml-latest-small.zip?token=T0KEN"] = server.files[PATH]
    server.plans["/mirror/ml-latest-small.zip.md5?token=T0KEN"] = [Status(403)]
    mirror = server.url("/mirror/?token=T0KEN").replace("http://", "http://user:PASSW0RD@")
    manifest = fetch(published, Settings(home=home, mirror=mirror))
    assert server.ranges_of(PATH) == []
    assert manifest.url == server.url("/mirror/ml-latest-small.zip")
    everything = str(contents(home)) + capsys.readouterr().err
    assert "T0KEN" not in everything
    assert "PASSW0RD" not in everything


def test_a_mirror_with_a_secret_that_answers_404_is_an_error(server, published, home):
    mirror = server.url("/mirror?token=T0KEN")
    with pytest.raises(RecsysError, match=r"HTTP 404\); check the password or the token in RECSYS_MIRROR") as raised:
        fetch(published, Settings(home=home, mirror=mirror))
    assert server.ranges_of(PATH) == []
    assert "T0KEN" not in "".join(traceback.format_exception(raised.value))
    fetch(published, Settings(home=home, mirror=mirror, mirror_fallback=True))
    assert server.ranges_of(PATH) == [None]


def test_that_a_mirror_lacks_the_archive_is_said(server, published, home, tmp_path, capsys):
    fetch(published, Settings(home=home, mirror=server.url("/mirror")))
    assert "/mirror/ml-latest-small.zip: the server has no such file (HTTP 404); asking the publisher" in " ".join(
        capsys.readouterr().err.split()
    )
    fetch(published, Settings(home=home / "2", mirror=str(tmp_path)))
    assert "the folder RECSYS_MIRROR has no ml-latest-small.zip; asking the publisher" in capsys.readouterr().err


def test_the_limits_of_downloads_are_settings(server, published, home):
    with pytest.raises(RecsysError, match="larger than RECSYS_DOWNLOAD_BYTES=100;"):
        fetch(published, Settings(home=home, download_bytes=100))
    server.plans[PATH] = [Stall(after=10)]
    with pytest.raises(RecsysError, match=r"not complete within RECSYS_DOWNLOAD_SECONDS=0\.3"):
        fetch(published, Settings(home=home, download_seconds=0.3))


def test_an_invalid_download_is_not_kept(server, published, home):
    good, server.files[PATH] = server.files[PATH], server.files[PATH][:300]
    with pytest.raises(BadArchiveError, match="not a whole ZIP archive"):
        fetch(published, Settings(home=home))
    server.files[PATH] = good
    assert fetch(published, Settings(home=home)).files["movies.csv"].bytes == len(MOVIES)


def test_fetched_data_survive_a_publisher_that_is_gone(server, published, home):
    manifest = fetch(published, Settings(home=home))
    server.files.clear()
    assert fetch(published, Settings(home=home)) == manifest


# -- generated


@pytest.mark.parametrize("dataset_id", ["sample-movie", "sample-anime"])
def test_a_sample_is_generated_again_only_when_its_parameters_change(home, dataset_id):
    dataset = replace(CATALOGUE[dataset_id], source=Generated(n_users=30, n_items=60, n_ratings=400))
    manifest = fetch(dataset, Settings(home=home, seed=1))
    inodes = {name: file.path.stat().st_ino for name, file in manifest.files.items()}
    assert fetch(dataset, Settings(home=home, seed=1)) == manifest
    assert {name: file.path.stat().st_ino for name, file in manifest.files.items()} == inodes
    assert fetch(dataset, Settings(home=home / "elsewhere", seed=1)).data_version == manifest.data_version
    assert fetch(dataset, Settings(home=home, seed=2)).data_version != manifest.data_version
    larger = replace(dataset, source=Generated(n_users=30, n_items=60, n_ratings=500))
    ratings = next(name for name in manifest.files if name in ("ratings.csv", "rating_complete.csv"))
    assert fetch(larger, Settings(home=home, seed=2)).files[ratings].lines == 501
