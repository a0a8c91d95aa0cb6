"""A model that raises, returns NaN, takes too long or is skipped: the others go on, and the outcome is reported."""

import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dagster as dg
import duckdb
import numpy as np
import pytest

from recsys_dagster.domains import BUILT_IN_DOMAINS
from recsys_dagster.evaluation.results import EvaluationResults
from recsys_dagster.model_store.store import ModelStore
from recsys_dagster.models.attempt import SkippedError, State
from recsys_dagster.models.registry import get_model_class
from recsys_dagster.orchestration.build import build_definitions
from recsys_dagster.runtime.layout import Layout
from recsys_dagster.settings import Settings
from recsys_dagster.warehouse.domain_run import DomainRun

REASONS = {
    "item_knn": "ValueError: boom",
    "ease": "scores are not numbers; the model did not converge",
    "implicit_als": "took longer than the 14400 s that a model may take (RECSYS_MODEL_SECONDS)",
    "genre_similarity": "would need 40 GiB",
}


def boom(*_: object) -> None:
    raise ValueError("boom\nand much more")


def never_ends(*_: object) -> None:
    signal.setitimer(signal.ITIMER_REAL, 0.01)  # the time that is left of the four hours
    while True:
        pass


def leaves_itself_out(*_: object) -> None:
    raise SkippedError("would need 40 GiB")


def no_numbers(model: Any, users: np.ndarray) -> np.ndarray:
    return np.full((len(users), model.n_items_), np.nan, np.float32)


FAULTS: dict[str, tuple[str, Callable[..., Any]]] = {
    "item_knn": ("_fit", boom),
    "ease": ("_scores", no_numbers),
    "implicit_als": ("_fit", never_ends),
    "genre_similarity": ("_fit", leaves_itself_out),
}


@dataclass
class Lame:
    run: DomainRun
    result: dg.ExecuteInProcessResult

    def checks(self) -> dict[str, dg.AssetCheckEvaluation]:
        evaluations = self.result.get_asset_check_evaluations()
        return {e.asset_key.to_user_string(): e for e in evaluations if e.check_name == "fitted"}

    def board(self) -> dict[str, dict[str, Any]]:
        records = EvaluationResults(self.run).leaderboard().records()
        return {record["model"]: record for record in records}


def run(settings: Settings, **options: Any) -> dg.ExecuteInProcessResult:
    job = build_definitions(settings).resolve_job_def("retrain")
    with dg.DagsterInstance.ephemeral() as instance:
        return job.execute_in_process(partition_key="movie", instance=instance, **options)


def quick(home: Path, *models: str) -> Settings:
    return Settings(home=home, models=models, mirror=None, datasets={}, _env_file=None)


@pytest.fixture(scope="module")
def lame(tmp_path_factory: pytest.TempPathFactory) -> Lame:
    """A retrain in which two of six models are well."""
    settings = quick(tmp_path_factory.mktemp("lame"), *FAULTS)
    with pytest.MonkeyPatch.context() as patch:
        for name, (method, fault) in FAULTS.items():
            patch.setattr(get_model_class(name), method, fault)
        return Lame(DomainRun(settings, BUILT_IN_DOMAINS["movie"]), run(settings))


def test_the_run_goes_through_and_the_best_that_is_left_is_published(lame: Lame) -> None:
    assert lame.result.success
    with duckdb.connect(lame.run.layout.published("movie"), read_only=True) as connection:
        lists = connection.execute("SELECT DISTINCT model FROM recommendations").fetchall()
    assert lists == [(EvaluationResults(lame.run).leaderboard().leader,)]
    assert lists[0][0] in ("popularity", "recent_popularity", "user_item_bias")


def test_each_outcome_is_on_record_with_its_reason(lame: Lame) -> None:
    missing = {outcome.model: outcome for outcome in EvaluationResults(lame.run).missing()}
    assert {name: outcome.reason for name, outcome in missing.items()} == REASONS
    assert {name for name, outcome in missing.items() if outcome.state is State.SKIPPED} == {"genre_similarity"}
    assert "boom" in missing["item_knn"].trace


def test_the_asset_of_a_failed_model_is_red_and_of_a_skipped_one_yellow(lame: Lame) -> None:
    checks = lame.checks()
    assert checks["models/popularity"].passed
    assert checks["evaluation/popularity"].passed
    for key in ("models/item_knn", "evaluation/item_knn", "models/implicit_als", "evaluation/ease"):
        assert not checks[key].passed
        assert checks[key].severity is dg.AssetCheckSeverity.ERROR
        assert not checks[key].blocking
    assert checks["models/item_knn"].description == "item_knn failed: ValueError: boom"
    assert checks["models/genre_similarity"].severity is dg.AssetCheckSeverity.WARN


def test_the_leaderboard_and_the_report_name_each_missing_model_with_its_reason(lame: Lame) -> None:
    board = lame.board()
    assert {name: board[name]["reason"] for name in REASONS} == REASONS
    assert {board[name]["state"] for name in REASONS} == {"failed", "skipped"}
    assert board["popularity"]["state"] == "fitted"
    page = lame.run.layout.report("movie").read_text(encoding="utf-8")
    for reason in REASONS.values():
        assert reason in page


def test_a_model_that_is_well_again_is_back_on_the_leaderboard(lame: Lame) -> None:
    assert run(lame.run.settings).success
    board = lame.board()
    assert {board[name]["state"] for name in REASONS} == {"fitted"}
    assert not EvaluationResults(lame.run).missing()


def test_a_model_that_fails_now_is_not_evaluated_by_its_older_version(
    lame: Lame, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(get_model_class("ease"), "_fit", boom)
    assert run(lame.run.settings).success
    assert lame.board()["ease"]["reason"] == "ValueError: boom"
    assert "ease" in ModelStore(lame.run.layout).current_versions("movie")
    assert "ease" not in {row.model for row in EvaluationResults(lame.run).metrics()}


def test_without_a_baseline_the_run_fails_and_the_lists_stay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = quick(tmp_path, "popularity")
    assert run(settings).success
    published = Layout(settings.home).published("movie")
    before = published.read_bytes()
    monkeypatch.setattr(get_model_class("user_item_bias"), "_fit", boom)
    result = run(settings, raise_on_error=False)
    assert not result.success
    (failed,) = [event for event in result.all_events if event.is_step_failure]
    assert failed.step_key == "models__user_item_bias"
    assert "nothing is published without the baseline" in failed.step_failure_data.error.to_string()
    assert published.read_bytes() == before


def test_the_command_publishes_tells_a_line_for_each_failed_model_and_exits_with_3(home: Any, tmp_path: Path) -> None:
    faulty = (
        "from recsys_dagster.cli.main import main\n"
        "from recsys_dagster.models.registry import get_model_class\n"
        "def boom(*_): raise ValueError('boom')\n"
        "get_model_class('item_knn')._fit = boom\n"
        "main(['run', '--domain', 'movie'])\n"
    )
    _, environment = home.command()
    done = subprocess.run(
        [sys.executable, "-c", faulty], env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=1200
    )
    assert done.returncode == 3, done.stderr
    assert done.stderr.splitlines()[-1] == "recsys: movie: item_knn failed: ValueError: boom"
    assert "Traceback" not in done.stderr
    assert home.lists("movie")
