from datetime import datetime

import duckdb
import numpy as np
import pytest
from report_of import AWKWARD, clean_tables, example_users, pairs

from recsys_dagster.evaluation.example_lists import Example, ListedItem
from recsys_dagster.reports.example_users import ItemSummary, describe_users, read_listed_items


@pytest.fixture
def connection() -> duckdb.DuckDBPyConnection:
    return clean_tables()


def test_a_history_is_the_latest_items_that_the_models_know(connection: duckdb.DuckDBPyConnection) -> None:
    _, heavy = example_users(connection)

    assert (heavy.user_id, heavy.known, heavy.has_times) == (12, 11, True)
    assert [entry.item.title for entry in heavy.history[:2]] == ["Title 11", "Title 10"]
    assert heavy.history[-2].item == ItemSummary(AWKWARD, None, None, None, ("Drama", "Slice of Life"))
    assert [entry.rating for entry in heavy.history[:3]] == [None, 6, None]
    assert heavy.history[0].at == datetime(2020, 11, 15)
    assert heavy.genres == [("Drama", 10), ("Slice of Life", 5)]


def test_without_times_a_history_is_the_highest_rated_items(connection: duckdb.DuckDBPyConnection) -> None:
    connection.execute('UPDATE clean.interactions SET "at" = NULL')
    connection.execute("UPDATE clean.ratings SET rating = item_id WHERE user_id = 12")
    _, heavy = example_users(connection)
    assert not heavy.has_times
    assert [entry.item.title for entry in heavy.history[:3]] == ["Title 10", "Title 8", "Title 6"]


def test_at_most_three_genres_of_an_item_count_and_at_most_twenty_items_are_shown(
    connection: duckdb.DuckDBPyConnection,
) -> None:
    connection.execute("UPDATE clean.items SET genres = ['Action', 'Comedy', 'Drama', 'Magic']")
    connection.execute("INSERT INTO clean.items (item_id, title) SELECT i, 'More' FROM range(13, 40) AS numbers(i)")
    connection.execute("INSERT INTO clean.interactions SELECT 12, i, NULL, NULL FROM range(13, 40) AS numbers(i)")
    known = pairs(*((11, item, np.nan) for item in range(39)))
    ids = np.arange(1, 40, dtype=np.int32)
    (user,) = describe_users(connection, [Example("heavy", 11, known, ids[:0])], ids.astype(np.int64), ids)
    assert user.genres == [("Action", 12), ("Comedy", 12), ("Drama", 12)]
    assert len(user.history) == 20
    assert user.known == 39


def test_an_item_without_a_title_is_named_by_its_id(connection: duckdb.DuckDBPyConnection) -> None:
    connection.execute("UPDATE clean.items SET title = NULL WHERE item_id = 11")
    connection.execute("UPDATE clean.items SET title = '' WHERE item_id = 10")
    _, heavy = example_users(connection)
    assert [entry.item.title for entry in heavy.history[:3]] == ["#11", "#10", "Title 9"]
    items = read_listed_items(connection, {"m": [ListedItem("heavy", 1, 10, 1.0, False)]})
    assert items[10].title == "#10"
