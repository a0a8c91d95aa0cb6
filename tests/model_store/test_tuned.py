"""The result of a search is stored, and read again for a retrain."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from recsys_dagster.errors import RecsysError
from recsys_dagster.model_store.tuned import Tuned, read_tuned, tuned_path, write_tuned
from recsys_dagster.models.registry import get_model_class
from recsys_dagster.runtime.layout import Layout

ALS = get_model_class("als")
FOUND = Tuned(
    model="als",
    domain="movie",
    dataset="sample-movie",
    data_version="v1",
    date="2026-11-24T20:00:00+00:00",
    metric="rmse",
    value=0.85,
    default_value=0.8612,
    params=ALS.params_type(rank=7).model_dump(),
    trials=9,
    pruned=2,
)


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    layout = Layout(tmp_path)
    tuned_path(layout, "movie", "als").parent.mkdir(parents=True)
    return layout


def test_the_parameters_come_back_with_what_the_search_found(layout: Layout) -> None:
    assert read_tuned(layout, "movie", ALS, "sample-movie") is None
    write_tuned(layout, FOUND)
    assert read_tuned(layout, "movie", ALS, "sample-movie") == (ALS.params_type(rank=7), FOUND)
    assert read_tuned(layout, "anime", ALS, "sample-anime") is None
    assert str(FOUND) == "tuned on 2026-11-24: rmse 0.8500, defaults 0.8612 on validation"
    assert str(replace(FOUND, default_value=None)) == "tuned on 2026-11-24: rmse 0.8500 on validation"


def test_what_was_tuned_on_another_dataset_is_refused(layout: Layout) -> None:
    write_tuned(layout, FOUND)
    with pytest.raises(RecsysError, match="tuned on sample-movie, and the domain now uses ml-20m; tune als again"):
        read_tuned(layout, "movie", ALS, "ml-20m")


@pytest.mark.parametrize(
    ("params", "why"),
    [({"rank": 7, "wings": 2}, "wings: Extra inputs are not permitted"), ({"rank": "many"}, "rank: Input should be")],
)
def test_parameters_of_another_time_are_refused_with_file_fault_and_cure(
    layout: Layout, params: dict[str, object], why: str
) -> None:
    write_tuned(layout, replace(FOUND, params=params))
    with pytest.raises(RecsysError) as refused:
        read_tuned(layout, "movie", ALS, "sample-movie")
    assert str(refused.value).startswith(
        f"{tuned_path(layout, 'movie', 'als')}: not the parameters of today's als ({why}"
    )
    assert str(refused.value).endswith("; tune als again, or remove the file")


@pytest.mark.parametrize("text", ["", "[1]", json.dumps({"model": "als"})])
def test_a_damaged_file_is_refused(layout: Layout, text: str) -> None:
    tuned_path(layout, "movie", "als").write_text(text)
    with pytest.raises(RecsysError, match="damaged; tune als again, or remove the file"):
        read_tuned(layout, "movie", ALS, "sample-movie")
