"""Find an item by its name as a user types it."""

import re
import unicodedata
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from difflib import get_close_matches

from recsys_dagster.errors import UsageError
from recsys_dagster.runtime.text import printable

SUGGESTIONS = 5
"""Number of items that are suggested for an unknown name."""
NAMESAKES_LISTED = 10
"""Number of items that are listed if several have the same name."""

_ARTICLES = {
    *("the", "a", "an", "la", "le", "les", "l'", "el", "los", "las", "il", "lo", "gli"),
    *("der", "die", "das", "ein", "eine", "un", "une", "una", "den", "det"),
}
_LEADING_ARTICLE = re.compile(r"^(the|an?) (?=.)", re.IGNORECASE)
_PARENTHESES = re.compile(r"\s*\(([^()]*)\)")
_ALIAS = re.compile(r"a\.?k\.?a\.? ", re.IGNORECASE)
_WITH_YEAR = re.compile(r"(.+?)\s*\(([0-9]{4})\)")
_ACCENTS = dict.fromkeys(range(0x300, 0x370))
_SPELLINGS = str.maketrans({"&": " and ", "×": "x"})


@dataclass(frozen=True)
class NamedItem:
    """An item with its names and what distinguishes it from others of the same name; None is unknown.

    Attributes:
        item_id: its id in the source.
        title: its title, or `#<id>` if it has none.
        title_english: its English title.
        kind: TV, Movie, …
        year: year of release.
    """

    item_id: int | str
    title: str
    title_english: str | None
    kind: str | None
    year: int | None

    @property
    def label(self) -> str:
        """The title with the year, or else the kind, on one line."""
        known = self.year or self.kind
        return f"{printable(self.title)} ({known})" if known else printable(self.title)

    @property
    def label_with_id(self) -> str:
        """The label with the id, as `ItemFinder.find` understands it."""
        return self.label if self.title == f"#{self.item_id}" else f"{self.label} #{self.item_id}"


class ItemFinder:
    """Find items by name, tolerant of case, accents, punctuation and the position of an article.

    A name is compared with all titles in four steps: exactly; without regard to case; without regard to accents,
    punctuation and whether it is "The X" or "X, The"; without its article, and with its parts outside and inside of
    parentheses, as in "Seven (a.k.a. Se7en)". The first step that has a match decides, so that "Gintama" does not find
    "Gintama'". In each step titles take precedence over English titles.

    A year in parentheses, "Emma (1996)", chooses among items of the same name. "#<id>", with or without a name before
    it, is the item of that id.
    """

    def __init__(self, items: Iterable[NamedItem]) -> None:
        self._items = {item.item_id: item for item in items}
        self._indices: dict[tuple[Callable[[str], list[str]], bool], dict[str, list[NamedItem]]] = {}

    def find(self, name: str) -> NamedItem:
        """Return the item of that name.

        Raises:
            UsageError: no item or several items have that name; the message lists similar ones.
        """
        name = name.strip()
        matches = self._matches(name)
        if not matches and (with_year := _WITH_YEAR.fullmatch(name)):
            matches = self._matches(with_year[1], int(with_year[2]))
        if not matches and (with_id := self._with_id(name)) is not None:
            matches = [with_id]
        if len(matches) == 1:
            return matches[0]
        if matches:
            listed = ", ".join(item.label_with_id for item in matches[:NAMESAKES_LISTED])
            rest = len(matches) - NAMESAKES_LISTED
            more = f" and {rest} more" if rest > 0 else ""
            raise UsageError(f"several titles are called {name!r}; choose one of: {listed}{more}")
        similar = ", ".join(item.label for item in self.similar(name))
        raise UsageError(f"unknown title {name!r}; " + (f"similar: {similar}" if similar else "no title is similar"))

    def _with_id(self, name: str) -> NamedItem | None:
        """Return the item whose id follows a # in the name; the id may have a # itself."""
        for place in (place for place, letter in enumerate(name) if letter == "#"):
            text = name[place + 1 :]
            if text in self._items:
                return self._items[text]
            if re.fullmatch("[0-9]+", text) and int(text) in self._items:
                return self._items[int(text)]
        return None

    def similar(self, name: str) -> list[NamedItem]:
        """Return up to five items whose names contain or resemble the name, the most similar first."""
        key = _parts(name)[0]
        names = self._index(_parts, english=True) | self._index(_parts, english=False)
        containing = sorted((other for other in names if len(key) > 2 and key in other), key=len)
        keys = containing[:SUGGESTIONS]
        if len(keys) < SUGGESTIONS:
            keys += get_close_matches(key, names, n=SUGGESTIONS)
        items = {item.item_id: item for other in keys for item in names[other]}
        return list(items.values())[:SUGGESTIONS]

    def _matches(self, name: str, year: int | None = None) -> list[NamedItem]:
        """Return the items of that name, and of that year if one is given, from the first step that has any."""
        for keys in (_exact, _caseless, _normalised, _parts):
            key = keys(name)[0]
            for english in (False, True):
                items = self._index(keys, english=english).get(key, [])
                matches = [item for item in items if year in (None, item.year)]
                if matches:
                    return matches
        return []

    def _index(self, keys: Callable[[str], list[str]], *, english: bool) -> dict[str, list[NamedItem]]:
        """Return the items by each key of their title, or of their English title."""
        if (keys, english) not in self._indices:
            index: dict[str, list[NamedItem]] = {}
            for item in self._items.values():
                name = item.title_english if english else item.title
                for key in dict.fromkeys(keys(name) if name else ()):
                    index.setdefault(key, []).append(item)
            self._indices[keys, english] = index
        return self._indices[keys, english]


def normalise(name: str) -> str:
    """Return the letters and digits of a name without case and accents, with "X, The" as "The X".

    A name without letters and digits is returned as it is, without case. Only Latin accents are removed; the marks of
    other scripts stay, because they distinguish か from が.

    >>> normalise("Amélie"), normalise("Matrix, The") == normalise("The Matrix")
    ('amelie', True)
    """
    spelt = unicodedata.normalize("NFKD", name.strip()).translate(_ACCENTS).casefold().translate(_SPELLINGS)
    letters = filter(str.isalnum, unicodedata.normalize("NFC", _with_leading_article(spelt)))
    return "".join(letters) or _caseless(name)[0]


def _exact(name: str) -> list[str]:
    return [name]


def _caseless(name: str) -> list[str]:
    return [" ".join(unicodedata.normalize("NFKC", name).casefold().split())]


def _normalised(name: str) -> list[str]:
    return [normalise(name)]


def _parts(name: str) -> list[str]:
    """Return keys without article: of the whole name, then of its parts outside and inside of parentheses."""
    parts = [name, _PARENTHESES.sub("", name), *(_ALIAS.sub("", inside) for inside in _PARENTHESES.findall(name))]
    names = (_with_leading_article(part.strip()) for part in parts if part.strip() and not part.isdigit())
    return [normalise(_LEADING_ARTICLE.sub("", part, count=1)) for part in names] or [normalise(name)]


def _with_leading_article(name: str) -> str:
    """Return "The X" for "X, The", and any other name unchanged."""
    rest, _, article = name.rpartition(", ")
    return f"{article} {rest}" if rest and article.casefold() in _ARTICLES else name
