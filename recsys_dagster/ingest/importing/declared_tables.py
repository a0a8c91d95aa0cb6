"""Find the tables that a declaration names."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from recsys_dagster.errors import RecsysError
from recsys_dagster.ingest.declaration import Files, FlagColumns, InteractionSource, ItemSource, ListColumn
from recsys_dagster.ingest.importing.finding import Finder, Reading
from recsys_dagster.ingest.importing.tables import Table


def declared_table(source: Files, archive: str | None, base: Path, finder: Finder) -> Table:
    """Return the table of files or of a database that a declaration names.

    Args:
        source: where the rows are and how they are written.
        archive: as of `Declaration`.
        base: folder that relative paths start at.
        finder: finds tables; it is told how the files are written.

    Raises:
        UsageError: nothing is there.
        RecsysError: a file cannot be read, or the files have different columns.
    """
    if source.database is not None and source.query is not None:
        return finder.query(source.database, source.query, base)
    header = source.columns is None
    reading = Reading(header=header, delimiter=source.delimiter, columns=source.columns, members=source.files)
    words = source.files if archive is None else (archive,)
    tables = replace(finder, reading=reading).find([_absolute(word, base) for word in words])
    if source.query is not None:
        return finder.joined(tables, source)
    if len(tables) > 1:
        names = "; ".join(f"{table.name}: {', '.join(c.name for c in table.columns)}" for table in tables[:5])
        raise RecsysError(f"{', '.join(source.files)}: files with different columns ({names}); name those of one kind")
    return tables[0]


def _absolute(name: str, base: Path) -> str:
    return name if "://" in name else str(base / Path(name).expanduser())


def named_columns(source: InteractionSource | ItemSource) -> Iterator[tuple[str, str]]:
    """Yield the columns that a section names, with the field that names each."""
    about_files = {*Files.model_fields, "unrated", "time_format", "user_ids", "item_ids", "year_in_title"}
    for field in type(source).model_fields:
        value = getattr(source, field)
        if field in about_files or value is None:
            continue
        if isinstance(value, FlagColumns):
            yield from ((f"{field}.flags", flag) for flag in value.flags)
        else:
            yield field, value.column if isinstance(value, ListColumn) else value
