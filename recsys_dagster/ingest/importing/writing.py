"""Write a declaration as a commented YAML file."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from recsys_dagster.ingest.declaration import Declaration, InteractionSource, ItemSource, Ratings, read_declaration
from recsys_dagster.ingest.importing.described import Described, Proposal
from recsys_dagster.runtime.formatting import format_share
from recsys_dagster.runtime.storage import replacing
from recsys_dagster.runtime.text import printable

_HEAD = """\
# The dataset {id}, as `recsys import` found it. Change what is wrong and see what that gives with
# `recsys import --check {path}`, or import again: that replaces this file.
"""
_PLACE = ("files", "format", "columns", "delimiter", "encoding", "database", "query")
_MEANINGS = {
    "user": "who",
    "item": "what",
    "rating": "how much it is liked",
    "weight": "strength of the interaction; several rows of a pair add up",
    "time": "when",
    "time_format": "how times are written: day-first, month-first, or a format such as %Y%m%d",
    "status": "watching, completed, on_hold, dropped or plan_to_watch",
    "progress": "how far the user got",
    "unrated": "stands for no rating",
    "year_in_title": "the title ends with the year in parentheses",
    "columns": "of files without a header, in order",
}


def write_declaration(proposal: Proposal, path: Path) -> None:
    """Write the declaration of a proposal to `path`, atomically, and read it back before it replaces a former one.

    Raises:
        DeclarationError: what was written would not be read.
    """
    with replacing(path) as temporary:
        temporary.write_text(declaration_text(proposal, path), encoding="utf-8")
        read_declaration(temporary)


def declaration_text(proposal: Proposal, path: Path) -> str:
    """Return the YAML of a declaration, with a comment for whatever a reader may want to change."""
    declaration = proposal.declaration
    lines = [_HEAD.format(id=declaration.id, path=path)]
    lines.append(_line("id", declaration.id))
    lines.append(_line("domain", declaration.domain, "the name of its partition: recsys run --domain …"))
    for name in ("licence", "homepage", "summary", "archive"):
        value = getattr(declaration, name)
        if value or name == "licence":
            lines.append(_line(name, value, "terms of use of the data, if there are any" if name == "licence" else ""))
    lines.append(_ratings(declaration, proposal))
    lines.append(
        _line("pseudonymise", declaration.pseudonymise, "true: user ids are replaced by pseudonyms and stored nowhere")
    )
    lines += ["interactions:", *_source(declaration.interactions, proposal.interactions)]
    if declaration.items is not None:
        lines += ["items:", *_source(declaration.items, proposal.items)]
    else:
        lines += ["# items: {files: …, item: …, title: …, genres: {column: …, separator: …}}  # optional"]
    return "\n".join(lines) + "\n"


def _ratings(declaration: Declaration, proposal: Proposal) -> str:
    if not isinstance(declaration.ratings, Ratings):
        return _line("ratings", "implicit", "there are no ratings: who interacts with an item likes it")
    low, high = declaration.ratings.scale
    liked = declaration.ratings.like_threshold
    value = {"scale": [_short(low), _short(high)], "liked_from": _short(liked)}
    share = proposal.scale.unrated_share if proposal.scale is not None else 0
    note = f"; {format_share(share)} of the values stand for no rating" if share else ""
    return _line("ratings", value, f"a rating of {liked:g} or more counts as liked{note}")


def _source(source: InteractionSource | ItemSource, described: Described | None) -> list[str]:
    values: Mapping[str, Any] = source.model_dump(exclude_defaults=True, exclude_none=True)
    lines = []
    for name in ("files", *(name for name in type(source).model_fields if name != "files")):
        if name not in values:
            continue
        value = values[name]
        if name == "files":
            lines += ["  files:", *(f"    - {_scalar(file)}" for file in value)]
        else:
            lines.append(f"  {_line(name, value, _MEANINGS.get(name, ''))}")
    if described is not None and (ignored := [printable(one.column.name) for one in _ignored(source, described)]):
        lines.append(f"  # ignored: {', '.join(ignored)}")
    return lines


def _ignored(source: InteractionSource | ItemSource, described: Described) -> list[Any]:
    flags = set(getattr(getattr(source, "genres", None), "flags", ()))
    return [one for one in described.ignored if one.column.name not in flags]


def _line(name: str, value: object, comment: str = "") -> str:
    return f"{name}: {_scalar(value)}" + (f"  # {comment}" if comment else "")


def _scalar(value: object) -> str:
    """Return a value on one line of YAML."""
    if isinstance(value, tuple):
        value = [_short(one) if isinstance(one, float) else one for one in value]
    text = yaml.safe_dump(value, default_flow_style=True, width=10**9, allow_unicode=True, sort_keys=False)
    return text.removesuffix("\n").removesuffix("\n...").rstrip("\n")


def _short(number: float) -> float:
    return int(number) if float(number).is_integer() else number
