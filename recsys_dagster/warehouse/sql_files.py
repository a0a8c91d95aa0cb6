"""Find the SQL files, which table each makes, and the order in which they are built."""

import functools
import graphlib
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

from recsys_dagster.errors import RecsysError

if TYPE_CHECKING:
    from sqlglot import exp

_PACKAGE = Path(__file__).resolve().parents[1]
_HEADER = "materialised as:"


class Materialisation(StrEnum):
    """How a table is materialised, as the header comment of its SQL file says (`-- materialised as: view`)."""

    VIEW = "view"
    """Computed whenever it is read."""
    TABLE = "table"
    """Computed once and stored."""
    REPEATED_PAIRS = "table of repeated pairs"
    """Stored; it is known to be empty, and not computed, where no (user, item) pair repeats in a raw file."""
    BLOCKS_OF_USERS = "blocks of users of staging.kept_interactions"
    """Stored; computed for some users after the other, to bound the memory of its join."""


@dataclass(frozen=True)
class SqlTable:
    """One SQL file, which holds the SELECT of one table.

    Attributes:
        schema: schema of the table.
        name: name of the table.
        path: the file.
    """

    schema: str
    name: str
    path: Path

    @functools.cached_property
    def sql(self) -> str:
        """The SELECT, in DuckDB's dialect."""
        return self.path.read_text(encoding="utf-8")

    @functools.cached_property
    def query(self) -> "exp.Query":
        """The SELECT, parsed; it must not be modified."""
        import sqlglot  # readers of tables do not need it
        from sqlglot import exp

        query = sqlglot.parse_one(self.sql, read="duckdb")
        if not isinstance(query, exp.Query):
            raise RecsysError(f"{self.path}: expected a single SELECT")
        return query

    @functools.cached_property
    def description(self) -> str:
        """The comment at the top of the file, without the line on materialisation."""
        return " ".join(line for line in self._header if not line.startswith(_HEADER))

    @functools.cached_property
    def materialisation(self) -> Materialisation:
        """How the table is materialised.

        Raises:
            RecsysError: the header comment of the file does not say, or names no known way.
        """
        for line in self._header:
            if line.startswith(_HEADER):
                value = line.removeprefix(_HEADER).strip()
                if value in list(Materialisation):
                    return Materialisation(value)
        known = ", ".join(repr(str(one)) for one in Materialisation)
        raise RecsysError(f"{self.path}: expected a line '-- {_HEADER} …' at the top with one of {known}")

    @property
    def _header(self) -> list[str]:
        lines = []
        for line in self.sql.splitlines():
            if not line.startswith("--"):
                break
            lines.append(line.removeprefix("--").strip())
        return lines

    @functools.cached_property
    def reads(self) -> frozenset[tuple[str, str]]:
        """The (schema, table) pairs that the SELECT reads directly."""
        from sqlglot import exp

        return frozenset((table.db, table.name) for table in self.query.find_all(exp.Table) if table.db)


@functools.cache
def sql_folder() -> Path:
    """Return the folder of the SQL files: in the repository, or in the package where it is installed."""
    for folder in (_PACKAGE / "sql", _PACKAGE.parent / "sql"):
        if (folder / "clean").is_dir():
            return folder
    raise RecsysError(f"{_PACKAGE.parent / 'sql'} is missing; install the package again")


@functools.cache
def sql_tables(group: str) -> tuple[SqlTable, ...]:
    """Return the tables of `clean`, `features` or `protocol`, each after the tables of the group that it reads."""
    folder = sql_folder() / group
    return tuple(table for table in _in_order([*_shared_staging(), *_read(folder, group)]) if table.schema == group)


@functools.cache
def clean_build_order(format_name: str, *, sums_repeats: bool = False) -> tuple[SqlTable, ...]:
    """Return the clean tables and the staging tables of a format, each after the tables that it reads.

    Args:
        format_name: the format.
        sums_repeats: whether several rows of a user and an item add up, instead of the latest counting.
    """
    staging = {table.name: table for table in staging_tables(format_name)}
    if sums_repeats:
        del staging["repeated_interactions"]
        staging |= {table.name: table for table in _read(sql_folder() / "clean" / "summed", "staging")}
    return _in_order([*staging.values(), *sql_tables("clean")])


@functools.cache
def staging_tables(format_name: str) -> tuple[SqlTable, ...]:
    """Return the staging tables between the raw files of a format and the clean tables.

    One of the format takes the place of one of the same name that all formats share.
    """
    source = sql_folder() / "sources" / format_name
    if not source.is_dir():
        raise RecsysError(f"{source} is missing: the format {format_name!r} has no SQL")
    shared = {table.name: table for table in _shared_staging()}
    return tuple((shared | {table.name: table for table in _read(source, "staging")}).values())


def _shared_staging() -> list[SqlTable]:
    """Return the staging tables that all formats share."""
    return _read(sql_folder() / "clean" / "staging", "staging")


def _read(folder: Path, schema: str) -> list[SqlTable]:
    return [SqlTable(schema, path.stem, path) for path in sorted(folder.glob("*.sql"))]


def _in_order(tables: Iterable[SqlTable]) -> tuple[SqlTable, ...]:
    known = {(table.schema, table.name): table for table in tables}
    graph = {key: sorted(table.reads & known.keys()) for key, table in known.items()}
    return tuple(known[key] for key in graphlib.TopologicalSorter(graph).static_order())
