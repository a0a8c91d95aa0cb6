"""Backtests on a generated history: a model that is retrained knows the items that have come since."""

from itertools import pairwise
from pathlib import Path

import duckdb
import pytest

from recsys_dagster.domains import BUILT_IN_DOMAINS
from recsys_dagster.errors import RecsysError
from recsys_dagster.experiments.backtest import backtest
from recsys_dagster.ingest.fetching import fetch
from recsys_dagster.models.registry import get_model_class
from recsys_dagster.reports.backtest_page import write_backtest
from recsys_dagster.settings import Settings
from recsys_dagster.warehouse.build import build_clean, build_features
from recsys_dagster.warehouse.domain_run import DomainRun

MOVIE = BUILT_IN_DOMAINS["movie"]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> DomainRun:
    """The movie sample, cleaned and indexed."""
    run = DomainRun(Settings(home=tmp_path_factory.mktemp("backtest"), _env_file=None), MOVIE)
    manifest = fetch(run.dataset, run.settings)
    build_clean(run.warehouse, run.dataset, manifest)
    build_features(run.warehouse, seed=42)
    return run


def test_each_model_is_evaluated_on_each_window_and_each_schedule(run: DomainRun, tmp_path: Path) -> None:
    steps: list[float] = []
    result = backtest(run, ["popularity", "user_item_bias"], 5, days=28, advance=steps.append)
    assert len(steps) == 10
    assert [row.model for row in result.windows] == ["popularity"] * 5 + ["user_item_bias"] * 5
    starts = [row.start for row in result.windows[:5]]
    assert {(later - earlier).days for earlier, later in pairwise(starts)} == {28}
    assert [(row.model, row.schedule) for row in result.schedules] == [
        (model, schedule)
        for model in ("popularity", "user_item_bias")
        for schedule in ("monthly", "quarterly", "never")
    ]
    assert result.too_short == ("weekly",)
    assert all(row.rmse is None for row in result.schedules[:3])
    assert all(row.rmse is not None and row.rmse > 0 for row in result.schedules[3:])
    assert all((row.gain is None) == (row.schedule == "never") for row in result.schedules)
    page = tmp_path / "backtest.html"
    write_backtest(page, "movie", result)
    assert "user_item_bias" in page.read_text(encoding="utf-8")
    assert (tmp_path / "backtest-ndcg.png").read_bytes().startswith(b"\x89PNG")


def test_a_model_that_fails_is_skipped_with_its_reason(
    run: DomainRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise ValueError("boom <b>")

    monkeypatch.setattr(get_model_class("user_item_bias"), "_fit", fail)
    steps: list[float] = []
    result = backtest(run, ["user_item_bias", "popularity"], 3, days=91, advance=steps.append)
    assert result.skipped == {"user_item_bias": "ValueError: boom <b>"}
    assert {row.model for row in (*result.windows, *result.schedules)} == {"popularity"}
    assert sum(steps) == 6
    write_backtest(tmp_path / "backtest.html", "movie", result)
    assert "user_item_bias skipped: ValueError: boom &lt;b&gt;" in (tmp_path / "backtest.html").read_text("utf-8")
    with pytest.raises(RecsysError, match="user_item_bias skipped: ValueError: boom"):
        backtest(run, ["user_item_bias"], 3, days=91)


def test_the_windows_are_those_of_the_ratings_themselves(run: DomainRun) -> None:
    result = backtest(run, ["popularity"], 2, days=91)
    with duckdb.connect(run.layout.warehouse("movie"), read_only=True) as connection:
        users = connection.execute(
            """
            SELECT count(DISTINCT user_id) FROM clean.ratings
            WHERE rating >= 4 AND rated_at > (SELECT max(rated_at) - INTERVAL 91 DAY FROM clean.ratings)
            """
        ).fetchall()[0][0]
    assert result.windows[1].users == users


def test_a_backtest_of_data_without_times_is_refused(run: DomainRun) -> None:
    with duckdb.connect(run.layout.warehouse("movie")) as connection:
        connection.execute("CREATE TABLE kept AS SELECT * FROM features.interactions")
        connection.execute('UPDATE features.interactions SET "at" = NULL')
    try:
        with pytest.raises(RecsysError, match="0% of the ratings have a time, so there are no past windows"):
            backtest(run, ["popularity"], 6)
    finally:
        with duckdb.connect(run.layout.warehouse("movie")) as connection:
            connection.execute("CREATE OR REPLACE TABLE features.interactions AS SELECT * FROM kept ORDER BY 1, 2")
            connection.execute("DROP TABLE kept")


def test_windows_longer_than_the_data_are_refused(run: DomainRun) -> None:
    with pytest.raises(RecsysError, match="longer than the data"):
        backtest(run, ["popularity"], 9, days=3640)
