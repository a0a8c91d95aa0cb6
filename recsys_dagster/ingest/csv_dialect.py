"""Recognise how a CSV file is written: its delimiter, quotes, decimal mark, line ends and notation of times."""

import csv
import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice

from recsys_dagster.ingest.formats import Column, SourceFile
from recsys_dagster.runtime.text import printable

SAMPLE_BYTES = 2**16
"""Bytes from the start of a file that its dialect is recognised by."""
MAX_COLUMNS = 1000
"""Columns that a header may name; a reader needs memory for each of them."""

_DELIMITERS = (",", ";", "\t", "|")
_MAX_ROWS = 200
_SHOWN = 500  # characters of a header in a message
_NUMBER = re.compile(r"\s*-?\d+([.,]\d*)?\s*")
_DECIMAL_COMMA = re.compile(r"\s*-?\d+,\d+\s*")


@dataclass(frozen=True)
class Dialect:
    """How a CSV file is written.

    Attributes:
        delimiter: text between fields, mostly one character.
        quote: character around fields; empty where quotes have no meaning.
        decimal_comma: whether fractions are written as 3,5.
        numeric_times: whether times are numbers (seconds, milli-, micro- or nanoseconds since 1970) and not text.
    """

    delimiter: str = ","
    quote: str = '"'
    decimal_comma: bool = False
    numeric_times: bool = True


class HeaderError(ValueError):
    """The header cannot be used; the message continues a sentence that begins with the name of the file."""


def read_header(start: bytes, source: SourceFile) -> tuple[str, ...]:
    """Return the column names in the first line of a file, without surrounding blanks.

    Args:
        start: the first bytes of the file, with at least the whole first line.
        source: what the file should be.

    Raises:
        HeaderError: the file is UTF-16, the header has too many columns, names a needed column more than once, or lacks
            a required column.
    """
    if start[:2] in (b"\xff\xfe", b"\xfe\xff") or start[:SAMPLE_BYTES].count(b"\0") > len(start[:SAMPLE_BYTES]) // 4:
        raise HeaderError(
            f", line 1: expected UTF-8, found UTF-16; convert the file (iconv -f UTF-16 -t UTF-8 {source.name}) "
            "and pack it again"
        )
    lines = _lines(start)
    header = _split(lines[0], _delimiter(lines, source))
    if len(header) > MAX_COLUMNS:
        needed = ", ".join(column.name for column in source.columns if column.required)
        raise HeaderError(
            f" has {len(header):,} columns, and at most {MAX_COLUMNS:,} can be read; keep those that are needed "
            f"({needed})"
        )
    spellings = source.spellings(header)
    missing = [" or ".join(c.spellings) for c in source.columns if c.required and c.name not in spellings]
    if missing:
        shown = printable(", ".join(header))[:_SHOWN]
        raise HeaderError(
            f" lacks the column{'s' * (len(missing) > 1)} {', '.join(missing)}; its header is {shown!r}; "
            "use the archive of the right dataset, or rename the column in the header"
        )
    for spelling in spellings.values():
        if header.count(spelling) > 1:
            raise HeaderError(
                f" names the column {spelling} {header.count(spelling)} times in its header; "
                "rename or remove all but one"
            )
    return header


def header_of(start: bytes, names: Sequence[str], delimiter: str | None) -> tuple[str, ...]:
    """Return the column names in the first line of a declared file, without surrounding blanks.

    Args:
        start: the first bytes of the file, in UTF-8.
        names: columns that it should have, by which its delimiter is recognised.
        delimiter: the delimiter, where the declaration says it.

    Raises:
        HeaderError: the line cannot be divided into fields.
    """
    lines = _lines(start[:SAMPLE_BYTES])
    if delimiter is None:
        source = SourceFile("", tuple(Column(name, heading=name) for name in names))
        delimiter = _delimiter(lines, source)
        if not source.spellings(_split(lines[0], delimiter)):
            # None of the names is right: the delimiter that is there most often shows what the names are.
            delimiter = max(_DELIMITERS, key=lines[0].count)
    return _split(lines[0], delimiter)


def recognise(start: bytes, source: SourceFile, header: tuple[str, ...] = ()) -> Dialect:
    """Return the dialect of a file.

    Args:
        start: the first `SAMPLE_BYTES` of the file.
        source: what the file should be.
        header: its column names, where they are not in its first line.
    """
    first, *lines = _lines(start)
    delimiter = _delimiter([first, *lines], source)
    if not source.has_header:
        lines = [first, *lines]
    # The last line of the sample may be cut off.
    whole = [line for line in (lines[:-1] or lines) if line.strip()]
    edge = re.escape(delimiter)
    quoted_field = re.compile(rf'(^|{edge})\s*"[^"]*"\s*({edge}|$)')
    quoted_lines = sum(quoted_field.search(line) is not None for line in whole)
    may_be_quoted = source.quoted and len(delimiter) == 1
    quote = '"' if may_be_quoted or 2 * quoted_lines > len(whole) else ""
    if len(delimiter) == 1:
        reader = csv.reader(whole, delimiter=delimiter, quoting=csv.QUOTE_MINIMAL if quote else csv.QUOTE_NONE)
        rows = list(islice(reader, _MAX_ROWS))
    else:
        rows = [line.split(delimiter) for line in whole[:_MAX_ROWS]]
    header = header or _split(first, delimiter)
    spellings = source.spellings(header)

    formatted = any(column.time_format is not None for column in source.columns)

    def values(*types: str) -> list[str]:
        places = [header.index(spellings[c.name]) for c in source.columns if c.type in types and c.name in spellings]
        return [row[place] for row in rows for place in places if place < len(row) and row[place].strip()]

    return Dialect(
        delimiter,
        quote,
        decimal_comma=any(_DECIMAL_COMMA.fullmatch(value) for value in values("FLOAT")),
        numeric_times=not formatted and all(_NUMBER.fullmatch(value) for value in values("TIMESTAMP")),
    )


def _lines(start: bytes) -> list[str]:
    text = start.decode("utf-8-sig", "replace")
    return re.split(r"\r\n|\n|\r", text) if "\n" in text or "\r" in text else [text]


def _split(line: str, delimiter: str) -> tuple[str, ...]:
    if len(delimiter) > 1:
        return tuple(name.strip() for name in line.split(delimiter))
    try:
        return tuple(name.strip() for name in next(csv.reader([line], delimiter=delimiter), []))
    except csv.Error as error:
        raise HeaderError(f" has a header that cannot be read ({error}); take a fresh copy") from error


def _delimiter(lines: list[str], source: SourceFile) -> str:
    """Return the delimiter with which the header has the most columns of the source, if the first row has it too."""
    if source.delimiter is not None:
        return source.delimiter
    if not source.has_header:
        return max(_DELIMITERS, key=lines[0].count)
    first_row = next((line for line in lines[1:] if line.strip()), None)

    def columns(delimiter: str) -> int:
        if delimiter != "," and first_row is not None and delimiter not in first_row:
            return 0
        return len(source.spellings(_split(lines[0], delimiter)))

    return max(_DELIMITERS, key=columns)
