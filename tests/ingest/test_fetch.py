import json
import os
import signal
import subprocess
import sys
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest
from loopback import Stall, Status

from recsys_dagster.errors import RecsysError
from recsys_dagster.ingest import Download, Generated, Kaggle, fetch, get_dataset, read_manifest
from recsys_dagster.ingest.archive import BadArchiveError
from recsys_dagster.settings import Settings

SMALL = get_dataset("ml-latest-small")
MOVIES = "movieId,title,genres\n1,Toy Story (1995),Adventure\n2,Heat (1995),Action\n"
RATINGS = "userId,movieId,rating,timestamp\n1,1,4.0,964982703\n1,2,3.5,964982224\n"
WHOLE = {"ml/movies.csv": MOVIES, "ml/ratings.csv": RATINGS}
PATH = "/ml-latest-small.zip"


def contents(home):
    """Every file under the home but the lock, with its content."""
    return {
        str(path.relative_to(home)): path.read_bytes()
        for path in Path(home).rglob("*")
        if path.is_file() and path.name != ".lock"
    }


@pytest.fixture
def home(tmp_path):
    return tmp_path / "home"


@pytest.fixture
def mirrored(home, pack):
    """Settings whose mirror is the folder that `pack` writes to."""
    return Settings(home=home, mirror=str(pack(WHOLE).parent))


@pytest.fixture
def published(server, pack):
    """The dataset with a publisher on loopback."""
    server.files[PATH] = pack(WHOLE).read_bytes()
    return replace(SMALL, source=Download(server.url(PATH)))


# -- from a folder


@pytest.mark.parametrize(
    ("dataset_id", "lines"),
    [
        ("ml-latest-small", {"movies.csv": 9_743, "ratings.csv": 100_837}),
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
def test_real_archives_arrive_whole_and_are_not_unpacked_twice(real_mirror, home, dataset_id, lines):
    dataset, settings = get_dataset(dataset_id), Settings(home=home, mirror=str(real_mirror))
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


def test_the_manifest_tells_what_came_from_where_under_which_licence(mirrored, pack):
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
    }
    assert str(mirrored.home) not in json.dumps(written["files"])  # the home may be moved


def test_a_changed_archive_in_the_mirror_replaces_the_files(mirrored, pack):
    old = fetch(SMALL, mirrored)
    pack({**WHOLE, "ml/ratings.csv": RATINGS + "2,2,1.0,964982224\n"})
    new = fetch(SMALL, mirrored)
    assert new.files["ratings.csv"].lines == 4
    assert new.data_version != old.data_version
    assert not old.folder.exists()


def test_the_same_files_packed_anew_are_the_same_data(mirrored, pack):
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
def test_files_that_are_no_longer_whole_are_fetched_again(mirrored, damage):
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
    movies, ratings = SMALL.format.files
    grown = replace(SMALL.format, files=(movies, ratings, replace(movies, name="links.csv")))
    assert read_manifest(replace(SMALL, format=grown), mirrored) is None


def test_what_killed_runs_left_is_cleared_up(mirrored):
    manifest = fetch(SMALL, mirrored)
    raw = manifest.folder.parent
    for leftover in (".tmp-abc", "0123456789abcdef"):
        (raw / leftover).mkdir()
        (raw / leftover / "ratings.csv").write_text("half")
    (raw / "ml-latest-small.zip.part").write_text("half")
    fetch(SMALL, mirrored)
    assert {path.name for path in raw.iterdir()} == {manifest.data_version, "manifest.json", ".lock"}


def test_a_mirror_that_is_none_is_told(home):
    with pytest.raises(RecsysError, match="RECSYS_MIRROR=/nowhere is neither a folder nor a URL"):
        fetch(SMALL, Settings(home=home, mirror="/nowhere"))


# -- over HTTP


def test_a_second_run_asks_the_server_nothing(server, published, home):
    manifest = fetch(published, Settings(home=home))
    asked = len(server.requests)
    assert fetch(published, Settings(home=home)) == manifest
    assert len(server.requests) == asked
    assert {path.name for path in manifest.folder.parent.iterdir()} == {manifest.data_version, "manifest.json", ".lock"}


def test_the_licence_is_shown_before_a_download(published, home, capsys):
    fetch(published, Settings(home=home))
    assert SMALL.licence in " ".join(capsys.readouterr().err.split())


def test_a_mirror_is_asked_before_the_publisher(server, published, home):
    server.files["/mirror/ml-latest-small.zip"] = server.files[PATH]
    manifest = fetch(published, Settings(home=home, mirror=server.url("/mirror/")))
    assert manifest.url == server.url("/mirror/ml-latest-small.zip")
    assert server.asked(PATH) == []


def test_the_publisher_is_asked_for_what_a_mirror_does_not_have(server, published, home, tmp_path):
    assert fetch(published, Settings(home=home, mirror=server.url("/mirror"))).url == server.url(PATH)
    (tmp_path / "empty").mkdir()
    assert fetch(published, Settings(home=home / "2", mirror=str(tmp_path / "empty"))).url == server.url(PATH)


def test_a_mirror_that_fails_is_told_and_not_passed_over(server, published, home):
    server.plans["/mirror/ml-latest-small.zip"] = [Status(500)] * 100
    with pytest.raises(RecsysError, match=r"/mirror/ml-latest-small\.zip: the server answered HTTP 500"):
        fetch(published, Settings(home=home, mirror=server.url("/mirror")))
    assert server.asked(PATH) == []


def test_a_bad_download_is_not_kept_for_the_next_time(server, published, home):
    good, server.files[PATH] = server.files[PATH], server.files[PATH][:300]
    with pytest.raises(BadArchiveError, match="not a whole ZIP archive"):
        fetch(published, Settings(home=home))
    server.files[PATH] = good
    assert fetch(published, Settings(home=home)).files["movies.csv"].bytes == len(MOVIES)


def test_the_data_survive_a_publisher_that_is_gone(server, published, home):
    manifest = fetch(published, Settings(home=home))
    server.files.clear()
    assert fetch(published, Settings(home=home)) == manifest


FETCH = """
import sys
from dataclasses import replace
from recsys_dagster.ingest import Download, fetch, get_dataset
from recsys_dagster.settings import Settings
fetch(replace(get_dataset("ml-latest-small"), source=Download(sys.argv[1])), Settings(home=sys.argv[2]))
"""


@pytest.fixture
def start(server, home):
    """Starts a fetch in a process of its own."""
    started = []

    def begin():
        command = [sys.executable, "-c", FETCH, server.url(PATH), str(home)]
        environment = {key: value for key, value in os.environ.items() if not key.startswith("RECSYS_")}
        process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment)
        started.append(process)
        return process

    yield begin
    for process in started:
        if process.poll() is None:
            process.kill()
        process.communicate()


def test_a_killed_download_is_gone_on_with(server, published, home, start, pack):
    body = pack({**WHOLE, "ml/genome.bin": os.urandom(400_000)}).read_bytes()
    server.files[PATH] = body
    server.plans[PATH] = [Stall(after=150_000)]
    process = start()
    assert server.stalled.wait(60)
    part = home / "raw/ml-latest-small/ml-latest-small.zip.part"
    while not part.exists() or part.stat().st_size < 150_000:
        assert process.poll() is None
    process.send_signal(signal.SIGKILL)
    process.wait()
    manifest = fetch(published, Settings(home=home))
    assert server.asked(PATH) == [None, "bytes=150000-"]
    assert server.sent == len(body)
    assert manifest.files["ratings.csv"].path.read_text() == RATINGS


def test_two_runs_at_once_download_once(server, published, home, start):
    server.plans[PATH] = [Stall(after=50)]
    first = start()
    assert server.stalled.wait(60)
    second = start()
    assert second.stderr is not None
    assert "another run is fetching it; waiting" in second.stderr.readline()
    server.released.set()
    assert first.wait(60) == 0
    assert second.wait(60) == 0
    assert len(server.asked(f"{PATH}.md5")) == 1
    assert read_manifest(published, Settings(home=home)) is not None


KILLED_EVERYWHERE = """
import os, shutil, signal, sys
from pathlib import Path
from recsys_dagster.ingest import fetch, get_dataset, read_manifest
from recsys_dagster.settings import Settings

dataset, root, mirror = get_dataset("ml-latest-small"), Path(sys.argv[1]), Path(sys.argv[2])
def content(manifest):
    return {name: file.path.read_bytes() for name, file in manifest.files.items()}
def dies_before(step):
    steps = 0
    def hook(event, _):
        nonlocal steps
        if event in ("open", "os.mkdir", "os.rename", "os.remove", "os.rmdir", "fcntl.flock"):
            if steps == step:
                os.kill(os.getpid(), signal.SIGKILL)
            steps += 1
    sys.addaudithook(hook)

old = content(fetch(dataset, Settings(home=root / "old", mirror=str(mirror / "old"))))
new = content(fetch(dataset, Settings(home=root / "new", mirror=str(mirror / "new"))))
assert old != new
for step in range(1000):
    settings = Settings(home=root / str(step), mirror=str(mirror / "new"))
    shutil.copytree(root / "old", settings.home)
    child = os.fork()
    if child == 0:
        dies_before(step)
        fetch(dataset, settings)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    assert content(read_manifest(dataset, settings)) in (old, new), step
    manifest = fetch(dataset, settings)
    assert content(manifest) == new, step
    left = {path.name for path in manifest.folder.parent.iterdir()}
    assert left == {manifest.data_version, "manifest.json", ".lock"}, (step, left)
    if status == 0:
        break
    assert os.WTERMSIG(status) == signal.SIGKILL, status
print(step)
"""


def test_a_run_killed_anywhere_leaves_the_old_files_or_the_new_ones(tmp_path, pack):
    for version, ratings in (("old", RATINGS), ("new", RATINGS + "2,1,1.0,964982224\n")):
        archive = pack({**WHOLE, "ml/ratings.csv": ratings})
        (tmp_path / version).mkdir()
        archive.rename(tmp_path / version / archive.name)
    command = [sys.executable, "-c", KILLED_EVERYWHERE, str(tmp_path / "homes"), str(tmp_path)]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert ran.returncode == 0, ran.stderr
    assert int(ran.stdout) > 20  # so many moments it was killed at


# -- generated


@pytest.mark.parametrize("dataset_id", ["sample-movie", "sample-anime"])
def test_a_sample_is_generated_once_and_anew_when_its_parameters_change(home, dataset_id):
    dataset = replace(get_dataset(dataset_id), source=Generated(n_users=30, n_items=60, n_ratings=400))
    manifest = fetch(dataset, Settings(home=home, seed=1))
    inodes = {name: file.path.stat().st_ino for name, file in manifest.files.items()}
    assert fetch(dataset, Settings(home=home, seed=1)) == manifest
    assert {name: file.path.stat().st_ino for name, file in manifest.files.items()} == inodes
    assert fetch(dataset, Settings(home=home / "elsewhere", seed=1)).data_version == manifest.data_version
    assert fetch(dataset, Settings(home=home, seed=2)).data_version != manifest.data_version
    larger = replace(dataset, source=Generated(n_users=30, n_items=60, n_ratings=500))
    ratings = next(name for name in manifest.files if name in ("ratings.csv", "rating_complete.csv"))
    assert fetch(larger, Settings(home=home, seed=2)).files[ratings].lines == 501


# -- Kaggle


@pytest.fixture
def kaggle_cache(monkeypatch, tmp_path):
    """A cache of its own, no credentials, and no way to the network."""
    monkeypatch.setenv("KAGGLEHUB_CACHE", str(tmp_path / "kagglehub"))
    monkeypatch.setenv("KAGGLE_CONFIG_DIR", str(tmp_path / "no-credentials"))
    for name in ("KAGGLE_API_TOKEN", "KAGGLE_USERNAME", "KAGGLE_KEY"):
        monkeypatch.delenv(name, raising=False)
    for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")  # the discard port: nobody listens
    return tmp_path / "kagglehub"


def test_kaggle_without_network_or_token_is_told_with_the_cure(kaggle_cache, home):
    told = r"anime\.csv could not be downloaded .*KAGGLE_API_TOKEN.* as anime-recommendations-database\.zip .*MIRROR"
    with pytest.raises(RecsysError, match=told) as caught:
        fetch(get_dataset("anime-recommendations-database"), Settings(home=home))
    assert "\n" not in str(caught.value)


def test_files_that_kagglehub_has_are_checked_and_taken(kaggle_cache, home):
    from kagglehub.cache import Cache
    from kagglehub.handle import parse_dataset_handle

    handle = "CooperUnion/anime-recommendations-database/versions/1"
    anime = "anime_id,name,genre,type,episodes,rating,members\n1,Cowboy Bebop,Action,TV,26,8.8,486824\n"
    for name, content in (("anime.csv", anime), ("rating.csv", "user_id,anime_id,rating\n1,1,-1\n")):
        path = Path(Cache().get_path(parse_dataset_handle(handle), name))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
        Cache().mark_as_complete(parse_dataset_handle(handle), name)
    dataset = replace(get_dataset("anime-recommendations-database"), source=Kaggle(handle))
    manifest = fetch(dataset, Settings(home=home))
    assert manifest.files["anime.csv"].path.read_text() == anime
    assert manifest.url == f"https://www.kaggle.com/datasets/{handle}"
