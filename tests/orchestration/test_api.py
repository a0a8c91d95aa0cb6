"""What a notebook sees of a whole run; here, because the run is made for this folder."""

from typing import Any

import pandas as pd
import pytest

from recsys_dagster.api import OpenDomain, open_domain
from recsys_dagster.errors import RecsysError, UsageError
from recsys_dagster.runtime.locks import domain_lock


@pytest.fixture
def movie(movie_run: Any, monkeypatch: pytest.MonkeyPatch) -> OpenDomain:
    monkeypatch.setenv("RECSYS_HOME", str(movie_run.settings.home))
    monkeypatch.delenv("RECSYS_MIRROR", raising=False)
    return open_domain("movie")


def test_tables_and_results_are_data_frames(movie: OpenDomain) -> None:
    assert len(movie.table("clean.ratings")) == 16_000
    assert list(movie.query("SELECT count(*) AS n FROM features.users")["n"]) == [400]
    assert {"clean.items", "features.users", "evaluation.metrics"} <= set(movie.tables())
    board = movie.leaderboard()
    assert set(board["model"]) >= {"ease", "popularity", "user_item_bias", "constant"}
    assert board["model"].iloc[0] == movie.history().iloc[-1]["model"]
    assert any(sentence.startswith("ease beats popularity") for sentence in movie.verdicts())
    assert {"validation", "test"} == set(movie.metrics()["fold"])


def test_a_model_recommends_and_predicts_in_the_ids_of_the_source(movie: OpenDomain) -> None:
    users = movie.table("features.users")["user_id"].tolist()[:3]
    lists = movie.recommend("ease", users, n=5)
    assert list(lists.columns) == ["user_id", "rank", "item_id", "title", "score"]
    assert lists["user_id"].tolist() == [user for user in users for _ in range(5)]
    excluded = movie.table("clean.interactions")[["user_id", "item_id"]].drop_duplicates()
    assert lists.merge(excluded, on=["user_id", "item_id"]).empty
    known = movie.table("clean.ratings").head(20)
    predicted = movie.predict("user_item_bias", known)
    assert predicted.between(0.5, 5).all()
    assert (predicted.index == known.index).all()
    published = movie.published(users[0], n=5)
    assert published["rank"].tolist() == [1, 2, 3, 4, 5]


def test_an_unknown_name_is_an_error_that_lists_the_known_ones(movie: OpenDomain) -> None:
    with pytest.raises(UsageError, match=r"unknown table 'clean.films'; known: clean.interactions, clean.items"):
        movie.table("clean.films")
    with pytest.raises(UsageError, match="unknown user -1; such as"):
        movie.recommend("ease", [-1])
    with pytest.raises(UsageError, match="popularity ranks items, but does not predict ratings"):
        movie.predict("popularity", pd.DataFrame({"user_id": [1], "item_id": [1]}))
    with pytest.raises(UsageError, match="unknown domain 'book'"):
        open_domain("book")


def test_reading_the_tables_does_not_disturb_a_run(movie: OpenDomain, monkeypatch: pytest.MonkeyPatch) -> None:
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
        with pytest.raises(RecsysError, match="another run of the domain 'movie' is active"):
            movie.table("clean.ratings")
        assert not movie.published(1, n=1).empty
    finally:
        release.set()
        thread.join()
