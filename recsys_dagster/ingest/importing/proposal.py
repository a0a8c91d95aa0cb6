"""Propose a declaration for the files that a user names, and refuse what cannot be declared with the reason."""

import difflib
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from recsys_dagster.domains import default_like_threshold
from recsys_dagster.errors import UsageError
from recsys_dagster.ingest.declaration import (
    Declaration,
    FlagColumns,
    InteractionSource,
    ItemSource,
    ListColumn,
    Ratings,
)
from recsys_dagster.ingest.importing.checking import propose_declared
from recsys_dagster.ingest.importing.contents import Content, describe_columns
from recsys_dagster.ingest.importing.described import Described, Given, Proposal
from recsys_dagster.ingest.importing.faults import column_names, columns_of, refuse_useless
from recsys_dagster.ingest.importing.finding import Finder
from recsys_dagster.ingest.importing.known import recognise_public
from recsys_dagster.ingest.importing.naming import check_names, default_name
from recsys_dagster.ingest.importing.roles import find_flags, find_interaction_roles, find_item_roles
from recsys_dagster.ingest.importing.scales import Scale, find_scale
from recsys_dagster.ingest.importing.survey import count_ratings, survey
from recsys_dagster.ingest.importing.tables import Table
from recsys_dagster.ingest.importing.time_formats import find_time_format
from recsys_dagster.runtime.text import printable

if TYPE_CHECKING:
    import duckdb

_YEAR_SHARE = 0.5


def propose(
    words: Sequence[str],
    item_words: Sequence[str],
    given: Given,
    finder: Finder,
) -> Proposal:
    """Propose a declaration.

    Args:
        words: files, folders, patterns or archives of the interactions, as a user names them; items may be among them.
        item_words: those of the items.
        given: what need not be found out.
        finder: finds and reads the files.

    Raises:
        UsageError: a file or a column is not there, or something cannot be found out and has to be given.
        RecsysError: a file cannot be read, or no row could be used.
    """
    connection = finder.connection
    tables = [finder.query(words[0], given.query, Path.cwd())] if given.query is not None else finder.find(words)
    if not (item_words or given.query or given.says_columns) and (
        public := recognise_public(tables, default_name(words))
    ):
        names = {"id": given.name or public.id, "domain": given.domain or public.domain}
        check_names(names["id"], names["domain"])
        own = public.model_copy(update={**names, "pseudonymise": public.pseudonymise or given.pseudonymise})
        return replace(propose_declared(own, Path(words[0]), finder), public=public.id)
    if given.items_query is not None:
        others = [finder.query(words[0], given.items_query, Path.cwd())]
    else:
        others = finder.find(item_words) if item_words else []
    described = [(table, describe_columns(table, connection)) for table in tables]
    interactions = _choose_interactions(described, given)
    rest = [(table, describe_columns(table, connection)) for table in others] or [
        pair for pair in described if pair[0] is not interactions.table
    ]
    items = _choose_items(rest, given, required=bool(others))
    scale = _find_scale(interactions, given, connection)
    time_format = find_time_format(interactions, given.time_format, connection)
    declaration = _declare(words, interactions, items, scale, time_format, given)
    counted = survey(declaration, interactions.table, items.table if items else None, connection)
    if items is not None and not others and not counted.matched:
        items = None
        declaration = declaration.model_copy(update={"items": None})
        counted = survey(declaration, interactions.table, None, connection)
    used = {id(interactions.table), id(items.table) if items else 0}
    unused = tuple(table.name for table, _ in [*described, *rest] if id(table) not in used)
    refuse_useless(declaration, interactions, items, counted)
    return Proposal(declaration, interactions, items, scale, counted, tuple(dict.fromkeys(unused)))


def _choose_interactions(described: Sequence[tuple[Table, Sequence[Content]]], given: Given) -> Described:
    """Return the table that is most likely the interactions."""
    candidates = []
    for table, contents in described:
        columns = _known_columns(table, given.columns, required=len(described) == 1)
        if columns is None:
            continue
        _refuse_repeated(table, columns)
        roles = find_interaction_roles(contents, has_names=table.has_names, given=columns, is_implicit=given.implicit)
        candidates.append(Described(table, contents, roles))
    if not candidates:
        raise UsageError(f"no file has the columns {', '.join(given.columns.values())}; {columns_of(described)}")
    complete = [one for one in candidates if {"user", "item"} <= one.roles.columns.keys()]
    if not complete:
        best = max(candidates, key=lambda one: one.roles.score)
        if not best.contents[0].rows:
            raise UsageError(f"{printable(best.table.name)} has a header but no rows; name a file with rows")
        missing = [role for role in ("user", "item") if role not in best.roles.columns]
        options = " and ".join(f"--{role} COLUMN" for role in missing)
        raise UsageError(
            f"{printable(best.table.name)}: no column looks like the {' or the '.join(missing)}; name it with "
            f"{options}; its columns are {column_names(best.table)}"
        )
    return max(complete, key=lambda one: one.roles.score)


def _choose_items(
    described: Sequence[tuple[Table, Sequence[Content]]], given: Given, *, required: bool
) -> Described | None:
    """Return the table that is most likely the items; None if there is none."""
    candidates = []
    for table, contents in described:
        columns = _known_columns(table, given.item_columns, required=required and len(described) == 1)
        if columns is not None:
            if "item" not in columns and (same := table.column(given.columns.get("item", ""))):
                columns = {**columns, "item": same.name}
            roles = find_item_roles(contents, has_names=table.has_names, given=columns)
            candidates.append(Described(table, contents, roles))
    complete = [
        one for one in candidates if "item" in one.roles.columns and (required or _is_about_items(one.roles.columns))
    ]
    if complete:
        return max(complete, key=lambda one: one.roles.score)
    if required:
        raise UsageError(
            f"{', '.join(table.name for table, _ in described)}: no column looks like the id of the item; name it with "
            f"--items-id COLUMN; {columns_of(described)}"
        )
    if given.item_columns:
        raise UsageError(f"no file has the column {next(iter(given.item_columns.values()))}; {columns_of(described)}")
    return None


def _refuse_repeated(table: Table, given: Mapping[str, str]) -> None:
    """Raise UsageError if a column of the interactions is given two meanings."""
    meanings: dict[str, str] = {}
    for role, name in given.items():
        if name in meanings:
            raise UsageError(
                f"--{role} {printable(name)}: the column is the {meanings[name]} already; its columns are "
                f"{column_names(table)}"
            )
        meanings[name] = role


def _is_about_items(columns: Mapping[str, str]) -> bool:
    return not {"title", "genres"}.isdisjoint(columns)


def _known_columns(table: Table, given: Mapping[str, str], *, required: bool) -> dict[str, str] | None:
    """Return the given columns as the table spells them; None if it lacks one.

    Raises:
        UsageError: it lacks one and there is no other table.
    """
    found = {}
    for role, name in given.items():
        column = table.column(name)
        if column is None:
            if not required:
                return None
            names = [one.name for one in table.columns]
            near = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
            hint = f" (did you mean {printable(near[0])}?)" if near else ""
            raise UsageError(
                f"{printable(table.name)} has no column {printable(name)}{hint}; its columns are {column_names(table)}"
            )
        found[role] = column.name
    return found


def _find_scale(interactions: Described, given: Given, connection: "duckdb.DuckDBPyConnection") -> Scale | None:
    """Return the scale of the ratings; without one, a column that was taken for ratings becomes the strength."""
    columns = interactions.roles.columns
    if "rating" not in columns:
        if given.scale is not None:
            raise UsageError(
                f"--scale is given, but no column of {printable(interactions.table.name)} looks like ratings; name it "
                f"with --rating COLUMN; its columns are {column_names(interactions.table)}"
            )
        return None
    counts = count_ratings(interactions.table, columns["rating"], connection)
    found = find_scale(counts) if counts is not None else None
    if given.scale is not None:
        low, high = given.scale
        if low >= high:
            raise UsageError(f"--scale {low:g} {high:g}: the lowest rating comes first, such as --scale 1 5")
        return Scale(*given.scale, given.unrated or _outside(found, given.scale))
    if found is None:
        if "rating" in given.columns:
            raise UsageError(
                f"{printable(columns['rating'])} looks like no ratings: {_describe_values(counts)}; give the scale, "
                f"such as --scale 1 5, or --implicit --weight {printable(columns['rating'])}"
            )
        name = columns.pop("rating")
        if counts is None or len(counts) > 1:
            columns.setdefault("weight", name)
        return None
    return Scale(found.low, found.high, given.unrated or found.unrated, found.step, found.unrated_share)


def _outside(found: Scale | None, scale: tuple[float, float]) -> tuple[float, ...]:
    """Return the values for no rating that the given scale does not have."""
    return tuple(value for value in found.unrated if not scale[0] <= value <= scale[1]) if found else ()


def _describe_values(counts: Mapping[float, int] | None) -> str:
    if not counts:
        return "it has no numbers" if counts is not None else "it has more than a thousand different values"
    low, high = min(counts), max(counts)
    return f"every value is {low:g}" if low == high else f"its values go from {low:g} to {high:g}"


def _declare(
    words: Sequence[str],
    interactions: Described,
    items: Described | None,
    scale: Scale | None,
    time_format: str | None,
    given: Given,
) -> Declaration:
    """Return the declaration of what was found."""
    name = given.name or default_name(words)
    domain = given.domain or re.sub(r"^[^a-z]+", "", name.replace("-", "_"))[:32] or "mine"
    check_names(name, domain)
    columns = {role: column for role, column in interactions.roles.columns.items() if column}
    if scale is None:
        columns.pop("rating", None)
    how = interactions.table.files.model_dump(exclude_defaults=True)
    ratings: Ratings | str = "implicit"
    if scale is not None:
        bounds = (scale.low, scale.high)
        liked_from = given.liked_from if given.liked_from is not None else default_like_threshold(bounds)
        if not scale.low <= liked_from <= scale.high:
            raise UsageError(
                f"--liked-from {liked_from:g} is outside of the scale from {scale.low:g} to {scale.high:g}"
            )
        ratings = Ratings(scale=bounds, liked_from=liked_from)
    elif given.liked_from is not None:
        raise UsageError("--liked-from is for ratings, and there are none")
    archives = {one.table.archive for one in (interactions, items) if one is not None and one.table.archive}
    if len(archives) > 1 or (archives and items is not None and items.table.archive != interactions.table.archive):
        raise UsageError("interactions and items are in different archives; unpack them and name the files")
    return Declaration.model_validate(
        {
            "id": name,
            "domain": domain,
            "archive": next(iter(archives), None),
            "ratings": ratings,
            "pseudonymise": given.pseudonymise,
            "interactions": InteractionSource(
                **how, **columns, time_format=time_format, unrated=scale.unrated if scale else ()
            ),
            "items": _declare_items(items) if items is not None else None,
        }
    )


def _declare_items(items: Described) -> ItemSource:
    columns: dict[str, object] = dict(items.roles.columns)
    by_name = {one.column.name: one for one in items.contents}
    for role in ("genres", "creators"):
        if role in columns:
            columns[role] = _list_column(by_name[str(columns[role])])
    if "genres" not in columns and (flags := find_flags(items.contents, items.roles.columns.values())):
        columns["genres"] = FlagColumns(flags=flags)
    if "title" in columns and "year" not in columns:
        columns["year_in_title"] = by_name[str(columns["title"])].years > _YEAR_SHARE
    how = items.table.files.model_dump(exclude_defaults=True)
    return ItemSource.model_validate({**how, **columns})


def _list_column(content: Content) -> str | ListColumn:
    """Return how a declaration names a column of genres: with the separator between two, if there is one."""
    name = content.column.name
    if content.column.is_list or content.lists >= 0.9:
        return ListColumn(column=name)
    return name if content.separator is None else ListColumn(column=name, separator=content.separator)
