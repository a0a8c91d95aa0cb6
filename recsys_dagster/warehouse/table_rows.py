"""Write dataclasses as rows of a declared table, and read them back."""

from collections.abc import Sequence
from dataclasses import fields
from typing import TYPE_CHECKING, Any, TypeVar

from recsys_dagster.warehouse.schemas import Table

if TYPE_CHECKING:
    import duckdb

Row = TypeVar("Row")


def create_table(connection: "duckdb.DuckDBPyConnection", table: Table) -> None:
    """Create the table and its schema unless they exist."""
    connection.execute(f"CREATE SCHEMA IF NOT EXISTS {table.schema}")
    connection.execute(f"CREATE TABLE IF NOT EXISTS {table.full_name} ({table.definition()})")


def insert_rows(connection: "duckdb.DuckDBPyConnection", table: Table, rows: Sequence[Any]) -> None:
    """Add rows to a table that exists.

    Args:
        connection: where the table is.
        table: its schema.
        rows: dataclasses with a field for each column.
    """
    import pyarrow as pa

    if rows:
        # In one go: DuckDB takes a millisecond for each row of an `executemany`.
        connection.register("rows_in", pa.table({name: [getattr(row, name) for row in rows] for name in table.types}))
        connection.execute(f"INSERT INTO {table.full_name} SELECT * FROM rows_in")
        connection.unregister("rows_in")


def read_rows(connection: "duckdb.DuckDBPyConnection", table: Table, row_class: type[Row], order: str) -> list[Row]:
    """Return every row of a table; none where the table does not exist.

    Args:
        connection: where the table is.
        table: its schema.
        row_class: dataclass with a field for each column.
        order: the columns to order by, as SQL.
    """
    exists = connection.execute(
        "SELECT count(*) FROM duckdb_tables()"
        " WHERE database_name = current_database() AND schema_name = ? AND table_name = ?",
        [table.schema, table.name],
    ).fetchall()
    if not exists[0][0]:
        return []
    names = ", ".join(f'"{field.name}"' for field in fields(row_class))  # type: ignore[arg-type]
    query = f"SELECT {names} FROM {table.full_name} ORDER BY {order}"
    return [row_class(*row) for row in connection.execute(query).fetchall()]
