"""Where results are kept: tables of the schema `evaluation`, and one Parquet file of per-user results an evaluation."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from recsys_dagster.errors import RecsysError
from recsys_dagster.runtime.storage import replacing
from recsys_dagster.warehouse.table_rows import create_table, insert_rows, read_rows

if TYPE_CHECKING:
    import duckdb

PerUser = Mapping[str, NDArray[Any]]
"""Columns of equal length, one row a user: `user_idx`, `relevant`, `<metric>_<k>`, and sums, as in `Evaluation`."""


@dataclass(frozen=True)
class MetricRow:
    """One row of `evaluation.metrics`: a metric of one version of a model on one fold of a protocol."""

    model: str
    version: str
    protocol: str
    fold: str
    metric: str
    k: int | None
    value: float
    low: float | None
    high: float | None
    users: int


@dataclass(frozen=True)
class SliceRow:
    """One row of `evaluation.slices`: a metric for a part of the users or titles; see `Slice` for the columns."""

    model: str
    version: str
    protocol: str
    fold: str
    dimension: str
    part: str
    position: int
    metric: str
    k: int | None
    value: float
    low: float | None
    high: float | None
    users: int
    pairs: int


@dataclass(frozen=True)
class ConfusionRow:
    """One row of `evaluation.confusion`: how often a rating was predicted, rounded, as which."""

    model: str
    version: str
    protocol: str
    fold: str
    rating: float
    predicted: float
    pairs: int


_TABLES: dict[type, str] = {
    MetricRow: "evaluation.metrics",
    SliceRow: "evaluation.slices",
    ConfusionRow: "evaluation.confusion",
}


def headline(rows: Sequence[MetricRow]) -> dict[str, float]:
    """The figures that say most, by fold and name: the rating errors and the ranking metrics at 10."""
    return {
        f"{row.fold}_{row.metric}" if row.k is None else f"{row.fold}_{row.metric}_{row.k}": row.value
        for row in rows
        if row.k in (None, 10)
    }


def store_metrics(
    connection: "duckdb.DuckDBPyConnection",
    rows: Sequence[MetricRow],
    slices: Sequence[SliceRow] = (),
    confusion: Sequence[ConfusionRow] = (),
) -> None:
    """Replace, in one transaction, all that is stored in any table of the models and protocols in `rows`.

    So pass the rows of all folds of a model at once: what an older version left on another fold goes too. An error
    leaves the tables as they were.
    """
    stored: dict[type, Sequence[Any]] = {MetricRow: rows, SliceRow: slices, ConfusionRow: confusion}
    connection.begin()
    try:
        for kind, added in stored.items():
            create_table(connection, _TABLES[kind], kind)
            for model, protocol in sorted({(row.model, row.protocol) for row in rows}):
                connection.execute(f"DELETE FROM {_TABLES[kind]} WHERE model = ? AND protocol = ?", [model, protocol])
            insert_rows(connection, _TABLES[kind], added)
    except BaseException:
        connection.rollback()
        raise
    connection.commit()


def read_metrics(connection: "duckdb.DuckDBPyConnection") -> list[MetricRow]:
    """Return every row of `evaluation.metrics`, in a fixed order; none if nothing was ever stored."""
    return read_rows(connection, _TABLES[MetricRow], MetricRow, "model, protocol, fold, metric, k")


def read_slices(connection: "duckdb.DuckDBPyConnection") -> list[SliceRow]:
    """Return every row of `evaluation.slices`, in a fixed order; none if nothing was ever stored."""
    return read_rows(connection, _TABLES[SliceRow], SliceRow, "model, protocol, fold, dimension, position, metric, k")


def read_confusion(connection: "duckdb.DuckDBPyConnection") -> list[ConfusionRow]:
    """Return every row of `evaluation.confusion`, in a fixed order; none if nothing was ever stored."""
    return read_rows(connection, _TABLES[ConfusionRow], ConfusionRow, "model, protocol, fold, rating, predicted")


def write_per_user(per_user: PerUser, path: Path) -> None:
    """Write the columns as a Parquet file, NaN as NULL, replacing `path` atomically."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pa.table({name: pa.array(values, from_pandas=True) for name, values in per_user.items()})
    with replacing(path) as beside:
        pq.write_table(table, beside, compression="zstd")


def read_per_user(path: Path, columns: Iterable[str] | None = None) -> dict[str, NDArray[Any]]:
    """Return the columns that `write_per_user` wrote, NULL as NaN; with `columns`, those of them that the file has.

    Raises:
        RecsysError: there is no such file.
    """
    import pyarrow.parquet as pq

    if not path.exists():
        raise RecsysError(f"{path}: no per-user results there; evaluate the model again")
    known = pq.read_schema(path).names
    table = pq.read_table(path, columns=known if columns is None else [name for name in columns if name in known])
    return {name: np.asarray(table[name].to_numpy()) for name in table.column_names}
