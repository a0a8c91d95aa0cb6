"""What a table is made of, read out of its SQL: the tables, and column by column."""

import functools

from recsys_dagster.ingest import FORMATS, Format
from recsys_dagster.warehouse.tables import SqlTable, staging_tables


def upstream(table: SqlTable) -> set[tuple[str, str]]:
    """Return the (schema, table) pairs that a table is made of: other built tables, and ("raw", file) for raw files.

    Files are those of every format, as the same clean tables are made of each.
    """
    found: set[tuple[str, str]] = set()
    for fmt in FORMATS.values():
        staging = {(step.schema, step.name): step for step in staging_tables(fmt.name)}
        files = _files(fmt)
        pending, seen = [table], set()
        while pending:
            for source in pending.pop().reads - seen:
                seen.add(source)
                schema, name = source
                if source in staging:
                    pending.append(staging[source])
                elif schema == "raw":
                    found.add(("raw", files[name]))
                elif schema != "staging":
                    found.add(source)
    return found


@functools.cache
def column_lineage(table: SqlTable, fmt: Format) -> dict[str, list[tuple[str, str, str]]]:
    """Return, for each column, the (schema, table, column) triples that its values come from.

    A raw file's column appears as ("raw", "ratings.csv", "rating"), under its canonical name.
    """
    return {}


def _files(fmt: Format) -> dict[str, str]:
    """Return the raw files by the name of their table."""
    return {file.name.removesuffix(".csv"): file.name for file in fmt.files}
