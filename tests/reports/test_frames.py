"""DataFrames have the dtypes of their columns."""

import duckdb
import numpy as np
import pandas as pd
import pyarrow as pa

from recsys_dagster.reports.frames import frame_of, records_frame

QUERY = """
SELECT
    1::BIGINT AS item_id, 'TV' AS kind, 2001::SMALLINT AS year, 8.5::FLOAT AS site_score, true AS is_adult,
    ['Drama'] AS genres, TIMESTAMP '2020-01-02 03:04:05' AS "at", 'a' AS title
UNION ALL
SELECT 2, NULL, NULL, NULL, NULL, NULL, NULL, NULL
"""


def test_each_column_has_the_dtype_that_says_what_it_holds() -> None:
    with duckdb.connect() as connection:
        frame = frame_of(connection, QUERY)
    assert {name: str(dtype) for name, dtype in frame.dtypes.items()} == {
        "item_id": "int64",
        "kind": "category",
        "year": "Int16",
        "site_score": "float32",
        "is_adult": "boolean",
        "genres": str(pd.ArrowDtype(pa.list_(pa.field("l", pa.string())))),
        "at": "datetime64[us]",
        "title": "str",
    }
    assert frame.loc[1, ["kind", "year", "site_score", "is_adult", "at", "title"]].isna().all()
    assert frame.loc[0, "at"] == pd.Timestamp("2020-01-02 03:04:05")


def test_a_column_of_numbers_shares_the_memory_of_the_result() -> None:
    with duckdb.connect() as connection:
        frame = frame_of(connection, "SELECT range AS user_id FROM range(10)")
    assert not frame["user_id"].to_numpy().flags.owndata
    assert np.array_equal(frame["user_id"], np.arange(10))


def test_no_records_are_a_frame_with_the_columns() -> None:
    assert list(records_frame([], ["a", "b"]).columns) == ["a", "b"]
