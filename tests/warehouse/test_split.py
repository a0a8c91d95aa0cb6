import datetime as dt
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from numpy.testing import assert_array_equal

from recsys_dagster.data.interactions import Interactions
from recsys_dagster.data.split import Split
from recsys_dagster.errors import RecsysError
from recsys_dagster.warehouse.split import load_split

NOON = dt.datetime(1970, 1, 1, 12)


def write(path: Path, **columns: object) -> Path:
    pq.write_table(pa.table(columns), path)
    return path


def good(path: Path, **changed: object) -> Path:
    """Two pairs of one user, with columns replaced, or removed where None."""
    columns: dict[str, object] = {"user_id": [3, 3], "item_id": [7, 5], "rating": [4.0, 2.0]} | changed
    return write(path, **{name: values for name, values in columns.items() if values is not None})


def load(
    folder: Path, train: Path, test: Path | None = None, fold_in: Path | None = None, items: Path | None = None
) -> Split:
    test = test or good(folder / "test.parquet", item_id=[8, 6])
    return load_split(train, test, fold_in, items, scale=(1, 5), like_threshold=4, scratch=folder)


def as_ids(pairs: Interactions, users: np.ndarray, items: np.ndarray) -> list[tuple[int, int]]:
    return list(zip(users[pairs.users].tolist(), items[pairs.items].tolist(), strict=True))


def test_users_and_items_of_all_files_are_numbered_by_id(tmp_path: Path) -> None:
    train = good(tmp_path / "train.parquet", user_id=[9, 3], item_id=[7, 2**40])
    test = good(tmp_path / "test.parquet", user_id=[5, 3], item_id=[7, 1])
    split = load(tmp_path, train, test)

    assert_array_equal(split.test_user_ids, [3, 5, 9])
    assert_array_equal(split.item_ids, [1, 7, 2**40])
    assert (split.data.n_users, split.data.n_items) == (3, 3)
    assert as_ids(split.data.train, split.test_user_ids, split.item_ids) == [(3, 2**40), (9, 7)]
    assert as_ids(split.test, split.test_user_ids, split.item_ids) == [(5, 7), (3, 1)], "the test keeps its order"
    assert_array_equal(split.data.train.ratings, np.float32([2, 4]))
    assert split.data.train.times is None
    assert len(split.data.validation) == 0
    assert split.fold_in is None
    assert list(tmp_path.glob(".tmp-*")) == []


def test_with_a_fold_in_the_test_users_have_indices_of_their_own(tmp_path: Path) -> None:
    train = good(tmp_path / "train.parquet", user_id=[9, 3])
    fold_in = good(tmp_path / "fold_in.parquet", user_id=[80, 70])
    test = good(tmp_path / "test.parquet", user_id=[70, 90], item_id=[9, 9])
    split = load(tmp_path, train, test, fold_in)

    assert split.data.n_users == 2
    assert_array_equal(split.test_user_ids, [70, 80, 90])
    assert split.fold_in is not None
    assert as_ids(split.fold_in, split.test_user_ids, split.item_ids) == [(70, 5), (80, 7)]
    assert as_ids(split.test, split.test_user_ids, split.item_ids) == [(70, 9), (90, 9)]


def test_a_missing_rating_may_be_null_or_nan_or_a_column_of_nulls(tmp_path: Path) -> None:
    for ratings in ([None, 2.0], [float("nan"), 2.0]):
        split = load(tmp_path, good(tmp_path / "train.parquet", rating=pa.array(ratings, from_pandas=False)))
        assert_array_equal(split.data.train.ratings, np.float32([2, np.nan]))
    split = load(tmp_path, good(tmp_path / "train.parquet", rating=pa.nulls(2)))
    assert np.isnan(split.data.train.ratings).all()


@pytest.mark.parametrize(
    "times",
    [
        pa.array([NOON, None], pa.timestamp("ns")),
        pa.array([NOON, None], pa.timestamp("us", "UTC")),
        pa.array([NOON, None], pa.timestamp("ms")),
    ],
)
def test_times_are_seconds_in_utc(tmp_path: Path, times: pa.Array) -> None:
    split = load(tmp_path, good(tmp_path / "train.parquet", at=times))
    assert_array_equal(split.data.train.times, [np.iinfo(np.int64).min, 12 * 3600])


def test_features_are_those_of_the_items_of_the_split_only(tmp_path: Path) -> None:
    items = write(
        tmp_path / "items.parquet",
        item_id=[5, 6, 99],
        genres=[["Drama", " Crime"], None, ["Opera"]],
        kind=["TV", None, "Movie"],
        year=[1990, None, 2000],
        title=["a", "b", "c"],
    )
    data = load(tmp_path, good(tmp_path / "train.parquet"), items=items).data

    assert data.item_features.genre_names == ("Crime", "Drama")
    assert_array_equal(data.item_features.genres.toarray(), [[1, 1], [0, 0], [0, 0], [0, 0]])
    assert data.item_features.kind_names == ("TV",)
    assert_array_equal(data.item_features.kinds, [0, -1, -1, -1])
    assert_array_equal(data.item_features.years, [1990, np.nan, np.nan, np.nan])
    assert np.isnan(data.item_features.site_scores).all()


def test_without_an_item_file_all_features_are_unknown(tmp_path: Path) -> None:
    features = load(tmp_path, good(tmp_path / "train.parquet")).data.item_features
    assert features.genres.shape == (4, 0)
    assert_array_equal(features.kinds, [-1] * 4)
    assert np.isnan(features.years).all()


@pytest.mark.parametrize(
    ("changed", "line"),
    [
        (
            {"rating": None},
            "no column rating (FLOAT; NULL for a like without a rating), only user_id, item_id; add it or rename one",
        ),
        ({"item_id": [7.0, 5.0]}, "the column item_id is of type DOUBLE; make it BIGINT or VARCHAR (which item)"),
        (
            {"weight": [1.0, 0.0]},
            "weight is not above 0 in 1 rows, such as 0; remove these rows, or make it NULL for an interaction of "
            "unknown strength",
        ),
        ({"at": [12, 13]}, "the column at is of type BIGINT; make it TIMESTAMP (when)"),
        ({"user_id": [3, None]}, "user_id is NULL in 1 rows; remove these rows or fill it in"),
        (
            {"rating": [5.0, 5.5]},
            "rating is off the scale from 1 to 5 in 1 rows, such as 5.5; give the right scale, or make it NULL for a "
            "like without a rating",
        ),
        (
            {"item_id": [7, 7]},
            "user_id, item_id is not unique: 1 repeated, such as 3, 7; keep one row of each",
        ),
        (
            {"user_id": pa.array([], pa.int64()), "item_id": pa.array([], pa.int64()), "rating": pa.array([], "float")},
            "has no rows; write the interactions to it",
        ),
    ],
)
def test_a_bad_file_is_one_line_with_file_column_and_cure(
    tmp_path: Path, changed: dict[str, object], line: str
) -> None:
    train = good(tmp_path / "train.parquet", **changed)
    with pytest.raises(RecsysError) as error:
        load(tmp_path, train)
    assert str(error.value) == f"{train}: {line}"


def test_a_file_that_is_missing_or_not_parquet_is_named(tmp_path: Path) -> None:
    with pytest.raises(RecsysError, match=r"nowhere.parquet: there is no such file"):
        load(tmp_path, tmp_path / "nowhere.parquet")
    (tmp_path / "train.parquet").write_text("user_id,item_id,rating\n1,2,3\n")
    with pytest.raises(RecsysError, match=r"train.parquet: not a Parquet file"):
        load(tmp_path, tmp_path / "train.parquet")


def test_items_need_genres_as_lists_and_one_row_each(tmp_path: Path) -> None:
    train = good(tmp_path / "train.parquet")
    for columns, problem in (
        ({"item_id": [5]}, r"no column genres \(VARCHAR\[\]"),
        ({"item_id": [5], "genres": ["Drama|Crime"]}, r"genres is of type VARCHAR; make it VARCHAR\[\]"),
        ({"item_id": [5, 5], "genres": [["Drama"], ["Crime"]]}, "item_id is not unique: 1 repeated, such as 5"),
    ):
        with pytest.raises(RecsysError, match=problem):
            load(tmp_path, train, items=write(tmp_path / "items.parquet", **columns))


def test_a_test_file_with_pairs_of_the_training_file_is_refused(tmp_path: Path) -> None:
    train, test = good(tmp_path / "train.parquet"), good(tmp_path / "test.parquet", item_id=[5, 6])
    with pytest.raises(RecsysError, match=r"1 of its pairs are in .*train.parquet too, such as user_id 3, item_id 5"):
        load(tmp_path, train, test)
    fold_in = good(tmp_path / "fold_in.parquet", item_id=[6, 9])
    with pytest.raises(RecsysError, match=r"1 of its pairs are in .*fold_in.parquet too, such as user_id 3, item_id 6"):
        load(tmp_path, train, test, fold_in)


def test_test_users_who_are_in_the_training_file_are_announced(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    train = good(tmp_path / "train.parquet", user_id=[3, 4])
    fold_in = good(tmp_path / "fold_in.parquet", user_id=[4, 80])
    test = good(tmp_path / "test.parquet", user_id=[4, 80], item_id=[9, 9])
    load(tmp_path, train, test, fold_in)
    assert "1 of the test users are in the training file too, such as 4" in capsys.readouterr().err
    load(tmp_path, good(tmp_path / "train.parquet"), test, fold_in)
    assert capsys.readouterr().err == ""


def csv(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


def test_text_ids_are_kept_as_they_are_written(tmp_path: Path) -> None:
    train = csv(tmp_path / "train.csv", "user_id,item_id,rating\nbob,007,4\nal,7,2\n")
    test = good(tmp_path / "test.parquet", user_id=["al", "eve"], item_id=["007", "x"])
    split = load(tmp_path, train, test)
    assert split.test_user_ids.tolist() == ["al", "bob", "eve"]
    assert split.item_ids.tolist() == ["007", "7", "x"]
    assert as_ids(split.data.train, split.test_user_ids, split.item_ids) == [("al", "7"), ("bob", "007")]


def test_ids_are_text_in_all_files_if_they_are_in_one(tmp_path: Path) -> None:
    train = csv(tmp_path / "train.csv", "user_id,item_id,rating\n3,7,4\n3,5,2\n")
    split = load(tmp_path, train, good(tmp_path / "test.parquet", user_id=["3", "al"], item_id=[8, 6]))
    assert split.test_user_ids.tolist() == ["3", "al"]
    assert_array_equal(split.item_ids, [5, 6, 7, 8], "items are whole numbers in both files")


def test_a_csv_file_is_read_as_the_same_parquet_file(tmp_path: Path) -> None:
    rows = 'user_id;item_id;rating;at;note\n9;7;4.5;1000000000;"a;b"\n3;5;;2001-09-09T01:46:41Z;\n-4;6;NaN;;\n'
    split = load(tmp_path, csv(tmp_path / "train.csv", rows))
    assert_array_equal(split.test_user_ids, [-4, 3, 9])
    assert_array_equal(split.data.train.ratings, np.float32([np.nan, np.nan, 4.5]))
    assert_array_equal(split.data.train.times, [np.iinfo(np.int64).min, 1_000_000_001, 1_000_000_000])


def test_a_csv_file_of_items_has_genres_between_bars(tmp_path: Path) -> None:
    items = csv(tmp_path / "items.csv", "item_id,genres,year\n7,Drama|Crime,1999\n5,,\n")
    features = load(tmp_path, good(tmp_path / "train.parquet"), items=items).data.item_features
    assert features.genre_names == ("Crime", "Drama")
    assert_array_equal(features.years, [np.nan, np.nan, 1999, np.nan])


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("user_id,item_id,rating\n3,7,good\n", "rating cannot be read in 1 rows, such as 'good'; write it as FLOAT"),
        (
            "user_id,item_id,rating,at\n3,7,4,noon\n",
            "at cannot be read in 1 rows, such as 'noon'; write it as TIMESTAMP",
        ),
        ("user_id,item_id,rating\n,7,4\n", "user_id is NULL in 1 rows"),
        ("user,item_id,rating\n3,7,4\n", "no column user_id"),
    ],
)
def test_a_bad_csv_file_is_one_line_with_the_cure(tmp_path: Path, text: str, line: str) -> None:
    with pytest.raises(RecsysError, match=f"^{tmp_path}/train.csv: {line}"):
        load(tmp_path, csv(tmp_path / "train.csv", text))


def implicit(folder: Path, train: str, test: str = "user_id,item_id\na,z\n") -> Split:
    paths = csv(folder / "train.csv", train), csv(folder / "test.csv", test)
    return load_split(*paths, None, None, scale=None, like_threshold=None, scratch=folder)


def test_rows_of_implicit_feedback_add_up(tmp_path: Path) -> None:
    split = implicit(tmp_path, "user_id,item_id,weight,at\na,x,2,2020-01-01\na,y,,\na,x,0.5,2021-01-01\na,x,,\n")
    assert split.data.train.weights is not None
    assert split.data.train.weights.tolist() == [3.5, 1]
    assert split.data.train.times is not None
    assert split.data.train.times.tolist() == [1609459200, np.iinfo(np.int64).min]
    assert np.isnan(split.data.train.ratings).all()
    assert split.data.scale is split.data.like_threshold is None


def test_ratings_without_a_scale_are_refused(tmp_path: Path) -> None:
    with pytest.raises(RecsysError, match=r"train.csv: has a rating in 1 rows, such as 4, and no scale is given; give"):
        implicit(tmp_path, "user_id,item_id,rating\na,x,4\na,y,\n")
