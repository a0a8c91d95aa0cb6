"""Refuse files of which nothing could be used, and say why in one line."""

from collections.abc import Sequence

from recsys_dagster.errors import RecsysError
from recsys_dagster.ingest.declaration import Declaration
from recsys_dagster.ingest.importing.contents import Content
from recsys_dagster.ingest.importing.described import Described
from recsys_dagster.ingest.importing.survey import Survey
from recsys_dagster.ingest.importing.tables import Table
from recsys_dagster.runtime.text import printable

_SHOWN = 30


def refuse_useless(declaration: Declaration, interactions: Described, items: Described | None, counted: Survey) -> None:
    """Raise RecsysError if no row could be used, and say why."""
    name = printable(interactions.table.name)
    if not counted.rows:
        raise RecsysError(f"{name} has a header but no rows; name a file with rows")
    if not counted.usable:
        reason, count = max(counted.faults.items(), key=lambda fault: fault[1])
        source = declaration.interactions
        used = ", ".join(
            f"--{role} {printable(column)}"
            for role in ("user", "item", "rating", "weight")
            if (column := getattr(source, role)) is not None
        )
        raise RecsysError(
            f"{name}: none of {counted.rows:,} rows can be used ({count:,} {reason}) with {used}; give other columns"
            f"{' or another --scale' if declaration.scale else ''}; its columns are {column_names(interactions.table)}"
        )
    outside = counted.faults.get("with a rating outside of the scale", 0)
    if declaration.scale is not None and outside > 0.05 * counted.rows:
        low, high = declaration.scale
        raise RecsysError(
            f"{name}: {100 * outside / counted.rows:.0f} % of the ratings are outside of the scale from {low:g} to "
            f"{high:g}; give the scale that they have, or leave --scale out to have it found; a value that stands for "
            "no rating is named by --unrated"
        )
    if items is not None and not counted.matched:
        ours, theirs = declaration.interactions.item, declaration.items.item if declaration.items else ""
        raise RecsysError(
            f"no item of {name} is in {printable(items.table.name)}: {printable(ours)} has "
            f"{_example(interactions, ours)}, {printable(theirs)} has {_example(items, theirs)}; name the columns that "
            "match with --item and --items-id, or leave --items out"
        )


def _example(described: Described, name: str) -> str:
    content = next((one for one in described.contents if one.column.name == name), None)
    return ", ".join(map(printable, content.examples)) if content is not None and content.examples else "no values"


def columns_of(described: Sequence[tuple[Table, Sequence[Content]]]) -> str:
    """Return a sentence that names the columns of tables."""
    return "; ".join(f"the columns of {printable(table.name)} are {column_names(table)}" for table, _ in described[:5])


def column_names(table: Table) -> str:
    """Return the names of the columns, for a message."""
    names = [printable(column.name) for column in table.columns]
    return ", ".join(names[:_SHOWN]) + (f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else "")
