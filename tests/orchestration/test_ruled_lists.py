"""Rules and balance in what a run publishes, and in lists for new users."""

import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import duckdb
import pytest
from retraining import FEATURES, TABLES, Retraining

from recsys_dagster.model_store.store import ModelStore
from recsys_dagster.serving.cold_start import recommend_by_ratings
from recsys_dagster.serving.filters import ItemFilter
from recsys_dagster.serving.lookup import PublishedFile
from recsys_dagster.serving.on_demand import recommend_by_models, recommend_to_user
from recsys_dagster.serving.rules import Balance, Never, read_rules
from recsys_dagster.settings import Settings

LENGTH = 20


@pytest.fixture(scope="module")
def fitted(tmp_path_factory: pytest.TempPathFactory) -> Retraining:
    """A home whose lists are published without rules."""
    home = tmp_path_factory.mktemp("rules")
    settings = Settings(home=home, datasets={"movie": "sample-movie"}, models=("all",), top_n=LENGTH, _env_file=None)
    made = Retraining(settings)
    assert made.materialize(*TABLES, *FEATURES).success
    assert made.train("popularity", "user_item_bias", "ease").success
    return made


@pytest.fixture
def home(fitted: Retraining, tmp_path: Path) -> Retraining:
    """A copy of it."""
    shutil.copytree(fitted.settings.home, tmp_path / "home")
    return Retraining(fitted.settings.model_copy(update={"home": tmp_path / "home"}))


def write_rules(home: Retraining, text: str) -> None:
    path = home.run.layout.rules("movie")
    path.parent.mkdir(exist_ok=True)
    path.write_text(text, encoding="utf-8")


def lists(home: Retraining) -> dict[int, list[int]]:
    listed: dict[int, list[int]] = {}
    for user, _, item, *_ in home.lists():
        listed.setdefault(user, []).append(item)
    return listed


def column(home: Retraining, name: str) -> dict[int, Any]:
    with duckdb.connect(home.run.layout.published("movie"), read_only=True) as connection:
        return dict(connection.execute(f"SELECT item_id, {name} FROM items").fetchall())


def test_published_lists_hold_nothing_forbidden_keep_within_caps_and_stay_full(home: Retraining) -> None:
    before, genres = lists(home), column(home, "genres")
    most_listed = Counter(item for items in before.values() for item in items).most_common(1)[0][0]
    write_rules(home, f"never: {{items: [{most_listed}], genres: [Drama]}}\ncaps: {{genre: {{Comedy: 5}}}}\n")
    assert home.materialize("serving/champion", "serving/lists", "serving/recommendations").success
    after = lists(home)
    assert after.keys() == before.keys()
    for items in after.values():
        assert len(items) == LENGTH
        assert most_listed not in items
        assert not any("Drama" in (genres[item] or ()) for item in items)
        assert sum("Comedy" in (genres[item] or ()) for item in items) <= 5
    with duckdb.connect(home.run.layout.published("movie"), read_only=True) as connection:
        similar = {item for (item,) in connection.execute("SELECT DISTINCT similar_id FROM similar_items").fetchall()}
    assert similar
    assert not any("Drama" in (genres[item] or ()) for item in similar)


def test_a_rule_that_changed_between_the_lists_and_their_publication_blocks_it(home: Retraining) -> None:
    assert home.materialize("serving/champion", "serving/lists").success
    before = home.lists()
    write_rules(home, "never: {genres: [Drama]}")
    stopped = home.materialize("serving/recommendations")
    assert not stopped.success
    assert home.lists() == before
    (fault,) = home.faults("lists_hold_nothing_forbidden")
    assert fault.startswith("recommended items that a rule forbids (never.genres: Drama): expected 0, found ")
    assert home.materialize("serving/lists", "serving/recommendations").success
    genres = column(home, "genres")
    assert not any("Drama" in (genres[item] or ()) for items in lists(home).values() for item in items)


@pytest.mark.parametrize("text", ["never: [", "never: {genres: [Opera]}"])
def test_a_faulty_file_stops_the_lists_in_one_line_and_what_is_published_stays(home: Retraining, text: str) -> None:
    before = home.lists()
    write_rules(home, text)
    assert not home.materialize("serving/lists").success
    assert home.lists() == before


def test_balance_makes_published_lists_more_varied(home: Retraining) -> None:
    def variety() -> float:
        genres = column(home, "genres")
        heads = [items[:10] for items in lists(home).values()]
        return sum(len({genre for item in items for genre in genres[item] or ()}) for items in heads) / len(heads)

    before = variety()
    write_rules(home, "balance: {diversity: 0.6}")
    assert home.materialize("serving/champion", "serving/lists", "serving/recommendations").success
    assert variety() > before


def test_lists_on_request_follow_the_rules_at_once_and_take_filters_and_a_balance(home: Retraining) -> None:
    layout = home.run.layout
    with PublishedFile(layout.published("movie")) as published:
        (user, *_), genres = published.users_with_lists(1), column(home, "genres")
        plain = recommend_to_user(home.run, published, user, 10)
        assert plain.is_published
        forbidden = plain.recommendations[0].item_id
        write_rules(home, f"never: {{items: [{forbidden}]}}\ncaps: {{genre: {{Drama: 2}}}}\n")
        published_list = recommend_to_user(home.run, published, user, 10)
        by_model = recommend_by_models(home.run, published, user, 10, ["ease"])[0]
        store = ModelStore(layout)
        new = recommend_by_ratings(published, store, [f"#{forbidden}=5"], 10, liked=["#1"])
        for items in (one.recommendations for one in (published_list, by_model, new)):
            assert len(items) == 10
            assert forbidden not in [item.item_id for item in items]
            assert sum("Drama" in item.genres for item in items) <= 2
        of_genre = recommend_by_ratings(published, store, ["#1=5"], 5, wanted=ItemFilter(genre="Comedy"))
        assert [item.rank for item in of_genre.recommendations] == [1, 2, 3, 4, 5]
        assert all("Comedy" in genres[item.item_id] for item in of_genre.recommendations)

        (neighbour, _), *_ = published.similar(plain.recommendations[0].item_id, 5)
        ruled = read_rules(layout.rules("movie")).model_copy(update={"never": Never(items=[str(neighbour.item_id)])})
        shown = [item for item, _ in published.similar(plain.recommendations[0].item_id, 5, ruled)]
        assert len(shown) == 5
        assert neighbour not in shown

        layout.rules("movie").unlink()
        assert recommend_to_user(home.run, published, user, 10, balance=Balance()) == plain
        varied = recommend_to_user(home.run, published, user, 10, balance=Balance(diversity=0.9)).recommendations
        assert varied[0] == plain.recommendations[0]
        assert [item.item_id for item in varied] != [item.item_id for item in plain.recommendations]
        assert [item.rank for item in varied] == list(range(1, 11))
