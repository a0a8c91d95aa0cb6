"""Where results are kept: the table `evaluation.metrics`, and one Parquet file of per-user results an evaluation."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import astuple, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from recsys_dagster.errors import RecsysError
from recsys_dagster.storage import replacing

if TYPE_CHECKING:
    import duckdb

PerUser = Mapping[str, NDArray[Any]]
"""Columns of equal length, one row a user: `user_idx`, `relevant`, `<metric>_<k>`, and the sums of rating errors."""

_CREATE = """
CREATE SCHEMA IF NOT EXISTS evaluation;
CREATE TABLE IF NOT EXISTS evaluation.metrics (
    model VARCHAR NOT NULL,
    version VARCHAR NOT NULL,
    protocol VARCHAR NOT NULL,
    fold VARCHAR NOT NULL,
    metric VARCHAR NOT NULL,
    k INTEGER,
    value DOUBLE NOT NULL,
    low DOUBLE,
    high DOUBLE,
    users BIGINT NOT NULL
);
"""


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


def store_metrics(connection: "duckdb.DuckDBPyConnection", rows: Sequence[MetricRow]) -> None:
    """Replace, in one transaction, all that is stored of the models and protocols in `rows`.

    So pass the rows of all folds of a model at once: what an older version left on another fold goes too. An error
    leaves the table as it was.
    """
    names = [field.name for field in fields(MetricRow)]
    marks = ", ".join("?" for _ in names)
    connection.begin()
    try:
        connection.execute(_CREATE)
        for model, protocol in sorted({(row.model, row.protocol) for row in rows}):
            connection.execute("DELETE FROM evaluation.metrics WHERE model = ? AND protocol = ?", [model, protocol])
        if rows:
            connection.executemany(
                f"INSERT INTO evaluation.metrics ({', '.join(names)}) VALUES ({marks})",
                [astuple(row) for row in rows],
            )
    except BaseException:
        connection.rollback()
        raise
    connection.commit()


def read_metrics(connection: "duckdb.DuckDBPyConnection") -> list[MetricRow]:
    """Return every row of `evaluation.metrics`, in a fixed order; none if nothing was ever stored."""
    exists = connection.execute(
        "SELECT count(*) FROM information_schema.tables"
        " WHERE table_schema = 'evaluation' AND table_name = 'metrics' AND table_catalog = current_database()"
    ).fetchall()
    if not exists[0][0]:
        return []
    names = ", ".join(field.name for field in fields(MetricRow))
    found = connection.execute(
        f"SELECT {names} FROM evaluation.metrics ORDER BY model, protocol, fold, metric, k"
    ).fetchall()
    return [MetricRow(*row) for row in found]


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
