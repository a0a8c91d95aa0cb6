"""Open the files of a split, Parquet or CSV, as views with the columns and types that a split needs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import duckdb

from recsys_dagster.errors import RecsysError
from recsys_dagster.ingest.formats import Column
from recsys_dagster.warehouse.csv_values import time_of_number, time_of_text
from recsys_dagster.warehouse.database import quoted

CSV_ENDINGS = tuple(kind + packing for kind in (".csv", ".tsv") for packing in ("", ".gz", ".zst"))
"""Ends of the names of files that are read as CSV; all others are read as Parquet."""

_INTEGERS = ("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "UTINYINT", "USMALLINT", "UINTEGER")
_ALL_NULL = '"NULL"'
"""DuckDB's type of a column that was written without any value."""
_NUMBERS = (*_INTEGERS, "FLOAT", "DOUBLE", "DECIMAL", _ALL_NULL)
_WITH_ZONE = "TIMESTAMP WITH TIME ZONE"
_TIMES = ("TIMESTAMP", "TIMESTAMP_S", "TIMESTAMP_MS", "TIMESTAMP_NS", _WITH_ZONE, "DATE", _ALL_NULL)
_ID = "BIGINT or VARCHAR"
_IS_INTEGER = "regexp_full_match({0}, '0|-?[1-9][0-9]{{0,18}}') AND try_cast({0} AS BIGINT) IS NOT NULL"
"""Text that is a whole number and would be written in the same way again, unlike 007 and 1.0."""
_TIME = Column("at", "TIMESTAMP")
_ROW = "file_row_number"


@dataclass(frozen=True)
class FileColumn:
    """A column of a file.

    Attributes:
        name: its name.
        type: DuckDB type that it is read as; an id is of one type in all files.
        meaning: what its values are, for error messages.
        accepted: DuckDB types, without their widths, that are read as `type` without guessing.
        required: whether the file must have it.
    """

    name: str
    type: str
    meaning: str
    accepted: tuple[str, ...]
    required: bool = True

    def expression(self, actual: str | None, target: str) -> str:
        """Return the SQL that reads it as `target` from where it has the type `actual`, or is missing (None)."""
        if actual in (None, _ALL_NULL):
            return f'cast(NULL AS {target}) AS "{self.name}"'
        zone = " AT TIME ZONE 'UTC'" if actual == _WITH_ZONE else ""
        value = f'cast("{self.name}"{zone} AS {target})'
        # Some writers leave NaN where others leave NULL.
        value = f"CASE WHEN NOT isnan({value}) THEN {value} END" if self.type == "FLOAT" else value
        return f'{value} AS "{self.name}"'

    def of_text(self, text: str) -> str:
        """Return the SQL of the value that a text, which is not empty, stands for; NULL where it stands for none."""
        if self.type == "TIMESTAMP":
            return f"coalesce({time_of_number(f'try_cast({text} AS BIGINT)', _TIME)}, {time_of_text(text, _TIME)})"
        if self.type == "VARCHAR[]":
            return f"string_split({text}, '|')"
        return text if self.type == _ID else f"try_cast({text} AS {self.type})"


USER = FileColumn("user_id", _ID, "which user", (*_INTEGERS, "VARCHAR"))
ITEM = FileColumn("item_id", _ID, "which item", (*_INTEGERS, "VARCHAR"))
_WEIGHT = FileColumn("weight", "FLOAT", "strength, above 0", _NUMBERS, required=False)
_AT = FileColumn("at", "TIMESTAMP", "when", _TIMES, required=False)
RATED = (USER, ITEM, FileColumn("rating", "FLOAT", "NULL for a like without a rating", _NUMBERS), _WEIGHT, _AT)
"""Columns of interactions with ratings."""
IMPLICIT = (USER, ITEM, FileColumn("rating", "FLOAT", "none", _NUMBERS, required=False), _WEIGHT, _AT)
"""Columns of interactions without ratings."""
ITEMS = (
    ITEM,
    FileColumn("genres", "VARCHAR[]", "a list of names", ("VARCHAR[]", _ALL_NULL)),
    FileColumn("kind", "VARCHAR", "such as TV or Movie", ("VARCHAR", _ALL_NULL), required=False),
    FileColumn("year", "INTEGER", "of release", (*_INTEGERS, _ALL_NULL), required=False),
    FileColumn("tags", "VARCHAR[]", "a list of names", ("VARCHAR[]", _ALL_NULL), required=False),
    FileColumn("site_score", "FLOAT", "the mean on the publisher's site", _NUMBERS, required=False),
)


def open_files(
    connection: duckdb.DuckDBPyConnection, files: Mapping[str, tuple[Path, Sequence[FileColumn]]]
) -> dict[str, str]:
    """Create a view `source.<name>` of each file: its columns in their types, and `file_row_number`.

    Ids are whole numbers where they are that in every file, else text. A CSV file has a header; its genres are
    separated by `|`, and its times are text or seconds, milli-, micro- or nanoseconds since 1970.

    Args:
        connection: to a database with the schema `source`.
        files: the path and the columns of each file by name.

    Returns:
        The type of `user_id` and of `item_id`, BIGINT or VARCHAR.

    Raises:
        RecsysError: a file is missing or of another kind, lacks a column, or has one of another type.
    """
    rows = {name: _rows(connection, name, path, columns) for name, (path, columns) in files.items()}
    types = {name: _checked_types(connection, path, rows[name], columns) for name, (path, columns) in files.items()}
    ids = {
        column.name: "VARCHAR" if any(of_file.get(column.name) == "VARCHAR" for of_file in types.values()) else "BIGINT"
        for column in (USER, ITEM)
    }
    for name, (_, columns) in files.items():
        selected = ", ".join(
            column.expression(types[name].get(column.name), ids.get(column.name, column.type)) for column in columns
        )
        connection.execute(f"CREATE VIEW source.{name} AS SELECT {selected}, {_ROW} FROM {rows[name]}")
    return ids


def _rows(connection: duckdb.DuckDBPyConnection, name: str, path: Path, columns: Sequence[FileColumn]) -> str:
    """Return the SQL of the rows of a file."""
    if not path.is_file():
        raise RecsysError(f"{path}: there is no such file; name a Parquet or CSV file")
    if path.name.lower().endswith(CSV_ENDINGS):
        return _read_csv(connection, name, path, columns)
    rows = f"read_parquet({quoted(path)}, {_ROW} = true, hive_partitioning = false)"
    try:
        connection.execute(f"DESCRIBE SELECT * FROM {rows}")
    except duckdb.InvalidInputException as error:
        raise RecsysError(
            f"{path}: not a Parquet file; write it as one, such as with DataFrame.to_parquet, or as CSV with a name "
            "that ends in .csv"
        ) from error
    return rows


def _read_csv(connection: duckdb.DuckDBPyConnection, name: str, path: Path, columns: Sequence[FileColumn]) -> str:
    """Copy a CSV file to a table with the columns in their types, and return its name."""
    file = f"read_csv({quoted(path)}, header = true, all_varchar = true, hive_partitioning = false)"
    text = f"source.text_of_{name}"
    try:
        connection.execute(f"CREATE TABLE {text} AS SELECT *, row_number() OVER () AS {_ROW} FROM {file}")
    except duckdb.InvalidInputException as error:
        reason = str(error).partition("\n")[0]
        raise RecsysError(f"{path}: not readable as CSV ({reason}); mend it, or write it as Parquet") from error
    known = {row[0] for row in connection.execute(f"DESCRIBE {text}").fetchall()}
    values = []
    for column in columns:
        if column.name in known:
            written = f"nullif(trim(\"{column.name}\"), '')"
            value = column.of_text(written)
            if column.type == _ID:
                is_integer = _IS_INTEGER.format(written)
                ((whole,),) = connection.execute(f"SELECT bool_and({is_integer}) FROM {text}").fetchall()
                value = f"cast({written} AS BIGINT)" if whole else written
            _refuse_unreadable(connection, path, text, column, written, value)
            values.append(f'{value} AS "{column.name}"')
    others = [f'"{other}"' for other in known if other != _ROW and other not in {column.name for column in columns}]
    connection.execute(
        f"CREATE TABLE source.read_{name} AS SELECT {', '.join([*values, *others, _ROW])} FROM {text} ORDER BY {_ROW}"
    )
    connection.execute(f"DROP TABLE {text}")
    return f"source.read_{name}"


def _refuse_unreadable(
    connection: duckdb.DuckDBPyConnection, path: Path, table: str, column: FileColumn, written: str, value: str
) -> None:
    """Raise RecsysError if a text of a column, other than an empty one, stands for no value."""
    ((rows, example),) = connection.execute(
        f"SELECT count(*), any_value({written}) FROM {table} WHERE {written} IS NOT NULL AND {value} IS NULL"
    ).fetchall()
    if rows:
        raise RecsysError(
            f"{path}: {column.name} cannot be read in {rows:,} rows, such as {example!r}; write it as {column.type} "
            f"({column.meaning})"
        )


def _checked_types(
    connection: duckdb.DuckDBPyConnection, path: Path, rows: str, columns: Sequence[FileColumn]
) -> dict[str, str]:
    """Return the type of each column that a file has; raise RecsysError if one is missing or of another type."""
    types = {row[0]: row[1] for row in connection.execute(f"DESCRIBE SELECT * FROM {rows}").fetchall()}
    for column in columns:
        actual = types.get(column.name)
        if actual is None and column.required:
            others = ", ".join(other for other in types if other != _ROW)
            raise RecsysError(
                f"{path}: no column {column.name} ({column.type}; {column.meaning}), only {others}; "
                "add it or rename one"
            )
        if actual is not None and actual.partition("(")[0] not in column.accepted:
            raise RecsysError(
                f"{path}: the column {column.name} is of type {actual}; make it {column.type} ({column.meaning})"
            )
    return types
