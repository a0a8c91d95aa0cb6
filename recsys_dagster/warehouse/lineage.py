"""Read from the SQL of a table which tables and columns it is made of."""

import functools

from sqlglot import exp
from sqlglot.lineage import lineage

from recsys_dagster.ingest.formats import FORMATS, Format
from recsys_dagster.warehouse.raw_files import table_name
from recsys_dagster.warehouse.sql_files import SqlTable, clean_build_order, sql_tables, staging_tables

Column = tuple[str, str, str]
"""Schema, table and column; for a raw file such as ("raw", "ratings.csv", "rating")."""

_BOOKKEEPING = {
    "domain": ("scale_low", "scale_high", "seed"),
    "source_files": ("source_file", "rows_in", "rows_read", "times", "times_lost", "lost_time"),
    "unparsable": ("source_file", "line", "raw"),
    "line_shifts": ("source_file", "position", "extra_lines"),
    "users": ("user_id", "source_id"),
    "feedback": (
        *("source_file", "position", "raw", "user_id", "item_id", "rating", "happened_at", "is_listing", "problem"),
    ),
}
"""Columns of the staging tables that are not made by SQL files."""

_TEXTS_OF = {"interaction_texts": "interactions"}
"""Views of the catalogue `raw` with the texts of the rows of another one."""


def upstream(table: SqlTable) -> set[tuple[str, str]]:
    """Return the (schema, table) pairs that a table is made of; ("raw", file) for a raw file.

    Staging tables are looked through. The raw files are those of every format, as each format makes the same tables.
    """
    sources: set[tuple[str, str]] = set()
    for fmt in FORMATS.values():
        staging = {(step.schema, step.name): step for step in staging_tables(fmt.name)}
        files = {table_name(file): file.name for file in fmt.files}
        pending = [table]
        seen: set[tuple[str, str]] = set()
        while pending:
            for source in pending.pop().reads - seen:
                seen.add(source)
                schema, name = source
                if source in staging:
                    pending.append(staging[source])
                elif schema == "raw":
                    sources.add(("raw", files[_TEXTS_OF.get(name, name)]))
                elif schema != "staging":
                    sources.add(source)
    return sources


def column_lineage(table: SqlTable, fmt: Format) -> dict[str, list[Column]]:
    """Return, for each column, the columns of other tables and of raw files that its values come from.

    The columns of raw files have their canonical names.
    """
    return _lineage(fmt)[table.schema, table.name]


@functools.cache
def _lineage(fmt: Format) -> dict[tuple[str, str], dict[str, list[Column]]]:
    """Return the column lineage of every table that is made of a format's files; it takes a while, so it is cached."""
    sources: dict[tuple[str, str], dict[str, list[Column]]] = {}
    columns: dict[str, dict[str, dict[str, str]]] = {
        "raw": {
            table_name(file): dict.fromkeys(
                ["position", "raw", "unreadable", *(column.name for column in file.columns)], "unknown"
            )
            for file in fmt.files
        }
        | {name: dict.fromkeys(["source_file", "position", "raw"], "unknown") for name in _TEXTS_OF},
        "staging": {name: dict.fromkeys(names, "unknown") for name, names in _BOOKKEEPING.items()},
    }
    for table in (*clean_build_order(fmt.name), *sql_tables("features")):
        made: dict[str, list[Column]] = {}
        for column, root in lineage(None, table.query, columns, dialect="duckdb", trim_selects=False).items():
            leaves = {
                (node.source.db, node.source.name, node.name.rpartition(".")[2].strip('"'))
                for node in root.walk()
                if isinstance(node.source, exp.Table)
            }
            made[column] = sorted({origin for leaf in leaves for origin in _origins(leaf, fmt, sources)})
        sources[table.schema, table.name] = made
        columns.setdefault(table.schema, {})[table.name] = dict.fromkeys(made, "unknown")
    return sources


def _origins(leaf: Column, fmt: Format, sources: dict[tuple[str, str], dict[str, list[Column]]]) -> list[Column]:
    """Return where a column that a SELECT names comes from, through the staging tables."""
    schema, name, column = leaf
    if schema == "staging":
        return sources.get((schema, name), {}).get(column, [])
    if schema == "raw":
        file = next(file for file in fmt.files if table_name(file) == _TEXTS_OF.get(name, name))
        if column == "raw":
            return [("raw", file.name, listed.name) for listed in file.columns if not listed.personal]
        # sqlglot folds the case of names, as DuckDB does.
        return [("raw", file.name, listed.name) for listed in file.columns if listed.name.lower() == column.lower()]
    return [leaf]
