"""Fixtures: a web server, small archives, a small disk, and the real data."""

import os
import subprocess
import zipfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import pytest
from loopback import Server, serving
from tiny import PATH, SMALL, WHOLE

from recsys_dagster.ingest import download
from recsys_dagster.ingest.catalogue import Dataset, Download
from recsys_dagster.settings import Settings


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """A running server; the pauses between attempts are milliseconds, and no proxy is used."""
    monkeypatch.setattr(download, "FIRST_WAIT", 0.002)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with serving(Server()) as running:
        yield running


Pack = Callable[..., Path]


@pytest.fixture
def pack(tmp_path: Path) -> Pack:
    """Writes a ZIP archive of the given members: `pack({"a/ratings.csv": "…"}, "name.zip")`."""

    def write(members: Mapping[str, str | bytes], name: str = "ml-latest-small.zip") -> Path:
        path = tmp_path / "packed" / name
        path.parent.mkdir(exist_ok=True)
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for member, content in members.items():
                archive.writestr(member, content)
        return path

    return write


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A RECSYS_HOME that does not exist yet."""
    return tmp_path / "home"


@pytest.fixture
def mirrored(home: Path, pack: Pack) -> Settings:
    """Settings whose mirror is the folder that `pack` writes to."""
    return Settings(home=home, mirror=str(pack(WHOLE).parent))


@pytest.fixture
def published(server: Server, pack: Pack) -> Dataset:
    """The tiny dataset with a publisher on loopback."""
    server.files[PATH] = pack(WHOLE).read_bytes()
    return replace(SMALL, source=Download(server.url(PATH)))


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own, of one megabyte."""
    mount_point = tmp_path / "disk"
    mount_point.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(mount_point)]
    if os.geteuid() != 0 or subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("mounting a small file system needs the rights of root")
    yield mount_point
    subprocess.run(["umount", str(mount_point)], check=True)


@pytest.fixture(autouse=True)
def _settings_of_the_tests_alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Ignore the settings of whoever runs the tests."""
    for name in [name for name in os.environ if name.startswith("RECSYS_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


_REAL_MIRROR = Path(os.environ.get("RECSYS_MIRROR", "")).resolve()


@pytest.fixture
def real_mirror() -> Path:
    """The folder with the real archives."""
    if not (_REAL_MIRROR / "ml-latest-small.zip").is_file():
        pytest.skip("RECSYS_MIRROR does not name a folder with the real archives")
    return _REAL_MIRROR
