"""Build the clean tables out of the raw files and the features out of the clean tables.

The tables of a group are replaced in one transaction: all of them or none.
"""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass

import duckdb

from recsys_dagster.errors import RecsysError
from recsys_dagster.ingest.catalogue import Dataset
from recsys_dagster.ingest.manifest import Manifest
from recsys_dagster.runtime.progress import announce
from recsys_dagster.warehouse.database import Warehouse, require
from recsys_dagster.warehouse.duckdb_engine import DuckDBEngine
from recsys_dagster.warehouse.engine import make_clean, make_features
from recsys_dagster.warehouse.origin import origin_of, write_origin
from recsys_dagster.warehouse.schemas import tables_of
from recsys_dagster.warehouse.spark_tables import cleaned_on_spark, featured_on_spark
from recsys_dagster.warehouse.sql_files import SqlTable, sql_tables


@dataclass(frozen=True)
class TableSummary:
    """A table that was built.

    Attributes:
        schema, name: the table.
        rows: number of its rows.
        columns: type of each column by name, in order.
    """

    schema: str
    name: str
    rows: int
    columns: dict[str, str]


@dataclass(frozen=True)
class FileAccount:
    """What became of the rows of one raw file.

    Attributes:
        file: name of the file.
        rows_in: its rows; equal to `kept` plus all `rejected`, which are counted independently.
        kept: rows that are in a clean table.
        rejected: number of rejected rows by reason.
    """

    file: str
    rows_in: int
    kept: int
    rejected: dict[str, int]


def build_clean(
    warehouse: Warehouse, dataset: Dataset, manifest: Manifest, *, max_rejected: float = 1.0
) -> list[TableSummary]:
    """Replace the tables of the schema `clean` by those made of the files of the manifest.

    Args:
        warehouse: where the tables are.
        dataset: its scale is available to the SQL.
        manifest: its files.
        max_rejected: share of the rows of a file that may be rejected, for messages.

    Raises:
        RecsysError: a file cannot be read, most rows do not fit to the declaration, the disk is full, or another
            process has the warehouse open.
    """
    if warehouse.engine == "spark":
        with (
            cleaned_on_spark(warehouse, dataset, manifest, max_rejected) as made,
            warehouse.connect() as connection,
            _replacing(connection, "clean"),
        ):
            made.create(connection)
            write_origin(connection, dataset, manifest, **made.result)
            return _summaries(connection, "clean")
    with warehouse.connect() as connection:
        engine = DuckDBEngine(connection, warehouse.scratch)
        loaded = engine.read_raw(dataset, manifest, max_rejected=max_rejected)
        with _replacing(connection, "clean"):
            make_clean(engine, dataset, loaded)
            write_origin(connection, dataset, manifest, user_ids=loaded.user_ids, item_ids=loaded.item_ids)
            summaries = _summaries(connection, "clean")
        connection.execute("DETACH raw")
    return summaries


def build_features(warehouse: Warehouse, seed: int) -> list[TableSummary]:
    """Replace the tables of the schema `features` by those made of the clean tables.

    Args:
        warehouse: where the clean tables are.
        seed: of the folds, where these are made by hash.

    Raises:
        RecsysError: the clean tables do not exist.
    """
    with warehouse.connect() as connection:
        require(connection, warehouse, "clean", [table.name for table in sql_tables("clean")])
        scale = origin_of(connection, warehouse).scale
    with contextlib.ExitStack() as stack:
        spark = warehouse.engine == "spark"
        made = stack.enter_context(featured_on_spark(warehouse, scale, seed)) if spark else None
        connection = stack.enter_context(warehouse.connect())
        with _replacing(connection, "features"):
            if made is not None:
                made.create(connection)
            else:
                make_features(DuckDBEngine(connection, warehouse.scratch), scale, seed)
            summaries = _summaries(connection, "features")
        announce(f"{warehouse.path.stem}: {format_fold_cuts(connection)}")
    return summaries


def format_fold_cuts(connection: duckdb.DuckDBPyConnection) -> str:
    """Return how the folds are cut and why, in one line."""
    method, reason, train_until, validation_until = connection.execute(
        "SELECT method, reason, train_until, validation_until FROM features.fold_cuts"
    ).fetchall()[0]
    if method == "hash":
        return f"folds are cut by hash, as {reason}"
    return f"folds are cut by time, at {train_until} and {validation_until}: {reason}"


def reconcile(warehouse: Warehouse) -> list[FileAccount]:
    """Return the account of each raw file, ordered by name."""
    with warehouse.connect() as connection:
        require(connection, warehouse, "clean", ["source_files", "rejected"])
        rejected: dict[str, dict[str, int]] = {}
        for file, reason, rows in connection.execute(
            "SELECT source_file, reason, count(*) FROM clean.rejected GROUP BY ALL ORDER BY ALL"
        ).fetchall():
            rejected.setdefault(file, {})[reason] = rows
        files = connection.execute("SELECT source_file, rows_in, kept FROM clean.source_files ORDER BY ALL").fetchall()
    return [FileAccount(file, rows_in, kept, rejected.get(file, {})) for file, rows_in, kept in files]


@contextlib.contextmanager
def _replacing(connection: duckdb.DuckDBPyConnection, schema: str) -> Iterator[None]:
    """Run the block in a transaction on an empty `schema`, with a schema `staging` that is dropped at the end."""
    connection.execute("BEGIN")
    try:
        connection.execute(f"DROP SCHEMA IF EXISTS {schema} CASCADE")
        connection.execute(f"CREATE SCHEMA {schema}")
        connection.execute("CREATE SCHEMA staging")
        yield
        # One by one: DuckDB does not commit tables that were made and dropped with their schema in one transaction.
        staged = connection.execute("SELECT table_name FROM duckdb_tables() WHERE schema_name = 'staging'").fetchall()
        for (name,) in staged:
            connection.execute(f"DROP TABLE staging.{name}")
        connection.execute("DROP SCHEMA staging CASCADE")
        connection.execute("COMMIT")
    except BaseException:
        # The error that is being raised may have ended the transaction already.
        with contextlib.suppress(duckdb.Error):
            connection.execute("ROLLBACK")
        raise


def _summaries(connection: duckdb.DuckDBPyConnection, schema: str) -> list[TableSummary]:
    return [_summary(connection, table) for table in sql_tables(schema)]


def _summary(connection: duckdb.DuckDBPyConnection, table: SqlTable) -> TableSummary:
    """Return the summary of a table; raise RecsysError unless it has exactly the declared columns."""
    declared = tables_of(table.schema)[table.name]
    columns = {row[0]: row[1] for row in connection.execute(f"DESCRIBE {declared.full_name}").fetchall()}
    differences = declared.differences(columns)
    if differences:
        raise RecsysError(f"{table.path}: not as declared in warehouse/schemas.py: {'; '.join(differences)}")
    rows = connection.execute(f"SELECT count(*) FROM {declared.full_name}").fetchall()[0][0]
    return TableSummary(table.schema, table.name, rows, columns)
