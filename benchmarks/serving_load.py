"""Two processes of the service under load, with three publications, a killed process and a rollback meanwhile."""

import http.client
import json
import os
import random
import shutil
import signal
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.measurement import FOLDER, measure
from benchmarks.published_lists import DOMAIN, publish_random
from benchmarks.result import Result, at_most, without_target
from benchmarks.serving_process import memory, serving
from benchmarks.sizes import Size
from recsys_dagster.runtime.layout import Layout
from recsys_dagster.runtime.resource_usage import ResourceUsage, track_resources
from recsys_dagster.serving.swap import restore_previous, swap_in

TITLE = "Service under disturbances"
USERS, ITEMS, CLIENTS = 20_000, 5_000, 8
STEP_SECONDS = 10.0
FOLLOWED_SECONDS = 8.0
"""Within which every answer has to be of the newest publication."""


@dataclass
class Client(threading.Thread):
    """Asks for lists over one connection, and opens another one when it breaks.

    Attributes:
        port: of the service.
        answers: number of answers.
        failures: time of each request without a whole answer.
        mixed: answers whose scores are not those of their version.
        versions: the version of the last answer.
    """

    port: int
    answers: int = 0
    failures: list[float] = field(default_factory=list)
    mixed: int = 0
    version: str = ""
    is_stopped: bool = False

    def __post_init__(self) -> None:
        super().__init__(daemon=True)

    __hash__ = threading.Thread.__hash__

    def run(self) -> None:
        chosen = random.Random(id(self))
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        while not self.is_stopped:
            try:
                connection.request("GET", f"/v1/{DOMAIN}/users/{chosen.randrange(USERS)}/recommendations")
                response = connection.getresponse()
                content = response.read()
                if response.status != 200:
                    raise http.client.HTTPException(response.status)
            except (OSError, http.client.HTTPException):
                self.failures.append(time.monotonic())
                connection.close()
                continue
            answer = json.loads(content)
            self.answers += 1
            self.version = answer["version"]
            expected = float(self.version.removeprefix("v"))
            self.mixed += any(item["score"] != expected for item in answer["recommendations"])


def disturbed() -> tuple[ResourceUsage, dict[str, Any]]:
    """Disturb the service step by step while clients ask, and return what they saw."""
    home = FOLDER / "serving-load"
    shutil.rmtree(home, ignore_errors=True)
    layout = Layout(home)
    published, previous = layout.published(DOMAIN), [layout.previous(DOMAIN, step) for step in (1, 2, 3)]
    publish_random(published, USERS, ITEMS, "v1")

    def publish(version: str) -> Callable[[], None]:
        def step() -> None:
            publish_random(layout.built(DOMAIN), USERS, ITEMS, version)
            swap_in(layout.built(DOMAIN), published, *previous)

        return step

    killed_at = []
    with serving(home, 0, "--workers", "2") as (pid, url), track_resources() as usage:
        clients = [Client(int(url.rpartition(":")[2])) for _ in range(CLIENTS)]
        for client in clients:
            client.start()

        def kill() -> None:
            killed_at.append(time.monotonic())
            os.kill(workers(pid)[0], signal.SIGKILL)

        time.sleep(STEP_SECONDS)
        late, private = 0, []
        for step, expected in (
            (publish("v2"), "v2"),
            (kill, "v2"),
            (publish("v3"), "v3"),
            (lambda: restore_previous(published, *previous), "v2"),
            (publish("v4"), "v4"),
        ):
            step()
            time.sleep(FOLLOWED_SECONDS)
            late += sum(client.version != expected for client in clients)
            time.sleep(STEP_SECONDS - FOLLOWED_SECONDS)
            private.append(max(memory(worker, private=True) for worker in workers(pid)))
        for client in clients:
            client.is_stopped = True
        for client in clients:
            client.join()
    shutil.rmtree(home)
    failures = [at for client in clients for at in client.failures]
    return usage, {
        "answers": sum(client.answers for client in clients),
        "mixed": sum(client.mixed for client in clients),
        "late": late,
        "failures_of_the_killed": sum(0 <= at - killed_at[0] < 1 for at in failures),
        "other_failures": sum(not 0 <= at - killed_at[0] < 1 for at in failures),
        "private_bytes": private,
    }


def workers(pid: int) -> list[int]:
    """Return the ids of the processes that answer."""
    children = map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split())
    return [child for child in children if b"spawn_main" in Path(f"/proc/{child}/cmdline").read_bytes()]


def results(_: Size) -> list[Result]:
    """Return what clients noticed of the disturbances."""
    one = measure(disturbed)
    facts = one.facts
    first, last = facts["private_bytes"][0], facts["private_bytes"][-1]
    return [
        without_target(f"answers to {CLIENTS} clients, 2 processes", f"{facts['answers']:,}", one),
        at_most("answers that mix two publications", facts["mixed"], 0, "", one),
        at_most(f"clients with an older publication {FOLLOWED_SECONDS:g} s after a step", facts["late"], 0, "", one),
        at_most("failed requests but those at the killed process", facts["other_failures"], 0, "", one),
        at_most("failed requests at the killed process", facts["failures_of_the_killed"], CLIENTS, "", one),
        at_most("memory of a process after the last publication by that after the first", last / first, 1.1, "×", one),
    ]
