from datetime import date, datetime

import duckdb
import pytest
from report_of import AWKWARD, clean_tables

from recsys_dagster.reports.data_profile import Fold, folds, profile


@pytest.fixture
def connection() -> duckdb.DuckDBPyConnection:
    return clean_tables()


def test_the_profile_counts_what_is_there(connection: duckdb.DuckDBPyConnection) -> None:
    found = profile(connection)

    assert found.counts == {"users": 12, "items": 12, "ratings": 36, "interactions": 78, "rejected rows": 1}
    # user u rates floor(u / 2) titles u / 2; user 1 rates none
    assert found.ratings == [(u / 2, u // 2) for u in range(2, 13)]
    assert found.kinds == [("Movie", 4), ("TV", 4)]
    assert found.genres == [("Drama", 10), ("Slice of Life", 5), ("Comedy <3", 1), ("Sci-Fi", 1)]
    assert found.years == [(2000 + i, 1) for i in range(3, 13)]
    # title i was watched by the users i … 12, i - 1 months after the first
    assert found.months == [(date(2020, i, 1), 13 - i) for i in range(1, 13)]
    # users with 1; 2–3; 4–7; 8–12 titles
    assert found.per_user == found.per_title == [(0, 1), (1, 2), (2, 4), (3, 5)]


def test_titles_are_placed_by_their_number_of_ratings_and_their_mean(connection: duckdb.DuckDBPyConnection) -> None:
    # the even title i is rated by the users i … 12, with half their number: 13 - i ratings, (i + 12) / 4 on average
    means = {2: 3.5, 4: 4.0, 6: 4.5, 8: 5.0, 10: 5.5, 12: 6.0}
    doublings = {2: 3, 4: 3, 6: 2, 8: 2, 10: 1, 12: 0}  # of 11, 9, 7, 5, 3, 1
    assert profile(connection).joint == sorted((doublings[i], int(means[i] / 0.25), 1) for i in means)


def test_the_titles_with_most_are_named_and_those_of_which_nothing_is_known_are_not(
    connection: duckdb.DuckDBPyConnection,
) -> None:
    found = profile(connection)
    assert found.most_rated[:2] == [(AWKWARD, 11), ("Title 4", 9)]
    assert found.most_members == [(f"Title {i}", 100 * i) for i in range(12, 2, -1)]
    assert found.kind_members == [("TV: Title 12", 1200), ("Movie: Title 10", 1000)]
    assert found.most_episodes[:2] == [("Title 8", 8), ("Title 7", 7)]


def test_words_are_counted_once_a_title_and_the_empty_ones_left_out(connection: duckdb.DuckDBPyConnection) -> None:
    connection.execute("UPDATE clean.items SET title = 'The Wolf, the wolf and the Fox no 2' WHERE item_id = 5")
    connection.execute("UPDATE clean.items SET title = 'Wolf''s Rain' WHERE item_id = 6")
    words = dict(profile(connection).words)
    assert words["title"] == 8
    assert words["wolf"] == words["wolf's"] == words["fox"] == words["gintama"] == 1
    assert not {"the", "and", "no", "2"} & set(words)


def test_folds_tell_what_they_hold_and_from_when_to_when(connection: duckdb.DuckDBPyConnection) -> None:
    connection.execute(
        """
        CREATE SCHEMA features;
        CREATE TABLE features.interactions AS
        SELECT * FROM (VALUES
            (0, 0, 4.0, TIMESTAMP '2020-01-01', 'train'), (0, 1, NULL, TIMESTAMP '2020-01-03', 'train'),
            (1, 0, 3.0, TIMESTAMP '2020-02-01', 'test'), (1, 2, 3.0, NULL, 'validation')
        ) AS pairs (user_idx, item_idx, rating, "at", fold)
        """
    )
    assert folds(connection) == [
        Fold("train", 2, 1, 1, 2, datetime(2020, 1, 1), datetime(2020, 1, 3)),
        Fold("validation", 1, 1, 1, 1, None, None),
        Fold("test", 1, 1, 1, 1, datetime(2020, 2, 1), datetime(2020, 2, 1)),
    ]
