"""The graph itself: which assets there are, what they depend on, what they say of themselves."""

import inspect

import dagster as dg
import pytest

from recsys_dagster.domains import DOMAINS
from recsys_dagster.models.registry import get_model_class, model_family, model_names
from recsys_dagster.orchestration.build import build_definitions
from recsys_dagster.settings import Settings

OVER_DOMAINS = "serving/domain_comparison"


@pytest.fixture(scope="module")
def definitions(tmp_path_factory: pytest.TempPathFactory) -> dg.Definitions:
    return build_definitions(Settings(home=tmp_path_factory.mktemp("home"), _env_file=None))


@pytest.fixture(scope="module")
def specs(definitions: dg.Definitions) -> dict[str, dg.AssetSpec]:
    return {spec.key.to_user_string(): spec for spec in definitions.resolve_all_asset_specs()}


def test_the_ui_can_load_all_of_it(definitions: dg.Definitions) -> None:
    definitions.get_repository_def().load_all_definitions()


def test_every_asset_is_described_grouped_by_its_folder_and_partitioned_by_domain(
    specs: dict[str, dg.AssetSpec],
) -> None:
    for key, spec in specs.items():
        assert spec.description, key
        folder, _, name = key.partition("/")
        assert spec.group_name == (f"{folder}_{model_family(name)}" if name in model_names() else folder), key
        assert spec.kinds, key
        by_domain = None if key == OVER_DOMAINS else dg.StaticPartitionsDefinition(list(DOMAINS))
        assert spec.partitions_def == by_domain, key


@pytest.mark.parametrize("name", model_names())
def test_a_model_is_described_by_the_line_of_the_report_and_its_docstring_without_indentation(
    specs: dict[str, dg.AssetSpec], name: str
) -> None:
    cls = get_model_class(name)
    description = specs[f"models/{name}"].description or ""
    assert description.splitlines()[0] == cls.summary
    assert (cls.__doc__ or "").strip().splitlines()[0] in description
    assert inspect.getdoc(cls) in description


def test_the_domains_are_compared_whenever_both_have_a_new_report(specs: dict[str, dg.AssetSpec]) -> None:
    conditions = {key: spec.automation_condition for key, spec in specs.items() if spec.automation_condition}
    assert conditions == {OVER_DOMAINS: dg.AutomationCondition.eager()}


def test_the_jobs_cover_what_their_names_say(definitions: dg.Definitions) -> None:
    groups = {}
    for name in ("ingest", "features", "retrain", "papers"):
        job = definitions.resolve_job_def(name)
        groups[name] = {key.path[0] for key in job.asset_layer.selected_asset_keys}
    assert groups == {
        "ingest": {"raw", "clean"},
        "features": {"features"},
        "retrain": {"raw", "clean", "explore", "features", "models", "evaluation", "serving"},
        "papers": {"papers"},
    }


def test_what_stands_over_the_domains_is_in_no_job_over_one(definitions: dg.Definitions) -> None:
    key = dg.AssetKey(OVER_DOMAINS.split("/"))
    assert definitions.resolve_job_def("compare").asset_layer.selected_asset_keys == {key}
    assert key not in definitions.resolve_job_def("retrain").asset_layer.selected_asset_keys


@pytest.mark.parametrize("name", model_names())
def test_the_launchpad_offers_each_parameter_of_a_model_with_its_default(
    definitions: dg.Definitions, name: str
) -> None:
    asset = definitions.resolve_assets_def(dg.AssetKey(["models", name]))
    fields = asset.op.config_schema.config_type.fields
    params = get_model_class(name).params_type()
    assert set(fields) == {*type(params).model_fields, "preset"}
    for parameter, value in params.model_dump().items():
        assert fields[parameter].default_value == value
        assert fields[parameter].description
