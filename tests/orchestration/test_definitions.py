"""The graph itself: which assets there are, what they depend on, what they say of themselves."""

import inspect
import json
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.remote_representation.external_data import RepositorySnap
from pydantic import SecretStr

from recsys_dagster.domains import BUILT_IN_DOMAINS
from recsys_dagster.errors import UsageError
from recsys_dagster.models.registry import get_model_class, model_family, model_names
from recsys_dagster.orchestration.build import build_definitions
from recsys_dagster.orchestration.resource import Recsys
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
        assert spec.group_name == (f"models_{model_family(name)}" if name in model_names() else folder), key
        assert spec.kinds, key
        by_domain = None if key == OVER_DOMAINS else dg.StaticPartitionsDefinition(list(BUILT_IN_DOMAINS))
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


def test_every_asset_has_a_stage_and_a_link_to_its_code_and_tables_have_a_name(
    specs: dict[str, dg.AssetSpec],
) -> None:
    for key, spec in specs.items():
        stage, _, name = key.partition("/")
        assert spec.tags["recsys/stage"] == stage
        files = [Path(reference.file_path) for reference in spec.metadata["dagster/code_references"].code_references]
        assert all(file.is_file() for file in files), key
        if stage in ("clean", "features"):
            assert spec.metadata["dagster/table_name"] == f"{stage}.{name}"
            assert files[0].name == f"{name}.sql"
        if stage == "models":
            assert files[0] == Path(inspect.getsourcefile(get_model_class(name)) or "")


def test_everything_that_a_user_can_switch_on_or_start_is_described(definitions: dg.Definitions) -> None:
    repository = definitions.get_repository_def()
    started = [*repository.schedule_defs, *repository.sensor_defs, *repository.get_all_jobs()]
    for definition in started:
        if not definition.name.startswith("__"):
            assert definition.description, definition.name
            assert definition.description[-1] == ".", definition.name


def test_the_resource_shows_home_and_datasets_and_no_secret(tmp_path: Path) -> None:
    settings = Settings(
        home=tmp_path,
        datasets={"movie": "ml-latest-small"},
        webhook=SecretStr("https://hooks.example/s3cret"),
        _env_file=None,
    )
    repository = build_definitions(settings).get_repository_def()
    (shown,) = [one for one in RepositorySnap.from_def(repository).resources if one.name == "recsys"]
    values = {key: getattr(value, "value", value) for key, value in shown.configured_values.items()}
    assert values == {
        "home": json.dumps(str(tmp_path)),
        "datasets": json.dumps({"movie": "ml-latest-small"}),
        "switch_dataset": "false",
    }
    assert "s3cret" not in repr(shown)


def test_a_value_from_the_launchpad_takes_precedence_over_the_resource(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path / "here", datasets={"movie": "ml-latest-small"}, _env_file=None)
    resource = Recsys(home=str(tmp_path / "there"), datasets={"movie": "ml-20m"}, environment=settings)
    assert resource.look_at("movie").layout.home == tmp_path / "there"
    assert resource.look_at("movie").dataset.id == "ml-20m"


def test_a_dataset_of_an_unknown_domain_in_the_launchpad_is_refused(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path, _env_file=None)
    resource = Recsys(home=str(tmp_path), datasets={"moovie": "ml-20m"}, environment=settings)
    with pytest.raises(UsageError, match=r"RECSYS_DATASET_MOOVIE=ml-20m: unknown domain 'moovie' \(did you mean movie"):
        resource.look_at("movie")


def test_the_builder_takes_other_loggers_executors_and_resources(tmp_path: Path) -> None:
    definitions = build_definitions(Settings(home=tmp_path, _env_file=None), executor=dg.multiprocess_executor)
    assert definitions.executor is dg.multiprocess_executor


def test_a_change_of_the_columns_of_a_clean_table_is_a_warning(definitions: dg.Definitions) -> None:
    checks = definitions.resolve_asset_graph().asset_check_keys
    for table in ("items", "ratings", "interactions", "rejected", "source_files"):
        assert dg.AssetCheckKey(dg.AssetKey(["clean", table]), "column_schema_change") in checks


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
        "papers": {"papers", "serving"},
    }


def test_what_stands_over_the_domains_is_in_no_job_over_one(definitions: dg.Definitions) -> None:
    key = dg.AssetKey(OVER_DOMAINS.split("/"))
    assert definitions.resolve_job_def("compare").asset_layer.selected_asset_keys == {key}
    assert key not in definitions.resolve_job_def("retrain").asset_layer.selected_asset_keys


@pytest.mark.parametrize("name", model_names())
def test_the_launchpad_offers_each_parameter_of_a_model_and_says_its_default(
    definitions: dg.Definitions, name: str
) -> None:
    asset = definitions.resolve_assets_def(dg.AssetKey(["models", name]))
    fields = asset.op.config_schema.config_type.fields
    params = get_model_class(name).params_type()
    assert set(fields) == {*type(params).model_fields, "preset"}
    for parameter, value in params.model_dump().items():
        assert not fields[parameter].is_required
        assert not fields[parameter].default_provided, "a value that is set has to differ from one that is not"
        shown = f"{value:g}" if isinstance(value, float) else str(value)
        assert fields[parameter].description.endswith(f"Unset: from the preset; default {shown}.")
    assert fields["preset"].default_value == "tuned"
    assert all(f"`{preset}`" in fields["preset"].description for preset in get_model_class(name).presets)
