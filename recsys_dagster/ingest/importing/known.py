"""Recognise the files of a public dataset that is declared already."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from recsys_dagster.ingest.declaration import Declaration, Files, InteractionSource, ItemSource
from recsys_dagster.ingest.importing.declared_tables import named_columns
from recsys_dagster.ingest.importing.tables import Table
from recsys_dagster.ingest.public_datasets import public_declarations


def recognise_public(tables: Sequence[Table], name: str) -> Declaration | None:
    """Return the declaration of the public dataset that tables are of, with the user's files; None if they are of none.

    Args:
        tables: what is in the files that the user names.
        name: of the archive, the folder or the file. It has to be the dataset's where the files have no header.
    """
    by_file = {look.path.name: table for table in tables for look in table.looks}
    paths = {look.path.name: look.path for table in tables for look in table.looks}
    for declaration in public_declarations().values():
        sources: list[InteractionSource | ItemSource] = [declaration.interactions]
        sources += [declaration.items] if declaration.items is not None else []
        if all(_fits(source, by_file, is_named=name == declaration.id) for source in sources):
            return _with_files_of_user(declaration, tables[0].archive, paths)
    return None


def _fits(source: InteractionSource | ItemSource, by_file: Mapping[str, Table], *, is_named: bool) -> bool:
    """Return whether the files are there and have the columns."""
    tables = [by_file.get(file) for file in source.files]
    if source.query is not None:
        return None not in tables
    if source.columns is not None:
        return is_named and all(table is not None and len(table.columns) == len(source.columns) for table in tables)
    return all(
        table is not None and all(table.column(column) is not None for _, column in named_columns(source))
        for table in tables
    )


def _with_files_of_user(declaration: Declaration, archive: str | None, paths: Mapping[str, Path]) -> Declaration:
    if archive is not None:
        return declaration.model_copy(update={"archive": archive})

    def located(source: Files) -> Files:
        return source.model_copy(update={"files": tuple(str(paths[file]) for file in source.files)})

    items = located(declaration.items) if declaration.items is not None else None
    interactions = located(declaration.interactions)
    return declaration.model_copy(update={"archive": None, "interactions": interactions, "items": items})
