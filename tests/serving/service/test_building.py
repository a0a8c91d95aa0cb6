"""Publications are read by a process of their own."""

import os
import signal
import time
from pathlib import Path

import httpx
import numpy as np
import pytest
from running_service import Serve
from small_publication import USER_IDS, publish_small, publish_wide

from recsys_dagster.errors import RecsysError
from recsys_dagster.serving.service import publications
from recsys_dagster.serving.service.building import Builder
from recsys_dagster.serving.service.snapshot import Snapshot
from recsys_dagster.serving.service.snapshot_files import build_snapshot, publication_name

LIST = "/v1/anime/users/7/recommendations"


def builders() -> list[int]:
    """Return the ids of the processes of these tests that read publications."""
    children = Path("/proc/self/task").glob("*/children")
    pids = [int(pid) for file in children for pid in file.read_text().split()]
    return [pid for pid in pids if b"service.building" in Path(f"/proc/{pid}/cmdline").read_bytes()]


def wait_for_a_builder() -> int:
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        if found := builders():
            return found[0]
        time.sleep(0.01)
    raise AssertionError("no process reads the publication")


def version(client: httpx.Client) -> str:
    answer = client.get(LIST).json()
    # Every score is the number in the version.
    assert {item["score"] for item in answer["recommendations"]} == {float(answer["version"].removeprefix("v"))}
    return str(answer["version"])


def test_a_killed_reader_leaves_the_lists_from_before_and_is_started_again(
    serve: Serve, home: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(publications, "POLL_SECONDS", 0.05)
    path = home / "published" / "anime.duckdb"
    publish_wide(path, "v1")
    client = serve()
    publish_wide(path, "v2")
    os.kill(wait_for_a_builder(), signal.SIGKILL)
    assert version(client) == "v1"
    deadline = time.monotonic() + 20
    while version(client) != "v2":
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert "anime: reading the lists failed (it was ended by signal 9); trying again in 1 s" in caplog.text


def test_one_process_reads_a_publication_for_all_that_answer_and_removes_what_was_before(
    home: Path, tmp_path: Path
) -> None:
    path, cache = home / "published" / "anime.duckdb", tmp_path / "cache"
    (cache / "anime" / ".tmp-of-a-killed-process").mkdir(parents=True)
    (cache / "anime" / "an-earlier-publication").mkdir()
    first, second = Builder(cache), Builder(cache)
    name = publication_name(path)
    assert [builder.find(path, name) for builder in (first, second)] == [None, None]
    assert [wait_for_a_builder()] == builders()
    deadline = time.monotonic() + 20
    while (folder := second.find(path, name)) is None or builders():
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert first.find(path, name) == folder
    assert list((cache / "anime").iterdir()) == [folder]


@pytest.mark.parametrize("names", [{7: "ann", 11: "bob", 12: "cid", 40: "dee"}, {7: -(2**62), 11: 0, 12: 9, 40: 2**62}])
def test_lists_are_those_of_their_users_whatever_the_ids_are(home: Path, tmp_path: Path, names: dict) -> None:
    path = home / "published" / "anime.duckdb"
    kind = object if isinstance(names[7], str) else np.int64
    publish_small(path, user_ids=np.array([names[user] for user in USER_IDS.tolist()], kind))
    (tmp_path / "cache").mkdir()
    snapshot = Snapshot(build_snapshot(path, tmp_path / "cache"))
    lists = {}
    for number, name in names.items():
        place = snapshot.users.find(str(name))
        assert place is not None
        lists[number] = [snapshot.items[item] for item in snapshot.lists.of(place)[0].tolist()]
    assert lists == {7: [100, 310, 205], 11: [205, 100], 40: [310], 12: []}


def test_a_damaged_file_is_read_once(home: Path, tmp_path: Path) -> None:
    path = home / "published" / "anime.duckdb"
    path.write_bytes(b"no database")
    builder, name = Builder(tmp_path / "cache"), publication_name(path)
    builder.find(path, name)
    os.waitid(os.P_PID, wait_for_a_builder(), os.WEXITED | os.WNOWAIT)
    for _ in range(2):
        with pytest.raises(RecsysError, match="not a readable published file"):
            builder.find(path, name)
    assert builders() == []
