"""A declared domain has a partition, is scheduled and watched; a damaged declaration concerns its own domain only."""

import os
import time
from datetime import datetime
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from watching import look, settings

from recsys_dagster.orchestration.build import build_definitions
from recsys_dagster.orchestration.failures import failed_steps
from recsys_dagster.orchestration.resource import Recsys
from recsys_dagster.settings import Settings

SHOP = """
domain: shop
ratings: {scale: [1, 5]}
interactions: {files: orders.csv, user: customer, item: sku, rating: stars}
"""


@pytest.fixture
def declared(tmp_path: Path) -> Settings:
    """A home with the declaration of a domain `shop`, its file, and a damaged declaration of a domain `garden`."""
    folder = tmp_path / "datasets"
    folder.mkdir()
    (folder / "shop.yaml").write_text(SHOP)
    (folder / "garden.yaml").write_text("domain: garden\nratings: [1, 5\n")
    orders = folder / "orders.csv"
    orders.write_text("customer,sku,stars\nann,a,5\nbob,b,4\n")
    an_hour_ago = time.time() - 3600
    os.utime(orders, (an_hour_ago, an_hour_ago))
    return settings(tmp_path)


def test_the_schedule_asks_for_a_retrain_of_every_domain(declared: Settings, instance: dg.DagsterInstance) -> None:
    definitions = build_definitions(declared)
    with dg.build_schedule_context(
        instance=instance,
        scheduled_execution_time=datetime(2026, 1, 5, 4),
        repository_def=definitions.get_repository_def(),
        resources={"recsys": Recsys.of(declared)},
    ) as context:
        found: Any = definitions.resolve_schedule_def("retrain_regularly").evaluate_tick(context)
    assert [request.partition_key for request in found.run_requests] == ["anime", "movie", "garden", "shop"]


def test_the_run_of_a_damaged_declaration_fails_with_its_line(declared: Settings, instance: dg.DagsterInstance) -> None:
    job = build_definitions(declared).resolve_job_def("ingest")
    result = job.execute_in_process(partition_key="garden", instance=instance, raise_on_error=False)
    (failure,) = failed_steps(result.all_events)
    assert "garden.yaml, line 3: not readable as YAML" in failure


def test_the_files_of_a_declared_domain_are_watched_beside_a_damaged_declaration(
    declared: Settings, instance: dg.DagsterInstance
) -> None:
    found = look(declared, instance)
    assert [request.partition_key for request in found.run_requests] == ["shop"]
    again = look(declared, instance, found.cursor)
    assert again.run_requests == []
    assert "garden.yaml, line 3: not readable as YAML" in again.skip_message


def test_the_age_of_the_lists_of_every_domain_is_watched(declared: Settings, instance: dg.DagsterInstance) -> None:
    found = look(declared, instance, sensor="watch_staleness")
    assert {event.partition for event in found.asset_events} == {"anime", "movie", "garden", "shop"}
