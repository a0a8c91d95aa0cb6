"""What a notebook sees of a whole run; here, because the run is made for this folder."""

from typing import Any

import pandas as pd
import pytest

from recsys_dagster.api import OpenDomain, open_domain
from recsys_dagster.errors import UsageError
from recsys_dagster.runtime.locks import domain_lock
from recsys_dagster.warehouse.database import Warehouse


@pytest.fixture
def movie(movie_run: Any, monkeypatch: pytest.MonkeyPatch) -> OpenDomain:
    monkeypatch.setenv("RECSYS_HOME", str(movie_run.settings.home))
    monkeypatch.setenv("RECSYS_EVALUATION_USERS", str(movie_run.settings.evaluation_users))
    monkeypatch.delenv("RECSYS_MIRROR", raising=False)
    return open_domain("movie")


def test_tables_and_results_are_data_frames(movie: OpenDomain) -> None:
    assert len(movie.ratings()) == 16_000
    assert list(movie.query("SELECT count(*) AS n FROM features.users")["n"]) == [400]
    assert {"clean.items", "features.users", "evaluation.metrics"} <= set(movie.tables())
    board = movie.leaderboard()
    assert set(board.index) >= {"ease", "popularity", "user_item_bias", "constant"}
    assert board.index[0] == movie.decisions().iloc[-1]["model"]
    assert any(sentence.startswith("ease beats popularity") for sentence in movie.verdicts())
    assert {"validation", "test"} == set(movie.metrics().index.get_level_values("fold"))


def test_tables_have_proper_dtypes_and_indices(movie: OpenDomain) -> None:
    items, ratings, interactions = movie.items(), movie.ratings(), movie.interactions()
    assert (items.index.name, items.index.is_unique) == ("item_id", True)
    assert {name: str(items[name].dtype) for name in ("title", "kind", "year", "site_score", "is_adult")} == {
        "title": "str", "kind": "category", "year": "Int16", "site_score": "float32", "is_adult": "boolean",
    }  # fmt: skip
    assert [str(dtype) for dtype in ratings.dtypes] == ["int64", "int64", "float32", "datetime64[us]"]
    assert str(interactions["status"].dtype) == "category"
    assert interactions["at"].dt.year.between(1990, 2100).all()
    assert movie.rejected().empty
    assert list(movie.rejected().columns) == ["source_file", "line", "reason", "raw"]


def test_a_users_history_is_the_latest_first(movie: OpenDomain) -> None:
    history = movie.history(1)
    mine = movie.interactions().query("user_id == 1")
    assert set(history.index) == set(mine["item_id"])
    assert history["at"].is_monotonic_decreasing
    assert history.loc[history.index[0], "title"] == movie.items().loc[history.index[0], "title"]
    with pytest.raises(UsageError, match="unknown user -1 in movie; known: 400 users"):
        movie.history(-1)


def test_a_model_recommends_and_predicts_in_the_ids_of_the_source(movie: OpenDomain) -> None:
    users = movie.table("features.users")["user_id"].tolist()[:3]
    lists = movie.recommend(users, model="ease", n=5)
    assert lists.index.names == ["user_id", "rank"]
    assert lists.index.tolist() == [(user, rank) for user in users for rank in range(1, 6)]
    excluded = movie.interactions()[["user_id", "item_id"]].drop_duplicates()
    assert lists.reset_index().merge(excluded, on=["user_id", "item_id"]).empty
    known = movie.ratings().head(20)
    predicted = movie.predict("user_item_bias", known)
    assert predicted.between(0.5, 5).all()
    bounds = movie.predict_interval("user_item_bias", known)
    assert (predicted.index == known.index).all()
    assert ((bounds["rating_low"] <= predicted) & (predicted <= bounds["rating_high"])).all()
    published = movie.recommend(users[0], n=5)
    assert published.index.tolist() == [(users[0], rank) for rank in range(1, 6)]
    assert published["rating"].between(0.5, 5).all()
    assert published["rating"].between(published["rating_low"], published["rating_high"]).all()
    comedies = movie.recommend(users[0], genre="Comedy", n=5)
    assert all("Comedy" in genres for genres in comedies["genres"])


def test_similar_items_are_what_a_model_recommends_to_someone_with_only_that_item(movie: OpenDomain) -> None:
    item = int(movie.ratings()["item_id"].mode()[0])
    similar = movie.similar(item, model="ease", n=4)
    assert similar.index.tolist() == [1, 2, 3, 4]
    assert item not in set(similar["item_id"])
    fitted = movie.model("ease")
    assert type(fitted).name == "ease"
    assert similar["score"].is_monotonic_decreasing


def test_an_evaluation_gives_the_leaderboards_values(movie: OpenDomain) -> None:
    evaluated, board = movie.evaluate("ease"), movie.leaderboard()
    assert evaluated.loc[("ndcg", 10), "value"] == pytest.approx(board.loc["ease", "ndcg_10"])
    stored = movie.metrics().loc[("ease", "test", "ndcg", 10), "value"]
    assert evaluated.loc[("ndcg", 10), "value"] == pytest.approx(stored)
    with pytest.raises(UsageError, match="unknown fold 'train'; known: validation, test"):
        movie.evaluate("ease", fold="train")


def test_explorations_are_those_of_the_page(movie: OpenDomain) -> None:
    genres = movie.explore("genres")
    assert genres["titles"].sum() == movie.items()["genres"].list.len().sum()
    assert movie.figure("genres").axes
    assert movie.explorations["genres"] == "Titles by genre"


def test_an_unknown_name_is_an_error_that_lists_the_known_ones(movie: OpenDomain) -> None:
    with pytest.raises(UsageError, match=r"unknown table 'clean.films'; known: clean.interactions, clean.items"):
        movie.table("clean.films")
    with pytest.raises(UsageError, match="unknown user -1 in movie"):
        movie.recommend(-1, model="ease")
    with pytest.raises(UsageError, match="popularity ranks items, but does not predict ratings"):
        movie.predict("popularity", pd.DataFrame({"user_id": [1], "item_id": [1]}))
    with pytest.raises(UsageError, match="unknown domain 'books'"):
        open_domain("books")


def test_everything_can_be_read_while_a_run_goes_on(movie: OpenDomain) -> None:
    import threading

    taken, release = threading.Event(), threading.Event()

    def hold() -> None:
        with domain_lock(movie.run.layout, "movie"):
            taken.set()
            release.wait(60)

    thread = threading.Thread(target=hold)
    thread.start()
    taken.wait(60)
    try:
        with Warehouse(movie.run.layout.warehouse("movie")).connect():  # open for writing, as in a step
            assert len(movie.ratings()) == 16_000
            assert not movie.recommend(1, n=1).empty
            assert not movie.recommend(1, model="ease", n=1).empty
            assert not movie.metrics().empty
    finally:
        release.set()
        thread.join()
