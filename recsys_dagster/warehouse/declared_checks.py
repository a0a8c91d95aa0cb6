"""Find out whether a declaration fits its files, and say in one line what has to be corrected."""

from collections.abc import Callable
from typing import Any

from recsys_dagster.errors import RecsysError
from recsys_dagster.ingest.declaration import Declaration
from recsys_dagster.runtime.formatting import format_row, format_share
from recsys_dagster.runtime.text import printable

MOST = 0.5
"""Share of the rows that are rejected for one reason from which on the declaration is wrong rather than the rows."""


Query = Callable[[str], list[tuple[Any, ...]]]
"""Returns the rows of a SELECT in DuckDB's dialect."""


def check_declared(query: Query, declaration: Declaration) -> None:
    """Raise RecsysError, with the cure, if most interactions were rejected for one reason.

    Args:
        query: reads the tables of the schemas `raw` and `clean`.
        declaration: the declaration that they were made by.
    """
    (rows,) = query("SELECT coalesce(sum(rows_in), 0) FROM clean.source_files WHERE source_file LIKE 'interactions/%'")[
        0
    ]
    reasons = query(
        "SELECT reason, count(*), arg_min(source_file, (source_file, line)), arg_min(line, (source_file, line)),"
        " arg_min(raw, (source_file, line)) FROM clean.rejected WHERE source_file LIKE 'interactions/%'"
        " AND reason <> 'duplicate' GROUP BY reason ORDER BY count(*) DESC LIMIT 1"
    )
    if not reasons or reasons[0][1] <= MOST * rows:
        return
    reason, count, file, line, raw = reasons[0]
    share = f"{declaration.id}: {format_share(count / rows)} of {rows:,} interactions"
    example = f"such as {format_row(line, raw)} of {printable(file)}"
    if reason == "out of scale" and declaration.scale is not None:
        low, high = declaration.scale
        least, most = query("SELECT min(rating), max(rating) FROM raw.interactions WHERE NOT isnan(rating)")[0]
        raise RecsysError(
            f"{share} have a rating outside of the scale from {low:g} to {high:g}; the ratings go from {least:g} to "
            f"{most:g}: correct `ratings.scale` in the declaration"
        )
    if reason == "unknown item":
        raise RecsysError(
            f"{share} are with items that are not among the declared ones, {example}; items are such as "
            f"{printable(_item(query))}: correct `items.item` or `interactions.item` in the declaration"
        )
    if reason == "weight not above zero":
        raise RecsysError(f"{share} have a weight that is not above zero, {example}; correct `interactions.weight`")
    raise RecsysError(
        f"{share} cannot be read, {example}; correct the columns (now {_columns(declaration)}) in the declaration"
    )


def _item(query: Query) -> str:
    """Return the id of an item as the source writes it, for a message."""
    found = query("SELECT coalesce(source_id, item_id::VARCHAR) FROM clean.items ORDER BY item_id LIMIT 1")
    return str(found[0][0]) if found else "none"


def _columns(declaration: Declaration) -> str:
    """Return the declared columns of the interactions, for a message."""
    declared = declaration.interactions
    names = [(name, getattr(declared, name)) for name in ("user", "item", "rating", "weight", "time")]
    return printable(", ".join(f"{name}: {column}" for name, column in names if column))
