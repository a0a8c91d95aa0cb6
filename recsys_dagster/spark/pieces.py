"""Cut raw files into pieces that Spark's tasks read side by side, with the lines of each numbered beforehand.

A task reads its piece with the code that reads a whole file without Spark, so that both give the same rows.
"""

import os
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path

import duckdb

from recsys_dagster.ingest.csv_dialect import SAMPLE_BYTES, Dialect
from recsys_dagster.ingest.declaration import Declaration
from recsys_dagster.ingest.formats import SourceFile
from recsys_dagster.ingest.manifest import ManifestFile
from recsys_dagster.warehouse.csv_values import quoted_name
from recsys_dagster.warehouse.database import pseudonym, quoted
from recsys_dagster.warehouse.declared_files import load_part
from recsys_dagster.warehouse.file_loading import FileLoading, LoadedFile, dialect_of
from recsys_dagster.warehouse.line_numbers import BLOCK_BYTES
from recsys_dagster.warehouse.raw_files import create_catalogue, table_name

_MEMORY_LIMIT = "1GB"
"""Of DuckDB in a task; beyond it, it spills."""


@dataclass(frozen=True)
class Piece:
    """A part of a raw file that one task reads.

    Attributes:
        number: of the piece among those of all files.
        source: what the file should be.
        file: the file; its lines are those of the piece, with the header.
        start, end: the bytes of the file that the piece has, without the header; None: it is the whole file.
        lines_before: lines of the file before the piece.
        dialect: how the file is written; None: to be recognised.
    """

    number: int
    source: SourceFile
    file: ManifestFile
    start: int | None = None
    end: int | None = None
    lines_before: int = 0
    dialect: Dialect | None = None


@dataclass(frozen=True)
class Reading:
    """How pieces are read; the same for all of a dataset.

    Attributes:
        folder: gets the tables, `<table>/<number>.parquet`; all machines have to see it, and the raw files.
        declaration: of a declared dataset.
        texts: which ids, of `user` and `item`, are texts.
        key: secret that pseudonyms are derived from, where there are any.
        max_rejected: share of the rows of a file that may be rejected, for messages.
    """

    folder: Path
    declaration: Declaration | None
    texts: frozenset[str]
    key: bytes
    max_rejected: float


@dataclass(frozen=True)
class PieceAccount:
    """What was read of a piece.

    Attributes:
        piece: the piece.
        file: as of a file.
        extra_lines: sum of the line shifts.
        refuting: as of `LoadedPart`.
    """

    piece: Piece
    file: LoadedFile
    extra_lines: int
    refuting: Mapping[str, tuple[int, str]] = field(default_factory=dict)


def cut(source: SourceFile, file: ManifestFile, piece_bytes: int) -> Iterator[Piece]:
    """Yield the pieces of a file, numbered from 0.

    A file stays whole if rows of it may have several lines, if its lines end in different ways, or if it is Parquet.

    Args:
        source: what the file should be.
        file: the file.
        piece_bytes: size from which on a piece ends with the line.
    """
    whole = Piece(0, source, file)
    if file.bytes <= piece_bytes or file.format == "parquet":
        yield whole
        return
    with file.path.open("rb") as opened:
        dialect = dialect_of(opened.read(SAMPLE_BYTES), source, file)
    has_header = file.format == "csv" and source.has_header
    ends = _ends(file.path, piece_bytes, dialect.quote.encode(), has_header=has_header)
    if len(ends) <= 2:
        yield whole
        return
    for number, ((start, before), (end, after)) in enumerate(pairwise(ends)):
        part = replace(file, lines=after - before + has_header)
        yield Piece(number, source, part, start, end, before, dialect)


def _ends(path: Path, piece_bytes: int, quote: bytes, *, has_header: bool) -> list[tuple[int, int]]:
    """Return where pieces begin and end, as bytes and lines before; nothing if the file must not be cut."""
    ends: list[tuple[int, int]] = [] if has_header else [(0, 0)]
    offset = lines = returns = pairs = 0
    last = b""
    with path.open("rb") as file:
        while block := file.read(BLOCK_BYTES):
            if quote and quote in block:
                return []
            returns += block.count(b"\r")
            pairs += (last + block).count(b"\r\n")
            last = block[-1:]
            position = 0
            while True:
                # The header is no piece of its own.
                least = 0 if not ends else ends[-1][0] + piece_bytes - offset
                found = block.find(b"\n", max(position, least))
                if found < 0:
                    break
                lines += block.count(b"\n", position, found + 1)
                position = found + 1
                ends.append((offset + position, lines))
            lines += block.count(b"\n", position)
            offset += len(block)
    if returns != pairs or pairs not in (0, lines):
        return []
    if ends[-1][0] < offset:
        ends.append((offset, lines + (last != b"\n")))
    return ends


def read_piece(piece: Piece, reading: Reading) -> PieceAccount:
    """Read a piece and write its tables as Parquet; a task that is run again replaces them.

    Raises:
        RecsysError: as of `FileLoading.load`.
    """
    with tempfile.TemporaryDirectory(prefix="recsys-piece-") as name, duckdb.connect() as connection:
        scratch = Path(name)
        connection.execute(f"SET threads = 1; SET memory_limit = '{_MEMORY_LIMIT}'; SET TimeZone = 'UTC'")
        connection.execute(f"SET temp_directory = {quoted(scratch / 'spill')}")
        connection.create_function("pseudonym", lambda name: pseudonym(name, reading.key), ["VARCHAR"], "BIGINT")
        create_catalogue(connection, scratch)
        file = piece.file if piece.start is None else replace(piece.file, path=_copy(piece, scratch / "piece"))
        if reading.declaration is None:
            table = table_name(piece.source)
            loading = FileLoading(connection, scratch, piece.source, file, table=table, dialect=piece.dialect)
            account, refuting, tables = loading.load(reading.max_rejected), {}, [table]
        else:
            part = load_part(
                connection,
                scratch,
                reading.declaration,
                piece.source.name,
                file,
                texts=reading.texts,
                max_rejected=reading.max_rejected,
                dialect=piece.dialect,
            )
            account, refuting = part.file, part.refuting
            is_items = piece.source.name.startswith("items/")
            tables = ["items"] if is_items else ["interactions", "interaction_texts"]
            tables += [f"{column}_keys" for column in reading.texts if column == "item" or not is_items]
        for table in (*tables, "unparsable", "line_shifts"):
            _write(connection, table, piece.number, reading.folder)
        shifts = connection.execute("SELECT coalesce(sum(extra_lines), 0) FROM raw.line_shifts").fetchall()[0][0]
    return PieceAccount(piece, account, int(shifts), refuting)


def _copy(piece: Piece, path: Path) -> Path:
    """Copy a piece, below the header of its file, to a file of its own."""
    with piece.file.path.open("rb") as source, path.open("wb") as target:
        if piece.file.format == "csv" and piece.source.has_header:
            target.write(source.readline())
        source.seek(piece.start or 0)
        left = (piece.end or 0) - (piece.start or 0)
        while left:
            block = source.read(min(left, BLOCK_BYTES))
            target.write(block)
            left -= len(block)
    return path


def _write(connection: duckdb.DuckDBPyConnection, table: str, number: int, folder: Path) -> None:
    """Write a table as Parquet, with the number of the piece."""
    target = folder / table / f"{number:06}.parquet"
    target.parent.mkdir(parents=True, exist_ok=True)
    unfinished = target.with_name(f".{target.name}-{os.getpid()}")
    connection.execute(
        f"COPY (SELECT *, {number}::BIGINT AS piece FROM raw.{quoted_name(table)}) TO {quoted(unfinished)}"
        " (FORMAT parquet, COMPRESSION zstd)"
    )
    os.replace(unfinished, target)
