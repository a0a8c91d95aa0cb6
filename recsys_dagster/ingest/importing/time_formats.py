"""Find out how times are written: whether 01/02/2026 is in January or in February is seen in the other rows."""

from typing import TYPE_CHECKING

from recsys_dagster.errors import UsageError
from recsys_dagster.ingest.importing.contents import text_of
from recsys_dagster.ingest.importing.described import Described
from recsys_dagster.ingest.importing.faults import column_names
from recsys_dagster.ingest.notations import DAY_FIRST, MONTH_FIRST, is_time_format, time_in_format
from recsys_dagster.runtime.text import printable

if TYPE_CHECKING:
    import duckdb

_CONTRARY = 0.01
"""Share of times, readable in the other order only, from which on no order is right."""


def find_time_format(interactions: Described, given: str | None, connection: "duckdb.DuckDBPyConnection") -> str | None:
    """Return the format of the times as of `InteractionSource`; None: ISO, a number, or there are none.

    Args:
        interactions: the table.
        given: the format, where the user names it.
        connection: asked for the values.

    Raises:
        UsageError: every date may have the day or the month first, or the given format is none, or of no column.
    """
    if given is not None and not is_time_format(given):
        raise UsageError(
            f"--time-format {printable(given)}: say {DAY_FIRST}, {MONTH_FIRST}, or a format such as %Y%m%d"
        )
    name = interactions.roles.columns.get("time")
    if name is None:
        if given is not None:
            raise UsageError(
                f"--time-format is given, but no column of {printable(interactions.table.name)} looks like times; name "
                f"it with --time COLUMN; its columns are {column_names(interactions.table)}"
            )
        return None
    content = next(one for one in interactions.contents if one.column.name == name)
    if given is not None or not content.time_formats:
        return given
    if not {DAY_FIRST, MONTH_FIRST} <= set(content.time_formats):
        return content.time_formats[0]
    day_first, month_first, with_points, rows = _count_orders(interactions, name, connection)
    # A point divides the parts of a date where the day comes first.
    if day_first == month_first and with_points == rows:
        return DAY_FIRST
    if day_first == month_first or min(day_first, month_first) > _CONTRARY * rows:
        raise UsageError(
            f"{printable(name)}: dates such as {printable(content.examples[0])} may have the day or the month first; "
            f"say which with --time-format {DAY_FIRST} or --time-format {MONTH_FIRST}"
        )
    return DAY_FIRST if day_first > month_first else MONTH_FIRST


def _count_orders(
    interactions: Described, name: str, connection: "duckdb.DuckDBPyConnection"
) -> tuple[int, int, int, int]:
    """Count in the whole table the times that have one order only, of each, those with points, and all."""
    column = next(one for one in interactions.table.columns if one.name == name)
    found = connection.execute(
        "SELECT count(*) FILTER (month_first IS NULL AND day_first IS NOT NULL),"
        " count(*) FILTER (day_first IS NULL AND month_first IS NOT NULL),"
        r" count(*) FILTER (regexp_matches(value, '^\d+[.]\d+[.]')), count(value) FROM ("
        f"SELECT value, {time_in_format('value', DAY_FIRST)} AS day_first,"
        f" {time_in_format('value', MONTH_FIRST)} AS month_first FROM (SELECT {text_of(column)} AS value"
        f" FROM {interactions.table.sql()}))"
    ).fetchall()[0]
    return int(found[0]), int(found[1]), int(found[2]), int(found[3])
