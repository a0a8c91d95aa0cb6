"""A run with RECSYS_ENGINE=spark shows engine and log; a failure leaves the last state; the engine may change."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import dagster as dg
import pytest
from retraining import FEATURES, MOVIE, TABLES
from spark_environment import configure, needs_spark

from recsys_dagster.orchestration.build import build_definitions
from recsys_dagster.orchestration.failures import failed_steps
from recsys_dagster.settings import Settings
from recsys_dagster.warehouse.build import build_features
from recsys_dagster.warehouse.database import Warehouse
from recsys_dagster.warehouse.domain_run import DomainRun
from recsys_dagster.warehouse.sql_files import sql_tables

pytestmark = needs_spark


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as ephemeral:
        yield ephemeral


def materialise(settings: Settings, keys: Sequence[str], instance: dg.DagsterInstance) -> dg.ExecuteInProcessResult:
    assets = [dg.AssetKey(key.split("/")) for key in keys]
    job = build_definitions(settings).resolve_job_def("retrain")
    return job.execute_in_process(
        partition_key=MOVIE.name, instance=instance, asset_selection=assets, raise_on_error=False
    )


def rows(warehouse: Warehouse, schema: str) -> dict[str, list[tuple[object, ...]]]:
    with warehouse.connect() as connection:
        return {
            table.name: connection.execute(f"SELECT * FROM {schema}.{table.name} ORDER BY ALL").fetchall()
            for table in sql_tables(schema)
        }


def test_spark_makes_the_tables_of_a_run_or_leaves_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, instance: dg.DagsterInstance
) -> None:
    configure(tmp_path, monkeypatch)
    settings = Settings(home=tmp_path / "home", engine="spark", _env_file=None)
    run = DomainRun(settings, MOVIE)

    executed = materialise(settings, [*TABLES, *FEATURES], instance)
    assert executed.success
    made = {
        event.materialization.asset_key.to_user_string(): event.materialization.metadata
        for event in executed.get_asset_materialization_events()
        if event.materialization.asset_key.path[0] != "raw"
    }
    assert {str(metadata["engine"].value) for metadata in made.values()} == {"spark"}
    assert made["clean/ratings"]["dagster/row_count"].value == 16_000
    messages = [entry.user_message for entry in instance.all_logs(executed.run_id)]
    assert any(message.startswith("clean.ratings made in") for message in messages)
    assert list((run.warehouse.parquet / "clean" / "ratings").glob("*.parquet"))
    assert not list(run.warehouse.parquet.glob(".tmp*"))

    clean, features = rows(run.warehouse, "clean"), rows(run.warehouse, "features")
    with monkeypatch.context() as broken:
        broken.setenv("RECSYS_SPARK_MASTER", "spark://127.0.0.1:1")
        (failure,) = failed_steps(materialise(settings, TABLES[1:], instance).all_events)
    assert "the Spark master spark://127.0.0.1:1 does not answer (Connection refused)" in failure
    assert rows(run.warehouse, "clean") == clean

    # Clean tables that DuckDB makes are handed to Spark.
    assert materialise(settings.model_copy(update={"engine": "duckdb"}), TABLES[1:], instance).success
    assert rows(run.warehouse, "clean") == clean
    assert materialise(settings, FEATURES, instance).success
    assert rows(run.warehouse, "features") == features
    build_features(Warehouse(run.warehouse.path), settings.seed)
    assert rows(run.warehouse, "features") == features
