"""Find out whether a declaration fits its files, and say in one line what has to be corrected."""

import duckdb

from recsys_dagster.errors import RecsysError
from recsys_dagster.ingest.declaration import Declaration
from recsys_dagster.runtime.formatting import format_row, format_share
from recsys_dagster.runtime.text import printable

MOST = 0.5
"""Share of the rows that are rejected for one reason from which on the declaration is wrong rather than the rows."""


def check_declared(connection: duckdb.DuckDBPyConnection, declaration: Declaration) -> None:
    """Raise RecsysError, with the cure, if most interactions were rejected for one reason.

    Args:
        connection: where the catalogue `raw` and the clean tables are.
        declaration: the declaration that they were made by.
    """
    (rows,) = connection.execute(
        "SELECT coalesce(sum(rows_in), 0) FROM clean.source_files WHERE source_file LIKE 'interactions/%'"
    ).fetchall()[0]
    reasons = connection.execute(
        "SELECT reason, count(*), arg_min(source_file, (source_file, line)), arg_min(line, (source_file, line)),"
        " arg_min(raw, (source_file, line)) FROM clean.rejected WHERE source_file LIKE 'interactions/%'"
        " AND reason <> 'duplicate' GROUP BY reason ORDER BY count(*) DESC LIMIT 1"
    ).fetchall()
    if not reasons or reasons[0][1] <= MOST * rows:
        return
    reason, count, file, line, raw = reasons[0]
    share = f"{declaration.id}: {format_share(count / rows)} of {rows:,} interactions"
    example = f"such as {format_row(line, raw)} of {printable(file)}"
    if reason == "out of scale" and declaration.scale is not None:
        low, high = declaration.scale
        least, most = connection.execute(
            "SELECT min(rating), max(rating) FROM raw.interactions WHERE NOT isnan(rating)"
        ).fetchall()[0]
        raise RecsysError(
            f"{share} have a rating outside of the scale from {low:g} to {high:g}; the ratings go from {least:g} to "
            f"{most:g}: correct `ratings.scale` in the declaration"
        )
    if reason == "unknown item":
        raise RecsysError(
            f"{share} are with items that are not among the declared ones, {example}; items are such as "
            f"{printable(_item(connection))}: correct `items.item` or `interactions.item` in the declaration"
        )
    if reason == "weight not above zero":
        raise RecsysError(f"{share} have a weight that is not above zero, {example}; correct `interactions.weight`")
    raise RecsysError(
        f"{share} cannot be read, {example}; correct the columns (now {_columns(declaration)}) in the declaration"
    )


def _item(connection: duckdb.DuckDBPyConnection) -> str:
    """Return the id of an item as the source writes it, for a message."""
    found = connection.execute(
        "SELECT coalesce(source_id, item_id::VARCHAR) FROM clean.items ORDER BY item_id LIMIT 1"
    ).fetchall()
    return str(found[0][0]) if found else "none"


def _columns(declaration: Declaration) -> str:
    """Return the declared columns of the interactions, for a message."""
    declared = declaration.interactions
    names = [(name, getattr(declared, name)) for name in ("user", "item", "rating", "weight", "time")]
    return printable(", ".join(f"{name}: {column}" for name, column in names if column))
