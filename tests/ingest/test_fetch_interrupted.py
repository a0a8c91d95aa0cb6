"""Runs that are killed, and runs at the same time."""

import os
import signal
import subprocess
import sys

import pytest
from loopback import Stall
from tiny import PATH, RATINGS, WHOLE

from recsys_dagster.ingest.fetching import fetch
from recsys_dagster.ingest.manifest import read_manifest
from recsys_dagster.settings import Settings

FETCH = """
import sys
from dataclasses import replace
from recsys_dagster.ingest.catalogue import CATALOGUE, Download
from recsys_dagster.ingest.fetching import fetch
from recsys_dagster.settings import Settings
fetch(replace(CATALOGUE["ml-latest-small"], source=Download(sys.argv[1])), Settings(home=sys.argv[2]))
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


def test_a_killed_download_is_resumed(server, published, home, start, pack):
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
    assert server.ranges_of(PATH) == [None, "bytes=150000-"]
    assert server.sent == len(body)
    assert manifest.files["ratings.csv"].path.read_text() == RATINGS


def test_two_runs_at_once_download_once(server, published, home, start):
    server.plans[PATH] = [Stall(after=50)]
    first = start()
    assert server.stalled.wait(60)
    second = start()
    assert second.stderr is not None
    assert "another download of ml-latest-small is active (process" in second.stderr.readline()
    server.released.set()
    assert first.wait(60) == 0
    assert second.wait(60) == 0
    assert len(server.ranges_of(f"{PATH}.md5")) == 1
    assert read_manifest(published, Settings(home=home)) is not None


KILLED_EVERYWHERE = """
import os, shutil, signal, sys
from pathlib import Path
from recsys_dagster.ingest.fetching import fetch
from recsys_dagster.ingest.catalogue import CATALOGUE
from recsys_dagster.ingest.manifest import read_manifest
from recsys_dagster.settings import Settings

dataset, root, mirror = CATALOGUE["ml-latest-small"], Path(sys.argv[1]), Path(sys.argv[2])
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
    ran = subprocess.run(command, capture_output=True, text=True, timeout=1200, check=False)
    assert ran.returncode == 0, ran.stderr
    assert int(ran.stdout) > 20  # so many moments it was killed at
