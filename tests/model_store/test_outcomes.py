"""What is kept of the outcome of each model."""

from pathlib import Path

from recsys_dagster.model_store.outcomes import read_outcome, read_outcomes, write_outcome
from recsys_dagster.models.attempt import Outcome, State
from recsys_dagster.runtime.layout import Layout


def test_an_outcome_is_read_back_and_replaces_the_one_before(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    assert read_outcome(layout, "movie", "als") is None
    first = Outcome("als", State.FAILED, "boom", 1.5, "ids", trace="line 1\nline 2")
    second = Outcome("als", State.FITTED, "", 2.5, "ids", version="v2")
    for outcome in (first, second):
        write_outcome(layout, "movie", outcome)
        assert read_outcome(layout, "movie", "als") == outcome
    assert read_outcomes(layout, "anime", id_map_hash="ids") == {}


def test_outcomes_of_other_users_and_items_do_not_count(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    write_outcome(layout, "movie", Outcome("als", State.FAILED, "boom", 1.0, "older ids"))
    write_outcome(layout, "movie", Outcome("ease", State.SKIPPED, "too large", 0.0, "ids"))
    assert set(read_outcomes(layout, "movie", id_map_hash="ids")) == {"ease"}
