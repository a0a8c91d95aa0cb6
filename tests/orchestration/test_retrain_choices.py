"""What a retrain that names no models leaves out, and which parameters it takes."""

import json
import re
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from recsys_dagster.domains import BUILT_IN_DOMAINS
from recsys_dagster.errors import RecsysError
from recsys_dagster.evaluation.results import EvaluationResults
from recsys_dagster.model_store.store import ModelStore
from recsys_dagster.model_store.tuned import Tuned, tuned_path, write_tuned
from recsys_dagster.models.attempt import State
from recsys_dagster.models.registry import get_model_class, model_names
from recsys_dagster.orchestration.build import build_definitions
from recsys_dagster.orchestration.model_config import choose_params, config_schema
from recsys_dagster.settings import Settings
from recsys_dagster.warehouse.domain_run import DomainRun

MOVIE = BUILT_IN_DOMAINS["movie"]
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
    settings = Settings(home=home, mirror=None, datasets={}, _env_file=None, **{"models": (), **chosen})
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


def test_a_model_above_the_budget_is_skipped_unless_it_is_named(home: Path) -> None:
    selection = 'key:"models/item_knn" or key:"evaluation/item_knn" or key:"models/popularity"'
    result = materialise(home, selection, budget_seconds=0.5)
    assert result.success
    for node in ("models__item_knn", "evaluation__item_knn"):
        shown = metadata(result, node)
        assert shown["outcome"].value == "skipped"
        assert "the budget of a model is 0.00833 min (RECSYS_BUDGET_SECONDS); name it in" in shown["reason"].value
    assert metadata(result, "models__popularity")["outcome"].value == "fitted"
    run = DomainRun(Settings(home=home, mirror=None, datasets={}, _env_file=None), MOVIE)
    (skipped,) = EvaluationResults(run).missing()
    assert (skipped.model, skipped.state) == ("item_knn", State.SKIPPED)
    named = materialise(home, 'key:"models/item_knn"', budget_seconds=0.5, models=("item_knn",))
    assert metadata(named, "models__item_knn")["outcome"].value == "fitted"
    assert EvaluationResults(run).missing() == []


def test_a_retrain_uses_the_tuned_parameters_unless_others_are_chosen(home: Path) -> None:
    run = DomainRun(Settings(home=home, mirror=None, datasets={}, _env_file=None), MOVIE)
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
    assert source == f"{tuned}; to use the defaults again, remove {path}"
    record = ModelStore(run.layout).record("movie", "item_knn")
    assert (record.params["neighbours"], record.params_from) == (7, source)

    config = {"ops": {"models__item_knn": {"config": {"preset": "default", "shrinkage": 3.0}}}}
    params, source = fitted_with(materialise(home, selection, config))
    assert params == KNN.params_type(shrinkage=3).model_dump()
    assert source == "default; set explicitly: shrinkage=3"

    written = json.loads(path.read_text())
    path.write_text(json.dumps({**written, "params": {"wings": 2}}))
    params, source = fitted_with(materialise(home, selection))
    assert params == KNN.params_type().model_dump()
    assert source.startswith(
        f"default, because the preset tuned cannot be used: {path}: not the parameters of today's item_knn (wings"
    )
    path.unlink()
    params, source = fitted_with(materialise(home, selection))
    assert params == KNN.params_type().model_dump()
    assert source == "default, because `recsys tune --model item_knn` has not been run on sample-movie"


def test_a_value_that_is_set_explicitly_takes_precedence_over_the_preset_even_if_it_is_the_default(home: Path) -> None:
    ease = get_model_class("ease")
    default = ease.params_type()
    assert ease.presets["steck_2019"].dropout != default.dropout
    config = {"ops": {"models__ease": {"config": {"preset": "steck_2019", "dropout": default.dropout}}}}
    shown = metadata(materialise(home, 'key:"models/ease"', config, models=("ease",)), "models__ease")
    expected = {**ease.presets["steck_2019"].model_dump(), "dropout": default.dropout}
    assert shown["params"].value == expected
    assert shown["params_from"].value == f"steck_2019; set explicitly: dropout={default.dropout:g}"


def test_every_parameter_of_every_model_can_be_set_in_the_launchpad_to_its_default(home: Path) -> None:
    run = DomainRun(Settings(home=home, mirror=None, datasets={}, _env_file=None), MOVIE)
    for name in model_names():
        model_class = get_model_class(name)
        explicit = model_class.params_type().model_dump(mode="json")
        fields = dg.Shape(config_schema(model_class))
        checked = dg.validate_run_config(_job_with(fields), {"ops": {"op": {"config": explicit}}})
        config = checked["ops"]["op"]["config"]
        assert choose_params(model_class, config, run).params == model_class.params_type(), name


def _job_with(schema: dg.Shape) -> dg.JobDefinition:
    @dg.op(config_schema=schema)
    def op() -> None:
        pass

    @dg.job
    def job() -> None:
        op()

    return job


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"preset": "magic"}, "item_knn has no preset 'magic'; known: tuned, default"),
        ({"neighbours": 0}, "item_knn: neighbours=0: Input should be greater than"),
    ],
)
def test_a_wrong_choice_in_the_launchpad_is_one_line(home: Path, config: dict[str, Any], message: str) -> None:
    run = DomainRun(Settings(home=home, mirror=None, datasets={}, _env_file=None), MOVIE)
    with pytest.raises(RecsysError, match=re.escape(message)):
        choose_params(KNN, config, run)
