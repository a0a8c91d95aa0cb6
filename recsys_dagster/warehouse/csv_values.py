"""SQL expressions that read the text of a CSV field as an id, a number or a time."""

from datetime import UTC, datetime

from recsys_dagster.ingest.formats import Column
from recsys_dagster.ingest.notations import time_in_format

_LATEST = "2100-01-01"
"""Date from which on a time is implausible."""

UNKNOWN_TIME = r"^\s*(0+([.]0*)?|(0000|1970)-0[01]-0[01]([ T]00:00(:00([.]0*)?)?(Z|[+]00:?00)?)?)?\s*$"
"""Zero, 0000-00-00 and the start of 1970: the time is unknown."""

_WHOLE = r"'\s*(0|-?[1-9][0-9]*)([.]0*)?\s*'"

EXACT = 2**53
"""Whole numbers below this are exact as DOUBLE."""


def time_of_number(number: str, column: Column) -> str:
    """Return the SQL of the time of a number; plausible seconds, milli-, micro- and nanoseconds differ in size."""
    first, last = (int(datetime.fromisoformat(day).replace(tzinfo=UTC).timestamp()) for day in _plausible_days(column))
    cases = " ".join(
        f"WHEN {number} BETWEEN {first * per_second} AND {last * per_second - 1} THEN make_timestamp({microseconds})"
        for per_second, microseconds in (
            (1, f"{number} * 1000000"),
            (1_000, f"{number} * 1000"),
            (1_000_000, number),
            (1_000_000_000, f"{number} // 1000"),
        )
    )
    return f"CASE {cases} END"


def time_of_text(text: str, column: Column) -> str:
    """Return the SQL of the time of a text such as 2013-03-03 10:52:53, or as the format of the column says.

    It is in UTC unless it names another zone.
    """
    first, last = _plausible_days(column)
    if column.time_format is None:
        time = f"timezone('UTC', try_cast(trim({text}) AS TIMESTAMPTZ))"
    else:
        time = time_in_format(text, column.time_format)
    return f"CASE WHEN {time} >= TIMESTAMP '{first}' AND {time} < TIMESTAMP '{last}' THEN {time} END"


def _plausible_days(column: Column) -> tuple[str, str]:
    return column.earliest, _LATEST


def is_id(column: Column) -> bool:
    """Return whether the column holds ids."""
    return column.type == "BIGINT"


def canonical_number(text: str) -> str:
    """Return the SQL of an id as a whole number: NULL unless it is written as numbers are, such as 7 but not 007.

    Some programs write whole numbers as 1.0; 1.5 is none, and must not be rounded to another id.
    """
    number = f"try_cast({text} AS BIGINT)"
    return (
        f"CASE WHEN {number}::VARCHAR = {text} THEN {number}"
        f" WHEN regexp_full_match({text}, {_WHOLE})"
        f" THEN try_cast(regexp_replace(trim({text}), '[.]0*$', '') AS BIGINT) END"
    )


def text_column(name: str) -> str:
    """Return the identifier of the column that holds the text of the field."""
    return quoted_name(f"text of {name}")


def number_column(name: str) -> str:
    """Return the identifier of the column that holds the field as a number."""
    return quoted_name(f"number of {name}")


def quoted_name(name: str) -> str:
    """Return the name as an SQL identifier."""
    return '"' + name.replace('"', '""') + '"'
