"""Count what is in the rows of a dataset, all of them, in bounded memory."""

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from recsys_dagster.errors import RecsysError
from recsys_dagster.ingest.declaration import Declaration, ItemSource
from recsys_dagster.ingest.importing.contents import identifier, number_of, text_of, time_of
from recsys_dagster.ingest.importing.tables import Column, Table
from recsys_dagster.ingest.notations import vote_or
from recsys_dagster.runtime.progress import progress_bar
from recsys_dagster.runtime.text import printable

if TYPE_CHECKING:
    import duckdb

_MAX_VALUES = 1000
_POLL_SECONDS = 0.5
_VOTES = (0.0, 1.0)
"""What words such as down and up count as, as long as the scale is not known."""
_INTEGER = r"'-?(0|[1-9]\d{0,17})'"


@dataclass(frozen=True)
class Survey:
    """What is in the rows.

    Attributes:
        rows: rows of the interactions.
        usable: rows with a user, an item and, where there is one, a rating on the scale or none.
        users, items: different ids.
        pairs: different pairs of a user and an item.
        faults: rows that are not usable, by what is wrong.
        rated: usable rows with a rating.
        weighted: usable rows with a strength above zero.
        times: rows with a time that can be read.
        first, last: the earliest and the latest time, in UTC.
        integer_users, integer_items: whether every id is a whole number.
        item_rows: rows of the file of items; None without one.
        listed: different items of that file.
        titled: rows of that file with a title.
        matched: usable rows whose item is in that file.
    """

    rows: int
    usable: int
    users: int
    items: int
    pairs: int
    faults: dict[str, int]
    rated: int
    weighted: int
    times: int
    first: datetime | None
    last: datetime | None
    integer_users: bool
    integer_items: bool
    item_rows: int | None = None
    listed: int = 0
    titled: int = 0
    matched: int = 0


def count_ratings(table: Table, column: str, connection: "duckdb.DuckDBPyConnection") -> Mapping[float, int] | None:
    """Return how often each rating occurs in the whole table; None if there are too many different ones to say."""
    text = _text(table, column)
    value = vote_or(number_of(text), text, _VOTES)
    rows = _fetch(
        connection,
        f"SELECT {value} AS rating, count(*) FROM {table.sql()} GROUP BY 1 HAVING rating IS NOT NULL LIMIT"
        f" {_MAX_VALUES + 1}",
        f"{table.name}: counting ratings",
    )
    return dict(rows) if len(rows) <= _MAX_VALUES else None


def survey(
    declaration: Declaration,
    interactions: Table,
    items: Table | None,
    connection: "duckdb.DuckDBPyConnection",
) -> Survey:
    """Count users, items, usable rows, times and matching items in all rows."""
    item_counts = (
        _survey_items(items, declaration.items, connection)
        if items is not None and declaration.items is not None
        else {}
    )
    source = declaration.interactions
    values = {
        "user_": _text(interactions, source.user),
        "item_": _text(interactions, source.item),
        "rating_text": _text(interactions, source.rating),
        "weight_": number_of(_text(interactions, source.weight)),
        "time_": time_of(_text(interactions, source.time), source.time_format),
        "weight_text": _text(interactions, source.weight),
    }
    columns = ", ".join(f"{sql} AS {name}" for name, sql in values.items())
    low, high = declaration.scale or (0, 0)
    rating = vote_or(number_of("rating_text"), "rating_text", (low, high))
    unrated = ", ".join(map(repr, source.unrated))
    is_unrated = f"rating_ IN ({unrated})" if source.unrated else "FALSE"
    fault = (
        "CASE WHEN user_ IS NULL THEN 'without a user' WHEN item_ IS NULL THEN 'without an item'"
        " WHEN rating_text IS NOT NULL AND rating_ IS NULL THEN 'with a rating that is no number'"
        f" WHEN rating_ NOT BETWEEN {low} AND {high} AND NOT ({is_unrated}) THEN 'with a rating outside of the scale'"
        " WHEN weight_text IS NOT NULL AND weight_ IS NULL THEN 'with a strength that is no number' END"
    )
    matched = "sum(CASE WHEN fault IS NULL AND item_ IN (FROM item_ids) THEN 1 ELSE 0 END)" if item_counts else "0"
    usable = "CASE WHEN fault IS NULL THEN {} END"
    query = (
        "SELECT count(*) AS rows, count(*) FILTER (fault IS NULL) AS usable,"
        f" count(DISTINCT {usable.format('user_')}) AS users, count(DISTINCT {usable.format('item_')}) AS items,"
        f" count(DISTINCT {usable.format('hash(user_, item_)')}) AS pairs,"
        " histogram(fault) AS faults,"
        f" count(*) FILTER (fault IS NULL AND rating_ IS NOT NULL AND NOT ({is_unrated})) AS rated,"
        " count(*) FILTER (fault IS NULL AND weight_ > 0) AS weighted,"
        " count(time_) AS times, min(time_) AS first, max(time_) AS last,"
        f" coalesce(bool_and(regexp_full_match(user_, {_INTEGER})), FALSE) AS integer_users,"
        f" coalesce(bool_and(regexp_full_match(item_, {_INTEGER})), FALSE) AS integer_items,"
        f" coalesce({matched}, 0) AS matched"
        f" FROM (SELECT *, {fault} AS fault FROM (SELECT *, {rating} AS rating_"
        f" FROM (SELECT {columns} FROM {interactions.sql(rejects=interactions.looks[0].is_text)})))"
    )
    counted = _fetch(connection, query, f"{interactions.name}: counting rows")[0]
    names = "rows usable users items pairs faults rated weighted times first last integer_users integer_items matched"
    found: dict[str, Any] = dict(zip(names.split(), counted, strict=True))
    found["faults"] = {str(name): int(count) for name, count in (found["faults"] or {}).items() if name is not None}
    if interactions.looks[0].is_text and (broken := _count_rejects(connection)):
        found["faults"]["with another number of fields"] = broken
        found["rows"] += broken
    return Survey(**found, **item_counts)


def _survey_items(table: Table, source: ItemSource, connection: "duckdb.DuckDBPyConnection") -> dict[str, Any]:
    """Create the table `item_ids` and count the rows of a file of items."""
    key, title = _text(table, source.item), _text(table, source.title)
    connection.execute(f"CREATE OR REPLACE TEMP TABLE item_ids AS SELECT DISTINCT {key} AS id FROM {table.sql()}")
    rows, titled = _fetch(connection, f"SELECT count(*), count({title}) FROM {table.sql()}", table.name)[0]
    listed = _fetch(connection, "SELECT count(id) FROM item_ids", table.name)[0][0]
    return {"item_rows": rows, "listed": listed, "titled": titled}


def _text(table: Table, name: str | None) -> str:
    """Return the SQL of the text of a column; whole numbers that were stored as fractions lose their `.0`."""
    if name is None:
        return "CAST(NULL AS VARCHAR)"
    column = table.column(name)
    if column is None:
        raise ValueError(f"{table.name} has no column {name}")
    return _whole(column)


def _whole(column: Column) -> str:
    text = text_of(column)
    if column.type in ("DOUBLE", "FLOAT"):
        name = identifier(column.name)
        return f"CASE WHEN {name} = floor({name}) THEN CAST(CAST({name} AS HUGEINT) AS VARCHAR) ELSE {text} END"
    return text


def _count_rejects(connection: "duckdb.DuckDBPyConnection") -> int:
    """Return how many rows could not be divided into fields."""
    rejects = connection.execute("SELECT count(DISTINCT (file_id, line)) FROM reject_errors").fetchall()[0][0]
    connection.execute("DROP TABLE reject_errors; DROP TABLE reject_scans")
    return int(rejects)


def _fetch(connection: "duckdb.DuckDBPyConnection", query: str, description: str) -> list[Any]:
    """Run a query with a progress bar."""
    import duckdb

    results: list[list[Any]] = []
    errors: list[duckdb.Error] = []

    def run() -> None:
        try:
            results.append(connection.execute(query).fetchall())
        except duckdb.Error as error:
            errors.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(_POLL_SECONDS)
    if thread.is_alive():
        done = 0.0
        with progress_bar(description, total=100) as advance:
            try:
                while thread.is_alive():
                    thread.join(_POLL_SECONDS)
                    now = max(connection.query_progress(), done)
                    advance(now - done)
                    done = now
            except BaseException:
                connection.interrupt()
                thread.join()
                raise
    if errors:
        raise RecsysError(f"{description}: {printable(str(errors[0]).splitlines()[0])}; mend the file")
    return results[0]
