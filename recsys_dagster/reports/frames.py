"""Turn query results and dataclasses into pandas DataFrames with the dtypes that their columns have in DuckDB.

Results come as Arrow tables, so that a column of numbers is shared where it can be instead of copied. Whole numbers and
truth values that may be unknown get pandas' nullable types, text is `str`, lists stay Arrow's.
"""

from collections.abc import Iterable
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import pandas as pd
import pyarrow as pa

if TYPE_CHECKING:
    import duckdb

CATEGORIES = ("kind", "status", "language", "reason", "source_file", "model", "fold", "metric", "protocol")
"""Columns of few different texts."""

_NULLABLE = {
    pa.int8(): pd.Int8Dtype(),
    pa.int16(): pd.Int16Dtype(),
    pa.int32(): pd.Int32Dtype(),
    pa.bool_(): pd.BooleanDtype(),
}


def frame_of(connection: "duckdb.DuckDBPyConnection", query: str) -> pd.DataFrame:
    """Return the result of a query as a DataFrame."""
    return arrow_frame(connection.sql(query).to_arrow_table())


def arrow_frame(table: pa.Table) -> pd.DataFrame:
    """Return an Arrow table as a DataFrame; a key (BIGINT) without unknown values is NumPy's int64."""
    categories = [name for name in table.column_names if name in CATEGORIES and pa.types.is_string(table[name].type)]
    return table.to_pandas(types_mapper=_dtype, categories=categories, split_blocks=True)


def _dtype(kind: pa.DataType) -> Any:
    """Return the pandas dtype of an Arrow type; None for pandas' own choice, which shares memory with Arrow."""
    if pa.types.is_list(kind):
        return pd.ArrowDtype(kind)
    return _NULLABLE.get(kind)


def records_frame(rows: Iterable[Any], columns: Iterable[str] = ()) -> pd.DataFrame:
    """Return dataclasses as a DataFrame with a row each; `columns` are there also if there are no rows."""
    frame = pd.DataFrame([asdict(row) for row in rows])
    return frame if len(frame.columns) else pd.DataFrame(columns=list(columns))
