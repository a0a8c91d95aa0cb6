"""A domain is changed by one thread of one process at a time."""

import os
import signal
import subprocess
import sys
import threading
import time
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
        assert holder_seen_by_another_process(tmp_path) == str(os.getpid())
    assert holder_seen_by_another_process(tmp_path) == "None"


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
    assert holder_seen_by_another_process(tmp_path) == "None"


def test_the_holder_of_a_domain_is_another_process_and_never_oneself(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    assert holder_of(layout, "movie") is None
    with domain_lock(layout, "movie"):
        assert holder_of(layout, "movie") is None


def holder_seen_by_another_process(home: Path) -> str:
    asking = (
        "import sys, pathlib; from recsys_dagster.runtime.layout import Layout\n"
        "from recsys_dagster.runtime.locks import holder_of\n"
        "print(holder_of(Layout(pathlib.Path(sys.argv[1])), 'movie'))"
    )
    done = subprocess.run([sys.executable, "-c", asking, str(home)], capture_output=True, text=True, check=True)
    return done.stdout.strip()


# -- waiting


def test_a_lock_is_waited_for_with_a_bound_and_a_message(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    command = [sys.executable, "-c", HOLD, str(tmp_path)]
    messages: list[str] = []
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        began = time.monotonic()
        message = rf"'movie' is still active after 0.2 seconds of waiting \(process {holder.pid}\); wait"
        with (
            pytest.raises(RecsysError, match=message),
            domain_lock(layout, "movie", wait_seconds=0.2, on_wait=messages.append),
        ):
            pass
        assert time.monotonic() - began < 5
        threading.Timer(0.3, holder.kill).start()
        with domain_lock(layout, "movie", wait_seconds=60, on_wait=messages.append):
            assert holder_seen_by_another_process(tmp_path) == str(os.getpid())
    assert messages == [
        f"another run of the domain 'movie' is active (process {holder.pid}); waiting up to {seconds} seconds for it "
        "to end"
        for seconds in ("0.2", "60")
    ]


def test_another_thread_waits_too(tmp_path: Path) -> None:
    layout, order = Layout(tmp_path), []

    def take() -> None:
        with domain_lock(layout, "movie", wait_seconds=60):
            order.append("second")

    with domain_lock(layout, "movie"):
        thread = threading.Thread(target=take)
        thread.start()
        time.sleep(0.2)
        order.append("first")
    thread.join()
    assert order == ["first", "second"]


def test_an_interrupt_ends_the_waiting(tmp_path: Path) -> None:
    with domain_lock(Layout(tmp_path), "movie"):
        wait = (
            "import pathlib, signal, sys; from recsys_dagster.runtime.layout import Layout\n"
            "from recsys_dagster.runtime.locks import domain_lock\n"
            # A shell lets the programs that it starts in the background ignore SIGINT.
            "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
            "def say(message): print('waiting', flush=True)\n"
            "with domain_lock(Layout(pathlib.Path(sys.argv[1])), 'movie', wait_seconds=600, on_wait=say): pass"
        )
        command = [sys.executable, "-c", wait, str(tmp_path)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as waiting:
            assert waiting.stdout is not None
            assert waiting.stdout.readline() == "waiting\n"
            waiting.send_signal(signal.SIGINT)
            assert waiting.wait(10) != 0


# -- homes that were tampered with, or cannot be written


@pytest.mark.parametrize("kind", ["link outside", "link inside", "hard link", "folder", "fifo"])
def test_anything_but_a_file_in_place_of_the_lock_is_refused_and_not_written(tmp_path: Path, kind: str) -> None:
    home = tmp_path / "home"
    path = Layout(home).lock("movie")
    path.parent.mkdir(parents=True)
    precious = tmp_path / "precious" if kind == "link outside" else path.with_name("movie.duckdb")
    precious.write_text("valuable")
    if kind.startswith("link"):
        path.symlink_to(precious)
    elif kind == "hard link":
        path.hardlink_to(precious)
    elif kind == "folder":
        path.mkdir()
    else:
        os.mkfifo(path)
    message = r"movie\.lock: (leads out of RECSYS_HOME|not a file of this project)"
    with pytest.raises(RecsysError, match=message), domain_lock(Layout(home), "movie"):
        pass
    assert precious.read_text() == "valuable"
    if kind not in ("link outside", "hard link"):
        with pytest.raises(RecsysError, match=r"movie\.lock: not a file of this project"):
            holder_of(Layout(home), "movie")


@pytest.mark.parametrize(
    "folder", ["warehouse", "models/movie", "models/movie/ease/1", "evaluation", "published/built"]
)
def test_folders_that_lead_out_of_the_home_are_refused(tmp_path: Path, folder: str) -> None:
    home, outside = tmp_path / "home", tmp_path / "outside"
    outside.mkdir()
    (home / folder).parent.mkdir(parents=True)
    (home / folder).symlink_to(outside)
    message = rf"{home / folder}.*: leads out of RECSYS_HOME, to {outside}.*; put the files"
    with pytest.raises(RecsysError, match=message), domain_lock(Layout(home), "movie"):
        pass


@pytest.mark.parametrize("home", ["/dev/null", "/proc/data", "/" + "x" * 300])
def test_an_impossible_home_is_an_error_in_one_line(home: str) -> None:
    with pytest.raises(RecsysError, match=r"cannot be written .*RECSYS_HOME"), domain_lock(Layout(Path(home)), "movie"):
        pass
