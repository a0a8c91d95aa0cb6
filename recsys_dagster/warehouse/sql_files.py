"""The SQL files: where they are, which table each makes, and in which order."""

import functools
import graphlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import sqlglot
from sqlglot import exp

from recsys_dagster.errors import RecsysError

_PACKAGE = Path(__file__).resolve().parents[1]


@dataclass(frozen=True)
class SqlTable:
    """One file, one table: the file holds only its SELECT.

    Attributes:
        schema, name: what it makes.
        path: the file.
    """

    schema: str
    name: str
    path: Path

    @functools.cached_property
    def sql(self) -> str:
        """The file's SELECT, in DuckDB's dialect."""
        return self.path.read_text(encoding="utf-8")

    @functools.cached_property
    def query(self) -> exp.Query:
        """The SELECT, parsed; not to be changed."""
        query = sqlglot.parse_one(self.sql, read="duckdb")
        if not isinstance(query, exp.Query):
            raise RecsysError(f"{self.path}: expected a single SELECT")
        return query

    @functools.cached_property
    def description(self) -> str:
        """The comment that the file opens with."""
        lines = []
        for line in self.sql.splitlines():
            if not line.startswith("--"):
                break
            lines.append(line.removeprefix("--").strip())
        return " ".join(lines)

    @functools.cached_property
    def reads(self) -> frozenset[tuple[str, str]]:
        """The (schema, table) pairs that the SELECT names itself."""
        return frozenset((table.db, table.name) for table in self.query.find_all(exp.Table) if table.db)


@functools.cache
def sql_folder() -> Path:
    """Return the folder of the SQL: in the repository, or in the package where it is installed."""
    for folder in (_PACKAGE / "sql", _PACKAGE.parent / "sql"):
        if (folder / "clean").is_dir():
            return folder
    raise RecsysError(f"{_PACKAGE.parent / 'sql'} is missing; install the package again")


@functools.cache
def sql_tables(group: str) -> tuple[SqlTable, ...]:
    """Return the tables of `clean`, `features` or `protocol`, each after those of the group that it reads."""
    folder = sql_folder() / group
    return tuple(table for table in _in_order([*_shared_staging(), *_read(folder, group)]) if table.schema == group)


@functools.cache
def clean_build_order(format_name: str) -> tuple[SqlTable, ...]:
    """Return the clean tables and what stands between them and the format's raw files, each after what it reads."""
    return _in_order([*staging_tables(format_name), *sql_tables("clean")])


@functools.cache
def staging_tables(format_name: str) -> tuple[SqlTable, ...]:
    """Return what stands between a format's raw files and the clean tables."""
    source = sql_folder() / "sources" / format_name
    if not source.is_dir():
        raise RecsysError(f"{source} is missing: the format {format_name!r} has no SQL")
    return (*_read(source, "staging"), *_shared_staging())


def _shared_staging() -> list[SqlTable]:
    """What stands between the titles and interactions of any format and the clean tables."""
    return _read(sql_folder() / "clean" / "staging", "staging")


def _read(folder: Path, schema: str) -> list[SqlTable]:
    return [SqlTable(schema, path.stem, path) for path in sorted(folder.glob("*.sql"))]


def _in_order(tables: Iterable[SqlTable]) -> tuple[SqlTable, ...]:
    known = {(table.schema, table.name): table for table in tables}
    graph = {key: sorted(table.reads & known.keys()) for key, table in known.items()}
    return tuple(known[key] for key in graphlib.TopologicalSorter(graph).static_order())
