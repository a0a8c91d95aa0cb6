"""Load raw CSV files into tables of the temporary catalogue `raw`, and set aside the rows that cannot be read.

For a file such as `ratings.csv` the catalogue has a view `raw.ratings` with the columns

- of the format, under their canonical names and with their types, NULL where a value is missing or cannot be read;
- `position`: which of the loaded rows it is, from 0;
- `unreadable`: whether a value other than a time cannot be read as its type;
- `raw`: the text of the row without personal data; NULL where that is not known.

`raw.unparsable` has the rows that could not be divided into fields, `raw.line_shifts` what is needed to compute the
line of a row from its position. Memory is bounded whatever is in a file: what grows with the number of faults is kept
in tables, which DuckDB spills.
"""

from dataclasses import dataclass
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from recsys_dagster.errors import RecsysError
from recsys_dagster.ingest.csv_dialect import SAMPLE_BYTES, Dialect, recognise
from recsys_dagster.ingest.formats import Column, Format, SourceFile
from recsys_dagster.ingest.manifest import Manifest, ManifestFile
from recsys_dagster.runtime.formatting import format_row, format_share
from recsys_dagster.warehouse.csv_values import (
    EXACT,
    UNKNOWN_TIME,
    is_id,
    number_column,
    quoted_name,
    text_column,
    time_of_number,
    time_of_text,
)
from recsys_dagster.warehouse.database import quoted
from recsys_dagster.warehouse.line_numbers import BLOCK_BYTES, newlines_before, shifts_of_lines, shifts_of_quoted

MAX_UNPARSABLE = 100_000
"""Rows of a file that may be impossible to divide into fields; their text is kept, and reading ends at more of them."""


@dataclass(frozen=True)
class LoadedFile:
    """What was read of one raw file.

    Attributes:
        name: name of the file.
        rows_read: rows in its table.
        rows_unparsable: rows in `raw.unparsable`.
        times: rows with a time, whether it can be read or not; None where the file has no column of times.
        times_lost: rows with a time that cannot be read or is implausible.
        lost_time: the text of such a time.
    """

    name: str
    rows_read: int
    rows_unparsable: int
    times: int | None = None
    times_lost: int | None = None
    lost_time: str | None = None


def table_name(source: SourceFile) -> str:
    """Return the name of the view of a file in the catalogue `raw`."""
    return Path(source.name).stem


def load_raw(
    connection: duckdb.DuckDBPyConnection, scratch: Path, fmt: Format, manifest: Manifest, *, max_rejected: float = 1.0
) -> list[LoadedFile]:
    """Load every file of a format into the catalogue `raw`, a temporary database file.

    Args:
        connection: gets the catalogue attached.
        scratch: existing folder for temporary files.
        fmt: the format.
        manifest: the files.
        max_rejected: share of the rows of a file that may be rejected, for messages.

    Raises:
        RecsysError: a quoted field is never closed, too many rows cannot be read, or the file is not CSV at all.
    """
    connection.execute(f"ATTACH {quoted(scratch / 'raw.duckdb')} AS raw")
    connection.execute("CREATE TABLE raw.unparsable (source_file VARCHAR, line BIGINT, raw VARCHAR)")
    connection.execute("CREATE TABLE raw.line_shifts (source_file VARCHAR, position BIGINT, extra_lines BIGINT)")
    loaded = []
    for source in fmt.files:
        file = manifest.files.get(source.name)
        if file is None:
            _create_empty(connection, source)
            loaded.append(LoadedFile(source.name, 0, 0))
        else:
            loaded.append(_Loading(connection, scratch, source, file).load(max_rejected))
    return loaded


class _Loading:
    """The loading of one file.

    Attributes:
        connection: where the catalogue `raw` is.
        scratch: folder for temporary files.
        source: what the file should be.
        file: the file.
        path: the file that is read: `file.path`, or a copy with uniform line ends.
        dialect: how the file is written.
        present: the columns of the source that the file has.
        is_text: whether fields are read as text and converted in SQL.
        has_rejects: whether DuckDB stored the rows that it could not divide into fields.
    """

    def __init__(
        self, connection: duckdb.DuckDBPyConnection, scratch: Path, source: SourceFile, file: ManifestFile
    ) -> None:
        self.connection, self.scratch, self.source, self.file = connection, scratch, source, file
        self.path = file.path
        with file.path.open("rb") as opened:
            start = opened.read(SAMPLE_BYTES)
        self.dialect: Dialect = recognise(start, source)
        self.ends_with_cr_only = b"\n" not in start and b"\r" in start
        spellings = source.spellings(file.header)
        self.present = [column for column in source.columns if column.name in spellings]
        self.is_text = True
        self.has_rejects = False
        self.is_personal = any(column.personal for column in source.columns)

    def load(self, max_rejected: float) -> LoadedFile:
        """Create the table and the view of the file and fill the tables of faults."""
        if self.ends_with_cr_only:
            self._unify_line_ends()
        try:
            has_faults = self._create_tables(max_rejected)
        except duckdb.InvalidInputException as error:
            # DuckDB refuses files in which some lines end with LF and others with CRLF.
            if "state machine reached an invalid state" not in str(error) or self.path != self.file.path:
                raise self._not_csv(error) from error
            self._unify_line_ends()
            try:
                has_faults = self._create_tables(max_rejected)
            except duckdb.InvalidInputException as again:
                raise self._not_csv(again) from again
        rows_read = self._count_rows()
        unparsable = self._keep_unparsable()
        self._keep_line_shifts(rows_read, unparsable)
        self._create_view(has_faults)
        times = self._count_times(has_faults)
        if self.path != self.file.path:
            self.path.unlink()
        return LoadedFile(self.source.name, rows_read, len(unparsable), *times)

    # -- the rows

    @property
    def _rows(self) -> str:
        return f"raw.{quoted_name(f'{table_name(self.source)} rows')}"

    @property
    def _faults(self) -> str:
        return f"raw.{quoted_name(f'{table_name(self.source)} faults')}"

    def _create_tables(self, max_rejected: float) -> bool:
        """Create the table of the rows and, if values cannot be read, the table of these; return if there is one.

        DuckDB converts the fields of a file without faults. Otherwise they are read as text, and what cannot be
        converted is NULL.
        """
        is_small = self.file.lines <= MAX_UNPARSABLE
        self.is_text = self.dialect.decimal_comma or not self.dialect.numeric_times
        if not self.is_text:
            self._create_rows(rejects=is_small)
            self.is_text = not self._is_faultless()
            if not self.is_text:
                return False
        self._create_rows(rejects=is_small)
        if not is_small and self._count_rows() < self.file.lines - 1:
            self._refuse_too_many_unparsable(max_rejected)
            self._create_rows(rejects=True)
        return self._find_faults()

    def _create_rows(self, *, rejects: bool) -> None:
        """Create the table of the rows.

        Args:
            rejects: whether to store the rows that cannot be divided into fields; DuckDB needs 2 kB for each of them.
        """
        values = ", ".join(
            f"{self._value(column)} AS {quoted_name(column.name)}"
            if column in self.present
            else f"NULL::{self._stored_type(column)} AS {quoted_name(column.name)}"
            for column in self.source.columns
        )
        for table in ("rejects", "rejects_scan", self._rows):
            self.connection.execute(f"DROP TABLE IF EXISTS {table}")
        # The order of the file is kept, and with it rowid counts the rows: numbering them would take three times as
        # long as reading them.
        stored = "store_rejects = true, rejects_table = 'rejects', rejects_scan = 'rejects_scan'"
        options = stored if rejects else "ignore_errors = true"
        self.connection.execute(f"CREATE TABLE {self._rows} AS SELECT {values} FROM {self._fields(options)}")
        self.has_rejects = rejects

    def _refuse_too_many_unparsable(self, max_rejected: float) -> None:
        """Raise RecsysError if more rows cannot be divided into fields than can be kept."""
        missing = self.file.lines - 1 - self._count_rows()
        if missing <= MAX_UNPARSABLE:
            return
        # Blank lines are no rows, and a row can have several lines.
        nothing = np.empty(0, np.int64)
        if self.dialect.quote:
            shifts = shifts_of_quoted(self.path, self.dialect, nothing)
        else:
            shifts = shifts_of_lines(self.path, nothing)
        unparsable = missing - sum(int(extra.sum()) for _, extra in shifts)
        if unparsable <= MAX_UNPARSABLE:
            return
        example = self._first_unparsable()
        rows = self.file.lines - 1
        raise RecsysError(
            f"{self.file.path}: {format_share(unparsable / rows)} of {rows:,} rows cannot be divided into fields "
            f"(at most {format_share(max_rejected)} may be rejected, and {MAX_UNPARSABLE:,} of this kind)"
            f"{f', such as {example}' if example else ''}; mend the file or fetch it again"
        )

    def _first_unparsable(self) -> str | None:
        """Return the first row in the start of the file that cannot be divided into fields, for a message."""
        sample = self.scratch / f"{self.source.name}.start"
        with self.path.open("rb") as file:
            start = file.read(SAMPLE_BYTES)
        sample.write_bytes(start[: start.rfind(b"\n") + 1])
        whole, self.path = self.path, sample
        try:
            self._create_rows(rejects=True)
            lines = self._keep_unparsable()
        finally:
            self.path = whole
        text = self.connection.execute("SELECT raw FROM raw.unparsable ORDER BY line LIMIT 1").fetchall()
        return format_row(int(lines[0]), text[0][0]) if len(lines) else None

    def _count_rows(self) -> int:
        return int(self.connection.execute(f"SELECT count(*) FROM {self._rows}").fetchall()[0][0])

    def _is_faultless(self) -> bool:
        """Return whether DuckDB could convert all values, and every id is an exact whole number."""
        if self.has_rejects:
            failed = "SELECT count(*) FROM rejects WHERE error_type = 'CAST'"
            if self.connection.execute(failed).fetchall()[0][0]:
                return False
        elif self._count_rows() < self.file.lines - 1:
            return False
        ids = [quoted_name(column.name) for column in self.present if is_id(column)]
        checks = ", ".join(
            f"count({name}) = count(*) AND coalesce(min({name}) > -{EXACT} AND max({name}) < {EXACT}, TRUE)"
            for name in ids
        )
        return not ids or all(self.connection.execute(f"SELECT {checks} FROM {self._rows}").fetchall()[0])

    def _fields(self, options: str) -> str:
        """Return the SQL of the fields, and in text of the numbers that ids are made of."""
        spellings = {spelling: name for name, spelling in self.source.spellings(self.file.header).items()}
        names = [spellings.get(spelling, f"unused {n}") for n, spelling in enumerate(self.file.header)]
        types = {} if self.is_text else {column.name: self._read_type(column) for column in self.present}
        # Everything is declared, so that DuckDB guesses nothing from the first rows.
        columns = ", ".join(f"{quoted(name)}: {quoted(types.get(name, 'VARCHAR'))}" for name in names)
        quote = quoted(self.dialect.quote)
        fields = []
        for column in self.present:
            name = quoted_name(column.name)
            fields.append(f"{name} AS {text_column(column)}")
            if is_id(column):
                number = f"try_cast({self._plain(name)} AS DOUBLE)" if self.is_text else name
                fields.append(f"{number} AS {number_column(column)}")
        return (
            f"(SELECT {', '.join(fields)} FROM read_csv({quoted(self.path)}, auto_detect = false, header = true,"
            f" delim = {quoted(self.dialect.delimiter)}, quote = {quote}, escape = {quote},"
            f" columns = {{{columns}}}, {options}))"
        )

    def _read_type(self, column: Column) -> str:
        """Return the type that DuckDB converts a field to: DOUBLE for ids, as it would round 1.5 to a whole number."""
        return "DOUBLE" if is_id(column) else self._stored_type(column)

    def _find_faults(self) -> bool:
        """Create the table of rows with values that cannot be read by reading the file again; return if there are any.

        A column for these in the table of rows would be NULL almost everywhere, and still take a third of its time.
        """
        typed = [column for column in self.present if column.type != "VARCHAR"]
        missing = " OR ".join(f"count({quoted_name(column.name)}) < count(*)" for column in typed) or "FALSE"
        if not self.connection.execute(f"SELECT {missing} FROM {self._rows}").fetchall()[0][0]:
            return False
        failures = {
            column: f"({text_column(column)} IS NOT NULL AND {self._value(column)} IS NULL)"
            for column in typed
            if column.type != "TIMESTAMP"
        }
        lost = [
            f"CASE WHEN {self._value(column)} IS NULL THEN {text_column(column)} END"
            for column in typed
            if column.type == "TIMESTAMP"
        ]
        text = "concat_ws(',', " + ", ".join(f"coalesce({text_column(column)}, '')" for column in self.present) + ")"
        self.connection.execute(
            f"CREATE OR REPLACE TABLE {self._faults} AS FROM (SELECT row_number() OVER () - 1 AS position,"
            f" {' OR '.join(failures.values()) or 'FALSE'} AS unreadable,"
            f" {'NULL::VARCHAR' if self.is_personal else text} AS text,"
            f" {lost[0] if lost else 'NULL::VARCHAR'} AS lost_time FROM {self._fields('ignore_errors = true')})"
            " WHERE unreadable OR lost_time IS NOT NULL"
        )
        return bool(self.connection.execute(f"SELECT count(*) FROM {self._faults}").fetchall()[0][0])

    def _value(self, column: Column) -> str:
        """Return the SQL of a stored value, made of the text of the field."""
        text = text_column(column)
        if is_id(column) and not self.is_text:
            number = number_column(column)
            return f"CASE WHEN {number} = floor({number}) THEN try_cast({text} AS BIGINT) END"
        if column.type == "VARCHAR" or not self.is_text:
            return text
        if is_id(column):
            # Some programs write whole numbers as 1.0; 1.5 is none, and must not be rounded to another id.
            number, plain = number_column(column), self._plain(text)
            return (
                f"CASE WHEN abs({number}) < {EXACT} AND {number} = floor({number}) THEN cast({number} AS BIGINT)"
                f" WHEN abs({number}) >= {EXACT} AND regexp_full_match({plain}, '\\s*[-+]?[0-9]+([.]0*)?\\s*')"
                f" THEN try_cast({plain} AS BIGINT) END"
            )
        if self._is_number_of_time(column):
            return f"try_cast({text} AS BIGINT)"
        if column.type == "TIMESTAMP":
            return f"coalesce({time_of_number(f'try_cast({text} AS BIGINT)', column)}, {time_of_text(text, column)})"
        return f"try_cast({self._plain(text)} AS {column.type})"

    def _plain(self, text: str) -> str:
        """Return the SQL of the text of a number with a decimal point."""
        return f"replace({text}, ',', '.')" if self.dialect.decimal_comma else text

    def _stored_type(self, column: Column) -> str:
        return "BIGINT" if self._is_number_of_time(column) else column.type

    def _is_number_of_time(self, column: Column) -> bool:
        """Return whether a column is stored as a number that the view converts to a time."""
        return column.type == "TIMESTAMP" and self.dialect.numeric_times

    def _create_view(self, has_faults: bool) -> None:
        columns, fields = [], []
        for column in self.source.columns:
            value = quoted_name(column.name)
            if not column.personal and column in self.present:
                fields.append(f"coalesce({value}::VARCHAR, '')")
            if self._is_number_of_time(column):
                value = f"{time_of_number(value, column)} AS {value}"
            columns.append(value)
        raw, unreadable, joined = f"concat_ws(',', {', '.join(fields)})" if fields else "NULL::VARCHAR", "FALSE", ""
        if has_faults:
            raw = f"CASE WHEN faults.position IS NULL THEN {raw} ELSE faults.text END"
            unreadable = "coalesce(faults.unreadable, FALSE)"
            joined = f"LEFT JOIN {self._faults} AS faults ON rows.rowid = faults.position"
        self.connection.execute(
            f"CREATE VIEW raw.{quoted_name(table_name(self.source))} AS SELECT rows.rowid AS position, {raw} AS raw,"
            f" {unreadable} AS unreadable, {', '.join(columns)} FROM {self._rows} AS rows {joined}"
        )

    def _count_times(self, has_faults: bool) -> tuple[int | None, int | None, str | None]:
        """Return the number of times, the number of those that are lost, and the text of one of these."""
        column = next((column for column in self.present if column.type == "TIMESTAMP"), None)
        if column is None:
            return None, None, None
        name = quoted_name(column.name)
        if self._is_number_of_time(column):
            time = time_of_number(name, column)
            # A time of 0 is unknown.
            implausible = f"CASE WHEN {name} <> 0 AND {time} IS NULL THEN {name} END"
        else:
            time, implausible = name, "NULL"
        read, lost, example = self.connection.execute(
            f"SELECT count({time}), count({implausible}), any_value({implausible})::VARCHAR FROM {self._rows}"
        ).fetchall()[0]
        if has_faults:
            unread, text = self.connection.execute(
                f"SELECT count(*), any_value(lost_time) FROM {self._faults}"
                f" WHERE lost_time IS NOT NULL AND NOT regexp_matches(lost_time, '{UNKNOWN_TIME}')"
            ).fetchall()[0]
            lost, example = lost + unread, text or example
        return read + lost, lost, example

    # -- the faults

    def _keep_unparsable(self) -> NDArray[np.int64]:
        """Move the rows that could not be divided into fields to `raw.unparsable`; return their lines, rising."""
        name = self.source.name
        if not self.has_rejects:
            return np.empty(0, np.int64)
        starts = self.connection.execute(
            "SELECT DISTINCT line_byte_position AS start FROM rejects ORDER BY start"
        ).fetchnumpy()["start"]
        positions = np.ma.getdata(starts).astype(np.int64)
        if not len(positions):
            return positions
        located = pa.table({"start": positions, "newlines": newlines_before(self.path, positions)})
        self.connection.register("located", located)
        newlines = "(length({0}) - length(replace({0}, chr(10), '')))"
        record = "ltrim(csv_line, chr(10) || chr(13))"
        self.connection.execute(
            f"CREATE TEMP TABLE faulty AS SELECT 1 + newlines + {newlines.format('csv_line')}"
            f" - {newlines.format('record')} AS line, rtrim(record, chr(10) || chr(13)) AS record, error_type FROM ("
            f" SELECT newlines, csv_line, {record} AS record, error_type FROM located"
            " INNER JOIN (SELECT DISTINCT ON (line_byte_position) line_byte_position, csv_line, error_type"
            " FROM rejects ORDER BY line_byte_position) AS rejected ON located.start = rejected.line_byte_position)"
        )
        self.connection.unregister("located")
        self.connection.execute("DROP TABLE rejects; DROP TABLE rejects_scan")
        try:
            never_closed = self.connection.execute(
                "SELECT min(line) FROM faulty"
                " WHERE error_type IN ('UNQUOTED VALUE', 'LINE SIZE OVER MAXIMUM') AND contains(record, chr(10))"
            ).fetchall()[0][0]
            if never_closed is not None:
                raise RecsysError(
                    f"{self.file.path}, line {never_closed}: a quoted field is never closed; "
                    "mend the file or fetch it again"
                )
            raw = "NULL::VARCHAR" if self.is_personal else "record"
            self.connection.execute(
                f"INSERT INTO raw.unparsable SELECT {quoted(name)}, line, {raw} FROM faulty ORDER BY line"
            )
            lines = self.connection.execute("SELECT line FROM faulty ORDER BY line").fetchnumpy()["line"]
        finally:
            self.connection.execute("DROP TABLE faulty")
        return np.ma.getdata(lines).astype(np.int64)

    def _keep_line_shifts(self, rows_read: int, unparsable: NDArray[np.int64]) -> None:
        """Fill `raw.line_shifts`: from which positions on the rows are how many lines further down."""
        if self.file.lines == 1 + rows_read + len(unparsable):
            # Every row has a line of its own, and no line is blank.
            batches = iter([(unparsable - 2 - np.arange(len(unparsable)), np.ones(len(unparsable), np.int64))])
        elif self.dialect.quote:
            batches = shifts_of_quoted(self.path, self.dialect, unparsable)
        else:
            batches = shifts_of_lines(self.path, unparsable)
        for positions, extra in batches:
            if len(positions):
                self.connection.register("shifts", pa.table({"position": positions, "extra_lines": extra}))
                self.connection.execute(f"INSERT INTO raw.line_shifts SELECT {quoted(self.source.name)}, * FROM shifts")
                self.connection.unregister("shifts")

    # -- the file

    def _unify_line_ends(self) -> None:
        """Copy the file with LF as the end of every line, and read the copy from now on."""
        copy = self.scratch / f"{self.source.name}.lf"
        with self.file.path.open("rb") as original, copy.open("wb") as target:
            pending = b""
            while block := original.read(BLOCK_BYTES):
                block = pending + block
                # A CR at the end of a block may belong to an LF in the next.
                pending = b"\r" if block.endswith(b"\r") and not self.ends_with_cr_only else b""
                block = block[: len(block) - len(pending)]
                target.write(block.replace(b"\r", b"\n") if self.ends_with_cr_only else block.replace(b"\r\n", b"\n"))
            target.write(pending)
        self.path = copy

    def _not_csv(self, error: duckdb.Error) -> RecsysError:
        reason = str(error).splitlines()[0]
        return RecsysError(f"{self.file.path}: not readable as CSV ({reason}); mend the file or fetch it again")


def _create_empty(connection: duckdb.DuckDBPyConnection, source: SourceFile) -> None:
    """Create the view of a file that is missing."""
    columns = ", ".join(f"NULL::{column.type} AS {quoted_name(column.name)}" for column in source.columns)
    connection.execute(
        f"CREATE VIEW raw.{quoted_name(table_name(source))} AS SELECT 0::BIGINT AS position, NULL::VARCHAR AS raw,"
        f" FALSE AS unreadable, {columns} WHERE FALSE"
    )
