"""Choose among items by kind, genre, year and whether they are for adults."""

from dataclasses import dataclass

from recsys_dagster.errors import UsageError


@dataclass(frozen=True)
class ItemFilter:
    """Which items a list may hold; None asks for nothing.

    Attributes:
        kind, genre: names, in any case of letters; a genre is one of an item's.
        years: first and last year of release, both included; an item whose year is unknown is left out.
        no_adult: leave out what is marked as for adults, and not what is unknown.
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
