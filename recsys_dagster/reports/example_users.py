"""The five people of the page: what the models know of them, in words."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import duckdb
    import numpy as np
    from numpy.typing import NDArray

    from recsys_dagster.evaluation.example_lists import Example, ListedItem

HISTORY_SHOWN = 20
GENRES_OF_A_TITLE = 3
GENRES_SHOWN = 10


@dataclass(frozen=True)
class ShownItem:
    """A title as the page names it; None is not known."""

    title: str
    title_english: str | None
    kind: str | None
    year: int | None
    genres: tuple[str, ...]


@dataclass(frozen=True)
class Watched:
    """A title that somebody knows; `rating` is None where it was watched without one."""

    title: ShownItem
    rating: float | None
    at: datetime | None


@dataclass(frozen=True)
class Person:
    """One of the people.

    Attributes:
        name: `light`, `average`, `heavy`, `niche` or `new`.
        user_id: as in the source.
        known: number of titles that the models know them to have.
        liked_later: number of titles that they like and that the models were not told of.
        timed: whether the history is the last by time; else it is what they rated highest.
        history: twenty of the known titles.
        genres: (genre, titles) over all known titles, of each the first three, most first.
    """

    name: str
    user_id: int
    known: int
    liked_later: int
    timed: bool
    history: Sequence[Watched]
    genres: Sequence[tuple[str, int]]


def describe_users(
    connection: "duckdb.DuckDBPyConnection",
    examples: "Sequence[Example]",
    user_ids: "NDArray[np.int64]",
    item_ids: "NDArray[np.int32]",
) -> list[Person]:
    """Return the people with their history, given the ids by index."""
    return [_describe(connection, example, int(user_ids[example.user]), item_ids) for example in examples]


def _describe(
    connection: "duckdb.DuckDBPyConnection", example: "Example", user_id: int, item_ids: "NDArray[np.int32]"
) -> Person:
    known = item_ids[example.known.items].tolist()
    rows = connection.execute(
        """
        SELECT
            titles.title, titles.title_english, titles.kind, titles.year, coalesce(titles.genres, []),
            ratings.rating, watches.watched_at
        FROM clean.interactions AS watches
        INNER JOIN clean.items AS titles USING (item_id)
        LEFT JOIN clean.ratings AS ratings
            ON ratings.user_id = watches.user_id AND ratings.item_id = watches.item_id
        WHERE watches.user_id = $user AND list_contains($known, watches.item_id)
        ORDER BY watches.watched_at DESC NULLS LAST, ratings.rating DESC NULLS LAST, watches.item_id
        """,
        {"user": user_id, "known": known},
    ).fetchall()
    history = [Watched(_shown(*row[:5]), row[5], row[6]) for row in rows]
    counts: dict[str, int] = {}
    for watched in history:
        for genre in watched.title.genres[:GENRES_OF_A_TITLE]:
            counts[genre] = counts.get(genre, 0) + 1
    most = sorted(counts.items(), key=lambda count: (-count[1], count[0]))
    return Person(
        name=example.name,
        user_id=user_id,
        known=len(known),
        liked_later=len(example.liked),
        timed=any(watched.at is not None for watched in history),
        history=history[:HISTORY_SHOWN],
        genres=most[:GENRES_SHOWN],
    )


def name_titles(
    connection: "duckdb.DuckDBPyConnection", lists: "Mapping[str, Sequence[ListedItem]]"
) -> dict[int, ShownItem]:
    """Return, by id, the titles that are on any of the lists."""
    wanted = sorted({listed.item_id for one in lists.values() for listed in one})
    rows: list[tuple[Any, ...]] = connection.execute(
        """
        SELECT item_id, title, title_english, kind, year, coalesce(genres, [])
        FROM clean.items WHERE list_contains(?, item_id)
        """,
        [wanted],
    ).fetchall()
    return {row[0]: _shown(*row[1:]) for row in rows}


def _shown(title: str, title_english: str | None, kind: str | None, year: int | None, genres: list[str]) -> ShownItem:
    return ShownItem(title, title_english, kind, year, tuple(genres))
