"""Set aside the rows of a file that cannot be divided into fields, and compute the lines of all others."""

from dataclasses import dataclass
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from recsys_dagster.errors import RecsysError
from recsys_dagster.ingest.csv_dialect import Dialect
from recsys_dagster.warehouse.database import quoted
from recsys_dagster.warehouse.line_numbers import BLOCK_BYTES, newlines_before, shifts_of_lines, shifts_of_quoted


@dataclass(frozen=True)
class TextFile:
    """A text file that is being loaded.

    Attributes:
        name: of the file in the tables of faults.
        shown: its path in messages.
        path: the file that is read, which may be a copy.
        dialect: how it is written.
        has_header: whether its first row has the names of the columns.
        is_personal: whether its rows name users, so that their text is kept nowhere.
    """

    name: str
    shown: Path
    path: Path
    dialect: Dialect
    has_header: bool
    is_personal: bool


def keep_unparsable(connection: duckdb.DuckDBPyConnection, file: TextFile) -> NDArray[np.int64]:
    """Move the rows in DuckDB's table `rejects` to `raw.unparsable`; return their lines, rising.

    Raises:
        RecsysError: a quoted field is never closed.
    """
    starts = connection.execute("SELECT DISTINCT line_byte_position AS start FROM rejects ORDER BY start").fetchnumpy()[
        "start"
    ]
    positions = np.ma.getdata(starts).astype(np.int64)
    if not len(positions):
        return positions
    located = pa.table({"start": positions, "newlines": newlines_before(file.path, positions)})
    connection.register("located", located)
    newlines = "(length({0}) - length(replace({0}, chr(10), '')))"
    record = "ltrim(csv_line, chr(10) || chr(13))"
    connection.execute(
        f"CREATE TEMP TABLE faulty AS SELECT 1 + newlines + {newlines.format('csv_line')}"
        f" - {newlines.format('record')} AS line, rtrim(record, chr(10) || chr(13)) AS record, error_type FROM ("
        f" SELECT newlines, csv_line, {record} AS record, error_type FROM located"
        " INNER JOIN (SELECT DISTINCT ON (line_byte_position) line_byte_position, csv_line, error_type"
        " FROM rejects ORDER BY line_byte_position) AS rejected ON located.start = rejected.line_byte_position)"
    )
    connection.unregister("located")
    connection.execute("DROP TABLE rejects; DROP TABLE rejects_scan")
    try:
        never_closed = connection.execute(
            "SELECT min(line) FROM faulty"
            " WHERE error_type IN ('UNQUOTED VALUE', 'LINE SIZE OVER MAXIMUM') AND contains(record, chr(10))"
        ).fetchall()[0][0]
        if never_closed is not None:
            raise RecsysError(
                f"{file.shown}, line {never_closed}: a quoted field is never closed; mend the file or fetch it again"
            )
        raw = "NULL::VARCHAR" if file.is_personal else "record"
        connection.execute(
            f"INSERT INTO raw.unparsable SELECT {quoted(file.name)}, line, {raw} FROM faulty ORDER BY line"
        )
        lines = connection.execute("SELECT line FROM faulty ORDER BY line").fetchnumpy()["line"]
    finally:
        connection.execute("DROP TABLE faulty")
    return np.ma.getdata(lines).astype(np.int64)


def keep_line_shifts(
    connection: duckdb.DuckDBPyConnection, file: TextFile, lines: int, rows_read: int, unparsable: NDArray[np.int64]
) -> None:
    """Fill `raw.line_shifts`: from which positions on the rows are how many lines further down.

    Args:
        connection: where the catalogue `raw` is.
        file: the file.
        lines: its lines.
        rows_read: rows that were loaded.
        unparsable: lines of the rows that were not loaded, rising.
    """
    # As if every file had a header: that of a file without one is line 0.
    missing = 0 if file.has_header else 1
    numbers = unparsable + missing
    if lines + missing == 1 + rows_read + len(unparsable):
        # Every row has a line of its own, and no line is blank.
        batches = iter([(numbers - 2 - np.arange(len(numbers)), np.ones(len(numbers), np.int64))])
    elif file.dialect.quote:
        batches = shifts_of_quoted(file.path, file.dialect, numbers, has_header=file.has_header)
    else:
        batches = shifts_of_lines(file.path, numbers, has_header=file.has_header)
    for positions, extra in batches:
        _insert_shifts(connection, file.name, positions, extra)
    if missing:
        _insert_shifts(connection, file.name, np.zeros(1, np.int64), np.full(1, -1, np.int64))


def _insert_shifts(
    connection: duckdb.DuckDBPyConnection, name: str, positions: NDArray[np.int64], extra: NDArray[np.int64]
) -> None:
    if len(positions):
        connection.register("shifts", pa.table({"position": positions, "extra_lines": extra}))
        connection.execute(f"INSERT INTO raw.line_shifts SELECT {quoted(name)}, * FROM shifts")
        connection.unregister("shifts")


def count_unparsable(file: TextFile, missing: int) -> int:
    """Return how many of the lines that gave no row are rows that cannot be divided into fields.

    Blank lines are no rows, and a row can have several lines.

    Args:
        file: the file.
        missing: lines without a row of their own.
    """
    nothing = np.empty(0, np.int64)
    if file.dialect.quote:
        shifts = shifts_of_quoted(file.path, file.dialect, nothing, has_header=file.has_header)
    else:
        shifts = shifts_of_lines(file.path, nothing, has_header=file.has_header)
    return missing - sum(int(extra.sum()) for _, extra in shifts)


def unify_line_ends(path: Path, copy: Path, *, ends_with_cr_only: bool) -> None:
    """Copy a file with LF as the end of every line."""
    with path.open("rb") as original, copy.open("wb") as target:
        pending = b""
        while block := original.read(BLOCK_BYTES):
            block = pending + block
            # A CR at the end of a block may belong to an LF in the next.
            pending = b"\r" if block.endswith(b"\r") and not ends_with_cr_only else b""
            block = block[: len(block) - len(pending)]
            target.write(block.replace(b"\r", b"\n") if ends_with_cr_only else block.replace(b"\r\n", b"\n"))
        target.write(pending)
