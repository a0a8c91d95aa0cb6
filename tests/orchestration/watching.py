"""What the tests of schedules, sensors and alarms share: an instance, and a look as the daemon takes it."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from recsys_dagster.orchestration.build import build_definitions
from recsys_dagster.orchestration.resource import Recsys
from recsys_dagster.settings import Settings


def settings(home: Path, **chosen: Any) -> Settings:
    values = {"models": ("popularity",), "mirror": None, "datasets": {}}
    return Settings(home=home, _env_file=None, **{**values, **chosen})


@pytest.fixture
def instance(tmp_path: Path) -> Iterator[dg.DagsterInstance]:
    (tmp_path / "dagster").mkdir()
    with dg.instance_for_test(temp_dir=str(tmp_path / "dagster")) as kept:
        yield kept


def look(
    chosen: Settings, instance: dg.DagsterInstance, cursor: str | None = None, sensor: str = "retrain_on_new_files"
) -> Any:
    definitions = build_definitions(chosen)
    with dg.build_sensor_context(
        instance=instance,
        cursor=cursor,
        repository_def=definitions.get_repository_def(),
        resources={"recsys": Recsys.of(chosen)},
    ) as context:
        return definitions.resolve_sensor_def(sensor).evaluate_tick(context)


def retrain(chosen: Settings, instance: dg.DagsterInstance, **options: Any) -> dg.ExecuteInProcessResult:
    job = build_definitions(chosen).resolve_job_def("retrain")
    return job.execute_in_process(partition_key="movie", instance=instance, **options)
