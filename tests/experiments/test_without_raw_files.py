"""Experiments go by what the warehouse was built of, whatever raw files and settings there are now."""

import json
import shutil
from pathlib import Path

import pytest
from typed_command import Typed

from recsys_dagster.domains import BUILT_IN_DOMAINS
from recsys_dagster.ingest.fetching import fetch
from recsys_dagster.settings import Settings
from recsys_dagster.warehouse.build import build_clean, build_features
from recsys_dagster.warehouse.domain_run import DomainRun

MOVIE = BUILT_IN_DOMAINS["movie"]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A RECSYS_HOME with the features of the movie sample, whose raw files are gone and whose settings have changed."""
    run = DomainRun(Settings(home=tmp_path / "home", mirror=None, datasets={}, _env_file=None), MOVIE)
    manifest = fetch(run.dataset, run.settings)
    build_clean(run.warehouse, run.dataset, manifest)
    build_features(run.warehouse, run.settings.seed)
    shutil.rmtree(run.settings.home / "raw")
    monkeypatch.setenv("RECSYS_HOME", str(run.settings.home))
    monkeypatch.setenv("RECSYS_DATASET_MOVIE", "ml-latest-small")
    return run.settings.home


def test_a_search_is_of_the_dataset_in_the_warehouse(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    typed = Typed(capsys, "tune", "--domain", "movie", "--model", "user_item_bias", "-n", "2")
    assert typed.code == 0, typed.err
    assert typed.err.startswith("movie: dataset sample-movie\n")
    tuned = json.loads((home / "models/movie/user_item_bias/tuned.json").read_text())
    assert tuned["dataset"] == "sample-movie"


def test_a_backtest_needs_no_raw_files(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    typed = Typed(capsys, "backtest", "--domain", "movie", "--models", "popularity", "--windows", "2", "--days", "91")
    assert typed.code == 0, typed.err
    assert typed.err.startswith("movie: dataset sample-movie\n")
    assert "2 windows of 91 days" in typed.out


def test_a_comparison_under_a_protocol_needs_no_raw_files(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    typed = Typed(capsys, "evaluate", "--domain", "movie", "--protocol", "holdout", "--models", "popularity")
    assert typed.code == 0, typed.err
    assert typed.err.startswith("movie: dataset sample-movie\n")
    assert typed.out.splitlines()[1].startswith("popularity")
