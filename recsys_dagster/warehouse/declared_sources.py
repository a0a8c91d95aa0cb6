"""Say what a declared file should be: its columns, with their types and headings."""

from collections.abc import Container

from recsys_dagster.ingest.declaration import Declaration, FlagColumns, InteractionSource, ItemSource, ListColumn
from recsys_dagster.ingest.formats import ITEM_LISTS, ITEM_TEXTS, Column, SourceFile
from recsys_dagster.warehouse.csv_values import quoted_name
from recsys_dagster.warehouse.database import quoted

ID_COLUMNS = {"interactions": ("user", "item"), "items": ("item",)}
"""Columns of ids by the role of a file."""

VALUE_TYPES = {
    "rating": "FLOAT",
    "weight": "FLOAT",
    "time": "TIMESTAMP",
    "status": "VARCHAR",
    "progress": "INTEGER",
}
"""Type of each column of the interactions but the ids."""


def declared_source(declaration: Declaration, name: str, texts: Container[str]) -> SourceFile:
    """Return what a file should be.

    Args:
        declaration: says what the columns mean.
        name: name of the file in the manifest, which begins with its role.
        texts: which ids, of `user` and `item`, are texts.
    """
    role = name.partition("/")[0]
    declared: InteractionSource | ItemSource | None = (
        declaration.interactions if role == "interactions" else declaration.items
    )
    if declared is None:
        raise ValueError(f"{name}: the declaration has no items")
    columns = [
        Column(
            column,
            "VARCHAR" if column in texts else "BIGINT",
            heading=str(getattr(declared, column)),
            is_strict=column not in texts,
            personal=column == "user" and declaration.pseudonymise,
        )
        for column in ID_COLUMNS[role]
    ]
    if isinstance(declared, InteractionSource):
        headings = {value: getattr(declared, value) for value in VALUE_TYPES}
        columns += [_value_column(declaration, value, heading) for value, heading in headings.items() if heading]
    else:
        columns += [Column(value, heading=heading) for value, heading in _item_headings(declared).items()]
    return SourceFile(name, tuple(columns), delimiter=declared.delimiter, has_header=declared.columns is None)


def _value_column(declaration: Declaration, name: str, heading: str) -> Column:
    """Return a column of the interactions that holds no ids."""
    return Column(
        name,
        VALUE_TYPES[name],
        heading=heading,
        time_format=declaration.interactions.time_format if name == "time" else None,
        votes=declaration.scale if name == "rating" else None,
    )


def _item_headings(declared: ItemSource) -> dict[str, str]:
    """Return the heading of each column of the items but the id; flags are columns of their own."""
    headings: dict[str, str] = {}
    for name in (*ITEM_TEXTS, *ITEM_LISTS):
        value = getattr(declared, name)
        if isinstance(value, ListColumn):
            headings[name] = value.column
        elif isinstance(value, FlagColumns):
            headings |= {f"{name} {flag}": flag for flag in value.flags}
        elif value is not None:
            headings[name] = str(value)
    return headings


def list_sql(name: str, declared: str | ListColumn | FlagColumns | None) -> str:
    """Return the SQL of the values of a column with several values, VARCHAR[]."""
    if declared is None:
        return "NULL::VARCHAR[]"
    if isinstance(declared, FlagColumns):
        flags = ", ".join(
            f"CASE WHEN lower(trim({quoted_name(f'{name} {flag}')})) IN ('1', '1.0', 'true', 't', 'yes', 'y')"
            f" THEN {quoted(flag)} END"
            for flag in declared.flags
        )
        return f"list_filter([{flags}], LAMBDA value: value IS NOT NULL)"
    text = quoted_name(name)
    if isinstance(declared, ListColumn) and declared.separator is not None:
        return f"list_transform(string_split({text}, {quoted(declared.separator)}), LAMBDA value: trim(value))"
    # A list as JSON or as Python writes it, else a single value.
    is_json = f"json_valid({text}) AND json_type(CASE WHEN json_valid({text}) THEN {text} END) = 'ARRAY'"
    inside = f"regexp_replace({text}, '^\\s*\\[\\s*[''\"]?|[''\"]?\\s*\\]\\s*$', '', 'g')"
    return (
        f"CASE WHEN {is_json} THEN from_json(CASE WHEN {is_json} THEN {text} END, '[\"VARCHAR\"]')"
        f" WHEN regexp_full_match({text}, '\\s*\\[.*\\]\\s*')"
        f" THEN string_split_regex({inside}, '[''\"]?\\s*,\\s*[''\"]?')"
        f" WHEN {text} IS NOT NULL THEN [{text}] END"
    )
