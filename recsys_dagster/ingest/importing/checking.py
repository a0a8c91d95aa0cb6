"""Check a declaration against its files."""

import difflib
from pathlib import Path

from recsys_dagster.ingest.declaration import (
    Declaration,
    DeclarationError,
    InteractionSource,
    ItemSource,
    read_declaration,
)
from recsys_dagster.ingest.importing.contents import describe_columns
from recsys_dagster.ingest.importing.declared_tables import declared_table, named_columns
from recsys_dagster.ingest.importing.described import Described, Proposal
from recsys_dagster.ingest.importing.faults import column_names, refuse_useless
from recsys_dagster.ingest.importing.finding import Finder
from recsys_dagster.ingest.importing.roles import Roles
from recsys_dagster.ingest.importing.scales import Scale
from recsys_dagster.ingest.importing.survey import survey
from recsys_dagster.ingest.importing.tables import Table
from recsys_dagster.runtime.text import printable


def check_declaration(path: Path, finder: Finder) -> Proposal:
    """Read a declaration and its files, and return what they hold.

    Args:
        path: the declaration.
        finder: finds and reads the files.

    Raises:
        DeclarationError: the declaration is not valid, or a file lacks a column that it names.
        RecsysError: a file is missing or cannot be read, or no row could be used.
    """
    return propose_declared(read_declaration(path), path, finder)


def propose_declared(declaration: Declaration, path: Path, finder: Finder) -> Proposal:
    """Return a declaration with what its files hold.

    Args:
        declaration: of the dataset.
        path: of the declaration; relative paths of files start at its folder, and messages name it.
        finder: finds and reads the files.

    Raises:
        DeclarationError: a file lacks a column that the declaration names.
        RecsysError: a file is missing or cannot be read, or no row could be used.
    """
    sources = {"interactions": declaration.interactions, "items": declaration.items}
    described = {
        section: _describe(path, section, source, declaration, finder)
        for section, source in sources.items()
        if source is not None
    }
    interactions, items = described["interactions"], described.get("items")
    counted = survey(declaration, interactions.table, items.table if items else None, finder.connection)
    refuse_useless(declaration, interactions, items, counted)
    scale = Scale(*declaration.scale, declaration.interactions.unrated) if declaration.scale is not None else None
    return Proposal(declaration, interactions, items, scale, counted)


def _describe(
    path: Path,
    section: str,
    source: InteractionSource | ItemSource,
    declaration: Declaration,
    finder: Finder,
) -> Described:
    """Return the table of a section; raise DeclarationError if it lacks a column."""
    table = declared_table(source, declaration.archive, path.parent, finder)
    columns = {}
    for place, name in named_columns(source):
        if table.column(name) is None:
            raise DeclarationError(f"{path}: {section}.{place}: {_lacks(table, name)}")
        columns[place] = name
    return Described(table, describe_columns(table, finder.connection), Roles(columns, 0.0))


def _lacks(table: Table, name: str) -> str:
    names = [column.name for column in table.columns]
    near = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
    hint = f" (did you mean {printable(near[0])}?)" if near else ""
    return f"{printable(table.name)} has no column {printable(name)}{hint}; its columns are {column_names(table)}"
