"""A domain is changed by one thread of one process at a time."""

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from recsys_dagster.errors import RecsysError
from recsys_dagster.runtime.layout import Layout
from recsys_dagster.runtime.locks import domain_lock, holder_of

HOLD = """
import sys
from pathlib import Path
from recsys_dagster.runtime.layout import Layout
from recsys_dagster.runtime.locks import domain_lock
with domain_lock(Layout(Path(sys.argv[1])), "movie"):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_a_domain_belongs_to_one_process_until_it_ends(tmp_path: Path) -> None:
    command = [sys.executable, "-c", HOLD, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        active = rf"'movie' is active \(process {holder.pid}\); wait"
        with pytest.raises(RecsysError, match=active), domain_lock(Layout(tmp_path), "movie"):
            pass
        with domain_lock(Layout(tmp_path), "anime"):
            pass
        holder.kill()
    with domain_lock(Layout(tmp_path), "movie"):
        pass


def test_the_thread_that_holds_a_domain_may_take_it_again_and_holds_it_to_the_outer_end(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    with domain_lock(layout, "movie"):
        with domain_lock(layout, "movie"):
            pass
        assert asked_by_another_process(tmp_path) == str(os.getpid())
    assert asked_by_another_process(tmp_path) == "None"


def test_another_thread_of_the_same_process_is_refused(tmp_path: Path) -> None:
    refused: list[str] = []

    def take() -> None:
        try:
            with domain_lock(Layout(tmp_path), "movie"):
                pass
        except RecsysError as error:
            refused.append(str(error))

    with domain_lock(Layout(tmp_path), "movie"):
        thread = threading.Thread(target=take)
        thread.start()
        thread.join()
    assert f"(process {os.getpid()}, another thread)" in refused[0]
    take()
    assert len(refused) == 1, "it is free again"


def test_a_domain_is_released_when_the_block_fails(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="boom"), domain_lock(Layout(tmp_path), "movie"):
        raise ValueError("boom")
    assert asked_by_another_process(tmp_path) == "None"


def test_the_holder_of_a_domain_is_another_process_and_never_oneself(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    assert holder_of(layout, "movie") is None
    with domain_lock(layout, "movie"):
        assert holder_of(layout, "movie") is None


def asked_by_another_process(home: Path) -> str:
    asking = (
        "import sys, pathlib; from recsys_dagster.runtime.layout import Layout\n"
        "from recsys_dagster.runtime.locks import holder_of\n"
        "print(holder_of(Layout(pathlib.Path(sys.argv[1])), 'movie'))"
    )
    done = subprocess.run([sys.executable, "-c", asking, str(home)], capture_output=True, text=True, check=True)
    return done.stdout.strip()
