"""Copy a declared file into the raw files: decompressed, in UTF-8, with LF as line ends; its columns are checked."""

import codecs
import difflib
import json
import os
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from recsys_dagster.errors import RecsysError
from recsys_dagster.ingest.archive import BadArchiveError
from recsys_dagster.ingest.csv_dialect import MAX_COLUMNS, HeaderError, header_of
from recsys_dagster.ingest.declaration import Files, FlagColumns, InteractionSource, ItemSource, ListColumn
from recsys_dagster.ingest.declared_places import Place
from recsys_dagster.ingest.decompression import DAMAGED, blocks_of, without_ending
from recsys_dagster.ingest.manifest import ManifestFile
from recsys_dagster.runtime.storage import explaining_disk_full, sha256
from recsys_dagster.runtime.text import printable

_SAMPLE_BYTES = 2**20
_ROWS = 2**16
_PARQUET = b"PAR1"
_SHOWN = 500  # characters of a header in a message


def copy_place(place: Place, declared: InteractionSource | ItemSource, role: str, target: Path) -> ManifestFile:
    """Copy a file to `target`, which must not exist, and flush it to the disk.

    Args:
        place: the file.
        declared: says how it is written and which columns are read.
        role: `interactions` or `items`, for messages.
        target: where it is copied to; its folder exists.

    Raises:
        RecsysError: the file is damaged, is not in the declared encoding, or lacks a declared column.
    """
    try:
        with place.open() as stream, explaining_disk_full(target), target.open("wb") as file:
            blocks = blocks_of(stream)
            first = next(blocks, b"")
            kind = declared.format or _format_of(place.name, first)
            content = _chained(first, blocks)
            for block in content if kind == "parquet" else _tidy_text(content, place, declared.encoding):
                file.write(block)
            file.flush()
            os.fsync(file.fileno())
    except DAMAGED as error:
        raise _damaged(place, error) from error
    if kind == "jsonl" and first.lstrip().startswith(b"["):
        _write_as_lines(place, target)
    if kind == "parquet":
        return _parquet_file(place, declared, role, target)
    return _text_file(place, declared, role, target, kind)


def check_columns(declared: InteractionSource | ItemSource, role: str, names: Iterable[str], shown: str) -> None:
    """Raise RecsysError, which has the nearest names, if a declared column is not among the columns of a file."""
    names = list(names)
    for field, column in declared_columns(declared).items():
        if names.count(column) == 1:
            continue
        if column in names:
            raise RecsysError(
                f"{shown}: names the column {printable(column)} {names.count(column)} times; rename all but one"
            )
        nearest = difflib.get_close_matches(column, names, n=1, cutoff=0.5)
        meant = f" (did you mean {printable(nearest[0])}?)" if nearest else ""
        raise RecsysError(
            f"{shown}: has no column {printable(column)}{meant}; its columns are "
            f"{printable(', '.join(names))[:_SHOWN] or 'none'}; correct {role}.{field} in the declaration"
        )


def declared_columns(declared: InteractionSource | ItemSource) -> dict[str, str]:
    """Return the columns of the files that a declaration names, by its fields."""
    columns: dict[str, str] = {}
    fields = [name for name in type(declared).model_fields if name not in _NOT_COLUMNS]
    for field in fields:
        value = getattr(declared, field)
        if isinstance(value, ListColumn):
            columns[f"{field}.column"] = value.column
        elif isinstance(value, FlagColumns):
            columns |= {f"{field}.flags ({flag})": flag for flag in value.flags}
        elif isinstance(value, str):
            columns[field] = value
    return columns


_NOT_COLUMNS = {*Files.model_fields, "unrated", "time_format", "user_ids", "item_ids", "year_in_title"}


def _format_of(name: str, first: bytes) -> str:
    """Return the format of a file by its ending, else by its content."""
    ending = Path(without_ending(name)).suffix.lower()
    if first.startswith(_PARQUET):
        return "parquet"
    if ending in (".jsonl", ".ndjson", ".json") or first.lstrip().startswith(b"{"):
        return "jsonl"
    return "csv"


def _chained(first: bytes, blocks: Iterator[bytes]) -> Iterator[bytes]:
    yield first
    yield from blocks


def _tidy_text(blocks: Iterator[bytes], place: Place, encoding: str) -> Iterator[bytes]:
    """Yield a text in UTF-8 without byte order mark, with LF as line ends.

    Raises:
        RecsysError: the encoding is unknown, or the text is not in it.
    """
    try:
        decoder = codecs.getincrementaldecoder("utf-8-sig" if codecs.lookup(encoding).name == "utf-8" else encoding)()
    except LookupError:
        raise RecsysError(
            f"{place.shown}: {printable(encoding)} is no known encoding; say one such as utf-8, latin-1 or utf-16"
        ) from None
    newlines = 0
    pending = ""
    seen_lf = False
    try:
        for block in _chained_with_end(blocks):
            text = pending + decoder.decode(block, final=not block)
            # A CR at the end may belong to an LF in the next block.
            pending = "\r" if text.endswith("\r") and block else ""
            text = text[: len(text) - len(pending)].replace("\r\n", "\n")
            seen_lf = seen_lf or "\n" in text
            if not seen_lf:
                text = text.replace("\r", "\n")
            newlines += text.count("\n")
            yield text.encode()
    except UnicodeDecodeError as error:
        line = newlines + error.object.count(b"\n", 0, error.start) + 1
        raise RecsysError(
            f"{place.shown}, line {line}: expected {encoding}, found the byte 0x{error.object[error.start]:02x}; say "
            "the actual `encoding`, such as latin-1, in the declaration"
        ) from None


def _write_as_lines(place: Place, path: Path) -> None:
    """Replace the copy of a file with one JSON array by one with one element a line."""
    import duckdb

    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - _SAMPLE_BYTES))
        if not file.read().rstrip().endswith(b"]"):
            raise _damaged(place, ValueError("the JSON array does not end"))
    lines = path.with_name(f"{path.name} as lines")
    try:
        with duckdb.connect() as connection, lines.open("wb") as file:
            elements = connection.sql(
                "SELECT json(json)::VARCHAR AS line FROM read_json_objects(?, format = 'array', compression = 'none')",
                params=[str(path)],
            )
            for batch in elements.to_arrow_reader(_ROWS):
                file.writelines(f"{line}\n".encode() for line in batch["line"].to_pylist())
            file.flush()
            os.fsync(file.fileno())
        lines.replace(path)
    except duckdb.Error as error:
        raise _damaged(place, error) from error


def _chained_with_end(blocks: Iterator[bytes]) -> Iterator[bytes]:
    yield from (block for block in blocks if block)
    yield b""


def _text_file(
    place: Place, declared: InteractionSource | ItemSource, role: str, path: Path, kind: str
) -> ManifestFile:
    """Return the entry of a copied text file; raise RecsysError if it lacks a declared column."""
    with path.open("rb") as file:
        start = file.read(_SAMPLE_BYTES)
    if not start:
        raise RecsysError(f"{place.shown}: is empty; remove it from `files`, or replace it by a whole copy")
    if start[:1024].count(b"\0") > len(start[:1024]) // 4:
        raise RecsysError(f"{place.shown}: not a text file; say its `encoding`, such as utf-16, in the declaration")
    header = (_json_header if kind == "jsonl" else _csv_header)(place, declared, role, start)
    lines, last = 0, b"\n"
    with path.open("rb") as file:
        while block := file.read(_SAMPLE_BYTES):
            lines, last = lines + block.count(b"\n"), block[-1:]
    lines += last != b"\n"
    return ManifestFile(path, path.stat().st_size, sha256(path), lines, header, kind, stamp=place.stamp)


def _csv_header(place: Place, declared: InteractionSource | ItemSource, role: str, start: bytes) -> tuple[str, ...]:
    if declared.columns is not None:
        return declared.columns
    try:
        header = header_of(start, list(declared_columns(declared).values()), declared.delimiter)
    except HeaderError as error:
        raise RecsysError(f"{place.shown}{error}") from None
    if len(header) > MAX_COLUMNS:
        raise RecsysError(f"{place.shown}: has {len(header):,} columns, and at most {MAX_COLUMNS:,} can be read")
    check_columns(declared, role, header, place.shown)
    return header


def _json_header(place: Place, declared: InteractionSource | ItemSource, role: str, start: bytes) -> tuple[str, ...]:
    """Return the keys of the first objects, and all declared ones that later objects may have."""
    keys: dict[str, None] = {}
    whole = start[: start.rfind(b"\n") + 1] or start
    for line in islice(whole.splitlines(), 10_000):
        try:
            value = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if isinstance(value, dict):
            keys |= dict.fromkeys(value)
    check_columns(declared, role, keys, place.shown)
    return tuple(keys)


def _parquet_file(place: Place, declared: InteractionSource | ItemSource, role: str, path: Path) -> ManifestFile:
    """Return the entry of a copied Parquet file; raise RecsysError if it is damaged or lacks a declared column."""
    try:
        with pq.ParquetFile(path) as opened:
            schema, rows = opened.schema_arrow, opened.metadata.num_rows
    except (pa.ArrowInvalid, OSError) as error:
        raise _damaged(place, error) from error
    check_columns(declared, role, schema.names, place.shown)
    nested = tuple(field.name for field in schema if pa.types.is_nested(field.type))
    return ManifestFile(
        path, path.stat().st_size, sha256(path), rows, tuple(schema.names), "parquet", nested, stamp=place.stamp
    )


def _damaged(place: Place, error: Exception) -> BadArchiveError:
    return BadArchiveError(
        f"{place.shown}: damaged or not whole ({printable(str(error)).strip()[:200]}); replace it by a fresh copy"
    )
