"""Raw CSV files → tables of the scratch catalogue `raw`, one to one, with the lines that cannot be read set aside.

For `ratings.csv` the catalogue has a view `raw.ratings`: the listed columns under their canonical names, `position`
(which of the readable records it is, from 0) and `raw` (its fields, joined by commas, without personal ones).
"""

import csv
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import duckdb

from recsys_dagster.errors import RecsysError
from recsys_dagster.ingest.formats import Format, SourceFile
from recsys_dagster.ingest.manifest import Manifest, ManifestFile
from recsys_dagster.warehouse.database import quoted

_BLOCK_BYTES = 16 * 2**20


@dataclass(frozen=True)
class Unparsable:
    """A record that could not be read.

    Attributes:
        line: where it begins, from 1.
        height: how many lines it takes.
        raw: its text; None where the file holds personal data.
    """

    line: int
    height: int
    raw: str | None


@dataclass(frozen=True)
class LoadedFile:
    """What came of one raw file.

    Attributes:
        name: the file.
        rows_read: records in its table.
        unparsable: the others, in file order.
        shifts: (position, lines) pairs: from that position on, records lie so many lines further down.
    """

    name: str
    rows_read: int
    unparsable: list[Unparsable]
    shifts: list[tuple[int, int]]


def table_name(source: SourceFile) -> str:
    """Return the name of the file's view in the catalogue `raw`."""
    return Path(source.name).stem


def load_raw(connection: duckdb.DuckDBPyConnection, scratch: Path, fmt: Format, manifest: Manifest) -> list[LoadedFile]:
    """Load every file of the format into the catalogue `raw`, a database file in the folder `scratch`.

    Raises:
        RecsysError: a quoted field is never closed, or DuckDB cannot make sense of the file.
    """
    connection.execute(f"ATTACH {quoted(scratch / 'raw.duckdb')} AS raw")
    loaded = []
    for source in fmt.files:
        file = manifest.files.get(source.name)
        if file is None:
            columns = ", ".join(f"{_name(column.name)} {column.type}" for column in source.columns)
            connection.execute(f"CREATE TABLE raw.{_rows(source)} ({columns})")
            result = LoadedFile(source.name, 0, [], [])
        else:
            result = _load(connection, source, file)
        _create_view(connection, source)
        loaded.append(result)
    return loaded


def _load(connection: duckdb.DuckDBPyConnection, source: SourceFile, file: ManifestFile) -> LoadedFile:
    spellings = {spelling: name for name, spelling in source.spellings(file.header).items()}
    types = {column.name: column.type for column in source.columns}
    canonical = [spellings.get(spelling, f"unused {n}") for n, spelling in enumerate(file.header)]
    columns = ", ".join(f"{quoted(name)}: {quoted(types.get(name, 'VARCHAR'))}" for name in canonical)
    quote = quoted('"' if source.quoted else "")
    listed = ", ".join(
        _name(column.name) if column.name in canonical else f"NULL::{column.type} AS {_name(column.name)}"
        for column in source.columns
    )
    try:
        # Everything is declared, so that DuckDB guesses nothing from the first rows. The order of the file is kept,
        # and with it rowid counts the records: numbering them would take three times as long as reading them.
        connection.execute(
            f"CREATE TABLE raw.{_rows(source)} AS SELECT {listed} FROM read_csv({quoted(file.path)}, "
            f"auto_detect = false, header = true, delim = ',', quote = {quote}, escape = {quote}, "
            f"columns = {{{columns}}}, store_rejects = true, rejects_table = 'rejects', rejects_scan = 'rejects_scan')"
        )
    except (duckdb.InvalidInputException, duckdb.ConversionException) as error:
        reason = str(error).splitlines()[0]
        raise RecsysError(f"{file.path}: not readable as CSV ({reason}); mend the file or fetch it again") from error
    rejects = connection.execute(
        "SELECT DISTINCT ON (line_byte_position) line_byte_position, csv_line, error_type FROM rejects "
        "ORDER BY line_byte_position"
    ).fetchall()
    connection.execute("DROP TABLE rejects")
    connection.execute("DROP TABLE rejects_scan")
    rows_read = connection.execute(f"SELECT count(*) FROM raw.{_rows(source)}").fetchall()[0][0]

    personal = any(column.personal for column in source.columns)
    unparsable = []
    for (_, text, error_type), newlines in zip(rejects, _newlines_before(file.path, rejects), strict=True):
        record = text.lstrip("\r\n")
        line = 1 + newlines + text[: len(text) - len(record)].count("\n")
        record = record.rstrip("\r\n")
        if error_type == "UNQUOTED VALUE" and "\n" in record:
            raise RecsysError(
                f"{file.path}, line {line}: a quoted field is never closed; mend the file or fetch it again"
            )
        unparsable.append(Unparsable(line, 1 + record.count("\n"), None if personal else record))

    tall = _tall_records(connection, source) if source.quoted else []
    expected = 1 + rows_read + sum(bad.height for bad in unparsable) + sum(extra for _, extra in tall)
    blank = [] if file.lines == expected else list(_blank_lines(file.path, source.quoted))
    gaps = sorted([(bad.line, bad.height) for bad in unparsable] + [(line, 1) for line in blank])
    return LoadedFile(source.name, rows_read, unparsable, _shifts(gaps, tall))


def _newlines_before(path: Path, rejects: list[tuple[int, str, str]]) -> Iterator[int]:
    """Yield how many line ends the file has before each reject's byte position (from 1), reading it once."""
    if not rejects:
        return
    with path.open("rb") as file:
        newlines = 0
        for position, _, _ in rejects:
            left = position - 1 - file.tell()
            while left > 0:
                block = file.read(min(left, _BLOCK_BYTES))
                newlines += block.count(b"\n")
                left -= len(block)
            yield newlines


def _tall_records(connection: duckdb.DuckDBPyConnection, source: SourceFile) -> list[tuple[int, int]]:
    """Return (position, further lines) of the records with line breaks inside their fields."""
    texts = [_name(column.name) for column in source.columns if column.type == "VARCHAR"]
    joined = f"concat({', '.join(texts)})"
    return connection.execute(
        f"SELECT rowid, length({joined}) - length(replace({joined}, chr(10), '')) AS breaks "
        f"FROM raw.{_rows(source)} WHERE contains({joined}, chr(10)) ORDER BY rowid"
    ).fetchall()


def _blank_lines(path: Path, is_quoted: bool) -> Iterator[int]:
    """Yield the lines, from 1, that hold nothing at all; DuckDB passes over them."""
    with path.open(encoding="utf-8", newline="") as file:
        reader = csv.reader(file, quoting=csv.QUOTE_MINIMAL if is_quoted else csv.QUOTE_NONE)
        for row in reader:
            if not row:
                yield reader.line_num


def _shifts(gaps: Iterable[tuple[int, int]], tall: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Return (position, lines) by which the records from each position on are moved down.

    Args:
        gaps: (line, height) of the lines that are no readable record, in file order.
        tall: (position, further lines) of the records with line breaks, in file order.
    """
    shifts = [(position + 1, extra) for position, extra in tall]
    passed = moved = 0
    for line, height in gaps:
        # A readable record at position p begins at line p + 2 + moved: the one before the gap is where they meet.
        while passed < len(tall) and tall[passed][0] + 2 + moved < line:
            moved += tall[passed][1]
            passed += 1
        shifts.append((line - 2 - moved, height))
        moved += height
    return shifts


def _create_view(connection: duckdb.DuckDBPyConnection, source: SourceFile) -> None:
    fields = ", ".join(f"coalesce({_name(c.name)}::VARCHAR, '')" for c in source.columns if not c.personal)
    raw = f"concat_ws(',', {fields})" if fields else "NULL::VARCHAR"
    connection.execute(
        f"CREATE VIEW raw.{_name(table_name(source))} AS "
        f"SELECT rowid AS position, {raw} AS raw, * FROM raw.{_rows(source)}"
    )


def _rows(source: SourceFile) -> str:
    return _name(f"{table_name(source)} rows")


def _name(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
