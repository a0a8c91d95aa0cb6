"""Read the raw files of a dataset on Spark, a piece of a file in each task, into tables of the schema `raw`."""

import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb
from pyspark.sql import DataFrame
from pyspark.sql import functions as F  # noqa: N812

from recsys_dagster.errors import RecsysError
from recsys_dagster.ingest.catalogue import Dataset
from recsys_dagster.ingest.declaration import Declaration
from recsys_dagster.ingest.formats import SourceFile
from recsys_dagster.ingest.manifest import Manifest, ManifestFile, is_declared_name
from recsys_dagster.runtime.formatting import format_share
from recsys_dagster.spark.pieces import PieceAccount, Reading, cut, read_piece
from recsys_dagster.spark.session import read_parquet
from recsys_dagster.warehouse.declared_files import (
    announce_texts,
    id_types,
    items_of_interactions_sql,
    load_declared_feedback,
    text_columns,
    text_ids,
    users_sql,
)
from recsys_dagster.warehouse.declared_sources import declared_source
from recsys_dagster.warehouse.feedback_rows import load_feedback
from recsys_dagster.warehouse.file_loading import MAX_UNPARSABLE, LoadedFile
from recsys_dagster.warehouse.id_keys import refuse_equal_keys
from recsys_dagster.warehouse.raw_files import Loaded, create_catalogue, missing_file_sql, names_users, table_name

if TYPE_CHECKING:
    from recsys_dagster.spark.engine import SparkEngine

_SHIFTS = "source_file string, position bigint, extra_lines bigint"


@dataclass(frozen=True)
class _Offset:
    """What turns the places in a piece into those in its file.

    Attributes:
        position: rows of the file that were read before the piece.
        lines: to be added to the lines in the piece.
        extra_lines: to be added to the line shifts from the first row of the piece on.
    """

    position: int
    lines: int
    extra_lines: int


def read_raw(engine: "SparkEngine", dataset: Dataset, manifest: Manifest, *, max_rejected: float) -> Loaded:
    """Read every file of a dataset; see `Engine.read_raw`."""
    if dataset.declaration is not None:
        return _read_declared(engine, dataset.declaration, manifest, max_rejected)
    reading = Reading(engine.folder / "raw", None, frozenset(), engine.key, max_rejected)
    present = [
        (source, manifest.files[source.name]) for source in dataset.format.files if source.name in manifest.files
    ]
    accounts = _read(engine, present, reading)
    for source in dataset.format.files:
        if source.name in manifest.files:
            _register(engine, table_name(source), accounts)
        else:
            engine.create_view(f"raw.{table_name(source)}", missing_file_sql(source))
    engine.create_table("raw.users", {"user_id": "BIGINT", "source_id": "VARCHAR"}, [])
    has_names = names_users(dataset)
    with _driver() as (connection, _):
        feedback = load_feedback(
            connection, manifest, user_texts=False, item_texts=False, has_pseudonyms=has_names, sums_repeats=False
        )
        _register_all(engine, connection, accounts)
    return Loaded(_files(accounts) + feedback, "pseudonym" if has_names else "integer", "integer")


def _read_declared(engine: "SparkEngine", declaration: Declaration, manifest: Manifest, max_rejected: float) -> Loaded:
    with _driver() as (connection, scratch):
        texts = text_columns(connection, scratch, declaration, manifest)
        files = [(name, file) for name, file in sorted(manifest.files.items()) if is_declared_name(name)]
        while True:
            reading = Reading(engine.folder / "raw", declaration, frozenset(texts), engine.key, max_rejected)
            sources = [(declared_source(declaration, name, texts), file) for name, file in files]
            accounts = _read(engine, sources, reading)
            refuted = _refuted(declaration, accounts)
            if not refuted:
                break
            texts |= refuted
        feedback = load_declared_feedback(connection, declaration, manifest, texts)
        _register_all(engine, connection, accounts)
    for table in ("interactions", "interaction_texts", *(f"{column}_keys" for column in texts)):
        _register(engine, table, accounts)
    for column in texts:
        refuse_equal_keys(engine.query, text_ids(declaration, column))
    if declaration.items is None:
        engine.create_view("raw.items", items_of_interactions_sql(texts))
    else:
        _register(engine, "items", accounts)
    engine.create_view("raw.users", users_sql(declaration, texts))
    return Loaded(_files(accounts) + feedback, *id_types(declaration, texts))


@contextmanager
def _driver() -> Iterator[tuple[duckdb.DuckDBPyConnection, Path]]:
    """Open DuckDB with the catalogue `raw` for what is too small to be distributed."""
    with tempfile.TemporaryDirectory(prefix="recsys-driver-") as name, duckdb.connect() as connection:
        create_catalogue(connection, Path(name))
        yield connection, Path(name)


def _read(
    engine: "SparkEngine", files: Iterable[tuple[SourceFile, ManifestFile]], reading: Reading
) -> list[PieceAccount]:
    """Read files in pieces; return what was read of each piece, in order.

    Raises:
        RecsysError: too many rows of a file cannot be divided into fields.
    """
    context = engine.session.sparkContext
    size = engine.session.conf.get("spark.sql.files.maxPartitionBytes")
    n_bytes = context._jvm.org.apache.spark.network.util.JavaUtils.byteStringAsBytes(size)
    pieces = [piece for source, file in files for piece in cut(source, file, n_bytes)]
    pieces = [replace(piece, number=number) for number, piece in enumerate(pieces)]
    accounts = context.parallelize(pieces, len(pieces)).map(partial(read_piece, reading=reading)).collect()
    for file in _files(accounts):
        rows = file.rows_read + file.rows_unparsable
        if file.rows_unparsable > MAX_UNPARSABLE:
            raise RecsysError(
                f"{file.name}: {format_share(file.rows_unparsable / rows)} of {rows:,} rows cannot be divided into "
                f"fields (at most {MAX_UNPARSABLE:,} of this kind may be); mend the file or fetch it again"
            )
    return list(accounts)


def _refuted(declaration: Declaration, accounts: Sequence[PieceAccount]) -> set[str]:
    """Return which ids turned out to be texts, and say so."""
    refuted: set[str] = set()
    for name, parts in _by_file(accounts):
        for column in {column for part in parts for column in part.refuting} - refuted:
            found = [part.refuting[column] for part in parts if column in part.refuting]
            announce_texts(declaration, column, name, sum(count for count, _ in found), found[0][1])
            refuted.add(column)
    return refuted


# -- the tables


def _register_all(
    engine: "SparkEngine", connection: duckdb.DuckDBPyConnection, accounts: Sequence[PieceAccount]
) -> None:
    """Register the tables that every dataset has; those of the feedback are in DuckDB."""
    path = engine.folder / "raw" / "feedback.parquet"
    path.parent.mkdir(parents=True, exist_ok=True)
    connection.execute(f"COPY raw.feedback TO '{path}' (FORMAT parquet)")
    engine.register("raw.feedback", read_parquet(engine.session, str(path)))
    _register(engine, "unparsable", accounts)
    rows = connection.execute("SELECT * FROM raw.line_shifts").fetchall()
    rows += [
        (account.file.name, offset.position, offset.extra_lines)
        for account, offset in zip(accounts, _offsets(accounts), strict=True)
        if offset.extra_lines
    ]
    shifts = _of_pieces(engine, "line_shifts", accounts)
    engine.register("raw.line_shifts", shifts.unionByName(engine.session.createDataFrame(rows, _SHIFTS)))


def _register(engine: "SparkEngine", table: str, accounts: Sequence[PieceAccount]) -> None:
    engine.register(f"raw.{table}", _of_pieces(engine, table, accounts))


def _of_pieces(engine: "SparkEngine", table: str, accounts: Sequence[PieceAccount]) -> DataFrame:
    """Return the rows of a table of all pieces, with the positions and lines that they have in their files."""
    rows = read_parquet(engine.session, str(engine.folder / "raw" / table))
    if table.endswith("_keys"):
        return rows.drop("piece").distinct()
    offsets = _offsets(accounts)
    for column, values in (
        ("position", [offset.position for offset in offsets]),
        ("line", [offset.lines for offset in offsets]),
    ):
        if column in rows.columns and any(values):
            by_piece = F.array(*map(F.lit, values))
            rows = rows.withColumn(column, F.col(column) + F.element_at(by_piece, F.col("piece").cast("int") + 1))
    return rows.drop("piece")


def _offsets(accounts: Sequence[PieceAccount]) -> list[_Offset]:
    """Return the offset of each piece."""
    offsets = []
    for _, parts in _by_file(accounts):
        position = extra = 0
        for part in parts:
            piece = part.piece
            has_header = piece.file.format == "csv" and piece.source.has_header
            lines = piece.lines_before - has_header if piece.start is not None else 0
            offset = _Offset(position, lines, lines - position - extra)
            offsets.append(offset)
            position += part.file.rows_read
            extra += part.extra_lines + offset.extra_lines
    return offsets


def _files(accounts: Sequence[PieceAccount]) -> list[LoadedFile]:
    """Return the account of each file."""
    files = []
    for name, parts in _by_file(accounts):
        read = [part.file for part in parts]
        has_times = read[0].times is not None
        files.append(
            LoadedFile(
                name,
                sum(file.rows_read for file in read),
                sum(file.rows_unparsable for file in read),
                sum(file.times or 0 for file in read) if has_times else None,
                sum(file.times_lost or 0 for file in read) if has_times else None,
                next((file.lost_time for file in read if file.lost_time is not None), None),
            )
        )
    return files


def _by_file(accounts: Iterable[PieceAccount]) -> list[tuple[str, list[PieceAccount]]]:
    return [(name, list(parts)) for name, parts in groupby(accounts, key=lambda account: account.file.name)]
