"""Store results: tables of the schema `evaluation`, and one Parquet file of per-user results for each evaluation."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from recsys_dagster.data.list_lengths import SHORT_LIST
from recsys_dagster.errors import RecsysError
from recsys_dagster.evaluation.metrics.metric import MetricKey
from recsys_dagster.evaluation.metrics.registry import CHOOSING_METRIC
from recsys_dagster.runtime.storage import replacing
from recsys_dagster.warehouse.schemas import CONFUSION, METRICS, SLICES, Table
from recsys_dagster.warehouse.table_rows import create_table, insert_rows, read_rows

if TYPE_CHECKING:
    import duckdb

HOLDOUT = "holdout"
"""The protocol of the lineage: train on the training fold, choose on validation, report on test.

Where the folds are cut by time, what each user had done by their moment in the fold is folded in.
"""
FROZEN = "frozen"
"""The same where the folds are cut by time, but with the lists of the beginning of each fold: nothing is folded in."""
CHOOSING_FOLD, REPORTED_FOLD = "validation", "test"
CHOOSING_COLUMN = f"{CHOOSING_FOLD}_{CHOOSING_METRIC.column}"
"""Name of the choosing metric among the metrics of a version, see `headline`."""
CONSTANT = "constant"
"""The name under which the mean rating of the training fold is evaluated like a model."""

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

    @property
    def key(self) -> MetricKey:
        """The metric and the length of the lists."""
        return MetricKey(self.metric, self.k)


@dataclass(frozen=True)
class SliceRow:
    """One row of `evaluation.slices`: a metric for one part of the users or items; see `Slice` for the columns."""

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

    @property
    def key(self) -> MetricKey:
        """The metric and the length of the lists."""
        return MetricKey(self.metric, self.k)


@dataclass(frozen=True)
class ConfusionRow:
    """One row of `evaluation.confusion`: how many pairs of a rating were predicted, rounded, as which rating."""

    model: str
    version: str
    protocol: str
    fold: str
    rating: float
    predicted: float
    pairs: int


_TABLES: dict[type, Table] = {MetricRow: METRICS, SliceRow: SLICES, ConfusionRow: CONFUSION}


def headline(rows: Sequence[MetricRow]) -> dict[str, float]:
    """Return the most important values by `<fold>_<metric>`: those without a list length, and those of short lists."""
    return {f"{row.fold}_{row.key.column}": row.value for row in rows if row.k in (None, SHORT_LIST)}


def store_metrics(
    connection: "duckdb.DuckDBPyConnection",
    rows: Sequence[MetricRow],
    slices: Sequence[SliceRow] = (),
    confusion: Sequence[ConfusionRow] = (),
) -> None:
    """Replace, in one transaction, whatever the tables hold of the models and protocols in `rows`.

    Pass the rows of all folds of a model at once, because rows of its older version on other folds are deleted too. On
    an error the tables stay as they were.
    """
    stored: dict[type, Sequence[Any]] = {MetricRow: rows, SliceRow: slices, ConfusionRow: confusion}
    connection.begin()
    try:
        for row_type, added in stored.items():
            table = _TABLES[row_type]
            create_table(connection, table)
            for model, protocol in sorted({(row.model, row.protocol) for row in rows}):
                connection.execute(f"DELETE FROM {table.full_name} WHERE model = ? AND protocol = ?", [model, protocol])
            insert_rows(connection, table, added)
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
    with replacing(path) as unfinished:
        pq.write_table(table, unfinished, compression="zstd")


def read_per_user(path: Path, columns: Iterable[str] | None = None) -> dict[str, NDArray[Any]]:
    """Return the columns that `write_per_user` wrote, NULL as NaN; with `columns`, those of them that the file has.

    Raises:
        RecsysError: there is no such file.
    """
    import pyarrow.parquet as pq

    if not path.exists():
        raise RecsysError(f"{path}: no per-user results there; evaluate the model again")
    stored = pq.read_schema(path).names
    table = pq.read_table(path, columns=stored if columns is None else [name for name in columns if name in stored])
    return {name: np.asarray(table[name].to_numpy()) for name in table.column_names}
