"""Files of Kaggle datasets: from kagglehub's cache, and from a server on loopback that stands in for Kaggle."""

import http.server
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest
from loopback import serving

from recsys_dagster.errors import RecsysError, TransientError
from recsys_dagster.ingest.catalogue import CATALOGUE, Dataset, Kaggle
from recsys_dagster.ingest.fetching import fetch
from recsys_dagster.settings import Settings

HANDLE = "CooperUnion/anime-recommendations-database/versions/1"
FILES = {
    "anime.csv": b"anime_id,name,genre,type,episodes,rating,members\n1,Cowboy Bebop,Action,TV,26,8.8,486824\n",
    "rating.csv": b"user_id,anime_id,rating\n1,1,-1\n",
}


@pytest.fixture
def cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A cache of its own, no credentials, and no way to the network."""
    monkeypatch.setenv("KAGGLEHUB_CACHE", str(tmp_path / "kagglehub"))
    monkeypatch.setenv("KAGGLE_CONFIG_DIR", str(tmp_path / "no-credentials"))
    for name in ("KAGGLE_API_TOKEN", "KAGGLE_USERNAME", "KAGGLE_KEY"):
        monkeypatch.delenv(name, raising=False)
    for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")  # the discard port: nobody listens
    return tmp_path / "kagglehub"


@pytest.fixture
def dataset() -> Dataset:
    return replace(CATALOGUE["anime-recommendations-database"], source=Kaggle(HANDLE))


Answer = Callable[[bytes], Iterator[bytes]]


@pytest.fixture
def kaggle(cache: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Answer], None]]:
    """Sets what a server answers that stands in for Kaggle, as its proxy: blocks, given the body of the request."""
    answers: list[Answer] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def log_message(self, *args: object) -> None:
            pass

        def do_POST(self) -> None:
            request = self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(200)
            self.end_headers()
            with suppress(OSError):
                for block in answers[-1](request):
                    self.wfile.write(block)

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    monkeypatch.setenv("KAGGLE_API_ENVIRONMENT", "LOCALHOST")
    for name in ("HTTP_PROXY", "http_proxy"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{server.server_port}")
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.setenv(name, "")
    with serving(server):
        yield answers.append


def test_without_network_or_token_the_error_names_the_cure(cache: Path, home: Path) -> None:
    message = r"anime\.csv could not be downloaded .*KAGGLE_API_TOKEN.* as anime-recommendations-database\.zip .*MIRROR"
    with pytest.raises(RecsysError, match=message) as caught:
        fetch(CATALOGUE["anime-recommendations-database"], Settings(home=home))
    assert "\n" not in str(caught.value)


def test_files_in_the_cache_of_kagglehub_are_verified_and_used(cache: Path, home: Path, dataset: Dataset) -> None:
    from kagglehub.cache import Cache
    from kagglehub.handle import parse_dataset_handle

    for name, content in FILES.items():
        path = Path(Cache().get_path(parse_dataset_handle(HANDLE), name))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        Cache().mark_as_complete(parse_dataset_handle(HANDLE), name)
    manifest = fetch(dataset, Settings(home=home))
    assert manifest.files["anime.csv"].path.read_bytes() == FILES["anime.csv"]
    assert manifest.url == f"https://www.kaggle.com/datasets/{HANDLE}"


def test_files_are_downloaded_one_by_one(kaggle: Callable[[Answer], None], home: Path, dataset: Dataset) -> None:
    kaggle(lambda request: (content for name, content in FILES.items() if f'"{name}"'.encode() in request))
    files = fetch(dataset, Settings(home=home)).files
    assert {name: file.path.read_bytes() for name, file in files.items()} == FILES


def test_a_download_without_end_is_given_up(kaggle: Callable[[Answer], None], home: Path, dataset: Dataset) -> None:
    kaggle(lambda _: iter(lambda: b"x" * 2**16, b""))
    with pytest.raises(RecsysError, match=r"anime\.csv is larger than RECSYS_DOWNLOAD_BYTES=1000000; raise"):
        fetch(dataset, Settings(home=home, download_bytes=1_000_000))


def test_a_download_that_takes_too_long_is_given_up(
    kaggle: Callable[[Answer], None], home: Path, dataset: Dataset
) -> None:
    stalled = threading.Event()

    def answer(_: bytes) -> Iterator[bytes]:
        yield b"x"
        stalled.wait(60)

    kaggle(answer)
    try:
        with pytest.raises(TransientError, match=r"anime\.csv not complete within RECSYS_DOWNLOAD_SECONDS=8; run"):
            fetch(dataset, Settings(home=home, download_seconds=8))
    finally:
        stalled.set()
