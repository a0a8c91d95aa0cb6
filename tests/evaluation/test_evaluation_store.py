import duckdb
import numpy as np
import pytest
from numpy.testing import assert_array_equal

from recsys_dagster.errors import RecsysError
from recsys_dagster.evaluation.store import (
    ConfusionRow,
    MetricRow,
    SliceRow,
    read_confusion,
    read_metrics,
    read_per_user,
    read_slices,
    store_metrics,
    write_per_user,
)


def row(model="ease", version="v1", fold="test", protocol="holdout", value=0.5, metric="ndcg", k=10):
    return MetricRow(model, version, protocol, fold, metric, k, value, value - 0.1, value + 0.1, 7)


@pytest.fixture
def connection(tmp_path):
    with duckdb.connect(str(tmp_path / "movie.duckdb")) as opened:
        yield opened


def test_a_warehouse_without_evaluations_has_no_rows(connection):
    assert read_metrics(connection) == []


def test_rows_are_read_as_they_were_stored(connection):
    rows = [row(), MetricRow("ease", "v1", "holdout", "test", "rmse", None, 0.9, None, None, 12)]
    store_metrics(connection, rows)
    assert read_metrics(connection) == rows


def test_storing_replaces_the_rows_of_the_model_only(connection):
    store_metrics(connection, [row("ease"), row("ease", fold="validation"), row("bpr")])
    store_metrics(connection, [row("popularity"), row("ease", protocol="random")])
    store_metrics(connection, [row("ease", version="v2")])
    kept = [(r.model, r.version, r.protocol, r.fold) for r in read_metrics(connection)]
    assert kept == [
        ("bpr", "v1", "holdout", "test"),
        ("ease", "v2", "holdout", "test"),
        ("ease", "v1", "random", "test"),
        ("popularity", "v1", "holdout", "test"),
    ]


def test_slices_and_confusions_are_replaced_with_the_metrics_of_their_model(connection):
    def part(version):
        return SliceRow("ease", version, "holdout", "test", "kind", "TV", 0, "recall", 10, 0.5, None, None, 1, 3)

    cell = ConfusionRow("ease", "v1", "holdout", "test", 8.0, 7.0, 5)
    assert read_slices(connection) == read_confusion(connection) == []
    store_metrics(connection, [row()], [part("v1")], [cell])
    store_metrics(connection, [row("bpr")])
    assert (read_slices(connection), read_confusion(connection)) == ([part("v1")], [cell])
    store_metrics(connection, [row(version="v2")], [part("v2")])
    assert (read_slices(connection), read_confusion(connection)) == ([part("v2")], [])


def test_a_failure_half_way_leaves_the_table_as_it_was(connection):
    store_metrics(connection, [row()])
    with pytest.raises(duckdb.Error):
        store_metrics(connection, [row(version="v2"), row(version="v2", metric=None)])
    assert read_metrics(connection) == [row()]
    store_metrics(connection, [row(version="v3")])
    assert read_metrics(connection) == [row(version="v3")]


def test_per_user_results_are_read_as_written_with_nan_as_null(tmp_path):
    path = tmp_path / "movie" / "ease-test.parquet"
    columns = {"user_idx": np.array([3, 5], np.int32), "ndcg_10": np.array([0.25, np.nan])}
    write_per_user(columns, path)
    back = read_per_user(path)
    for name, values in columns.items():
        assert_array_equal(back[name], values)
        assert back[name].dtype == values.dtype
    assert list(read_per_user(path, ["user_idx", "pairs"])) == ["user_idx"]
    nulls = duckdb.sql(f"SELECT count(*) FROM '{path}' WHERE ndcg_10 IS NULL").fetchall()
    assert nulls == [(1,)]


def test_a_failed_write_leaves_the_previous_file(tmp_path, monkeypatch):
    path = tmp_path / "ease.parquet"
    write_per_user({"user_idx": np.array([1])}, path)

    def full(table, where, **_):
        where.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pyarrow.parquet.write_table", full)
    with pytest.raises(RecsysError, match="the disk is full"):
        write_per_user({"user_idx": np.array([2])}, path)
    assert_array_equal(read_per_user(path)["user_idx"], [1])
    assert list(tmp_path.iterdir()) == [path]


def test_missing_per_user_results_are_named(tmp_path):
    with pytest.raises(RecsysError, match="no per-user results there"):
        read_per_user(tmp_path / "none.parquet")
