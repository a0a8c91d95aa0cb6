from datetime import date, datetime

import duckdb
import pytest
from report_of import AWKWARD, clean_tables

from recsys_dagster.reports.data_plots import profile_figures
from recsys_dagster.reports.data_profile import Fold, read_folds, read_profile


@pytest.fixture
def connection() -> duckdb.DuckDBPyConnection:
    return clean_tables()


def test_the_profile_counts_users_items_and_interactions(connection: duckdb.DuckDBPyConnection) -> None:
    profile = read_profile(connection)

    assert profile.counts == {"users": 12, "items": 12, "ratings": 36, "interactions": 78, "rejected rows": 1}
    # user u rates floor(u / 2) items with u / 2; user 1 rates none
    assert profile.ratings == [(u / 2, u // 2) for u in range(2, 13)]
    assert profile.kinds == [("Movie", 4), ("TV", 4)]
    assert profile.genres == [("Drama", 10), ("Slice of Life", 5), ("Comedy <3", 1), ("Sci-Fi", 1)]
    assert profile.years == [(2000 + i, 1) for i in range(3, 13)]
    # the users i … 12 have item i, i - 1 months after the first
    assert profile.months == [(date(2020, i, 1), 13 - i) for i in range(1, 13)]
    # users with 1; 2–3; 4–7; 8–12 items
    assert profile.per_user == profile.per_item == [(0, 1), (1, 2), (2, 4), (3, 5)]


def test_items_are_binned_by_number_of_ratings_and_mean_rating(connection: duckdb.DuckDBPyConnection) -> None:
    # the even item i is rated by the users i … 12, by user u with u / 2: 13 - i ratings, (i + 12) / 4 on average
    means = {2: 3.5, 4: 4.0, 6: 4.5, 8: 5.0, 10: 5.5, 12: 6.0}
    bins = {2: 3, 4: 3, 6: 2, 8: 2, 10: 1, 12: 0}  # of 11, 9, 7, 5, 3, 1
    assert read_profile(connection).joint == sorted((bins[i], int(means[i] / 0.25), 1) for i in means)


def test_the_items_with_the_highest_counts_are_named_and_unknown_counts_are_skipped(
    connection: duckdb.DuckDBPyConnection,
) -> None:
    profile = read_profile(connection)
    assert profile.most_rated[:2] == [(AWKWARD, 11), ("Title 4", 9)]
    assert profile.most_members == [(f"Title {i}", 100 * i) for i in range(12, 2, -1)]
    assert profile.kind_members == [("TV: Title 12", 1200), ("Movie: Title 10", 1000)]
    # item 12 has one rating of 6; 36 ratings are 154 / 36 on average: u / 2 by u = 2 … 12, each floor(u / 2) times
    mean = sum(u / 2 * (u // 2) for u in range(2, 13)) / 36
    damped = {i: (sum(u / 2 for u in range(i, 13)) + 10 * mean) / (13 - i + 10) for i in range(2, 13, 2)}
    best = max(damped, key=lambda i: damped[i])
    assert profile.best_rated[0] == (f"Title {best}", pytest.approx(damped[best], abs=0.005))
    assert len(profile.best_rated) == 6
    assert profile.most_episodes[:2] == [("Title 8", 8), ("Title 7", 7)]


def test_an_item_without_a_title_is_named_by_its_id(connection: duckdb.DuckDBPyConnection) -> None:
    connection.execute("UPDATE clean.items SET title = NULL WHERE item_id IN (2, 12)")
    connection.execute("UPDATE clean.items SET title = ' ' WHERE item_id IN (8, 10)")
    profile = read_profile(connection)
    assert profile.most_rated[0] == ("#2", 11)
    assert [name for name, _ in profile.most_members[:3]] == ["#12", "Title 11", "#10"]
    assert profile.kind_members == [("TV: #12", 1200), ("Movie: #10", 1000)]
    assert profile.most_episodes[0] == ("#8", 8)
    assert all(figure for _, figure in profile_figures(profile))


def test_words_are_counted_once_per_title_without_stop_words(connection: duckdb.DuckDBPyConnection) -> None:
    connection.execute("UPDATE clean.items SET title = 'The Wolf, the wolf and the Fox no 2' WHERE item_id = 5")
    connection.execute("UPDATE clean.items SET title = 'Wolf''s Rain' WHERE item_id = 6")
    words = dict(read_profile(connection).words)
    assert words["title"] == 8
    assert words["wolf"] == words["wolf's"] == words["fox"] == words["gintama"] == 1
    assert not {"the", "and", "no", "2"} & set(words)


def test_folds_have_their_sizes_and_their_first_and_last_time(connection: duckdb.DuckDBPyConnection) -> None:
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
    assert read_folds(connection) == [
        Fold("train", 2, 1, 1, 2, datetime(2020, 1, 1), datetime(2020, 1, 3)),
        Fold("validation", 1, 1, 1, 1, None, None),
        Fold("test", 1, 1, 1, 1, datetime(2020, 2, 1), datetime(2020, 2, 1)),
    ]
