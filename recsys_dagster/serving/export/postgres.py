"""Export to PostgreSQL: one schema a domain, replaced by another one in one transaction.

The tables are written by COPY into a schema of their own and indexed there. Then the schemas change names, so that a
reader sees all tables of one publication or all of another.
"""

from pathlib import Path
from typing import TYPE_CHECKING

import duckdb

from recsys_dagster.errors import RecsysError
from recsys_dagster.serving.export.tables import count, exported_tables

if TYPE_CHECKING:
    from adbc_driver_manager.dbapi import Connection

_ROWS_PER_BATCH = 2**17
_INDICES = {
    "recommendations": ("user_id", "rank"),
    "items": ("item_id",),
    "users": ("user_id",),
    "similar_items": ("item_id", "rank"),
    "popular_items": ("days", "rank"),
}
"""Unique columns by which an application looks up."""


def export_to_postgres(published: Path, address: str) -> int:
    """Replace the schema named after the domain; return the number of recommendations.

    Args:
        published: the published file.
        address: `postgresql://user@host:port/database`; the password may be in it, or in PGPASSWORD or ~/.pgpass.

    Raises:
        RecsysError: the server cannot be reached, or refuses a statement; the schema stays as it was.
    """
    try:
        import adbc_driver_postgresql.dbapi as driver
    except ImportError:
        raise RecsysError(
            "writing to PostgreSQL needs adbc-driver-postgresql: pip install recsys-dagster[postgres]"
        ) from None
    schema = published.stem
    try:
        with driver.connect(address) as target, duckdb.connect(published, read_only=True) as source:
            _execute(target, f'DROP SCHEMA IF EXISTS "{schema}_new" CASCADE', f'CREATE SCHEMA "{schema}_new"')
            target.commit()
            for table in exported_tables(source):
                _copy(source, target, table, f"{schema}_new")
            target.commit()
            _swap(target, schema)
            return count(source, "recommendations")
    except driver.Error as error:
        reason = " ".join(str(error).split())[:300]
        raise RecsysError(
            f"PostgreSQL: the lists of {schema} could not be written ({reason}); check the address and the rights of "
            "the user (the tables from before stay)"
        ) from None


def _copy(source: duckdb.DuckDBPyConnection, target: "Connection", table: str, schema: str) -> None:
    """Copy a table and index it; a map becomes JSON text, which PostgreSQL reads."""
    columns = [
        f'to_json("{name}")::VARCHAR AS "{name}"' if type_.startswith("MAP") else f'"{name}"'
        for name, type_, *_ in source.execute(f"DESCRIBE {table}").fetchall()
    ]
    rows = source.sql(f"SELECT {', '.join(columns)} FROM {table}").to_arrow_reader(_ROWS_PER_BATCH)
    with target.cursor() as cursor:
        cursor.adbc_ingest(table, rows, mode="create", db_schema_name=schema)
    if table in _INDICES:
        _execute(target, f'CREATE UNIQUE INDEX ON "{schema}"."{table}" ({", ".join(_INDICES[table])})')


def _swap(target: "Connection", schema: str) -> None:
    """Give the new schema the name of the old one."""
    old, new = f"{schema}_old", f"{schema}_new"
    _execute(target, f'DROP SCHEMA IF EXISTS "{old}" CASCADE')
    with target.cursor() as cursor:
        cursor.execute(f"SELECT count(*) FROM pg_namespace WHERE nspname = '{schema}'")
        (there,) = cursor.fetchone() or (0,)
    if there:
        _execute(target, f'ALTER SCHEMA "{schema}" RENAME TO "{old}"')
    _execute(target, f'ALTER SCHEMA "{new}" RENAME TO "{schema}"')
    target.commit()
    # Later, as it waits for readers that are still at the old tables.
    _execute(target, f'DROP SCHEMA IF EXISTS "{old}" CASCADE')
    target.commit()


def _execute(target: "Connection", *statements: str) -> None:
    with target.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)
