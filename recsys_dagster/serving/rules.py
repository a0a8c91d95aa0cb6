"""Read the rules of a domain: what must not be recommended, and how lists are balanced.

The rules are `RECSYS_HOME/rules/<domain>.yaml`, which a person writes; every part may be left out:

    never:
      items: [42, 99]                        # ids as the source writes them
      genres: [Horror]
      adult: true
      unavailable_since: {17: 2026-06-01, 23: 2025}   # from that day, or that year, on
    always:
      items: [7]                             # although a genre, adult or unavailable_since forbids it
    caps:
      genre: {Drama: 30, "*": 50}            # items of a list; * is every other genre
      creator: {"*": 3}
    balance:
      diversity: 0.2                         # of the published lists, and of others unless a request says otherwise
      calibration: 0.1
"""

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StrictInt,
    StrictStr,
    ValidationError,
    model_validator,
)

from recsys_dagster.errors import RecsysError, UsageError
from recsys_dagster.runtime.text import printable
from recsys_dagster.runtime.yaml_files import read_yaml

EVERY_OTHER = "*"
"""Name of a cap that holds for everything that has none of its own."""

_EXPECTED = {
    "items": "a list of ids as the source writes them, such as [42, 99]",
    "genres": "a list of genres, such as [Horror]",
    "adult": "true or false",
    "unavailable_since": "a day or a year by id, such as {17: 2026-06-01, 23: 2025}",
    "genre": 'a number of items by genre, at least 1, such as {Drama: 30, "*": 50}',
    "creator": 'a number of items by creator, at least 1, such as {"*": 3}',
    "diversity": "a number from 0 to 1",
    "calibration": "a number from 0 to 1",
    "never": "lines such as `genres: [Horror]`",
    "always": "a line such as `items: [7]`",
    "caps": 'a line such as `creator: {"*": 3}`',
    "balance": "a line such as `diversity: 0.2`",
}


@dataclass(frozen=True)
class Balance:
    """Weights from 0 to 1, together at most 1; with both at 0 lists are by score alone.

    Attributes:
        diversity: of the difference from the items before.
        calibration: of the likeness of the genres of the list and of the history.
    """

    diversity: float = 0.0
    calibration: float = 0.0

    def __bool__(self) -> bool:
        """Return whether anything but the score counts."""
        return self.diversity > 0 or self.calibration > 0


def balance_of(diversity: float | None, calibration: float | None) -> Balance | None:
    """Return the weights that a request asks for; None if it asks for none, so that those of the rules hold.

    Raises:
        UsageError: together they are more than 1.
    """
    if diversity is None and calibration is None:
        return None
    balance = Balance(diversity or 0.0, calibration or 0.0)
    if balance.diversity + balance.calibration > 1:
        raise UsageError("diversity and calibration together are more than 1; lower one of them")
    return balance


def _as_text(value: object) -> object:
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _as_day(value: object) -> object:
    is_year = isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= 9999
    return date(value, 1, 1) if is_year and isinstance(value, int) else value


_Id = Annotated[StrictStr, BeforeValidator(_as_text)]
_Day = Annotated[date, Field(strict=True), BeforeValidator(_as_day)]
_Cap = Annotated[StrictInt, Field(ge=1)]
_Weight = Annotated[float, Field(ge=0, le=1)]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Never(_Section):
    """What must not be recommended; ids are texts."""

    items: frozenset[_Id] = frozenset()
    genres: frozenset[StrictStr] = frozenset()
    adult: Annotated[bool, Field(strict=True)] = False
    unavailable_since: dict[_Id, _Day] = {}


class Always(_Section):
    """Exceptions from what a genre, adult or unavailable_since forbids."""

    items: frozenset[_Id] = frozenset()


class Caps(_Section):
    """Largest number of items of a list by the name of a genre or creator."""

    genre: dict[StrictStr, _Cap] = {}
    creator: dict[StrictStr, _Cap] = {}

    def __bool__(self) -> bool:
        return bool(self.genre or self.creator)


class _BalanceSection(_Section):
    diversity: _Weight = 0
    calibration: _Weight = 0


class Rules(_Section):
    """The rules of a domain."""

    never: Never = Never()
    always: Always = Always()
    caps: Caps = Caps()
    balance_: _BalanceSection = Field(_BalanceSection(), alias="balance")

    @model_validator(mode="after")
    def _check(self) -> Self:
        if both := self.never.items & self.always.items:
            raise ValueError(f"always.items: {min(both)} is in never.items too; take it out of one of them")
        if self.balance_.diversity + self.balance_.calibration > 1:
            raise ValueError("balance: diversity and calibration together are more than 1; lower one of them")
        return self

    @cached_property
    def balance(self) -> Balance:
        """How much diversity and calibration weigh in lists."""
        return Balance(self.balance_.diversity, self.balance_.calibration)

    @cached_property
    def _forbidden_genres(self) -> dict[str, str]:
        return {genre.casefold(): genre for genre in self.never.genres}

    def __bool__(self) -> bool:
        """Return whether there is any rule."""
        return self != NO_RULES

    def forbids(self, item: Mapping[str, Any], today: date) -> str | None:
        """Return the rule that forbids an item, such as `never.genres: Horror`; None if it may be recommended.

        Args:
            item: with `item_id` as the source writes it, `genres` and `is_adult`.
            today: the day on which it would be recommended.
        """
        item_id, never = str(item["item_id"]), self.never
        if item_id in never.items:
            return "never.items"
        if item_id in self.always.items:
            return None
        for genre in item["genres"] or () if never.genres else ():
            if (named := self._forbidden_genres.get(genre.casefold())) is not None:
                return f"never.genres: {named}"
        if never.adult and item["is_adult"]:
            return "never.adult"
        since = never.unavailable_since.get(item_id)
        return "never.unavailable_since" if since is not None and since <= today else None


NO_RULES = Rules()


@dataclass(frozen=True)
class CappedGroup:
    """Items of which a list may hold a few only.

    Attributes:
        name: such as `creator Hayao Miyazaki`.
        cap: largest number of them in a list.
    """

    name: str
    cap: int


def capped_groups(caps: Caps, item: Mapping[str, Any]) -> list[CappedGroup]:
    """Return the groups with a cap that an item, with `genres` and `creators`, belongs to."""
    groups = []
    for kind, limits in (("genre", caps.genre), ("creator", caps.creator)):
        folded = {name.casefold(): cap for name, cap in limits.items()}
        for name in dict.fromkeys(item[f"{kind}s"] or ()) if limits else ():
            cap = folded.get(name.casefold(), limits.get(EVERY_OTHER))
            if cap is not None:
                groups.append(CappedGroup(f"{kind} {name}", cap))
    return groups


def today() -> date:
    """Return the day by which the rules hold, in UTC."""
    return datetime.now(UTC).date()


def read_rules(path: Path) -> Rules:
    """Read the rules of a domain; none if there is no such file.

    Raises:
        RecsysError: the file cannot be read, is no YAML, or a rule is unknown or has an invalid value.
    """
    try:
        content = read_yaml(path)
    except (FileNotFoundError, NotADirectoryError):
        return NO_RULES
    except OSError as error:
        raise RecsysError(f"{path}: cannot be read ({error.strerror}); make it readable, or remove it") from None
    if content is None:
        return NO_RULES
    if not isinstance(content, dict):
        raise RecsysError(f"{path}: expected sections such as `never:` and `caps:`; see docs/how-to/rules.md")
    try:
        return Rules.model_validate(_without_empty(content))
    except ValidationError as error:
        faults = dict.fromkeys(_describe(fault) for fault in error.errors())
        raise RecsysError(f"{path}: {'; '.join(faults)}; correct it, then try again") from None


def check_names(rules: Rules, genres: Iterable[str], path: Path) -> None:
    """Raise RecsysError if a rule needs a genre that no item has: it would do nothing, silently."""
    known = {genre.casefold(): genre for genre in genres}
    if rules.balance and not known:
        raise RecsysError(f"{path}: balance: no item has genres, by which lists are balanced; remove it")
    for place, names in (("never.genres", rules.never.genres), ("caps.genre", rules.caps.genre)):
        for name in sorted(names):
            if name != EVERY_OTHER and name.casefold() not in known:
                shown = ", ".join(sorted(known.values())) or "none"
                raise RecsysError(f"{path}: {place}: no item has the genre {name!r}; known: {shown}")


def _without_empty(content: dict[Any, Any]) -> dict[Any, Any]:
    """Return the sections and rules that have a value: a line `never:` with nothing below says nothing."""
    return {
        name: _without_empty(value) if isinstance(value, dict) and name in Rules.model_fields else value
        for name, value in content.items()
        if value is not None
    }


def _describe(fault: Mapping[str, Any]) -> str:
    """Describe one fault that pydantic found."""
    place = [str(part) for part in fault["loc"]][:2]
    name = printable(".".join(place))
    if fault["type"] == "value_error" and not place:
        return printable(str(fault["msg"]).removeprefix("Value error, "))
    if fault["type"] == "extra_forbidden":
        section = _SECTIONS.get(place[0]) if len(place) > 1 else None
        known = list(section.model_fields) if section else list(_SECTIONS)
        nearest = difflib.get_close_matches(place[-1], known, n=1)
        return f"{name} is not a rule; {f'did you mean {nearest[0]}?' if nearest else 'known: ' + ', '.join(known)}"
    return f"{name}: expected {_EXPECTED.get(place[-1], 'another value')}"


_SECTIONS: dict[str, type[BaseModel]] = {"never": Never, "always": Always, "caps": Caps, "balance": _BalanceSection}
