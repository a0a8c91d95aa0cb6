"""Choose among items by kind, genre, year and whether they are for adults."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from recsys_dagster.errors import UsageError


@dataclass(frozen=True)
class ItemFilter:
    """Which items a list may hold; None asks for nothing.

    Attributes:
        kind, genre: names, in any case of letters.
        years: first and last year of release, both included.
        no_adult: leave out what is marked as for adults.
    """

    kind: str | None = None
    genre: str | None = None
    years: tuple[int, int] | None = None
    no_adult: bool = False

    def __bool__(self) -> bool:
        """Return whether anything is asked for."""
        return self != ItemFilter()

    def __str__(self) -> str:
        """Return the filter in words, such as `Movie, Drama, 1990–1999`."""
        parts = [self.kind, self.genre]
        if self.years is not None:
            first, last = self.years
            parts.append(str(first) if first == last else f"{first}–{last}")
        parts.append("not adult" if self.no_adult else None)
        return ", ".join(part for part in parts if part)

    def matches(self, item: Mapping[str, Any]) -> bool:
        """Return whether an item with the columns `kind`, `genres`, `year` and `is_adult` may be listed."""
        year = item["year"]
        return (
            (self.kind is None or _same(item["kind"], self.kind))
            and (self.genre is None or any(_same(genre, self.genre) for genre in item["genres"] or ()))
            and (self.years is None or (year is not None and self.years[0] <= year <= self.years[1]))
            and not (self.no_adult and item["is_adult"])
        )


EVERYTHING = ItemFilter()


def parse_years(text: str) -> tuple[int, int]:
    """Return the first and last year of `1995` or `1990-1999`.

    >>> parse_years("1995"), parse_years("1990-1999")
    ((1995, 1995), (1990, 1999))
    """
    first, dash, last = text.partition("-")
    try:
        years = int(first), int(last if dash else first)
    except ValueError:
        raise UsageError(f"'--year' {text!r}: expected a year, such as 1995, or 1990-1999") from None
    if years[0] > years[1]:
        raise UsageError(f"'--year' {text!r}: the first year is after the last")
    return years


def _same(name: str | None, wanted: str) -> bool:
    return name is not None and name.casefold() == wanted.casefold()
