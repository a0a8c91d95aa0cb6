"""Say in plain words what is wrong with the fields of a declaration."""

import difflib
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from recsys_dagster.runtime.text import printable

_TAG = re.compile(r"[A-Z]\w*|literal\[.*\]|str|function-.*")
"""What pydantic puts into the place of a fault to name one of several forms of a value."""

_A_COLUMN = 'the name of a column, in quotes where it is a number, yes or no, such as "1"'
_SEVERAL = "the name of a column, {column: …, separator: …} for several values in a cell"
_EXPECTED = {
    "id": "lower-case letters, digits, - and _, such as shop",
    "domain": "lower-case letters, digits and _, beginning with a letter, such as shop",
    "ratings": "{scale: [1, 5]} with the lowest and the highest rating, or the word implicit",
    "scale": "two numbers, the lowest and the highest rating, such as [1, 5]",
    "liked_from": "a number on the scale",
    "unrated": "a list of numbers, such as [0]",
    "genres": f"{_SEVERAL}, or {{flags: [column, column]}}",
    "creators": _SEVERAL,
    "tags": _SEVERAL,
    "flags": "a list of the names of columns",
    "interactions": "fields such as `files: ratings.csv`, `user: customer` and `item: sku`, each on a line of its own",
    "items": "fields such as `files: products.csv`, `item: sku` and `title: name`, each on a line of its own",
    "files": "a path, or a list of paths",
    "format": "csv, jsonl or parquet",
    "columns": 'a list of names, those that are numbers in quotes, such as [user, item, "1"]',
    "delimiter": 'one to four characters in quotes, such as ";"',
    "user_ids": "integer or text",
    "item_ids": "integer or text",
    "pseudonymise": "true or false",
    "year_in_title": "true or false",
}
_TEXTS = {"licence", "homepage", "summary", "archive", "encoding", "database", "query", "separator"}


def describe_faults(
    faults: Iterable[Mapping[str, Any]], content: Mapping[str, Any], fields: Mapping[str, Iterable[str]]
) -> list[str]:
    """Describe the faults that pydantic found in a declaration, each once.

    Args:
        faults: as of `ValidationError.errors()`.
        content: what was validated.
        fields: the known fields of each section; those of the declaration itself under an empty name.
    """
    described: dict[str, None] = {}
    for fault in faults:
        place: Sequence[int | str] = fault["loc"]
        tag = next((n for n, part in enumerate(place) if isinstance(part, str) and _TAG.fullmatch(part)), None)
        if tag is not None and not _is_meant(str(place[tag]), _value(content, place[:tag])):
            place, kind = place[:tag], "form"
            if any(line.startswith((f"{_name(place)}.", f"{_name(place)}:")) for line in described):
                continue
        else:
            kind = fault["type"]
        described[_describe(place, kind, str(fault["msg"]), fields)] = None
    return _without_vague(list(described))


def _is_meant(tag: str, value: object) -> bool:
    """Return whether a value is meant as the form that a tag names."""
    if not isinstance(value, dict):
        return False
    if "Ratings" in tag:
        return True
    key = {"ListColumn": "column", "FlagColumns": "flags"}.get(tag)
    return key in value


def _without_vague(lines: list[str]) -> list[str]:
    """Return the lines without those that say of a field what a line about a part of it says better."""
    names = [line.partition(":")[0].partition(" ")[0] for line in lines]
    return [
        line
        for line, name in zip(lines, names, strict=True)
        if not any(other != name and other.startswith(f"{name}.") for other in names)
    ]


def _value(content: Any, place: Sequence[int | str]) -> object:
    for part in place:
        content = content[part]
    return content


def _name(place: Sequence[int | str]) -> str:
    return printable(".".join(str(part) for part in place if not (isinstance(part, str) and _TAG.fullmatch(part))))


def _describe(place: Sequence[int | str], kind: str, message: str, fields: Mapping[str, Iterable[str]]) -> str:
    """Describe one fault."""
    name = _name(place)
    parts = [part for part in place if isinstance(part, str) and not _TAG.fullmatch(part)]
    if kind == "missing":
        return f"{name} is missing"
    if kind == "extra_forbidden":
        nearest = difflib.get_close_matches(parts[-1], list(fields.get(".".join(parts[:-1]), ())), n=1)
        return f"{name} is not a field" + (f" (did you mean {nearest[0]}?)" if nearest else "")
    if kind == "value_error":
        return ": ".join(part for part in (name, printable(message.removeprefix("Value error, "))) if part)
    field = parts[-1] if parts else ""
    expected = _EXPECTED.get(
        field, "a text, in quotes where it is a number, yes or no" if field in _TEXTS else _A_COLUMN
    )
    return f"{name}: expected {expected}"
