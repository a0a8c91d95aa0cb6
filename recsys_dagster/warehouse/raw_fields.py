"""SQL that reads the fields of a raw file of any type as text.

Each is a subquery with the columns `text_column(column)`, `ROW_TEXT` and, for JSON lines, `IS_BROKEN`.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path

from recsys_dagster.warehouse.csv_values import quoted_name, text_column
from recsys_dagster.warehouse.database import quoted

ROW_TEXT = quoted_name("text of the row")
"""Column with the text of the whole row, where the file has one."""
IS_BROKEN = quoted_name("row is broken")
"""Column that tells whether the row is no JSON."""

NO_DELIMITER = "\x01"
"""Character that no text contains: JSON has to escape it."""


def csv_table(
    path: Path, types: Mapping[str, str], delimiter: str, quote: str, options: str, *, has_header: bool
) -> str:
    """Return the SQL of a call of read_csv in which everything is declared, so that DuckDB guesses nothing.

    Args:
        path: the file.
        types: type of each of its columns, in order.
        delimiter, quote: as of `Dialect`.
        options: what is done with rows that cannot be divided into fields.
        has_header: whether the first row has the names of the columns.
    """
    columns = ", ".join(f"{quoted(name)}: {quoted(kind)}" for name, kind in types.items())
    return (
        f"read_csv({quoted(path)}, auto_detect = false, compression = 'none', header = {str(has_header).lower()},"
        f" delim = {quoted(delimiter)}, quote = {quoted(quote)}, escape = {quoted(quote)},"
        f" columns = {{{columns}}}, {options})"
    )


def json_fields(path: Path, keys: Mapping[str, str], options: str) -> str:
    """Return the SQL of the fields of a file with one JSON object a line.

    Args:
        path: the file.
        keys: the key of each canonical column.
        options: as of `csv_table`.
    """
    pointers = ", ".join(quoted("/" + key.replace("~", "~0").replace("/", "~1")) for key in keys.values())
    # A list or an object is given as JSON.
    fields = ", ".join(
        f"nullif(trim({place}, ' '), '') AS {text_column(name)}"
        for name, place in ((name, f"values[{n}]") for n, name in enumerate(keys, 1))
    )
    lines = csv_table(path, {"line": "VARCHAR"}, NO_DELIMITER, "", options, has_header=False)
    return (
        f"(SELECT {fields}, line AS {ROW_TEXT}, document IS NULL AS {IS_BROKEN} FROM"
        f" (SELECT line, document, json_extract_string(document, [{pointers}]) AS values FROM"
        f" (SELECT line, CASE WHEN json_valid(line) THEN line END AS document FROM {lines} WHERE line IS NOT NULL)))"
    )


def parquet_fields(path: Path, columns: Mapping[str, str], nested: Iterable[str]) -> str:
    """Return the SQL of the fields of a Parquet file.

    Args:
        path: the file.
        columns: the column of each canonical column.
        nested: those of the columns whose values are lists or have fields of their own; they are given as JSON.
    """
    nested = set(nested)
    fields = ", ".join(
        f"{f'to_json({quoted_name(column)})::VARCHAR' if column in nested else f'{quoted_name(column)}::VARCHAR'}"
        f" AS {text_column(name)}"
        for name, column in columns.items()
    )
    return f"(SELECT {fields} FROM read_parquet({quoted(path)}, binary_as_string = true))"
