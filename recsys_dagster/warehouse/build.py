"""Raw files → clean tables → features, each group replaced in one transaction: all of it or nothing."""

import contextlib
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import duckdb

from recsys_dagster.domains import Domain
from recsys_dagster.errors import RecsysError
from recsys_dagster.ingest.formats import Format
from recsys_dagster.ingest.manifest import Manifest
from recsys_dagster.warehouse.database import Warehouse
from recsys_dagster.warehouse.raw_files import LoadedFile, load_raw
from recsys_dagster.warehouse.sql_files import SqlTable, clean_build_order, sql_tables

_STORED = ("repeated_interactions", "dropped_interactions")
"""The staging tables that are computed once: few rows from a long computation. The others are views."""

ROWS_A_BLOCK = 2**24
"""Raw interactions whose watches are put together at once."""

_IDENTIFIED = """
SELECT user_id, item_id FROM staging.interactions
WHERE source_file = '{file}' AND user_id IS NOT NULL AND item_id IS NOT NULL
"""

_OUT_OF_ORDER = """
SELECT 1 FROM (
    SELECT user_id, item_id, lag(user_id) OVER () AS last_user, lag(item_id) OVER () AS last_item
    FROM ({interactions})
)
WHERE user_id < last_user OR (user_id = last_user AND item_id <= last_item)
LIMIT 1
"""
"""Finds a row that does not come after the one before it. Where there is none, no pair comes twice: in whichever
order the engine hands the rows over, a strictly rising sequence has no equals."""


@dataclass(frozen=True)
class TableSummary:
    """A table that was built: its rows, and the type of each column."""

    schema: str
    name: str
    rows: int
    columns: dict[str, str]


@dataclass(frozen=True)
class FileAccount:
    """What became of one raw file: `rows_in` = `kept` + all `rejected`, which are counted apart by reason."""

    file: str
    rows_in: int
    kept: int
    rejected: dict[str, int]


def build_clean(warehouse: Warehouse, domain: Domain, fmt: Format, manifest: Manifest) -> list[TableSummary]:
    """Replace all tables of the schema `clean` by those made of the manifest's files.

    Raises:
        RecsysError: a file is not readable as CSV, the disk is full, the warehouse is open in another process.
    """
    with warehouse.connect() as connection:
        loaded = load_raw(connection, warehouse.scratch, fmt, manifest)
        with _replacing(connection, "clean"):
            _create_domain(connection, domain, seed=0)
            _create_accounts(connection, loaded)
            tables = clean_build_order(fmt.name)
            (kept,) = (table for table in tables if table.name == "kept_interactions")
            for table in tables:
                if table.schema == "staging" and table.name not in _STORED:
                    connection.execute(f"CREATE VIEW staging.{table.name} AS {table.sql}")
                elif table.name == "repeated_interactions" and _has_no_pair_twice(connection, loaded):
                    _create_empty(connection, table)
                elif table.schema == "clean" and table.name == "interactions":
                    _create_by_users(connection, table, kept, sum(file.rows_read for file in loaded))
                else:
                    _create(connection, table)
            summaries = [_summary(connection, table) for table in sql_tables("clean")]
        connection.execute("DETACH raw")
    return summaries


def build_features(warehouse: Warehouse, domain: Domain, seed: int) -> list[TableSummary]:
    """Replace all tables of the schema `features` by those made of the clean ones.

    Args:
        warehouse: where the clean tables are.
        domain: whose scale and threshold the SQL may ask for.
        seed: of the folds where they are made by hash.

    Raises:
        RecsysError: the clean tables are not there.
    """
    with warehouse.connect() as connection:
        require(connection, warehouse, "clean", [table.name for table in sql_tables("clean")])
        with _replacing(connection, "features"):
            _create_domain(connection, domain, seed)
            for table in sql_tables("features"):
                _create(connection, table)
            return [_summary(connection, table) for table in sql_tables("features")]


def reconcile(warehouse: Warehouse) -> list[FileAccount]:
    """Return the account of each raw file, by name; the rows kept and those rejected are counted independently."""
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
    """Raise RecsysError, saying what to materialise, unless the schema has all those tables."""
    found = connection.execute("SELECT table_name FROM duckdb_tables() WHERE schema_name = ?", [schema]).fetchall()
    missing = sorted(set(names) - {name for (name,) in found})
    if missing:
        raise RecsysError(f"{warehouse.path} has no {schema}.{missing[0]}; materialise the group {schema!r} first")


@contextlib.contextmanager
def _replacing(connection: duckdb.DuckDBPyConnection, schema: str) -> Iterator[None]:
    """Run the block in a transaction on an empty `schema`, with a schema `staging` that is gone at the end."""
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
        # What broke the transaction may have ended it already, and is what there is to say.
        with contextlib.suppress(duckdb.Error):
            connection.execute("ROLLBACK")
        raise


def _has_no_pair_twice(connection: duckdb.DuckDBPyConnection, loaded: list[LoadedFile]) -> bool:
    """Tell whether surely no pair comes twice in a file; what the SQL finds by grouping, at a fraction of its cost.

    The files of some publishers are sorted by user and title, where a glance is enough; others are sorted first.
    """
    return all(
        any(
            not connection.execute(_OUT_OF_ORDER.format(interactions=interactions)).fetchall()
            for interactions in (identified, f"{identified} ORDER BY user_id, item_id")
        )
        for identified in (_IDENTIFIED.format(file=file.name) for file in loaded)
    )


def _create(connection: duckdb.DuckDBPyConnection, table: SqlTable) -> None:
    connection.execute(f"CREATE TABLE {table.schema}.{table.name} AS {table.sql}")


def _create_empty(connection: duckdb.DuckDBPyConnection, table: SqlTable) -> None:
    connection.execute(f"CREATE TABLE {table.schema}.{table.name} AS SELECT * FROM ({table.sql}) LIMIT 0")


def _create_by_users(connection: duckdb.DuckDBPyConnection, table: SqlTable, source: SqlTable, rows: int) -> None:
    """Create a table out of the view `source` of `rows` rows, of some users after the other.

    A join that fits into memory takes a fraction of the time of one that spills; and where the raw files are in the
    order of the users, each block reads its own part of them only.
    """
    low, high = connection.execute(
        "SELECT coalesce(min(user_id), 0), coalesce(max(user_id), 0) FROM staging.interactions"
    ).fetchall()[0]
    n_blocks = math.ceil(rows / ROWS_A_BLOCK)
    view = f"CREATE OR REPLACE VIEW staging.{source.name} AS SELECT * FROM ({source.sql})"
    _create_empty(connection, table)
    for start, end in pairwise(low + (high + 1 - low) * block // n_blocks for block in range(n_blocks + 1)):
        connection.execute(f"{view} WHERE user_id >= {start} AND user_id < {end}")
        connection.execute(f"INSERT INTO {table.schema}.{table.name} {table.sql}")
    connection.execute(view)


def _create_domain(connection: duckdb.DuckDBPyConnection, domain: Domain, seed: int) -> None:
    """What the SQL asks of the domain and the settings, as a table of one row."""
    low, high = domain.scale
    connection.execute(
        "CREATE TABLE staging.domain AS SELECT "
        f"{low}::FLOAT AS scale_low, {high}::FLOAT AS scale_high, {seed % 2**31}::BIGINT AS seed"
    )


def _create_accounts(connection: duckdb.DuckDBPyConnection, loaded: list[LoadedFile]) -> None:
    """What the reading of the raw files left: their rows, what could not be read, where lines were passed over."""
    _create_listed(
        connection,
        "source_files",
        {"source_file": "VARCHAR", "rows_in": "BIGINT", "rows_read": "BIGINT"},
        [(file.name, file.rows_read + len(file.unparsable), file.rows_read) for file in loaded],
    )
    _create_listed(
        connection,
        "unparsable",
        {"source_file": "VARCHAR", "line": "BIGINT", "raw": "VARCHAR"},
        [(file.name, bad.line, bad.raw) for file in loaded for bad in file.unparsable],
    )
    _create_listed(
        connection,
        "line_shifts",
        {"source_file": "VARCHAR", "position": "BIGINT", "extra_lines": "BIGINT"},
        [(file.name, position, extra) for file in loaded for position, extra in file.shifts],
    )


def _create_listed(
    connection: duckdb.DuckDBPyConnection, name: str, columns: dict[str, str], rows: Sequence[tuple[object, ...]]
) -> None:
    """Create a staging table of the rows, handed over as one list a column."""
    lists = [list(column) for column in zip(*rows, strict=True)] or [[] for _ in columns]
    listed = ", ".join(f"unnest(?::{kind}[]) AS {column}" for column, kind in columns.items())
    connection.execute(f"CREATE TABLE staging.{name} AS SELECT {listed}", lists)


def _summary(connection: duckdb.DuckDBPyConnection, table: SqlTable) -> TableSummary:
    name = f"{table.schema}.{table.name}"
    columns = {column[0]: column[1] for column in connection.execute(f"DESCRIBE {name}").fetchall()}
    return TableSummary(
        table.schema, table.name, connection.execute(f"SELECT count(*) FROM {name}").fetchall()[0][0], columns
    )
