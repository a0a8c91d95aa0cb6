"""Find out whether ids are whole numbers or texts, and give each text a key, which the tables have instead of it."""

from collections.abc import Sequence
from dataclasses import dataclass

import duckdb

from recsys_dagster.errors import RecsysError
from recsys_dagster.warehouse.csv_values import canonical_number, quoted_name, text_column
from recsys_dagster.warehouse.declared_checks import Query
from recsys_dagster.warehouse.file_loading import FileLoading

SAMPLE_ROWS = 2000
"""Rows from the start of each file by which it is first supposed what the ids are."""

KEY_OF_TEXT = "('0x' || substr(sha256({0}), 1, 15))::BIGINT"
"""SQL of the key of a text: the first 60 bits of its SHA-256."""


@dataclass(frozen=True)
class TextIds:
    """The ids of users or items where these are texts.

    Attributes:
        column: canonical name of the column, `user` or `item`.
        key_sql: SQL of the key of a text, with {0} for the text.
    """

    column: str
    key_sql: str = KEY_OF_TEXT

    @property
    def keys(self) -> str:
        """The table with source_id and key of each text."""
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


def create_keys(connection: duckdb.DuckDBPyConnection, ids: TextIds, views: Sequence[str]) -> None:
    """Create the table of keys of ids that are texts.

    Args:
        connection: where the catalogue `raw` is.
        ids: the ids.
        views: the loaded files that have such ids.

    Raises:
        RecsysError: two texts have the same key.
    """
    column = quoted_name(ids.column)
    texts = " UNION ".join(f"SELECT DISTINCT {column} AS source_id FROM {view}" for view in views)
    connection.execute(
        f"CREATE TABLE {ids.keys} AS SELECT source_id, {ids.key_sql.format('source_id')} AS key"
        f" FROM ({texts}) WHERE source_id IS NOT NULL"
    )
    refuse_equal_keys(lambda sql: connection.execute(sql).fetchall(), ids)


def refuse_equal_keys(query: Query, ids: TextIds) -> None:
    """Raise RecsysError if two texts have the same key."""
    equal = query(f"SELECT min(source_id), max(source_id) FROM {ids.keys} GROUP BY key HAVING count(*) > 1 LIMIT 1")
    if equal:
        raise RecsysError(
            f"the ids {equal[0][0]!r} and {equal[0][1]!r} have the same key by an extremely rare chance; "
            "write one of them in another way"
        )
