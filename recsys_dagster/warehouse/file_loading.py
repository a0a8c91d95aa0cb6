"""Load one raw file into a table of the catalogue `raw`, and set aside the rows and values that cannot be read.

Memory is bounded whatever is in a file: what grows with the number of faults is kept in tables, which DuckDB spills.
"""

from dataclasses import dataclass
from pathlib import Path

import duckdb
import numpy as np

from recsys_dagster.errors import RecsysError
from recsys_dagster.ingest.csv_dialect import SAMPLE_BYTES, Dialect, recognise
from recsys_dagster.ingest.formats import Column, SourceFile
from recsys_dagster.ingest.manifest import ManifestFile
from recsys_dagster.ingest.notations import vote_or
from recsys_dagster.runtime.formatting import format_row, format_share
from recsys_dagster.warehouse.csv_values import (
    EXACT,
    UNKNOWN_TIME,
    canonical_number,
    is_id,
    number_column,
    quoted_name,
    text_column,
    time_of_number,
    time_of_text,
)
from recsys_dagster.warehouse.raw_fields import IS_BROKEN, ROW_TEXT, csv_table, json_fields, parquet_fields
from recsys_dagster.warehouse.unparsable_rows import (
    TextFile,
    count_unparsable,
    keep_line_shifts,
    keep_unparsable,
    unify_line_ends,
)

MAX_UNPARSABLE = 100_000
"""Rows of a file that may be impossible to divide into fields; their text is kept, and reading ends at more of them."""

_NO_ROWS = np.empty(0, np.int64)


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


def dialect_of(start: bytes, source: SourceFile, file: ManifestFile) -> Dialect:
    """Return how a file is written, by its first `SAMPLE_BYTES`."""
    is_csv = file.format == "csv"
    return recognise(start, source, file.header) if is_csv else Dialect(quote="", numeric_times=False)


class FileLoading:
    """The loading of one file.

    Attributes:
        connection: where the catalogue `raw` is.
        scratch: folder for temporary files.
        source: what the file should be.
        file: the file.
        table: name of its view in the catalogue.
        path: the file that is read: `file.path`, or a copy with uniform line ends.
        dialect: how the file is written; a part of a file has that of the whole.
        present: the columns of the source that the file has.
        is_text: whether fields are read as text and converted in SQL.
        has_rejects: whether DuckDB stored the rows that it could not divide into fields.
    """

    def __init__(
        self,
        connection: duckdb.DuckDBPyConnection,
        scratch: Path,
        source: SourceFile,
        file: ManifestFile,
        *,
        table: str,
        dialect: Dialect | None = None,
    ) -> None:
        self.connection, self.scratch, self.source, self.file, self.table = connection, scratch, source, file, table
        self.path = file.path
        with file.path.open("rb") as opened:
            start = opened.read(SAMPLE_BYTES)
        is_csv = file.format == "csv"
        self.dialect = dialect or dialect_of(start, source, file)
        self.ends_with_cr_only = file.format != "parquet" and b"\n" not in start and b"\r" in start
        self.header_lines = 1 if is_csv and source.has_header else 0
        self.spellings = source.spellings(file.header)
        self.present = [column for column in source.columns if column.name in self.spellings]
        self.is_text = True
        self.has_rejects = False
        self.is_personal = any(column.personal for column in source.columns)

    def load(self, max_rejected: float) -> LoadedFile:
        """Create the table and the view of the file and fill the tables of faults.

        Args:
            max_rejected: share of the rows that may be rejected, for messages.

        Raises:
            RecsysError: a quoted field is never closed, too many rows cannot be read, or the file is not CSV at all.
        """
        if self.ends_with_cr_only:
            self._unify_line_ends()
        try:
            has_faults = self._create_tables(max_rejected)
        except duckdb.InvalidInputException as error:
            # DuckDB refuses files in which some lines end with LF and others with CRLF.
            if "state machine reached an invalid state" not in str(error) or self.path != self.file.path:
                raise self._not_readable(error) from error
            self._unify_line_ends()
            try:
                has_faults = self._create_tables(max_rejected)
            except duckdb.InvalidInputException as again:
                raise self._not_readable(again) from again
        rows_read = self.count_rows()
        unparsable = keep_unparsable(self.connection, self._text_file) if self.has_rejects else _NO_ROWS
        keep_line_shifts(self.connection, self._text_file, self.file.lines, rows_read, unparsable)
        self._create_view(has_faults)
        times = self._count_times(has_faults)
        if self.path != self.file.path:
            self.path.unlink()
        return LoadedFile(self.source.name, rows_read, len(unparsable), *times)

    def fields(self, options: str = "ignore_errors = true") -> str:
        """Return the SQL of a subquery with the text of each field, and with the numbers that ids are made of.

        Args:
            options: of read_csv, for the rows that cannot be divided into fields.
        """
        if self.file.format == "jsonl":
            return json_fields(
                self.path, {column.name: self.spellings[column.name] for column in self.present}, options
            )
        if self.file.format == "parquet":
            return parquet_fields(
                self.path, {column.name: self.spellings[column.name] for column in self.present}, self.file.nested
            )
        names = {spelling: name for name, spelling in self.spellings.items()}
        headings = [names.get(spelling, f"unused {n}") for n, spelling in enumerate(self.file.header)]
        typed = {} if self.is_text else {column.name: self._read_type(column) for column in self.present}
        fields = []
        for column in self.present:
            # Two columns of a table may be one of the file, such as the id and the title of items.
            name = quoted_name(names[self.spellings[column.name]])
            fields.append(f"{name} AS {text_column(column.name)}")
            if is_id(column) and not column.is_strict:
                number = f"try_cast({self._plain(name)} AS DOUBLE)" if self.is_text else name
                fields.append(f"{number} AS {number_column(column.name)}")
        table = csv_table(
            self.path,
            {name: typed.get(name, "VARCHAR") for name in headings},
            self.dialect.delimiter,
            self.dialect.quote,
            options,
            has_header=self.source.has_header,
        )
        return f"(SELECT {', '.join(fields)} FROM {table})"

    def count_rows(self) -> int:
        """Return the number of rows that were loaded."""
        return int(self.connection.execute(f"SELECT count(*) FROM {self._rows}").fetchall()[0][0])

    # -- the rows

    @property
    def _rows(self) -> str:
        return f"raw.{quoted_name(f'{self.table} rows')}"

    @property
    def _faults(self) -> str:
        return f"raw.{quoted_name(f'{self.table} faults')}"

    @property
    def _text_file(self) -> TextFile:
        return TextFile(
            self.source.name, self.file.path, self.path, self.dialect, self.header_lines == 1, self.is_personal
        )

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
        if not is_small and self.count_rows() < self.file.lines - self.header_lines:
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
        self.connection.execute(f"CREATE TABLE {self._rows} AS SELECT {values} FROM {self.fields(options)}")
        self.has_rejects = rejects and self.file.format != "parquet"

    def _refuse_too_many_unparsable(self, max_rejected: float) -> None:
        """Raise RecsysError if more rows cannot be divided into fields than can be kept."""
        rows = self.file.lines - self.header_lines
        missing = rows - self.count_rows()
        if missing <= MAX_UNPARSABLE:
            return
        unparsable = count_unparsable(self._text_file, missing)
        if unparsable <= MAX_UNPARSABLE:
            return
        example = self._first_unparsable()
        raise RecsysError(
            f"{self.file.path}: {format_share(unparsable / rows)} of {rows:,} rows cannot be divided into fields "
            f"(at most {format_share(max_rejected)} may be rejected, and {MAX_UNPARSABLE:,} of this kind)"
            f"{f', such as {example}' if example else ''}; mend the file or fetch it again"
        )

    def _first_unparsable(self) -> str | None:
        """Return the first row in the start of the file that cannot be divided into fields, for a message."""
        sample = self.scratch / "start"
        with self.path.open("rb") as file:
            start = file.read(SAMPLE_BYTES)
        sample.write_bytes(start[: start.rfind(b"\n") + 1])
        whole, self.path = self.path, sample
        try:
            self._create_rows(rejects=True)
            lines = keep_unparsable(self.connection, self._text_file)
        finally:
            self.path = whole
        text = self.connection.execute("SELECT raw FROM raw.unparsable ORDER BY line LIMIT 1").fetchall()
        return format_row(int(lines[0]), text[0][0]) if len(lines) else None

    def _is_faultless(self) -> bool:
        """Return whether DuckDB could convert all values, and every id is an exact whole number."""
        if self.has_rejects:
            failed = "SELECT count(*) FROM rejects WHERE error_type = 'CAST'"
            if self.connection.execute(failed).fetchall()[0][0]:
                return False
        elif self.count_rows() < self.file.lines - self.header_lines:
            return False
        checks = ", ".join(
            f"count({name}) = count(*)"
            + ("" if strict else f" AND coalesce(min({name}) > -{EXACT} AND max({name}) < {EXACT}, TRUE)")
            for name, strict in ((quoted_name(c.name), c.is_strict) for c in self.present if is_id(c))
        )
        return not checks or all(self.connection.execute(f"SELECT {checks} FROM {self._rows}").fetchall()[0])

    def _read_type(self, column: Column) -> str:
        """Return the type that DuckDB converts a field to: DOUBLE for ids, as it would round 1.5 to a whole number."""
        if column.is_strict:
            return "VARCHAR"
        return "DOUBLE" if is_id(column) else self._stored_type(column)

    def _find_faults(self) -> bool:
        """Create the table of rows with values that cannot be read by reading the file again; return if there are any.

        A column for these in the table of rows would be NULL almost everywhere, and still take a third of its time.
        """
        typed = [column for column in self.present if column.type != "VARCHAR"]
        is_json = self.file.format == "jsonl"
        # A line that is no JSON has no value at all.
        sometimes_missing = self.present if is_json else typed
        missing = (
            " OR ".join(f"count({quoted_name(column.name)}) < count(*)" for column in sometimes_missing) or "FALSE"
        )
        if not self.connection.execute(f"SELECT {missing} FROM {self._rows}").fetchall()[0][0]:
            return False
        failures = [
            f"({text_column(column.name)} IS NOT NULL AND {self._value(column)} IS NULL)"
            for column in typed
            if column.type != "TIMESTAMP"
        ] + ([IS_BROKEN] if is_json else [])
        lost = [
            f"CASE WHEN {self._value(column)} IS NULL THEN {text_column(column.name)} END"
            for column in typed
            if column.type == "TIMESTAMP"
        ]
        joined = ", ".join(f"coalesce({text_column(column.name)}, '')" for column in self.present)
        text = ROW_TEXT if is_json else f"concat_ws(',', {joined})"
        self.connection.execute(
            f"CREATE OR REPLACE TABLE {self._faults} AS FROM (SELECT row_number() OVER () - 1 AS position,"
            f" {' OR '.join(failures) or 'FALSE'} AS unreadable,"
            f" {'NULL::VARCHAR' if self.is_personal else text} AS text,"
            f" {lost[0] if lost else 'NULL::VARCHAR'} AS lost_time FROM {self.fields()})"
            " WHERE unreadable OR lost_time IS NOT NULL"
        )
        return bool(self.connection.execute(f"SELECT count(*) FROM {self._faults}").fetchall()[0][0])

    def _value(self, column: Column) -> str:
        """Return the SQL of a stored value, made of the text of the field."""
        text = text_column(column.name)
        if column.is_strict:
            return canonical_number(self._plain(text))
        if is_id(column):
            return self._id(column)
        if column.type == "VARCHAR" or not self.is_text:
            return text
        if self._is_number_of_time(column):
            return f"try_cast({text} AS BIGINT)"
        if column.time_format is not None:
            return time_of_text(text, column)
        if column.type == "TIMESTAMP":
            return f"coalesce({time_of_number(f'try_cast({text} AS BIGINT)', column)}, {time_of_text(text, column)})"
        number = f"try_cast({self._plain(text)} AS {column.type})"
        return number if column.votes is None else vote_or(number, text, column.votes)

    def _id(self, column: Column) -> str:
        """Return the SQL of an id of a built-in format."""
        text, number = text_column(column.name), number_column(column.name)
        if not self.is_text:
            return f"CASE WHEN {number} = floor({number}) THEN try_cast({text} AS BIGINT) END"
        # Some programs write whole numbers as 1.0; 1.5 is none, and must not be rounded to another id.
        plain = self._plain(text)
        return (
            f"CASE WHEN abs({number}) < {EXACT} AND {number} = floor({number}) THEN cast({number} AS BIGINT)"
            f" WHEN abs({number}) >= {EXACT} AND regexp_full_match({plain}, '\\s*[-+]?[0-9]+([.]0*)?\\s*')"
            f" THEN try_cast({plain} AS BIGINT) END"
        )

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
            f"CREATE VIEW raw.{quoted_name(self.table)} AS SELECT rows.rowid AS position, {raw} AS raw,"
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

    # -- the file

    def _unify_line_ends(self) -> None:
        """Copy the file with LF as the end of every line, and read the copy from now on."""
        copy = self.scratch / "unified lines"
        unify_line_ends(self.path, copy, ends_with_cr_only=self.ends_with_cr_only)
        self.path = copy

    def _not_readable(self, error: duckdb.Error) -> RecsysError:
        reason = str(error).splitlines()[0]
        kind = {"csv": "CSV", "jsonl": "JSON lines", "parquet": "Parquet"}[self.file.format]
        return RecsysError(f"{self.file.path}: not readable as {kind} ({reason}); mend the file or fetch it again")
