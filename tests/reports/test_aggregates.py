from datetime import date

import duckdb
import pytest
from report_of import AWKWARD, clean_tables, recommended

from recsys_dagster.reports import Rated, pick_readers, profile


@pytest.fixture
def connection() -> duckdb.DuckDBPyConnection:
    return clean_tables()


def test_the_profile_counts_what_is_there(connection: duckdb.DuckDBPyConnection) -> None:
    found = profile(connection)

    assert found.counts == {"users": 12, "titles": 12, "ratings": 36, "interactions": 78, "rejected rows": 1}
    # user u rates floor(u / 2) titles u / 2; user 1 rates none
    assert found.ratings == [(u / 2, u // 2) for u in range(2, 13)]
    assert found.kinds == [("Movie", 4), ("TV", 4)]
    assert found.genres == [("Drama", 11), ("Slice of Life", 6)]
    assert found.years == [(2000 + i, 1) for i in range(3, 13)]
    # title i was watched by the users i … 12, i - 1 months after the first
    assert found.months == [(date(2020, i, 1), 13 - i) for i in range(1, 13)]
    # users with 1; 2–3; 4–7; 8–12 titles
    assert found.per_user == found.per_title == [(0, 1), (1, 2), (2, 4), (3, 5)]


def test_readers_go_from_the_lightest_to_the_heaviest_evenly(connection: duckdb.DuckDBPyConnection) -> None:
    assert [reader.user_id for reader in pick_readers(connection, recommended, 4)] == [1, 5, 9, 12]
    assert [reader.user_id for reader in pick_readers(connection, recommended, 1)] == [1]


def test_fewer_users_than_asked_for_are_all_shown_once(connection: duckdb.DuckDBPyConnection) -> None:
    assert [reader.user_id for reader in pick_readers(connection, recommended, 50)] == list(range(1, 13))


def test_a_history_is_the_highest_rated_then_the_newest_without_plans(connection: duckdb.DuckDBPyConnection) -> None:
    lightest, *_, heaviest = pick_readers(connection, recommended)

    assert lightest.history == [Rated("Title 1", None, (), None)]
    assert lightest.genres == []
    assert heaviest.user_id == 12
    assert [title.title for title in heaviest.history] == [
        "Title 10", "Title 8", "Title 6", "Title 4", AWKWARD,  # rated 6, newest first
        "Title 11", "Title 9", "Title 7", "Title 5", "Title 3",  # not rated; title 12 is only planned
    ]  # fmt: skip
    assert heaviest.history[0].rating == 6
    assert heaviest.genres == [("Drama", 10), ("Slice of Life", 5)]
    assert heaviest.interactions == 12
    assert heaviest.recommended == []
