"""Several processes of one service: their figures, and what a client sees when one of them is killed."""

import os
import re
import signal
import threading
import time
from pathlib import Path

import httpx
from running_service import serving_process
from small_publication import publish_wide

LIST = "/v1/anime/users/7/recommendations"


def workers(service_pid: int) -> list[int]:
    """Return the ids of the processes that answer."""
    children = Path(f"/proc/{service_pid}/task/{service_pid}/children").read_text().split()
    return [pid for pid in map(int, children) if b"spawn_main" in Path(f"/proc/{pid}/cmdline").read_bytes()]


def counted(url: str) -> float:
    text = httpx.get(f"{url}/metrics").text
    assert 'recsys_lists_info{dataset="sample-anime",domain="anime"' in text
    pattern = r'recsys_requests_total\{route="/v1/\{domain\}/users/.*recommendations",status="200"\} (\S+)'
    found = re.search(pattern, text)
    return float(found[1]) if found else 0.0


def test_figures_are_those_of_all_processes_also_of_one_that_was_killed(home: Path) -> None:
    with serving_process(home, "--workers", "2") as (service, url):
        for _ in range(40):  # each over a connection of its own, so that both processes get some
            assert httpx.get(url + LIST).status_code == 200
        assert [counted(url) for _ in range(10)] == [40.0] * 10
        killed, other = workers(service.pid)
        os.kill(killed, signal.SIGKILL)
        _wait_for_another(service.pid, {killed, other})
        for _ in range(10):
            assert httpx.get(url + LIST).status_code == 200
        assert [counted(url) for _ in range(10)] == [50.0] * 10


def test_all_processes_follow_a_publication_within_seconds_while_clients_never_pause(home: Path) -> None:
    path = home / "published" / "anime.duckdb"
    publish_wide(path, "v1", n_users=2000)
    with serving_process(home, "--workers", "2") as (_, url):
        stop, faults = threading.Event(), []

        def ask() -> None:
            with httpx.Client(base_url=url) as client:
                while not stop.is_set():
                    answer = client.get(LIST)
                    if answer.status_code != 200 or not is_of_one_publication(answer):
                        faults.append(answer.text)

        asking = [threading.Thread(target=ask) for _ in range(6)]
        for thread in asking:
            thread.start()
        publish_wide(path, "v2", n_users=2000)
        deadline = time.monotonic() + 30
        versions = {"v1"}
        while versions != {"v2"} and time.monotonic() < deadline:
            versions = {httpx.get(url + LIST).json()["version"] for _ in range(20)}
        stop.set()
        for thread in asking:
            thread.join()
        assert faults == []
        assert versions == {"v2"}


def is_of_one_publication(answer: httpx.Response) -> bool:
    """Return whether every score is the number of the version."""
    scores = {item["score"] for item in answer.json()["recommendations"]}
    return scores == {float(answer.json()["version"].removeprefix("v"))}


def _wait_for_another(service_pid: int, known: set[int]) -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        alive = workers(service_pid)
        if len(alive) == 2 and set(alive) - known:
            return
        time.sleep(0.1)
    raise AssertionError("no process took the place of the one that was killed")
