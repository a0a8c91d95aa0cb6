"""Lists for any user by any model, over the whole catalogue, while a run goes on as well."""

import json
import threading
from collections.abc import Iterator
from itertools import product

import numpy as np
import pytest
from typed_command import Typed
from whole_runs import Run

from recsys_dagster.model_store.store import ModelStore
from recsys_dagster.runtime.locks import domain_lock
from recsys_dagster.serving.lookup import PublishedFile
from recsys_dagster.warehouse.arrays import id_map_hash, load_excluded
from recsys_dagster.warehouse.database import Warehouse


@pytest.fixture
def movies(movie_run: Run, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.setenv("RECSYS_HOME", str(movie_run.settings.home))
    return movie_run


@pytest.fixture
def active_run(movies: Run) -> Iterator[None]:
    """Another thread that holds the domain, with its tables open as a step has them."""
    taken, release = threading.Event(), threading.Event()

    def hold() -> None:
        with domain_lock(movies.layout, "movie"):
            taken.set()
            release.wait(60)

    thread = threading.Thread(target=hold)
    thread.start()
    taken.wait(60)
    yield
    release.set()
    thread.join()


def listed(capsys: pytest.CaptureFixture[str], *words: str) -> list[dict]:
    typed = Typed(capsys, "recommend", "-d", "movie", "--json", *words)
    assert typed.code == 0, typed.err
    answer = json.loads(typed.out)
    lists: list[dict] = answer.get("lists", [answer])
    return lists


def test_a_rare_genre_fills_the_list_from_the_whole_catalogue(movies: Run, capsys: pytest.CaptureFixture[str]) -> None:
    ((rare, _),) = movies.rows(
        "SELECT genre, count(*) FROM features.item_genres GROUP BY 1 HAVING count(*) >= 12 ORDER BY 2 LIMIT 1"
    )
    learnt = {
        item
        for (item,) in movies.rows(
            f"""
            SELECT DISTINCT item_id
            FROM features.interactions
            INNER JOIN features.items USING (item_idx)
            INNER JOIN features.item_genres USING (item_idx)
            WHERE fold = 'train' AND genre = '{rare}'
            """
        )
    }
    for (user,) in movies.rows("SELECT user_id FROM features.users ORDER BY 1 LIMIT 3"):
        (answer,) = listed(capsys, "-u", str(user), "--genre", str(rare), "-n", "10")
        shown = [one["item_id"] for one in answer["recommendations"]]
        owned = {item for (item,) in movies.rows(f"SELECT item_id FROM clean.interactions WHERE user_id = {user}")}
        assert len(set(shown)) == min(10, len(learnt - owned))
        assert set(shown) <= learnt - owned
        assert [one["rank"] for one in answer["recommendations"]] == list(range(1, len(shown) + 1))


def test_any_combination_of_filters_gives_what_ranking_the_whole_catalogue_gives(
    movies: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    with PublishedFile(movies.layout.published("movie")) as published:
        provenance, item_ids, sizes = published.provenance(), published.indices().item_ids, published.sizes()
    user_ids = [user for (user,) in movies.rows("SELECT user_id FROM features.users ORDER BY user_idx")]
    described = {row[0]: row[1:] for row in movies.rows("SELECT item_id, genres, year, is_adult FROM clean.items")}
    warehouse = Warehouse(movies.layout.warehouse("movie"))
    excluded, hash_of_ids = load_excluded(warehouse), id_map_hash(warehouse)
    model, _ = ModelStore(movies.layout).load("movie", provenance.model, provenance.version, id_map_hash=hash_of_ids)
    users = np.array([0, len(user_ids) - 1], np.int32)
    whole = model.recommend(users, sizes["items"], exclude=excluded)
    for user, items in zip(users.tolist(), whole.items, strict=True):
        ranked = [item_ids[item] for item in items.tolist() if item >= 0]
        for genre, years, no_adult in product(("Drama", "Horror"), (None, (1980, 1999)), (False, True)):
            expected = [
                item
                for item, (genres, year, is_adult) in ((item, described[item]) for item in ranked)
                if genre in (genres or ())
                and (years is None or (year and years[0] <= year <= years[1]))
                and not (no_adult and is_adult)
            ]
            words = ["--genre", genre.lower(), *(["--no-adult"] if no_adult else [])]
            words += [] if years is None else ["--year", "1980-1999"]
            n = len(expected) + 1  # more than the published list holds, so that the model is asked
            (answer,) = listed(capsys, "-u", str(user_ids[user]), "-n", str(n), *words)
            assert [one["item_id"] for one in answer["recommendations"]] == expected


def test_published_lists_have_the_predicted_rating_on_the_scale(
    movies: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    (answer,) = listed(capsys, "-u", "1", "-n", "5")
    assert all(0.5 <= one["rating_low"] < one["rating"] < one["rating_high"] <= 5 for one in answer["recommendations"])
    typed = Typed(capsys, "recommend", "-d", "movie", "-u", "1")
    assert "; ratings by " in typed.out


def test_two_models_stand_below_the_users_history(movies: Run, capsys: pytest.CaptureFixture[str]) -> None:
    first, second = listed(capsys, "-u", "1", "-m", "embedding_mlp", "-m", "ease", "-n", "4")
    assert (first["model"], second["model"]) == ("embedding_mlp", "ease")
    assert first["recommendations"][0]["rating"] != first["recommendations"][0]["score"]
    typed = Typed(capsys, "recommend", "-d", "movie", "-u", "1", "-m", "embedding_mlp", "-m", "ease", "-n", "4")
    ((count,),) = movies.rows("SELECT count(*) FROM clean.interactions WHERE user_id = 1")
    assert f"user 1: {count} titles, the latest:" in typed.out
    assert "genres, at most three of a title: " in typed.out
    latest = movies.rows('SELECT "at" FROM clean.interactions WHERE user_id = 1 ORDER BY "at" DESC LIMIT 1')[0][0]
    assert f"{latest:%Y-%m-%d %H:%M}" in typed.out
    assert typed.out.index("\nembedding_mlp\n") < typed.out.index("\nease\n")


def test_the_list_of_a_model_is_the_same_while_a_run_holds_the_domain(
    movies: Run, capsys: pytest.CaptureFixture[str], request: pytest.FixtureRequest
) -> None:
    before = listed(capsys, "-u", "1", "-m", "ease")
    request.getfixturevalue("active_run")
    with Warehouse(movies.layout.warehouse("movie")).connect():  # open for writing, as in a step
        assert listed(capsys, "-u", "1", "-m", "ease") == before
    left = [path.name for path in movies.layout.warehouse("movie").parent.iterdir()]
    assert not [name for name in left if "movie.duckdb-" in name], "the copy is removed"
