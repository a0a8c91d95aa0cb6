"""Finding a title by its name as a person types it."""

import re
import unicodedata
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from difflib import get_close_matches

from recsys_dagster.errors import UsageError

NEAR = 5
"""Items that are proposed for an unknown name."""
ALIKE = 10
"""Items of one name that are listed."""

_ARTICLES = {
    *("the", "a", "an", "la", "le", "les", "l'", "el", "los", "las", "il", "lo", "gli"),
    *("der", "die", "das", "ein", "eine", "un", "une", "una", "den", "det"),
}
_LEADING_ARTICLE = re.compile(r"^(the|an?) (?=.)", re.IGNORECASE)
_PARENTHESES = re.compile(r"\s*\(([^()]*)\)")
_ALIAS = re.compile(r"a\.?k\.?a\.? ", re.IGNORECASE)
_DATED = re.compile(r"(.+?)\s*\(([0-9]{4})\)")
_NUMBERED = re.compile(r".*#([0-9]+)")
_ACCENTS = dict.fromkeys(range(0x300, 0x370))
_SPELT = str.maketrans({"&": " and ", "×": "x"})


@dataclass(frozen=True)
class NamedItem:
    """A title and what tells it from others of its name; what the source does not know is None."""

    item_id: int
    title: str
    title_english: str | None
    kind: str | None
    year: int | None

    @property
    def label(self) -> str:
        """The title with its year, or else its kind, on one line."""
        known = self.year or self.kind
        name = "".join(character for character in self.title if character.isprintable())
        return f"{name} ({known})" if known else name


class ItemFinder:
    """Names → titles, tolerant of case, accents, punctuation and the place of an article.

    A name is compared with all titles as they are written; if there is none of that name, without regard to case; then
    without regard to accents, punctuation and whether it is "The X" or "X, The"; at last without its article, and with
    what stands outside and inside of parentheses, as in "Seven (a.k.a. Se7en)". So "Gintama" finds that and not
    "Gintama'". At each step a title comes before an English title.

    A year in parentheses after a name, "Emma (1996)", chooses among titles of one name, and "#<id>", with or without a
    name before it, is the title of that id.
    """

    def __init__(self, titles: Iterable[NamedItem]) -> None:
        self._titles = {title.item_id: title for title in titles}
        self._indices: dict[object, dict[str, list[NamedItem]]] = {}

    def find(self, name: str) -> NamedItem:
        """Return the title of that name.

        Raises:
            UsageError: no title has that name, or several have; the message lists the near ones.
        """
        name = name.strip()
        found = self._named(name)
        if not found and (dated := _DATED.fullmatch(name)):
            found = self._named(dated[1], int(dated[2]))
        if not found and (numbered := _NUMBERED.fullmatch(name)) and int(numbered[1]) in self._titles:
            found = [self._titles[int(numbered[1])]]
        if len(found) == 1:
            return found[0]
        if found:
            listed = ", ".join(f"{title.label} #{title.item_id}" for title in found[:ALIKE])
            more = f" and {len(found) - ALIKE} more" if len(found) > ALIKE else ""
            raise UsageError(f"{name!r} is the name of several titles; write it as here: {listed}{more}")
        near = ", ".join(title.label for title in self.near(name))
        raise UsageError(f"unknown title {name!r}; " + (f"near it: {near}" if near else "no name resembles it"))

    def near(self, name: str) -> list[NamedItem]:
        """Return up to five titles whose names have this one inside or resemble it, the nearest first."""
        key = _parts(name)[0]
        names = self._index(_parts, english=True) | self._index(_parts, english=False)
        containing = sorted((other for other in names if len(key) > 2 and key in other), key=len)
        keys = containing[:NEAR] if len(containing) >= NEAR else containing + get_close_matches(key, names, n=NEAR)
        found = {title.item_id: title for other in keys for title in names[other]}
        return list(found.values())[:NEAR]

    def _named(self, name: str, year: int | None = None) -> list[NamedItem]:
        """Return the titles of that name, and of that year if one is given, at the first step that has any."""
        for keys in (_written, _caseless, _tolerant, _parts):
            key = keys(name)[0]
            for english in (False, True):
                named = self._index(keys, english=english).get(key, [])
                found = [title for title in named if year in (None, title.year)]
                if found:
                    return found
        return []

    def _index(self, keys: Callable[[str], list[str]], *, english: bool) -> dict[str, list[NamedItem]]:
        """Return the titles by each key of their name, or of their English name."""
        if (keys, english) not in self._indices:
            index: dict[str, list[NamedItem]] = {}
            for title in self._titles.values():
                name = title.title_english if english else title.title
                for key in dict.fromkeys(keys(name) if name else ()):
                    index.setdefault(key, []).append(title)
            self._indices[keys, english] = index
        return self._indices[keys, english]


def tolerant(name: str) -> str:
    """Return the letters and digits of a name, or all of it if it has none, "X, The" read as "The X".

    Latin accents go, marks of other scripts stay: they tell か from が.
    """
    spelt = unicodedata.normalize("NFKD", name.strip()).translate(_ACCENTS).casefold().translate(_SPELT)
    letters = filter(str.isalnum, unicodedata.normalize("NFC", _upright(spelt)))
    return "".join(letters) or _caseless(name)[0]


def _written(name: str) -> list[str]:
    return [name]


def _caseless(name: str) -> list[str]:
    return [" ".join(unicodedata.normalize("NFKC", name).casefold().split())]


def _tolerant(name: str) -> list[str]:
    return [tolerant(name)]


def _parts(name: str) -> list[str]:
    """Return keys without article: of the whole name, then of its parts outside and inside of parentheses."""
    parts = [name, _PARENTHESES.sub("", name), *(_ALIAS.sub("", inside) for inside in _PARENTHESES.findall(name))]
    named = (_upright(part.strip()) for part in parts if part.strip() and not part.isdigit())
    return [tolerant(_LEADING_ARTICLE.sub("", part, count=1)) for part in named] or [tolerant(name)]


def _upright(name: str) -> str:
    """Return "The X" for "X, The", and any other name as it is."""
    rest, _, article = name.rpartition(", ")
    return f"{article} {rest}" if rest and article.casefold() in _ARTICLES else name
