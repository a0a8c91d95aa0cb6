"""Puts this folder on the path of all tests, and gives a RECSYS_HOME in which lists are published."""

from pathlib import Path

import pytest
from small_publication import publish_small


@pytest.fixture
def published_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A RECSYS_HOME, set as such, with the published file of the domain anime in it."""
    home = tmp_path / "home"
    publish_small(home / "published" / "anime.duckdb")
    monkeypatch.setenv("RECSYS_HOME", str(home))
    return home
