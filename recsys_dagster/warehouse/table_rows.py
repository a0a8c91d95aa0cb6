"""Dataclasses as rows of DuckDB tables: a column a field, in its order, of the type that the field's stands for."""

from collections.abc import Sequence
from dataclasses import fields
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    import duckdb

_TYPES: dict[Any, str] = {
    str: "VARCHAR NOT NULL",
    int: "BIGINT NOT NULL",
    float: "DOUBLE NOT NULL",
    int | None: "INTEGER",
    float | None: "DOUBLE",
}

Row = TypeVar("Row")


def create_table(connection: "duckdb.DuckDBPyConnection", table: str, kind: type[Any]) -> None:
    """Create a table for rows of the dataclass, `schema.table`, and its schema, unless they are there."""
    connection.execute(f"CREATE SCHEMA IF NOT EXISTS {table.partition('.')[0]}")
    columns = ", ".join(f"{field.name} {_TYPES[field.type]}" for field in fields(kind))
    connection.execute(f"CREATE TABLE IF NOT EXISTS {table} ({columns})")


def insert_rows(connection: "duckdb.DuckDBPyConnection", table: str, rows: Sequence[Any]) -> None:
    """Add the rows, all of one dataclass, to the table `schema.table` that was created for it."""
    import pyarrow as pa

    if rows:
        names = [field.name for field in fields(rows[0])]
        # In one go: DuckDB takes a millisecond for each row of an `executemany`.
        connection.register("rows_in", pa.table({name: [getattr(row, name) for row in rows] for name in names}))
        connection.execute(f"INSERT INTO {table} SELECT * FROM rows_in")
        connection.unregister("rows_in")


def read_rows(connection: "duckdb.DuckDBPyConnection", table: str, kind: type[Row], order: str) -> list[Row]:
    """Return the rows of the table `schema.table` in an order of its columns; none where there is no such table."""
    exists = connection.execute(
        "SELECT count(*) FROM duckdb_tables()"
        " WHERE database_name = current_database() AND schema_name || '.' || table_name = ?",
        [table],
    ).fetchall()
    if not exists[0][0]:
        return []
    names = ", ".join(field.name for field in fields(kind))  # type: ignore[arg-type]
    return [kind(*row) for row in connection.execute(f"SELECT {names} FROM {table} ORDER BY {order}").fetchall()]
