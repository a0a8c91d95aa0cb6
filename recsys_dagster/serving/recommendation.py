"""One item of a recommendation list, as readers of the published file get it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

Id = int | str
"""Id of a user or item, as the source writes it."""


@dataclass(frozen=True)
class Reason:
    """An item of a user that another item is recommended for.

    Attributes:
        item_id: id in the source.
        title: the title, or `#<id>` if the item has none.
    """

    item_id: Id
    title: str


@dataclass(frozen=True)
class Recommendation:
    """One item of a list; None is unknown.

    Attributes:
        rank: place in the list, from 1.
        item_id: id in the source.
        title: the title, or `#<id>` if the item has none.
        title_english, kind, year, genres: of the item.
        score: score of the model; comparable within one list only.
        rating: predicted rating on the scale of the domain; None where no rating model was fitted.
        rating_low, rating_high: prediction interval of that rating; None where the model has none.
        probability: probability that the user likes the item, where the list is by a like model.
        similarity: of the item to the user's history, from 0 to 1, where the list is by a content model.
        because: items of the user that it is recommended for, the most important first; none where it cannot say.
        episodes, members, site_score, synopsis, creators, language, image_url, page_url,
            is_adult: of the item.
    """

    rank: int
    item_id: Id
    title: str
    title_english: str | None
    kind: str | None
    year: int | None
    genres: tuple[str, ...]
    score: float
    rating: float | None = None
    rating_low: float | None = None
    rating_high: float | None = None
    probability: float | None = None
    similarity: float | None = None
    because: tuple[Reason, ...] = ()
    episodes: int | None = None
    members: int | None = None
    site_score: float | None = None
    synopsis: str | None = None
    creators: tuple[str, ...] = ()
    language: str | None = None
    image_url: str | None = None
    page_url: str | None = None
    is_adult: bool | None = None


def format_score(score: float) -> str:
    """Return a score as text, on any scale.

    >>> format_score(0.0123), format_score(4.5678), format_score(67310)
    ('0.0123', '4.568', '67,310')
    """
    return f"{score:,.0f}" if abs(score) >= 1000 else f"{score:.4g}"


def recommendation(row: dict[str, Any], because: Sequence[Reason] = ()) -> Recommendation:
    """Return a row of the published file as a recommendation; unknown lists are empty."""
    lists = {name: tuple(row[name] or ()) for name in ("genres", "creators")}
    return Recommendation(**row | lists, because=tuple(because))
