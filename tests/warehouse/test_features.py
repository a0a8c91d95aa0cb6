"""Indices, folds and tastes, and the arrays made of them."""

from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from handmade import MOVIES, RATINGS_HEADER, build, rows

from recsys_dagster.errors import RecsysError
from recsys_dagster.warehouse.arrays import (
    id_map_hash,
    load_excluded,
    load_fold,
    load_ids,
    load_popularity,
    load_training_data,
)
from recsys_dagster.warehouse.build import build_features
from recsys_dagster.warehouse.database import Warehouse

T = 1_000_000_000
ANIME = (
    "anime_id,name,genre,type,episodes,rating,members\n"
    '10,A,"Shounen Ai, Action",TV,1,5,5\n20,B,Action,Movie,1,,5\n30,C,,,1,7.5,5\n'
)
ANIME_2020 = "MAL_ID,Name,Score,Genres,English name,Type,Episodes,Aired,Rating,Members\n" + "".join(
    f"{i},N,7,Comedy,x,TV,1,2000,PG,5\n" for i in range(1, 7)
)
FOLDS = """
    SELECT user_id, item_id, fold
    FROM features.interactions JOIN features.users USING (user_idx) JOIN features.items USING (item_idx)
    ORDER BY ALL
"""


def movies(warehouse_folder: Path, times: list[int | str]) -> Warehouse:
    """One user's ratings of as many films, at those times."""
    films = "movieId,title,genres\n" + "".join(f"{i},F,Drama\n" for i in range(1, len(times) + 1))
    ratings = RATINGS_HEADER + "".join(f"1,{i},4,{time}\n" for i, time in enumerate(times, start=1))
    return build(warehouse_folder, "movielens", {"movies.csv": films, "ratings.csv": ratings}, features=True)


def test_the_latest_tenth_is_for_the_test_and_the_tenth_before_for_validation(tmp_path: Path) -> None:
    warehouse = movies(tmp_path, [T + 90 - 10 * i for i in range(10)])
    folds = [fold for _, _, fold in rows(warehouse, FOLDS)]
    assert folds == ["test", "validation", *["train"] * 8]


@pytest.mark.parametrize(
    ("times", "expected", "moved"),
    [
        # Ratings with one time stay together.
        ([0, 0, 0, 0, 0, 0, 0, 5, 7, 9], {"train": 8, "validation": 1, "test": 1}, False),
        # 80 and 90 % fall on one time: validation is all ratings of that time.
        ([0, 0, 0, 0, 0, 0, 0, 5, 5, 9], {"train": 7, "validation": 2, "test": 1}, True),
        # The last time has more than a tenth: the test fold is all ratings of that time.
        ([0, 0, 0, 0, 0, 0, 0, 5, 9, 9], {"train": 7, "validation": 1, "test": 2}, True),
        ([1, 2, 3, 4, 5, 6, 7, 9, 9, 9], {"train": 6, "validation": 1, "test": 3}, True),
        ([1, 1, 1, 1, 1, 2, 2, 2, 3, 3], {"train": 5, "validation": 3, "test": 2}, True),
    ],
)
def test_ratings_with_one_time_stay_in_one_fold_and_no_fold_is_empty(
    tmp_path: Path, times: list[int], expected: dict[str, int], moved: bool
) -> None:
    warehouse = movies(tmp_path, [T + time for time in times])
    fold_of = {item: fold for _, item, fold in rows(warehouse, FOLDS)}
    assert Counter(fold_of.values()) == expected
    assert list(fold_of.values()) == sorted(fold_of.values(), key=["train", "validation", "test"].index)
    ((method, reason),) = rows(warehouse, "SELECT method, reason FROM features.fold_cuts")
    assert method == "time"
    assert ("moved" in reason) == moved


@pytest.mark.parametrize(
    ("times", "reason"),
    [
        ([T] * 100, "so many ratings share one time"),
        ([T - 1] + [T] * 99, "so many ratings share one time"),
        ([T - 2, T - 1] + [T] * 98, "so many ratings share one time"),
        ([T] * 98 + [T + 1] * 2, "so many ratings share one time"),
        ([0] * 2 + [T + time for time in range(98)], "fewer than 99 % of the ratings have a time"),
    ],
)
def test_where_times_cannot_cut_the_folds_a_hash_does(
    tmp_path: Path, times: list[int], reason: str, capsys: pytest.CaptureFixture[str]
) -> None:
    warehouse = movies(tmp_path, times)
    assert f"movie: folds are cut by hash, as {reason}" in " ".join(capsys.readouterr().err.split())
    by_hash = {item: fold for _, item, fold in rows(movies(tmp_path / "untimed", [0] * 100), FOLDS)}
    assert {item: fold for _, item, fold in rows(warehouse, FOLDS)} == by_hash
    assert set(by_hash.values()) == {"train", "validation", "test"}
    ((method, given, *cuts),) = rows(
        warehouse, "SELECT method, reason, train_until, validation_until FROM features.fold_cuts"
    )
    assert (method, cuts) == ("hash", [None, None])
    assert given.startswith(reason)


def test_a_rating_without_a_time_among_a_hundred_is_trained_on(tmp_path: Path) -> None:
    warehouse = movies(tmp_path, [T + i for i in range(99)] + [0])
    folds = [fold for _, _, fold in rows(warehouse, FOLDS)]
    assert folds == ["train"] * 80 + ["validation"] * 10 + ["test"] * 9 + ["train"]
    times = load_training_data(warehouse).train.times
    assert times is not None
    assert times[0] == T
    assert times[-1] == np.iinfo(np.int64).min


def test_two_ratings_without_a_time_among_a_hundred_leave_it_to_chance(tmp_path: Path) -> None:
    by_chance = {item: fold for _, item, fold in rows(movies(tmp_path, [T + i for i in range(98)] + [0, 0]), FOLDS)}
    without_times = {item: fold for _, item, fold in rows(movies(tmp_path, [0] * 100), FOLDS)}
    assert by_chance == without_times
    assert set(by_chance.values()) == {"train", "validation", "test"}


def ratings_of(users: int, items: int) -> dict[str, str | bytes]:
    """Everybody rates everything, without times."""
    titles = "anime_id,name,genre,type,episodes,rating,members\n" + "".join(
        f"{i},N,Comedy,TV,1,5,5\n" for i in range(items)
    )
    lines = "".join(f"{user},{item},7\n" for user in range(1, users + 1) for item in range(items))
    return {"anime.csv": titles, "rating.csv": "user_id,anime_id,rating\n" + lines}


def test_a_pair_stays_in_its_fold_when_the_data_grow(tmp_path: Path) -> None:
    few = rows(build(tmp_path, "cooper-union", ratings_of(20, 30), features=True), FOLDS)
    many = rows(build(tmp_path, "cooper-union", ratings_of(40, 50), features=True), FOLDS)
    other = rows(build(tmp_path, "cooper-union", ratings_of(20, 30), features=True, seed=43), FOLDS)
    assert set(few) < set(many)
    assert few != other


def test_the_hash_deals_80_10_10_to_every_user_and_every_title(tmp_path: Path) -> None:
    dealt = rows(build(tmp_path, "cooper-union", ratings_of(200, 200), features=True), FOLDS)
    folds = np.array([fold for _, _, fold in dealt]).reshape(200, 200)
    for fold, share in (("train", 0.8), ("validation", 0.1), ("test", 0.1)):
        hits = folds == fold
        deviation = np.sqrt(share * (1 - share))
        assert abs(hits.mean() - share) < 4 * deviation / 200
        for axis in (0, 1):
            # 200 shares of 200 pairs each spread as those of fair coins do.
            assert hits.mean(axis=axis).std() == pytest.approx(deviation / np.sqrt(200), rel=0.25)
        for shifted, kept in ((hits[1:], hits[:-1]), (hits[:, 1:], hits[:, :-1])):
            assert abs(np.corrcoef(shifted.ravel(), kept.ravel())[0, 1]) < 0.02


def test_taste_is_the_mean_of_the_training_ratings_of_exactly_that_genre(tmp_path: Path) -> None:
    films = "movieId,title,genres\n" + "".join(
        f"{i},F,{'Sci-Fi|Fiction|Sci-Fi' if i % 2 else 'Sci'}\n" for i in range(1, 11)
    )
    ratings = RATINGS_HEADER + "".join(f"7,{i},{i / 2},{T + i}\n" for i in range(1, 11))
    warehouse = build(tmp_path, "movielens", {"movies.csv": films, "ratings.csv": ratings}, features=True)
    # Trained on: titles 1 to 8, rated 0.5 to 4. Odd ones: 0.5, 1.5, 2.5, 3.5; even ones: 1, 2, 3, 4.
    assert rows(warehouse, "SELECT * FROM features.user_genre_taste ORDER BY ALL") == [
        (0, "Fiction", 2.0, 4),
        (0, "Sci", 2.5, 4),
        (0, "Sci-Fi", 2.0, 4),
    ]
    data = load_training_data(warehouse)
    assert data.item_features.genre_names == ("Fiction", "Sci", "Sci-Fi")
    np.testing.assert_array_equal(data.user_genre_taste, np.float32([[2, 2.5, 2]]))
    np.testing.assert_array_equal(replace(data).user_genre_taste, data.user_genre_taste)
    assert rows(warehouse, "SELECT genre FROM features.item_genres WHERE item_idx = 0 ORDER BY 1") == [
        ("Fiction",),
        ("Sci-Fi",),
    ]


def test_watches_without_a_rating_are_interactions_unless_given_up_or_only_planned(tmp_path: Path) -> None:
    files = {
        "anime.csv": ANIME_2020,
        "rating_complete.csv": "user_id,anime_id,rating\n9,1,8\n",
        "animelist.csv": "user_id,anime_id,rating,watching_status,watched_episodes\n"
        "9,1,8,4,1\n9,2,0,1,1\n9,3,0,2,1\n9,4,0,3,1\n9,5,0,4,1\n9,6,0,6,0\n4,6,0,6,0\n",
    }
    warehouse = build(tmp_path, "anime-2020", files, features=True)
    pairs = rows(warehouse, "SELECT user_idx, item_idx, rating FROM features.interactions ORDER BY ALL")
    assert pairs == [(1, 0, 8.0), (1, 1, None), (1, 2, None)]
    # A user who only plans is a user; whatever was begun is owned.
    users, items = load_ids(warehouse)
    assert users.tolist() == [4, 9]
    assert items.tolist() == [1, 2, 3, 4, 5, 6]
    assert load_excluded(warehouse).toarray().tolist() == [[0] * 6, [1, 1, 1, 1, 1, 0]]


def test_the_arrays_have_the_types_order_and_unknowns_of_the_contract(tmp_path: Path) -> None:
    ratings = "user_id,anime_id,rating\n" + "".join(f"{u},{i},{r}\n" for u in (5, 3) for i, r in ((30, -1), (10, 9)))
    warehouse = build(tmp_path, "cooper-union", {"anime.csv": ANIME, "rating.csv": ratings}, features=True)
    data = load_training_data(warehouse)
    folds = [data.train, data.validation, load_fold(warehouse, "test")]
    assert sum(map(len, folds)) == 4
    for fold in folds:
        assert (fold.users.dtype, fold.items.dtype, fold.ratings.dtype) == (np.int32, np.int32, np.float32)
        assert fold.times is None
        keys = list(zip(fold.users.tolist(), fold.items.tolist(), strict=True))
        assert keys == sorted(keys)
        assert np.isnan(fold.ratings[fold.items == 2]).all()
        assert (fold.ratings[fold.items == 0] == 9).all()
    assert (data.n_users, data.n_items, data.scale, data.like_threshold) == (2, 3, (1, 10), 8)
    titles = data.item_features
    assert titles.genre_names == ("Action", "Shounen Ai")
    assert titles.genres.toarray().tolist() == [[1, 1], [1, 0], [0, 0]]
    assert titles.kind_names == ("Movie", "TV")
    assert titles.kinds.tolist() == [1, 0, -1]
    assert np.isnan(titles.years).all()
    np.testing.assert_array_equal(titles.site_scores, np.array([5, np.nan, 7.5], np.float32))


def test_tags_that_several_items_have_are_features(tmp_path: Path) -> None:
    files = {
        "movies.csv": "movieId,title,genres\n10,One,Drama\n20,Two,Drama\n30,Three,Drama\n",
        "ratings.csv": RATINGS_HEADER + "1,10,4,1\n",
        "tags.csv": "userId,movieId,tag\n1,10,dark\n1,20,dark\n1,20,rain\n1,30,rain\n2,30,dark\n1,10,x\n",
    }
    tags = load_training_data(build(tmp_path, "movielens", files, features=True)).item_features.tags
    assert tags is not None
    assert tags.toarray().tolist() == [[1, 0], [1, 1], [1, 1]]


def test_the_id_map_hash_changes_with_the_ids_and_only_with_them(tmp_path: Path) -> None:
    def hash_of(ratings: str, films: str = MOVIES) -> str:
        files = {"movies.csv": films, "ratings.csv": RATINGS_HEADER + ratings}
        return id_map_hash(build(tmp_path, "movielens", files, features=True))

    first = hash_of(f"1,1,4,{T}\n2,2,4,{T}\n")
    assert hash_of(f"2,3,1,{T}\n1,2,2,{T}\n") == first
    assert hash_of(f"1,1,4,{T}\n3,2,4,{T}\n") != first
    assert hash_of(f"1,1,4,{T}\n2,2,4,{T}\n", MOVIES + "4,Jaws,Horror\n") != first


def test_features_without_clean_tables_say_what_to_do_first(tmp_path: Path) -> None:
    warehouse = Warehouse(tmp_path / "movie.duckdb")
    with pytest.raises(RecsysError, match="materialise the group 'clean' first"):
        build_features(warehouse, seed=1)
    with pytest.raises(RecsysError, match="materialise the group 'features' first"):
        load_fold(warehouse, "test")


def test_popularity_counts_the_days_before_the_last_interaction(tmp_path: Path) -> None:
    day = 86_400
    films = "movieId,title,genres\n" + "".join(f"{i},F,Drama\n" for i in range(1, 4))
    times = {(1, 1): 0, (2, 1): 0, (1, 2): 394 * day, (2, 2): 400 * day, (1, 3): 399 * day + 1}
    ratings = RATINGS_HEADER + "".join(f"{user},{item},4,{T + time}\n" for (user, item), time in times.items())
    warehouse = build(tmp_path, "movielens", {"movies.csv": films, "ratings.csv": ratings}, features=True)
    counts = {days: counted.tolist() for days, counted in load_popularity(warehouse).items()}
    assert counts[None] == [2, 2, 1]
    assert counts[1] == [0, 1, 1]
    assert counts[7] == counts[365] == [0, 2, 1]


def test_popularity_without_times_is_that_of_all_time(tmp_path: Path) -> None:
    ratings = "userId,movieId,rating,timestamp\n1,1,4,\n1,2,4,\n"
    warehouse = build(tmp_path, "movielens", {"movies.csv": MOVIES, "ratings.csv": ratings}, features=True)
    assert list(load_popularity(warehouse)) == [None]
