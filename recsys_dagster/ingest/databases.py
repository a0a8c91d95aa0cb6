"""Export the result of a query on a database to a Parquet file: PostgreSQL, SQLite or DuckDB."""

import os
import re
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Literal
from urllib.parse import unquote, urlsplit, urlunsplit

import pyarrow as pa
import pyarrow.parquet as pq

from recsys_dagster.errors import RecsysError
from recsys_dagster.runtime.storage import explaining_disk_full
from recsys_dagster.runtime.text import printable

_ROWS = 50_000
_VARIABLE = re.compile(r"\$\{(\w+)\}")
Kind = Literal["postgresql", "sqlite", "duckdb"]


def export(address: str, query: str, folder: Path, target: Path) -> None:
    """Write the result of a query to a Parquet file, in blocks of rows.

    Args:
        address: `postgresql://user@host/name`, in which ${VARIABLE} stands for a value of the environment, or a SQLite
            or DuckDB file.
        query: SELECT that gives the rows.
        folder: that relative paths are relative to.
        target: the file that is written.

    Raises:
        RecsysError: the database cannot be reached, the query fails, or its result has no rows. No message has the
            password.
    """
    kind = database_kind(address, folder)
    shown = shown_address(address)
    with explaining_disk_full(target):
        if kind == "postgresql":
            _export_postgresql(_filled_in(address), shown, query, target)
        elif kind == "sqlite":
            write_batches(_sqlite_batches(database_file(address, folder), query), shown, target)
        else:
            write_batches(_duckdb_batches(database_file(address, folder), query), shown, target)


def database_kind(address: str, folder: Path) -> Kind:
    """Return what kind of database an address is of, a file by its first bytes.

    Raises:
        RecsysError: it is of none that can be read, or there is no such file.
    """
    scheme = address.partition("://")[0].lower() if "://" in address else ""
    if scheme in ("postgresql", "postgres"):
        return "postgresql"
    if scheme not in ("", "sqlite", "duckdb"):
        raise RecsysError(
            f"{shown_address(address)}: only PostgreSQL (postgresql://user@host/name), SQLite and DuckDB files can be "
            "read; export a CSV file from others"
        )
    path = database_file(address, folder)
    try:
        with path.open("rb") as file:
            start = file.read(16)
    except OSError as error:
        raise RecsysError(f"{path}: cannot be read ({error.strerror}); correct `database`") from None
    if start.startswith(b"SQLite format 3\0"):
        return "sqlite"
    if start[8:12] == b"DUCK":
        return "duckdb"
    raise RecsysError(f"{path}: neither a SQLite nor a DuckDB database; correct `database`, or name it as `files`")


def database_file(address: str, folder: Path) -> Path:
    """Return the path in the address of a database file: a plain path, or `sqlite:///` and `duckdb:///` before it."""
    scheme, found, rest = address.partition("://")
    path = rest.removeprefix("/") if found and scheme.lower() in ("sqlite", "duckdb") else address
    return folder / Path(path).expanduser()


def shown_address(address: str) -> str:
    """Return an address without user name, password and options."""
    if "://" not in address:
        return address
    try:
        parts = urlsplit(address)
        return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))
    except ValueError:
        return f"{address.partition('://')[0]}://(hidden)"


def _filled_in(address: str) -> str:
    """Return an address with the values of the variables that it names; RecsysError if one is not set."""

    def value(match: re.Match[str]) -> str:
        found = os.environ.get(match[1])
        if not found:
            raise RecsysError(f"{shown_address(address)}: the variable {match[1]} is not set; set it, then run again")
        return found

    return _VARIABLE.sub(value, address)


def _export_postgresql(address: str, shown: str, query: str, target: Path) -> None:
    try:
        import adbc_driver_postgresql.dbapi as postgresql
    except ImportError:
        raise RecsysError(
            f"{shown}: reading PostgreSQL needs another package; pip install 'recsys-dagster[postgres]'"
        ) from None
    try:
        with postgresql.connect(address) as connection, connection.cursor() as cursor:
            cursor.execute("SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY")
            connection.commit()
            cursor.execute(query)
            write_batches(iter(cursor.fetch_record_batch()), shown, target)
    except postgresql.Error as error:
        raise _failure(shown, error, address) from None


def _failure(shown: str, error: Exception, address: str = "") -> RecsysError:
    """Return the error of a database in one line, without the password."""
    reason = " ".join(str(error).split())
    for secret in {urlsplit(address).password or "", os.environ.get("PGPASSWORD", "")} - {""}:
        reason = reason.replace(secret, "(hidden)").replace(unquote(secret), "(hidden)")
    return RecsysError(f"{shown}: {printable(reason)[:400]}; check `database`, `query` and the password in PGPASSWORD")


def _sqlite_batches(path: Path, query: str) -> Iterator[pa.RecordBatch]:
    """Yield the rows of a query on a SQLite file; every value is a text, as a column may have any types."""
    try:
        connection = sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)
    except sqlite3.Error as error:
        raise _failure(str(path), error) from None
    try:
        cursor = connection.execute(query)
        names = [column[0] for column in cursor.description or ()]
        schema = pa.schema([(name, pa.string()) for name in names])
        while True:
            rows = cursor.fetchmany(_ROWS)
            columns = [pa.array([_text(row[place]) for row in rows], pa.string()) for place in range(len(names))]
            yield pa.RecordBatch.from_arrays(columns, schema=schema)
            if not rows:
                return
    except sqlite3.Error as error:
        raise _failure(str(path), error) from None
    finally:
        connection.close()


def _text(value: str | float | bytes | None) -> str | None:
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return None if value is None else str(value)


def _duckdb_batches(path: Path, query: str) -> Iterator[pa.RecordBatch]:
    import duckdb

    try:
        with duckdb.connect(path, read_only=True) as connection:
            reader: pa.RecordBatchReader = connection.execute(query).to_arrow_reader(_ROWS)
            yield from reader
    except duckdb.Error as error:
        raise _failure(str(path), error) from None


def write_batches(batches: Iterator[pa.RecordBatch], shown: str, target: Path) -> None:
    """Write batches of rows to a Parquet file; raise RecsysError if there are no rows."""
    writer: pq.ParquetWriter | None = None
    rows = 0
    try:
        for batch in batches:
            if writer is None:
                writer = pq.ParquetWriter(target, batch.schema, compression="zstd")
            writer.write_batch(batch)
            rows += batch.num_rows
    finally:
        if writer is not None:
            writer.close()
    if not rows:
        raise RecsysError(f"{shown}: the query gives no rows; correct it")
