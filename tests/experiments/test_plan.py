"""What a run would take is planned from the data at hand."""

from pathlib import Path

import pytest
from small_publication import publish_small

from recsys_dagster.domains import BUILT_IN_DOMAINS
from recsys_dagster.errors import RecsysError
from recsys_dagster.experiments import plan as module
from recsys_dagster.experiments.plan import DISK_FACTOR, PAIR_BYTES, plan_run, spark_advice
from recsys_dagster.models.budget import Size
from recsys_dagster.runtime.layout import Layout
from recsys_dagster.settings import Settings

MOVIE = BUILT_IN_DOMAINS["movie"]


def test_a_sample_is_planned_before_it_is_made(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path, models=("als", "ease"))
    planned = plan_run(settings, MOVIE)
    assert (planned.dataset, planned.size, planned.known_from) == (
        "sample-movie",
        Size(400, 500, 16_000, most_evaluated=50_000),
        "as it is generated",
    )
    names = [step.name for step in planned.steps]
    assert names[:2] == ["clean tables", "features"]
    assert {"popularity", "recent_popularity", "user_item_bias", "als", "ease"} == set(names[2:-1])
    assert planned.seconds == sum(step.seconds for step in planned.steps)
    assert planned.bytes == max(step.bytes for step in planned.steps)
    assert planned.advice.startswith("Spark is not advised")


def test_a_model_over_the_budget_counts_for_nothing(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path, datasets={"movie": "sample-movie-full"}, budget_seconds=1)
    planned = plan_run(settings, MOVIE)
    skipped = {step.name for step in planned.steps if step.skipped}
    assert "als" in skipped
    assert "popularity" not in skipped
    assert planned.seconds == sum(step.seconds for step in planned.steps if step.name not in skipped)


def test_nothing_is_known_of_data_that_were_never_here(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path, datasets={"movie": "ml-25m"})
    with pytest.raises(RecsysError, match="ml-25m: neither fetched nor published"):
        plan_run(settings, MOVIE)


def test_spark_is_advised_where_the_pairs_do_not_fit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = Settings(home=tmp_path / "not yet there")
    monkeypatch.setattr(module, "available_bytes", lambda: 2_000 * PAIR_BYTES)
    fits, does_not = (Size(10, 10, pairs) for pairs in (1_000, 1_001))
    assert spark_advice(settings, fits, 0).startswith("Spark is not advised")
    assert spark_advice(settings, does_not, 0).startswith("Spark on a cluster is advised: the pairs alone take")
    assert "GiB of disk" in spark_advice(settings, fits, 10**18 // DISK_FACTOR)


def test_what_was_published_was_counted(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path)
    publish_small(Layout(tmp_path).published("anime"))
    planned = plan_run(settings, BUILT_IN_DOMAINS["anime"])
    assert (planned.dataset, planned.size, planned.known_from) == (
        "sample-anime",
        Size(4, 4, 1234, 50_000),
        "as published",
    )
