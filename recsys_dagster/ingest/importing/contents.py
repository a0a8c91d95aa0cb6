"""Describe what is in the columns of a table, by its first rows."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from recsys_dagster.ingest.importing.tables import Column, Table
from recsys_dagster.ingest.notations import COMMON_TIME_FORMATS, is_vote, time_in_format

if TYPE_CHECKING:
    import duckdb

SAMPLE_ROWS = 20_000
"""Rows from the start of a table by which its columns are recognised."""

_EXAMPLES = 3
_EARLIEST, _LATEST = 788_918_400, 4_102_444_800  # 1995 and 2100, in seconds since 1970

_UNITS = {"seconds": 1, "milliseconds": 1_000, "microseconds": 1_000_000, "nanoseconds": 1_000_000_000}
"""Units of times that are numbers, and how many of each a second has."""
_SEPARATORS = ("|", ";", ",", "/")
_SEPARATED = 0.03
"""From this share of cells on, a separator is one."""

_UUID = r"\{?[0-9a-fA-F]{8}-?([0-9a-fA-F]{4}-?){3}[0-9a-fA-F]{12}\}?"
_EMAIL = r"[^@\s]+@[^@\s]+\.[^@\s]+"
_MAY_BE_DATE = r"^\d{1,2}[./-]\d{1,2}[./-]\d\d|^\d{1,2}[ -][A-Za-z]{3}|^[A-Za-z]{3,9},? |^\d{4}[.]\d\d|^(\d{8}|\d{14})$"
"""What the formats other than ISO begin with."""
_JSON_LIST = r"\s*\[.*\]\s*"


@dataclass(frozen=True)
class Content:
    """What is in a column; shares are of its values, which are its cells that are not empty.

    Attributes:
        column: the column.
        rows: cells looked at.
        values: cells that are not empty.
        distinct: different values.
        numbers: share of numbers.
        integers: share of whole numbers in the plain notation of ids.
        low, high: smallest and largest number; None where there is none.
        epochs: share of numbers that are plausible seconds, milli-, micro- or nanoseconds since 1970.
        times: share of times written as text, such as 2021-05-03T10:00:00+02:00 or 31.01.2026.
        time_formats: the formats other than ISO that (almost) all values have, as of `InteractionSource.time_format`.
        uuids: share of UUIDs.
        emails: share of e-mail addresses.
        lists: share of lists, or of texts in square brackets.
        urls: share of web addresses.
        flags: share of 0 and 1, true and false.
        votes: share of words such as up and down, yes and no, like and dislike.
        years: share of texts that end with a year in parentheses, as titles of films do.
        separator: what stands between several values of a cell; None where no cell seems to have several.
        decimal_comma: whether numbers are written as 3,5.
        length: mean number of characters.
        examples: the first different values.
    """

    column: Column
    rows: int
    values: int
    distinct: int
    numbers: float
    integers: float
    low: float | None
    high: float | None
    epochs: float
    times: float
    time_formats: tuple[str, ...]
    uuids: float
    emails: float
    lists: float
    urls: float
    flags: float
    votes: float
    years: float
    separator: str | None
    decimal_comma: bool
    length: float
    examples: tuple[str, ...]

    @property
    def is_number(self) -> bool:
        """Whether (almost) all values are numbers."""
        return self.values > 0 and self.numbers >= 0.9

    @property
    def is_time(self) -> bool:
        """Whether (almost) all values are times."""
        return self.values > 0 and (max(self.times, self.epochs) >= 0.9 or bool(self.time_formats))

    @property
    def time_unit(self) -> str | None:
        """The unit of times that are numbers; None where they are texts."""
        if self.times > self.epochs or self.time_formats or self.high is None:
            return None
        return next((name for name, scale in _UNITS.items() if self.high <= _LATEST * scale), None)

    @property
    def type_name(self) -> str:
        """The kind of values, in a word or two."""
        if not self.values:
            return "empty"
        if self.column.is_list or self.lists >= 0.9:
            return "list"
        if self.times >= 0.9 or self.time_formats:
            return "time"
        if self.uuids >= 0.9:
            return "UUID"
        if self.emails >= 0.9:
            return "e-mail"
        if self.integers >= 0.99:
            return "integer"
        return "number" if self.is_number else "text"


def text_of(column: Column) -> str:
    """Return the SQL of a cell as text without surrounding blanks; NULL where it is empty."""
    name = identifier(column.name)
    if column.is_list:
        return f"nullif(CAST(to_json({name}) AS VARCHAR), '[]')"
    return f"nullif(trim(CAST({name} AS VARCHAR)), '')"


def number_of(text: str) -> str:
    """Return the SQL of the number in a text, which may be written as 3,5; NULL where it is none."""
    point = f"CASE WHEN regexp_full_match({text}, '-?\\d+,\\d+') THEN replace({text}, ',', '.') ELSE {text} END"
    number = f"try_cast({point} AS DOUBLE)"
    return f"CASE WHEN isfinite({number}) THEN {number} END"


def time_of(text: str, time_format: str | None) -> str:
    """Return the SQL of the time in a text, in UTC unless it names another zone; NULL where it is none.

    Args:
        text: SQL of the text.
        time_format: as of `InteractionSource`.
    """
    if time_format is not None:
        return time_in_format(text, time_format)
    number = number_of(text)
    cases = " ".join(
        f"WHEN {number} BETWEEN {_EARLIEST * scale} AND {_LATEST * scale} THEN"
        f" make_timestamp(CAST({number} / {scale} * 1000000 AS BIGINT))"
        for scale in _UNITS.values()
    )
    return f"CASE {cases} ELSE timezone('UTC', try_cast({text} AS TIMESTAMPTZ)) END"


def identifier(name: str) -> str:
    """Return the name as an SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


def describe_columns(table: Table, connection: "duckdb.DuckDBPyConnection") -> list[Content]:
    """Describe every column of a table by its first rows."""
    connection.execute("SET TimeZone = 'UTC'")
    texts = ", ".join(f"{text_of(column)} AS {identifier(column.name)}" for column in table.columns)
    connection.execute(
        f"CREATE OR REPLACE TEMP TABLE first_rows AS SELECT {texts} FROM {table.sql()} LIMIT {SAMPLE_ROWS}"
    )
    return [_describe(column, connection) for column in table.columns]


def _describe(column: Column, connection: "duckdb.DuckDBPyConnection") -> Content:
    value = identifier(column.name)
    number = number_of("value")
    is_number = f"{number} IS NOT NULL"
    epochs = " OR ".join(f"{number} BETWEEN {_EARLIEST * scale} AND {_LATEST * scale}" for scale in _UNITS.values())
    shares: dict[str, Any] = {
        "numbers": is_number,
        "integers": r"regexp_full_match(value, '-?\d{1,19}')",
        "epochs": epochs,
        "times": rf"NOT ({is_number}) AND regexp_matches(value, '\d{{2}}')"
        " AND try_cast(value AS TIMESTAMPTZ) IS NOT NULL",
        "uuids": f"regexp_full_match(value, '{_UUID}') AND NOT ({is_number})",
        "emails": f"regexp_full_match(value, '{_EMAIL}')",
        "lists": f"regexp_full_match(value, '{_JSON_LIST}', 's')",
        "urls": "regexp_matches(value, '^https?://')",
        "years": r"regexp_matches(value, '\(\d{4}([-–]\s*(\d{4})?)?\)$')",
        "flags": "lower(value) IN ('0', '1', '0.0', '1.0', 'true', 'false')",
        "votes": is_vote("value"),
        "dates": f"regexp_matches(value, '{_MAY_BE_DATE}')",
    }
    shares |= {separator: f"contains(value, '{separator}')" for separator in _SEPARATORS}
    counted = ", ".join(
        f"coalesce(avg(CASE WHEN {sql} THEN 1 ELSE 0 END), 0) AS {identifier(name)}" for name, sql in shares.items()
    )
    result = connection.execute(
        "SELECT (SELECT count(*) FROM first_rows) AS rows, count(*) AS values,"
        f" count(DISTINCT value) AS distinct_values, min({number}) AS low,"
        f" max({number}) AS high, coalesce(avg(length(value)), 0) AS length,"
        rf" coalesce(bool_or(regexp_full_match(value, '-?\d+,\d+')), FALSE) AS decimal_comma, {counted}"
        f" FROM (SELECT {value} AS value FROM first_rows WHERE {value} IS NOT NULL)"
    )
    names = [name for name, *_ in result.description]
    found = dict(zip(names, result.fetchone() or (), strict=True))
    examples = connection.execute(
        f"SELECT value FROM (SELECT {value} AS value, min(rowid) AS place FROM first_rows"
        f" WHERE {value} IS NOT NULL GROUP BY 1) ORDER BY place LIMIT {_EXAMPLES}"
    ).fetchall()
    found["time_formats"] = ()
    if found.pop("dates") >= 0.9 and found["times"] < 0.9:
        found["time_formats"], share = _time_formats(value, connection)
        # Numbers such as 20260131 may as well be ids.
        found["times"] = max(found["times"], share if found["numbers"] < 0.9 else 0)
    separators = {separator: found.pop(separator) for separator in _SEPARATORS}
    return Content(
        column=column,
        separator=next((separator for separator in _SEPARATORS if separators[separator] >= _SEPARATED), None),
        distinct=found.pop("distinct_values"),
        examples=tuple(example for (example,) in examples),
        **found,
    )


def _time_formats(value: str, connection: "duckdb.DuckDBPyConnection") -> tuple[tuple[str, ...], float]:
    """Return the common formats of times that nine of ten values have, and the highest share of values with one."""
    times = [time_in_format("value", time_format) for time_format in COMMON_TIME_FORMATS]
    shares = ", ".join(
        f"avg(CASE WHEN {time} BETWEEN to_timestamp({_EARLIEST})::TIMESTAMP AND to_timestamp({_LATEST})::TIMESTAMP"
        " THEN 1 ELSE 0 END)"
        for time in times
    )
    found = connection.execute(
        f"SELECT {shares} FROM (SELECT {value} AS value FROM first_rows WHERE {value} IS NOT NULL)"
    ).fetchall()[0]
    formats = [time_format for time_format, share in zip(COMMON_TIME_FORMATS, found, strict=True) if share >= 0.9]
    return tuple(formats), max(found)
