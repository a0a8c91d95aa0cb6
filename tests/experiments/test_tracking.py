"""Fits are runs in MLflow, and champion and challenger its aliases, in a store on this machine."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from orchestration.retraining import FEATURES, TABLES, Retraining

from recsys_dagster.errors import RecsysError
from recsys_dagster.evaluation.store import CHOOSING_COLUMN
from recsys_dagster.experiments.tracking import track_champion
from recsys_dagster.lifecycle.waiting import require_waiting
from recsys_dagster.model_store.store import ModelStore
from recsys_dagster.settings import Settings


@pytest.fixture(scope="module")
def tracked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Retraining]:
    """A home whose fits are tracked: ease is published, popularity and user_item_bias are not."""
    pytest.importorskip("mlflow", reason="the extra mlflow is not installed")
    folder = tmp_path_factory.mktemp("tracked")
    settings = Settings(
        home=folder / "home",
        datasets={"movie": "sample-movie"},
        models=("all",),
        mlflow_uri=f"sqlite:///{folder / 'mlflow.db'}",
        _env_file=None,
    )
    home = Retraining(settings)
    assert home.materialize(*TABLES, *FEATURES).success
    assert home.train("popularity", "user_item_bias", "ease").success
    return home


def client_of(home: Retraining) -> Any:
    from mlflow import MlflowClient

    assert home.settings.mlflow_uri is not None
    return MlflowClient(*2 * [home.settings.mlflow_uri.get_secret_value()])


def runs_of(home: Retraining) -> dict[str, Any]:
    """Return the runs by the name of the model."""
    client = client_of(home)
    experiment = client.get_experiment_by_name("recsys/movie")
    return {run.data.tags["recsys.model"]: run for run in client.search_runs([experiment.experiment_id])}


def alias(home: Retraining, name: str) -> tuple[str, str]:
    tags = client_of(home).get_model_version_by_alias("recsys-movie", name).tags
    return tags["recsys.model"], tags["recsys.version"]


def test_each_fit_is_a_run_with_parameters_metrics_intervals_cost_origin_and_figures(tracked: Retraining) -> None:
    runs = runs_of(tracked)
    assert set(runs) == {"popularity", "user_item_bias", "ease"}
    record = ModelStore(tracked.run.layout).record("movie", "ease")
    run = runs["ease"]
    assert run.info.status == "FINISHED"
    assert {**run.data.params} == {name: str(value) for name, value in {**record.params, "seed": record.seed}.items()}
    metrics = run.data.metrics
    assert metrics["test/ndcg_at_10/low"] < metrics["test/ndcg_at_10"] < metrics["test/ndcg_at_10/high"]
    assert metrics["validation/ndcg_at_10"] == pytest.approx(record.metrics[CHOOSING_COLUMN])
    assert metrics["fit_seconds"] == record.fit_seconds
    assert metrics["fit_peak_bytes"] == record.peak_bytes
    assert run.data.tags["recsys.data_version"] == record.data_version
    files = [file.path for file in client_of(tracked).list_artifacts(run.info.run_id, "figures")]
    assert files
    assert all(file.endswith(".svg") for file in files)


def test_an_evaluation_that_is_repeated_adds_no_run(tracked: Retraining) -> None:
    before = {name: run.info.run_id for name, run in runs_of(tracked).items()}
    assert tracked.materialize("evaluation/ease").success
    assert {name: run.info.run_id for name, run in runs_of(tracked).items()} == before


def test_the_aliases_follow_the_champion_and_what_is_next_or_waits(tracked: Retraining) -> None:
    layout = tracked.run.layout
    assert alias(tracked, "champion") == ModelStore(layout).champion("movie")
    assert alias(tracked, "champion")[0] == "ease"
    assert alias(tracked, "challenger")[0] in ("popularity", "user_item_bias")
    champion = alias(tracked, "champion")
    waiting = Retraining(tracked.settings.model_copy(update={"promotion": "manual"}))
    assert waiting.train("popularity", "ease").success
    left = require_waiting(layout, "movie").decision
    assert alias(tracked, "challenger") == (left.model, left.version)
    assert alias(tracked, "champion") == champion


def test_a_store_that_cannot_be_reached_is_one_line_and_changes_nothing_else(
    tracked: Retraining, tmp_path: Path
) -> None:
    nowhere = Settings(home=tracked.settings.home, mlflow_uri="http://user:secret@127.0.0.1:9/", _env_file=None)
    with pytest.raises(RecsysError, match="RECSYS_MLFLOW_URI") as raised:
        track_champion(nowhere, "movie")
    assert "secret" not in str(raised.value)
    assert "\n" not in str(raised.value)
    home = Retraining(tracked.settings.model_copy(update={"mlflow_uri": nowhere.mlflow_uri}))
    assert home.materialize("evaluation/popularity").success


def test_without_the_setting_nothing_imports_mlflow() -> None:
    program = (
        "import sys, recsys_dagster.definitions; from recsys_dagster.experiments.tracking import track_champion;"
        " from recsys_dagster.settings import Settings; track_champion(Settings(_env_file=None), 'movie');"
        " sys.exit('mlflow' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
