"""Build the clean tables out of the raw files and the features out of the clean tables.

The tables of a group are replaced in one transaction: all of them or none.
"""

import contextlib
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise

import duckdb

from recsys_dagster.errors import RecsysError
from recsys_dagster.ingest.catalogue import Dataset
from recsys_dagster.ingest.manifest import Manifest
from recsys_dagster.runtime.progress import announce
from recsys_dagster.warehouse.database import Warehouse
from recsys_dagster.warehouse.declared_checks import check_declared
from recsys_dagster.warehouse.file_loading import LoadedFile
from recsys_dagster.warehouse.origin import origin_of, write_origin
from recsys_dagster.warehouse.raw_files import load_raw
from recsys_dagster.warehouse.schemas import tables_of
from recsys_dagster.warehouse.sql_files import Materialisation, SqlTable, clean_build_order, sql_tables

ROWS_PER_BLOCK = 2**24
"""Raw interactions that are joined at once where a table is materialised by blocks of users."""

_IDENTIFIED = """
SELECT user_id, item_id FROM staging.all_interactions
WHERE is_listing = {is_listing} AND user_id IS NOT NULL AND item_id IS NOT NULL
"""

_OUT_OF_ORDER = """
SELECT 1 FROM (
    SELECT user_id, item_id, lag(user_id) OVER () AS last_user, lag(item_id) OVER () AS last_item
    FROM ({interactions})
)
WHERE user_id < last_user OR (user_id = last_user AND item_id <= last_item)
LIMIT 1
"""
"""Finds a row that does not come after the one before it. Where there is none, no pair repeats: whatever the order in
which the engine reads the rows, a strictly rising sequence has no equal elements."""


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
    with warehouse.connect() as connection:
        loaded = load_raw(connection, warehouse.scratch, dataset, manifest, max_rejected=max_rejected)
        with _replacing(connection, "clean"):
            _create_domain(connection, dataset.scale, seed=0)
            _create_accounts(connection, loaded.files)
            sums = dataset.declaration is not None and dataset.declaration.sums_repeats
            for table in clean_build_order(dataset.format.name, sums_repeats=sums):
                _materialise(connection, table, loaded.files)
            if dataset.declaration is not None:
                check_declared(connection, dataset.declaration)
            write_origin(connection, dataset, manifest, user_ids=loaded.user_ids, item_ids=loaded.item_ids)
            summaries = [_summary(connection, table) for table in sql_tables("clean")]
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
        with _replacing(connection, "features"):
            _create_domain(connection, origin_of(connection, warehouse).scale, seed)
            for table in sql_tables("features"):
                _materialise(connection, table, [])
            summaries = [_summary(connection, table) for table in sql_tables("features")]
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


def require(connection: duckdb.DuckDBPyConnection, warehouse: Warehouse, schema: str, names: Iterable[str]) -> None:
    """Raise a RecsysError that says what to materialise unless the schema has every named table."""
    existing = connection.execute("SELECT table_name FROM duckdb_tables() WHERE schema_name = ?", [schema]).fetchall()
    missing = sorted(set(names) - {name for (name,) in existing})
    if missing:
        raise RecsysError(
            f"{warehouse.path} has no {schema}.{missing[0]}; use `recsys run`, or "
            f"materialise the group {schema!r} first"
        )


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


def _materialise(connection: duckdb.DuckDBPyConnection, table: SqlTable, loaded: list[LoadedFile]) -> None:
    """Create a table or view as the header of its SQL file says.

    Args:
        connection: where the tables are that it reads.
        table: the SQL file.
        loaded: the raw files that the staging tables read.
    """
    match table.materialisation:
        case Materialisation.VIEW:
            connection.execute(f"CREATE VIEW {table.schema}.{table.name} AS {table.sql}")
        case Materialisation.REPEATED_PAIRS if _no_pair_repeats(connection):
            connection.execute(f"CREATE TABLE {table.schema}.{table.name} AS SELECT * FROM ({table.sql}) LIMIT 0")
        case Materialisation.TABLE | Materialisation.REPEATED_PAIRS:
            _create(connection, table)
        case Materialisation.BLOCKS_OF_USERS:
            _create_by_blocks(connection, table, sum(file.rows_read for file in loaded))


def _create(connection: duckdb.DuckDBPyConnection, table: SqlTable) -> None:
    connection.execute(f"CREATE TABLE {table.schema}.{table.name} AS {table.sql}")


def _create_by_blocks(connection: duckdb.DuckDBPyConnection, table: SqlTable, rows: int) -> None:
    """Create a table by one INSERT for each block of users.

    A join that fits into memory takes a fraction of the time of one that spills. Where the raw files are in the order
    of the users, each block reads only its own part of them.

    Args:
        connection: where the tables are that it reads.
        table: the SQL file; it reads `staging.kept_interactions`.
        rows: number of raw interactions.
    """
    low, high = connection.execute(
        "SELECT coalesce(min(user_id), 0), coalesce(max(user_id), 0) FROM staging.all_interactions"
    ).fetchall()[0]
    n_blocks = math.ceil(rows / ROWS_PER_BLOCK)
    connection.execute(f"CREATE TABLE {table.schema}.{table.name} AS SELECT * FROM ({table.sql}) LIMIT 0")
    for start, end in pairwise(low + (high + 1 - low) * block // n_blocks for block in range(n_blocks + 1)):
        users = f"(SELECT * FROM staging.kept_interactions WHERE user_id >= {start} AND user_id < {end})"
        block_sql = table.sql.replace("FROM staging.kept_interactions", f"FROM {users} AS kept_interactions")
        connection.execute(f"INSERT INTO {table.schema}.{table.name} {block_sql}")


def _no_pair_repeats(connection: duckdb.DuckDBPyConnection) -> bool:
    """Return whether certainly no (user, item) pair repeats among the lists, or among all else.

    That takes a fraction of the time of grouping them. The files of some publishers are sorted by user and item, which
    one pass confirms; of others the hashes of the pairs are compared.
    """
    return all(
        not connection.execute(_OUT_OF_ORDER.format(interactions=identified)).fetchall()
        or not _hashes_repeat(connection, identified)
        for identified in (_IDENTIFIED.format(is_listing=is_listing) for is_listing in ("FALSE", "TRUE"))
    )


def _hashes_repeat(connection: duckdb.DuckDBPyConnection, interactions: str) -> bool:
    """Return whether two (user, item) pairs have the same hash of 64 bits, as repeated ones do.

    A block of hashes is sorted at once, by NumPy, which takes a third of the time of sorting the pairs in DuckDB.
    """
    n_rows = connection.execute(f"SELECT count(*) FROM ({interactions})").fetchall()[0][0]
    n_blocks = math.ceil(n_rows / ROWS_PER_BLOCK)
    for block in range(n_blocks):
        hashes = connection.execute(
            f"SELECT hash FROM (SELECT hash(user_id, item_id) AS hash FROM ({interactions}))"
            f" WHERE hash % {n_blocks} = {block}"
        ).fetchnumpy()["hash"]
        hashes.sort()
        if (hashes[1:] == hashes[:-1]).any():
            return True
    return False


def _create_domain(connection: duckdb.DuckDBPyConnection, scale: tuple[float, float] | None, seed: int) -> None:
    """Create `staging.domain`: one row with what the SQL needs of the dataset and the settings."""
    low, high = scale or (None, None)
    connection.execute(
        "CREATE TABLE staging.domain AS SELECT ?::FLOAT AS scale_low, ?::FLOAT AS scale_high, ?::BIGINT AS seed",
        [low, high, seed % 2**31],
    )


def _create_accounts(connection: duckdb.DuckDBPyConnection, loaded: list[LoadedFile]) -> None:
    """Create the staging tables on the raw files: their rows and times, the unparsable rows, and the line shifts."""
    connection.execute(
        "CREATE TABLE staging.source_files (source_file VARCHAR, rows_in BIGINT, rows_read BIGINT, times BIGINT,"
        " times_lost BIGINT, lost_time VARCHAR)"
    )
    for file in loaded:
        connection.execute(
            "INSERT INTO staging.source_files VALUES (?, ?, ?, ?, ?, ?)",
            [
                file.name,
                file.rows_read + file.rows_unparsable,
                file.rows_read,
                file.times,
                file.times_lost,
                file.lost_time,
            ],
        )
    for name in ("unparsable", "line_shifts", "users", "feedback"):
        connection.execute(f"CREATE VIEW staging.{name} AS SELECT * FROM raw.{name}")


def _summary(connection: duckdb.DuckDBPyConnection, table: SqlTable) -> TableSummary:
    """Return the summary of a table; raise RecsysError unless it has exactly the declared columns."""
    declared = tables_of(table.schema)[table.name]
    columns = {row[0]: row[1] for row in connection.execute(f"DESCRIBE {declared.full_name}").fetchall()}
    differences = declared.differences(columns)
    if differences:
        raise RecsysError(f"{table.path}: not as declared in warehouse/schemas.py: {'; '.join(differences)}")
    rows = connection.execute(f"SELECT count(*) FROM {declared.full_name}").fetchall()[0][0]
    return TableSummary(table.schema, table.name, rows, columns)
