"""What a retrain that names no models leaves out, and which parameters it takes."""

import json
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from recsys_dagster.domains import get_domain
from recsys_dagster.evaluation.results import EvaluationResults
from recsys_dagster.model_store.store import ModelStore
from recsys_dagster.model_store.tuned import Tuned, tuned_path, write_tuned
from recsys_dagster.models.attempt import State
from recsys_dagster.models.registry import get_model_class
from recsys_dagster.orchestration.build import build_definitions
from recsys_dagster.settings import Settings
from recsys_dagster.warehouse.domain_run import DomainRun

MOVIE = get_domain("movie")
KNN = get_model_class("item_knn")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A RECSYS_HOME with the features of the sample."""
    home = tmp_path_factory.mktemp("choices")
    materialise(home, "group:raw or group:clean or group:features")
    return home


def materialise(
    home: Path, selection: str, run_config: dict[str, Any] | None = None, **chosen: Any
) -> dg.ExecuteInProcessResult:
    settings = Settings(home=home, mirror=None, movie_dataset=None, _env_file=None, **{"models": (), **chosen})
    definitions = build_definitions(settings)
    some = dg.define_asset_job("some", selection=selection)
    definitions = dg.Definitions.merge(definitions, dg.Definitions(jobs=[some]))
    with dg.DagsterInstance.ephemeral() as instance:
        return definitions.resolve_job_def("some").execute_in_process(
            partition_key="movie", instance=instance, run_config=run_config
        )


def metadata(result: dg.ExecuteInProcessResult, node: str) -> dict[str, dg.MetadataValue]:
    (event,) = result.asset_materializations_for_node(node)
    return dict(event.metadata)


def fitted_with(result: dg.ExecuteInProcessResult) -> tuple[dict[str, Any], str]:
    shown = metadata(result, "models__item_knn")
    return shown["params"].value, shown["params_from"].value


def test_what_is_above_the_budget_is_left_out_by_fit_and_evaluation_and_is_fitted_when_named(home: Path) -> None:
    selection = 'key:"models/item_knn" or key:"evaluation/item_knn" or key:"models/popularity"'
    result = materialise(home, selection, budget_seconds=0.5)
    assert result.success
    for node in ("models__item_knn", "evaluation__item_knn"):
        shown = metadata(result, node)
        assert shown["outcome"].value == "skipped"
        assert "the budget of a model is 0.00833 min (RECSYS_BUDGET_SECONDS); name it in" in shown["reason"].value
    assert metadata(result, "models__popularity")["outcome"].value == "fitted"
    run = DomainRun(Settings(home=home, mirror=None, movie_dataset=None, _env_file=None), MOVIE)
    (skipped,) = EvaluationResults(run).missing()
    assert (skipped.model, skipped.state) == ("item_knn", State.SKIPPED)
    named = materialise(home, 'key:"models/item_knn"', budget_seconds=0.5, models=("item_knn",))
    assert metadata(named, "models__item_knn")["outcome"].value == "fitted"
    assert EvaluationResults(run).missing() == []


def test_a_retrain_goes_by_what_the_search_found_unless_told_otherwise(home: Path) -> None:
    run = DomainRun(Settings(home=home, mirror=None, movie_dataset=None, _env_file=None), MOVIE)
    selection = 'key:"models/item_knn"'
    tuned = Tuned(
        model="item_knn",
        domain="movie",
        dataset="sample-movie",
        data_version="any",
        date="2026-11-24T20:00:00+00:00",
        metric="ndcg@100",
        value=0.4,
        default_value=0.3,
        params=KNN.params_type(neighbours=7).model_dump(),
        trials=1,
        pruned=0,
    )
    path = tuned_path(run.layout, "movie", "item_knn")
    path.parent.mkdir(parents=True, exist_ok=True)
    write_tuned(run.layout, tuned)
    params, source = fitted_with(materialise(home, selection))
    assert params == tuned.params
    assert source == f"{tuned}; to go back, remove {path}"
    record = ModelStore(run.layout).record("movie", "item_knn")
    assert (record.params["neighbours"], record.params_from) == (7, source)

    config = {"ops": {"models__item_knn": {"config": {"preset": "default", "shrinkage": 3.0}}}}
    params, source = fitted_with(materialise(home, selection, config))
    assert params == KNN.params_type(shrinkage=3).model_dump()
    assert source == "default; changed by hand: shrinkage"

    written = json.loads(path.read_text())
    path.write_text(json.dumps({**written, "params": {"wings": 2}}))
    params, source = fitted_with(materialise(home, selection))
    assert params == KNN.params_type().model_dump()
    assert source.startswith(f"default, for {path}: not the parameters of today's item_knn (wings")
    path.unlink()
    assert fitted_with(materialise(home, selection)) == (KNN.params_type().model_dump(), "default")
