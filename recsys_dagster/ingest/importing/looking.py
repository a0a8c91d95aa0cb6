"""Look at a file: of which format it is, and, of a CSV file, how it is written and whether it has a header."""

import codecs
import csv
import gzip
import io
import re
import zlib
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Literal, cast

import pyarrow as pa

from recsys_dagster.errors import RecsysError
from recsys_dagster.ingest.importing.words import INTERACTION_WORDS, ITEM_WORDS, name_score
from recsys_dagster.runtime.units import MIB

Format = Literal["csv", "jsonl", "parquet"]

_SAMPLE_BYTES = MIB
_BLOCK_BYTES = 4 * MIB
_MAX_LINES = 500
_DELIMITERS = ("::", "\t", ";", "|", ",")
_VALUE = re.compile(r"\s*[-+]?(\d+([.,]\d*)?|[.,]\d+)([eE][-+]?\d+)?\s*|\s*\d{4}-\d\d-\d\d.*")
"""A number or a date: what the name of a column is not."""
_OTHER_KINDS = {
    b"PK\x03\x04": "a ZIP archive inside another, or an Excel workbook: save the table as CSV",
    b"\xd0\xcf\x11\xe0": "an old Excel workbook: save the table as CSV",
    b"%PDF": "a PDF",
    b"BZh": "packed with bzip2: unpack it, or pack it with gzip or zstd",
    b"\xfd7zXZ": "packed with xz: unpack it, or pack it with gzip or zstd",
    b"7z\xbc\xaf": "packed with 7-Zip: unpack it, or pack it as ZIP",
    b"Rar!": "packed with RAR: unpack it, or pack it as ZIP",
}


class NotATableError(RecsysError):
    """The file holds no table that can be read."""


@dataclass(frozen=True)
class FileLook:
    """How a file is written.

    Attributes:
        path: the file.
        format: of its content; packing by gzip or zstd does not matter.
        columns: names of the columns of a CSV file; `column1`, `column2`, … where it has no header.
        has_header: whether the first row of a CSV file has the names.
        delimiter: text between the fields of a CSV file.
        quote: character around fields; empty where quotes have no meaning.
        encoding: of a CSV file.
        is_array: whether a JSON file is one array of objects instead of one object a line.
    """

    path: Path
    format: Format
    columns: tuple[str, ...] = ()
    has_header: bool = True
    delimiter: str = ","
    quote: str = '"'
    encoding: str = "utf-8"
    is_array: bool = False

    @property
    def is_text(self) -> bool:
        """Whether the file is CSV."""
        return self.format == "csv"


def look_at_file(path: Path, *, header: bool | None = None, delimiter: str | None = None) -> FileLook:
    """Look at a file.

    Args:
        path: the file.
        header: whether a CSV file has one; None: found out.
        delimiter: of a CSV file; None: found out.

    Raises:
        NotATableError: the file is empty, damaged, UTF-16, or of a format that is not read.
    """
    start = _start(path)
    if not start.strip():
        raise NotATableError(f"{path} is empty; name a file with rows")
    if start.startswith(b"SQLite format 3\0") or start[8:12] == b"DUCK":
        raise NotATableError(f"{path} is a database; say which rows are meant: --query 'SELECT … FROM …'")
    for magic, kind in _OTHER_KINDS.items():
        if start.startswith(magic):
            raise NotATableError(f"{path} is {kind}")
    if start.startswith(b"PAR1"):
        return FileLook(path, "parquet")
    if start.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise NotATableError(f"{path}: expected UTF-8, found UTF-16; convert it (iconv -f UTF-16 -t UTF-8)")
    if b"\0" in start:
        raise NotATableError(f"{path}: neither CSV nor JSON lines nor Parquet; export the table as one of them")
    if start.lstrip().startswith(b"{"):
        return FileLook(path, "jsonl")
    if re.match(rb"\s*\[\s*\{", start):
        return FileLook(path, "jsonl", is_array=True)
    return _look_at_csv(path, start, header, delimiter)


def _start(path: Path) -> bytes:
    """Return the first bytes of a file, unpacked."""
    try:
        with opened(path) as stream:
            return stream.read(_SAMPLE_BYTES)
    except (EOFError, zlib.error, gzip.BadGzipFile, pa.ArrowInvalid) as error:
        raise NotATableError(f"{path}: the packed file is damaged ({error}); take a fresh copy") from None
    except OSError as error:
        raise NotATableError(f"{path}: cannot be read ({error.strerror or error}); make it readable") from None


@contextmanager
def opened(path: Path) -> Iterator[IO[bytes]]:
    """Open a file for reading, unpacked if it is packed by gzip or zstd, whatever its name."""
    with path.open("rb") as file:
        magic = file.read(4)
    if magic[:2] == b"\x1f\x8b":
        with gzip.open(path) as unpacked:
            yield cast(IO[bytes], unpacked)
    elif magic == b"\x28\xb5\x2f\xfd":
        with pa.input_stream(str(path), compression="zstd") as stream:
            yield cast(IO[bytes], io.BufferedReader(cast(io.RawIOBase, stream)))
    else:
        with path.open("rb") as file:
            yield file


def _look_at_csv(path: Path, start: bytes, header: bool | None, delimiter: str | None) -> FileLook:
    encoding = _encoding(path)
    text = start.decode(encoding if encoding != "utf-8" else "utf-8-sig", "replace")
    lines = [line for line in re.split(r"\r\n|\n|\r", text) if line.strip()]
    # The last line of the sample may be cut off.
    lines = lines[: -1 if len(start) == _SAMPLE_BYTES and len(lines) > 1 else None][:_MAX_LINES]
    found = delimiter or _delimiter(lines)
    quote = _quote(lines, found)
    rows = split_rows(lines, found, quote)
    has_header = _has_header(rows) if header is None else header
    names = [name.strip() for name in rows[0]] if has_header else [""] * len(rows[0])
    columns = tuple(name or f"column{number}" for number, name in enumerate(names, start=1))
    return FileLook(path, "csv", columns, has_header, found, quote, encoding)


def _encoding(path: Path) -> str:
    """Return UTF-8 if the whole file is, else the encoding of old files from western Europe."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    with opened(path) as stream:
        try:
            while block := stream.read(_BLOCK_BYTES):
                decoder.decode(block)
            decoder.decode(b"", final=True)
        except UnicodeDecodeError as error:
            # Windows has letters and quotes where Latin-1 has control characters.
            return "windows-1252" if any(0x80 <= byte <= 0x9F for byte in error.object) else "latin-1"
    return "utf-8"


def _delimiter(lines: Sequence[str]) -> str:
    """Return the delimiter that divides most lines into the same number of fields; of several, into most fields."""

    def quality(delimiter: str) -> tuple[float, int]:
        counts = Counter(len(row) for row in split_rows(lines, delimiter, _quote(lines, delimiter)))
        width, rows = counts.most_common(1)[0]
        return (round(rows / len(lines), 1), width) if width > 1 else (0.0, 1)

    candidates = [*reversed(_DELIMITERS), *([" "] if " " in lines[0] else [])]
    return max(candidates, key=quality)


def _quote(lines: Sequence[str], delimiter: str) -> str:
    """Return the quote if a field of the lines is quoted, or if commas make quotes likely further down."""
    if len(delimiter) > 1:
        return ""
    edge = re.escape(delimiter)
    is_quoted = re.compile(rf'(^|{edge})\s*"[^"]*("")*[^"]*"\s*({edge}|$)')
    return '"' if delimiter in ",;" or any(is_quoted.search(line) for line in lines) else ""


def split_rows(lines: Sequence[str], delimiter: str, quote: str) -> list[list[str]]:
    """Split lines into fields; a quoted field may have several lines."""
    if not quote:
        return [line.split(delimiter) for line in lines]
    try:
        return [row for row in csv.reader([f"{line}\n" for line in lines], delimiter=delimiter) if row]
    except csv.Error:
        return [line.split(delimiter) for line in lines]


def _has_header(rows: Sequence[Sequence[str]]) -> bool:
    """Return whether the first row has names: no number or date, and a known name or nothing that comes again."""
    first, rest = rows[0], rows[1:]
    if any(_VALUE.fullmatch(cell) for cell in first) or "" in (cell.strip() for cell in first[1:]):
        return False
    for name in first:
        for table in (INTERACTION_WORDS, ITEM_WORDS):
            if any(name_score(name, role, table) >= 9 for role in table):
                return True
    return not any(
        place < len(row) and row[place] == cell for row in rest for place, cell in enumerate(first) if cell.strip()
    )
