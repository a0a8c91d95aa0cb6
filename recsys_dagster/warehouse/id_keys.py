"""Find out whether ids are whole numbers or texts, and give each text a key, which the tables have instead of it."""

from collections.abc import Sequence
from dataclasses import dataclass

import duckdb

from recsys_dagster.errors import RecsysError
from recsys_dagster.warehouse.csv_values import canonical_number, text_column
from recsys_dagster.warehouse.file_loading import FileLoading

SAMPLE_ROWS = 2000
"""Rows from the start of each file by which it is first supposed what the ids are."""

KEY_OF_TEXT = "('0x' || substr(sha256({0}), 1, 15))::BIGINT"
"""SQL of the key of a text: the first 60 bits of its SHA-256."""


@dataclass(frozen=True)
class IdColumn:
    """The ids of users or items, which may be in several files.

    Attributes:
        column: canonical name of the column, `user` or `item`.
        key_sql: SQL of the key of a text, with {0} for the text.
    """

    column: str
    key_sql: str = KEY_OF_TEXT

    @property
    def enum(self) -> str:
        """The DuckDB type with all texts of the ids; a column of it needs 4 bytes a row and keeps the rows' order."""
        return f"raw.{self.column}_texts"

    @property
    def keys(self) -> str:
        """The table with code (the place in the type), source_id and key of each text."""
        return f"raw.{self.column}_keys"


def sample_has_text(loadings: Sequence[FileLoading], column: str) -> bool:
    """Return whether one of the first ids of a file is no whole number."""
    text = text_column(column)
    return any(
        loading.connection.execute(
            f"SELECT 1 FROM (SELECT {text} FROM {loading.fields()} LIMIT {SAMPLE_ROWS})"
            f" WHERE {text} IS NOT NULL AND {canonical_number(text)} IS NULL LIMIT 1"
        ).fetchall()
        for loading in loadings
    )


def find_text(loading: FileLoading, column: str) -> tuple[int, str | None]:
    """Return how many ids of a file are no whole numbers, and one of them."""
    text = text_column(column)
    count, example = loading.connection.execute(
        f"SELECT count(*), any_value({text}) FROM {loading.fields()}"
        f" WHERE {text} IS NOT NULL AND {canonical_number(text)} IS NULL"
    ).fetchall()[0]
    return int(count), example


def create_keys(
    connection: duckdb.DuckDBPyConnection, ids: Sequence[IdColumn], files: Sequence[tuple[FileLoading, Sequence[str]]]
) -> None:
    """Create the type and the table of keys of ids that are texts.

    Args:
        connection: where the catalogue `raw` is.
        ids: the ids.
        files: the files, each with the names of its columns of ids.

    Raises:
        RecsysError: two texts have the same key.
    """
    for one in ids:
        connection.execute(f"CREATE TEMP TABLE {one.column}_found (source_id VARCHAR)")
    for loading, columns in files:
        texts = [one.column for one in ids if one.column in columns]
        if not texts:
            continue
        # One pass over the file for both columns.
        names = ", ".join(f"{text_column(column)} AS {column}_text" for column in texts)
        sets = ", ".join(f"({column}_text)" for column in texts)
        connection.execute(
            f"CREATE OR REPLACE TEMP TABLE found AS SELECT {', '.join(f'{column}_text' for column in texts)}"
            f" FROM (SELECT {names} FROM {loading.fields()}) GROUP BY GROUPING SETS ({sets})"
        )
        for column in texts:
            connection.execute(
                f"INSERT INTO {column}_found SELECT {column}_text FROM found WHERE {column}_text IS NOT NULL"
            )
        connection.execute("DROP TABLE found")
    for one in ids:
        _number(connection, one)


def _number(connection: duckdb.DuckDBPyConnection, ids: IdColumn) -> None:
    """Give each text that was found a code and a key."""
    connection.execute(
        f"CREATE TABLE {ids.keys} AS SELECT row_number() OVER (ORDER BY source_id) - 1 AS code, source_id,"
        f" {ids.key_sql.format('source_id')} AS key FROM (SELECT DISTINCT source_id FROM {ids.column}_found)"
    )
    connection.execute(f"DROP TABLE {ids.column}_found")
    connection.execute(f"CREATE TYPE {ids.enum} AS ENUM (SELECT source_id FROM {ids.keys} ORDER BY code)")
    equal = connection.execute(
        f"SELECT min(source_id), max(source_id) FROM {ids.keys} GROUP BY key HAVING count(*) > 1 LIMIT 1"
    ).fetchall()
    if equal:
        raise RecsysError(
            f"the ids {equal[0][0]!r} and {equal[0][1]!r} have the same key by an extremely rare chance; "
            "write one of them in another way"
        )
