"""A home with a small publication, and the service over it."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

import httpx
import numpy as np
import pytest
import scipy.sparse as sp
from running_service import Serve, running
from small_publication import publish_small

from recsys_dagster.models.base import TopN
from recsys_dagster.serving.balance import Capped, choose
from recsys_dagster.serving.rules import Balance
from recsys_dagster.settings import Settings


@pytest.fixture(scope="session")
def compiled() -> None:
    """Compile what chooses lists, which may take longer than a request; a run has done so before any service starts."""
    candidates = TopN(np.zeros((1, 1), np.int32), np.zeros((1, 1), np.float32))
    nothing = sp.csr_array((1, 0), dtype=np.float32)
    choose(candidates, 1, sp.csr_array(np.ones((1, 1), np.float32)), Balance(), Capped(nothing, np.empty(0, np.int64)))


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A home with a publication of the domain anime."""
    publish_small(tmp_path / "home" / "published" / "anime.duckdb")
    return tmp_path / "home"


@pytest.fixture
def serve(home: Path, tmp_path: Path) -> Iterator[Serve]:
    """Start a service over the home with these settings, and return a client of it."""
    with contextlib.ExitStack() as stack:

        def start(**settings: object) -> httpx.Client:
            url = stack.enter_context(running(Settings(home=home, _env_file=None, **settings), tmp_path / "cache"))
            return stack.enter_context(httpx.Client(base_url=url))

        yield start
