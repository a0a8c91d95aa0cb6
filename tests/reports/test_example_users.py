from datetime import datetime

import duckdb
import numpy as np
import pytest
from report_of import AWKWARD, clean_tables, pairs, people

from recsys_dagster.evaluation.example_lists import Example
from recsys_dagster.reports.example_users import ShownItem, describe_users


@pytest.fixture
def connection() -> duckdb.DuckDBPyConnection:
    return clean_tables()


def test_a_history_is_the_last_of_what_the_models_know(connection: duckdb.DuckDBPyConnection) -> None:
    _, heavy = people(connection)

    assert (heavy.user_id, heavy.known, heavy.liked_later, heavy.timed) == (12, 11, 1, True)
    assert [watched.title.title for watched in heavy.history[:2]] == ["Title 11", "Title 10"]
    assert heavy.history[-2].title == ShownItem(AWKWARD, None, None, None, ("Drama", "Slice of Life"))
    assert [watched.rating for watched in heavy.history[:3]] == [None, 6, None]
    assert heavy.history[0].at == datetime(2020, 11, 15)
    assert heavy.genres == [("Drama", 10), ("Slice of Life", 5)]


def test_without_times_a_history_is_what_was_rated_highest(connection: duckdb.DuckDBPyConnection) -> None:
    connection.execute("UPDATE clean.interactions SET watched_at = NULL")
    connection.execute("UPDATE clean.ratings SET rating = item_id WHERE user_id = 12")
    _, heavy = people(connection)
    assert not heavy.timed
    assert [watched.title.title for watched in heavy.history[:3]] == ["Title 10", "Title 8", "Title 6"]


def test_of_a_title_no_more_than_three_genres_count_and_of_a_history_twenty_titles_are_shown(
    connection: duckdb.DuckDBPyConnection,
) -> None:
    connection.execute("UPDATE clean.items SET genres = ['Action', 'Comedy', 'Drama', 'Magic']")
    connection.execute("INSERT INTO clean.items (item_id, title) SELECT i, 'More' FROM range(13, 40) AS numbers(i)")
    connection.execute("INSERT INTO clean.interactions SELECT 12, i, NULL, NULL FROM range(13, 40) AS numbers(i)")
    known = pairs(*((11, item, np.nan) for item in range(39)))
    ids = np.arange(1, 40, dtype=np.int32)
    (person,) = describe_users(connection, [Example("heavy", 11, known, ids[:0])], ids.astype(np.int64), ids)
    assert person.genres == [("Action", 12), ("Comedy", 12), ("Drama", 12)]
    assert len(person.history) == 20
    assert person.known == 39
