"""Find out which column of a table means what, by its name and by what is in it."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from recsys_dagster.ingest.importing.contents import Content
from recsys_dagster.ingest.importing.words import EXACT, INTERACTION_WORDS, ITEM_WORDS, name_score
from recsys_dagster.ingest.notations import VOTES_DOWN, VOTES_UP

_BY_NAME = 3.5
"""Score from which on a name is enough."""
_BY_CONTENT = 1.0
_MAX_RATINGS = 205
"""Different values of a rating, which may be a percentage with halves."""
_ID_LENGTH = 100


@dataclass(frozen=True)
class Roles:
    """Which column means what.

    Attributes:
        columns: the name of the column of each meaning found.
        score: how sure that is; of two tables the one with the higher score is more likely of this kind.
    """

    columns: dict[str, str]
    score: float


def find_interaction_roles(
    contents: Sequence[Content], *, has_names: bool, given: Mapping[str, str] | None = None, is_implicit: bool = False
) -> Roles:
    """Find the user, the item, the rating or the strength, and the time of interactions.

    Args:
        contents: of the columns.
        has_names: whether the columns have names of their own; else only their content counts.
        given: columns that the user names, by meaning.
        is_implicit: whether there are no ratings.
    """
    skipped = {"rating"} if is_implicit else set()
    roles = [role for role in INTERACTION_WORDS if role not in skipped]
    found = _assign(contents, roles, INTERACTION_WORDS, _INTERACTION_CHECKS, given or {}, by_name=has_names)
    left = [content for content in contents if content.column.name not in found.values()]
    # Without names, a column of few numbers is a rating, and users stand before items.
    if "time" not in found and (times := [one for one in left if one.is_time and _is_plausible_time(one)]):
        found["time"] = times[0].column.name
        left.remove(times[0])
    is_nameless = not has_names or not {"user", "item", "rating", "weight"} & found.keys() - (given or {}).keys()
    if is_nameless and "rating" in roles and "rating" not in found:
        ratings = [one for one in left if _can_be_rating(one) and not _is_id_like(one, contents)]
        if ratings:
            found["rating"] = ratings[-1].column.name
            left.remove(ratings[-1])
    for role in ("user", "item"):
        ids = [one for one in left if _can_be_id(one) and not _is_row_number(one)]
        if role not in found and ids and (not has_names or len(contents) <= len(found) + 3):
            found[role] = ids[0].column.name
            left.remove(ids[0])
    if {"rating", "weight"} <= found.keys() and "weight" not in (given or {}):
        del found["weight"]
    return Roles(found, _certainty(found, INTERACTION_WORDS, ("user", "item", "rating", "time", "weight")))


def find_item_roles(contents: Sequence[Content], *, has_names: bool, given: Mapping[str, str] | None = None) -> Roles:
    """Find the id, the title, the genres and the other columns of items; see `find_interaction_roles`."""
    found = _assign(contents, list(ITEM_WORDS), ITEM_WORDS, _ITEM_CHECKS, given or {}, by_name=has_names)
    by_content: dict[str, Callable[[Content], bool]] = {
        "item": lambda one: one.distinct == one.values > 0 and _can_be_id(one)
    }
    if not has_names:
        by_content |= {
            "title": _looks_like_title,
            "genres": _looks_like_genres,
            "image_url": lambda one: one.urls >= 0.9,
        }
    for role, check in by_content.items():
        free = [one for one in contents if one.column.name not in found.values() and check(one)]
        if role not in found and free:
            found[role] = free[0].column.name
    return Roles(found, _certainty(found, ITEM_WORDS, ("item", "title", "genres", "year", "synopsis", "image_url")))


def find_flags(contents: Sequence[Content], used: Iterable[str]) -> tuple[str, ...]:
    """Return the columns of zeros and ones, of which several together are genres."""
    flags = [
        one.column.name
        for one in contents
        if one.values and one.flags == 1 and one.column.name not in used and not one.column.name.startswith("column")
    ]
    named = [name for name in flags if not name.casefold().startswith(("is_", "has_"))]
    return tuple(named) if len(named) >= 3 else ()


def _assign(
    contents: Sequence[Content],
    roles: Sequence[str],
    words: dict[str, str],
    checks: Mapping[str, Callable[[Content], bool]],
    given: Mapping[str, str],
    *,
    by_name: bool,
) -> dict[str, str]:
    """Give every meaning the column that fits its name best and passes the check of its content."""
    found = {role: name for role, name in given.items() if role in roles}
    if not by_name:
        return found
    candidates = sorted(
        (
            (-name_score(one.column.name, role, words), place, role, one)
            for place, one in enumerate(contents)
            for role in roles
            if not one.column.is_nested and checks.get(role, _always)(one)
        ),
        key=lambda candidate: candidate[:2],
    )
    for score, _, role, one in candidates:
        if -score >= _BY_NAME and role not in found and one.column.name not in found.values():
            found[role] = one.column.name
    return found


def _certainty(found: Mapping[str, str], words: dict[str, str], roles: Sequence[str]) -> float:
    """Return the sum of the scores of the names."""
    return sum(_BY_CONTENT + min(name_score(found[role], role, words), EXACT) for role in roles if role in found)


def _always(_: Content) -> bool:
    return True


def _can_be_rating(one: Content) -> bool:
    is_bounded = one.low is not None and one.high is not None and one.low >= -100 and one.high <= 100
    is_continuous = is_bounded and one.integers < 0.5
    if one.votes >= 0.9 and one.distinct <= len(VOTES_UP + VOTES_DOWN):
        return True
    return one.is_number and not one.is_time and (one.distinct <= _MAX_RATINGS or is_continuous)


def _can_be_weight(one: Content) -> bool:
    return one.is_number and one.low is not None and one.low >= 0 and one.epochs < 0.9


def _can_be_id(one: Content) -> bool:
    is_fraction = (
        one.numbers >= 0.9 and one.integers < 0.5 and not all(example.endswith(".0") for example in one.examples)
    )
    is_mostly_there = one.values >= 0.5 * one.rows > 0
    return is_mostly_there and one.lists < 0.5 and one.length <= _ID_LENGTH and not is_fraction and one.times < 0.5


def _is_plausible_time(one: Content) -> bool:
    return one.times >= 0.9 or bool(one.time_formats) or (one.epochs >= 0.9 and one.distinct > 1)


def _is_id_like(one: Content, contents: Sequence[Content]) -> bool:
    """Return whether a column has more different values than a rating has beside the other columns."""
    others = [other for other in contents if other is not one and _can_be_id(other)]
    return len(others) < 2 or (one.distinct > 21 and one.integers >= 0.99 and (one.high or 0) > 100)


def _is_row_number(one: Content) -> bool:
    """Return whether a column numbers the rows, as exports of pandas do."""
    is_dense = one.low in (0, 1) and one.high is not None and one.high - (one.low or 0) + 1 == one.rows
    return one.values > 20 and one.distinct == one.values and one.integers == 1 and is_dense


def _looks_like_title(one: Content) -> bool:
    return not one.is_number and not one.is_time and one.distinct > 0.9 * one.values > 0 and one.urls < 0.1


def _looks_like_genres(one: Content) -> bool:
    is_repeated = one.distinct < 0.9 * one.values
    return is_repeated and not one.is_number and one.urls < 0.1 and (one.separator is not None or one.lists > 0.9)


def _has_year(one: Content) -> bool:
    return one.is_number and one.high is not None and one.high < 2200 and (one.low or 0) >= -3000


_INTERACTION_CHECKS: dict[str, Callable[[Content], bool]] = {
    "user": _can_be_id,
    "item": _can_be_id,
    "rating": _can_be_rating,
    "weight": _can_be_weight,
    "time": lambda one: one.is_time,
}
_ITEM_CHECKS: dict[str, Callable[[Content], bool]] = {
    "item": _can_be_id,
    "title": lambda one: one.urls < 0.5 and one.lists < 0.5,
    "kind": lambda one: one.distinct <= 200 and not one.is_number,
    "year": _has_year,
    "genres": lambda one: not one.is_number and one.urls < 0.5,
    "creators": lambda one: not one.is_number and one.urls < 0.5,
    "language": lambda one: not one.is_number and one.length <= 30,
    "episodes": lambda one: one.numbers >= 0.5,
    "members": lambda one: one.numbers >= 0.5,
    "site_score": lambda one: one.numbers >= 0.5,
    "synopsis": lambda one: not one.is_number,
    "image_url": lambda one: one.urls >= 0.5,
    "page_url": lambda one: one.urls >= 0.5,
    "is_adult": lambda one: one.flags >= 0.9,
}
