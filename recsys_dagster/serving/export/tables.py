"""What is exported: the tables of a published file that an application needs."""

import duckdb

TABLES = ("recommendations", "items", "users", "leaderboard", "provenance", "similar_items", "popular_items")
"""Exported where the published file has them."""


def exported_tables(connection: duckdb.DuckDBPyConnection) -> list[str]:
    """Return the names of the tables to export."""
    there = {name for (name,) in connection.execute("SELECT table_name FROM duckdb_tables()").fetchall()}
    return [name for name in TABLES if name in there]


def count(connection: duckdb.DuckDBPyConnection, table: str) -> int:
    """Return the number of rows of a table."""
    rows: int = connection.execute(f"SELECT count(*) FROM {table}").fetchall()[0][0]
    return rows
