"""Open the DuckDB file of a domain, and turn its failures into errors that say what to do."""

import contextlib
import functools
import hashlib
import html
import re
import shutil
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import duckdb

from recsys_dagster.errors import RecsysError
from recsys_dagster.runtime.secret_key import read_or_create_key
from recsys_dagster.runtime.storage import is_disk_full

UNKNOWN = ("", "-", "--", "?", "unknown", "n/a", "none", "nan", "null", "(no genres listed)")
"""What publishers write for an unknown value, in any case."""

KNOWN_TEXT_BLANKS = " \t\n\r\u00a0"
"""What `known_text` takes away at both ends of a text."""

_KNOWN_TEXT = (
    "CREATE TEMP MACRO known_text(text) AS CASE"
    f" WHEN regexp_full_match(text, '(?i)\\s*({'|'.join(map(re.escape, UNKNOWN))})\\s*') THEN NULL"
    f" ELSE trim(text, '{KNOWN_TEXT_BLANKS}') END"
)
"""`known_text(text)`: the text without surrounding blanks, or NULL where it stands for an unknown value."""


_LOCKED_FILE = re.compile(r'Could not set lock on file "(?P<file>[^"]+)"')
_LOCK_HOLDER = re.compile(r"Conflicting lock is held in (?P<program>.+?) \(PID (?P<pid>\d+)\)")


def is_locked(error: duckdb.Error) -> bool:
    """Return whether DuckDB failed because another process has the file open."""
    return "Could not set lock" in str(error)


def lock_holder(error: duckdb.Error) -> str:
    """Return the program that has the file open, with its process id, as far as DuckDB's message names it."""
    holder = _LOCK_HOLDER.search(str(error))
    return f"{Path(holder['program']).name} (process {holder['pid']})" if holder else "another process"


@dataclass(frozen=True)
class Warehouse:
    """The DuckDB file of a domain. DuckDB lets one process at a time open it.

    Attributes:
        path: the file; it and its folder are created when it is first opened.
        memory_limit: upper bound of DuckDB's memory, such as '4GB', beyond which it spills; None: DuckDB's default.
        key: returns the secret that pseudonyms are derived from; None: a random one, kept in a file next to the
            database.
        engine: what makes the tables; with Spark, they are Parquet files beside the database as well.
    """

    path: Path
    memory_limit: str | None = None
    key: Callable[[], bytes] | None = None
    engine: Literal["duckdb", "spark"] = "duckdb"

    @property
    def scratch(self) -> Path:
        """Folder next to the file for data that is needed only while it is open; a killed run's is removed later."""
        return self.path.parent / f".{self.path.stem}-scratch"

    @property
    def parquet(self) -> Path:
        """Folder of the tables that Spark made, `<schema>/<table>/*.parquet`."""
        return self.path.with_suffix("")

    def pseudonym_key(self) -> bytes:
        """Return the secret that pseudonyms are derived from; it is made where there is none yet."""
        return self.key() if self.key else read_or_create_key(self.path.with_name("pseudonym.key"))

    @contextlib.contextmanager
    def connect(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """Open a read-write connection, which is closed at the end of the `with` block.

        Its SQL can call `unescape_html`, `known_text` and `pseudonym`.

        Raises:
            RecsysError: another process has the file open, the disk is full, the memory limit is too low, or the file
                is a link or not a DuckDB database.
        """
        self.path.parent.mkdir(parents=True, exist_ok=True)
        for path in (self.path, self.scratch):
            if path.is_symlink():
                raise RecsysError(f"{path} is a link; remove it, then run again")
        pseudonyms = _Pseudonyms(self.pseudonym_key)
        with self._explaining(pseudonyms):
            connection = duckdb.connect(
                self.path, config={"memory_limit": self.memory_limit} if self.memory_limit else {}
            )
            try:
                # The lock on the file protects the scratch folder too.
                shutil.rmtree(self.scratch, ignore_errors=True)
                self.scratch.mkdir()
                # The progress bar would mix with the standard output of the command. In a notebook without ipywidgets
                # it is off, and setting it is an error.
                if connection.sql("SELECT current_setting('enable_progress_bar')").fetchall() == [(True,)]:
                    connection.execute("SET enable_progress_bar = false")
                connection.execute("SET TimeZone = 'UTC'")
                connection.execute(f"SET temp_directory = {quoted(self.scratch / 'spill')}")
                connection.create_function("unescape_html", html.unescape, ["VARCHAR"], "VARCHAR")
                connection.execute(_KNOWN_TEXT)
                connection.create_function("pseudonym", pseudonyms, ["VARCHAR"], "BIGINT")
                yield connection
            finally:
                connection.close()
                shutil.rmtree(self.scratch, ignore_errors=True)

    @contextlib.contextmanager
    def _explaining(self, pseudonyms: "_Pseudonyms") -> Iterator[None]:
        """Turn the failures that a user can do something about into RecsysErrors."""
        try:
            yield
        except duckdb.InvalidInputException:
            if pseudonyms.failure is not None:
                raise pseudonyms.failure from None
            raise
        except duckdb.OutOfMemoryException as error:
            if "max_temp_directory_size" in str(error):
                raise self._disk_full() from error
            raise RecsysError(
                f"{self.path}: DuckDB ran out of memory; raise RECSYS_MEMORY_LIMIT (now {self.memory_limit or 'unset'})"
            ) from error
        except duckdb.Error as error:
            if is_disk_full(error):
                raise self._disk_full() from error
            reason = str(error)
            if is_locked(error):
                # An attached file may be the locked one: DuckDB's message names it.
                locked = _LOCKED_FILE.search(reason)
                path = locked["file"] if locked else self.path
                raise RecsysError(
                    f"{path} is open in {lock_holder(error)}; close it there or let the process end, then run again"
                ) from error
            if "not a valid DuckDB database" in reason:
                raise RecsysError(f"{self.path} is not a DuckDB database; move it away, then run again") from error
            raise

    def _disk_full(self) -> RecsysError:
        return RecsysError(
            f"{self.path}: the disk is full; free some space or point RECSYS_HOME at a larger disk, then run again "
            "(the tables that were there are untouched)"
        )


def quoted(value: object) -> str:
    """Return the value's text as an SQL string literal."""
    return "'" + str(value).replace("'", "''") + "'"


def pseudonym(name: str, key: bytes) -> int:
    """Return the number that replaces the name of a user: 60 bits of its keyed BLAKE2b digest, never negative.

    Without the key the number of a name cannot be computed, so that names cannot be found by trying them.

    Args:
        name: the name.
        key: a secret of any length.
    """
    digest = hashlib.blake2b(name.encode(), digest_size=8, key=_shortened(key), person=b"recsys-user").digest()
    return int.from_bytes(digest) >> 4


@functools.cache
def _shortened(key: bytes) -> bytes:
    """Return a digest of the key, which has the length that BLAKE2b takes."""
    return hashlib.blake2b(key, person=b"recsys-key").digest()


class _Pseudonyms:
    """The SQL function `pseudonym`; reads or creates the key when it is first called.

    Attributes:
        failure: the error of the key, which DuckDB hides in an exception of its own.
    """

    def __init__(self, key: Callable[[], bytes]) -> None:
        self.failure: RecsysError | None = None
        self._key = functools.cache(key)

    def __call__(self, name: str) -> int:
        try:
            return pseudonym(name, self._key())
        except RecsysError as error:
            self.failure = error
            raise


def require(connection: duckdb.DuckDBPyConnection, warehouse: Warehouse, schema: str, names: Iterable[str]) -> None:
    """Raise a RecsysError that says what to materialise unless the schema has every named table."""
    for name in sorted(names):
        try:
            connection.execute(f"DESCRIBE {schema}.{name}").fetchall()
        except duckdb.CatalogException:
            raise RecsysError(
                f"{warehouse.path} has no {schema}.{name}; use `recsys run`, or materialise the group {schema!r} first"
            ) from None
