"""Puts this folder on the path of all tests, and gives a RECSYS_HOME in which lists are published."""

import os
import signal
from pathlib import Path

import pytest
from distribution import ByFile, slowest_first
from hypothesis import settings
from small_publication import publish_small
from xdist.remote import Producer

# A shell that starts pytest in the background lets it ignore Ctrl-C, and so would every process that a test starts.
signal.signal(signal.SIGINT, signal.default_int_handler)

# No test asserts a time, and the first example may wait for a compiler.
settings.register_profile("unhurried", deadline=None)
settings.load_profile("unhurried")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if hasattr(config, "workerinput"):  # a process of `pytest -n`
        items.sort(key=slowest_first)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> ByFile:
    return ByFile(config, log)


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    session.config.stash[_EXIT_STATUS] = int(exitstatus)


@pytest.hookimpl(trylast=True)
def pytest_unconfigure(config: pytest.Config) -> None:
    """Leave at once: at the interpreter's end DuckDB's bindings would fill the screen."""
    config.get_terminal_writer().flush()
    os._exit(config.stash.get(_EXIT_STATUS, 1))


_EXIT_STATUS = pytest.StashKey[int]()


@pytest.fixture
def published_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A RECSYS_HOME, set as such, with the published file of the domain anime in it."""
    home = tmp_path / "home"
    publish_small(home / "published" / "anime.duckdb")
    monkeypatch.setenv("RECSYS_HOME", str(home))
    return home
