"""Describe the example users of the page: their history, and the items that are recommended to them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from recsys_dagster.serving.item_names import name_sql

if TYPE_CHECKING:
    import duckdb
    import numpy as np
    from numpy.typing import NDArray

    from recsys_dagster.evaluation.example_lists import Example, ListedItem

HISTORY_SHOWN = 20
GENRES_PER_ITEM = 3
GENRES_SHOWN = 10

DESCRIPTIONS = {
    "light": "has fewer titles than 95 % of the users",
    "average": "has as many titles as the median user",
    "heavy": "has more titles than 95 % of the users",
    "niche": "is neither light nor heavy, and has the least popular titles",
    "new": "is treated as a new user: a model gets only the five titles that this user rated highest",
}
WITHOUT_RATINGS = {"new": "is treated as a new user: a model gets only five titles, those of the largest weights"}
"""The descriptions that differ where there are no ratings."""
"""What makes each example user an example, by name."""


@dataclass(frozen=True)
class ItemSummary:
    """An item as the page names it, by `#<id>` if it has no title; None is unknown."""

    title: str
    title_english: str | None
    kind: str | None
    year: int | None
    genres: tuple[str, ...]


@dataclass(frozen=True)
class HistoryEntry:
    """An item of a user's history; `rating` is None if the user did not rate it, `at` if the time is unknown."""

    item: ItemSummary
    rating: float | None
    at: datetime | None


@dataclass(frozen=True)
class ExampleUser:
    """One example user.

    Attributes:
        name: `light`, `average`, `heavy`, `niche` or `new`.
        user_id: the user's id in the source, or the pseudonym of a name.
        known: number of items that the models know of.
        has_times: whether the history holds the latest items; otherwise it holds those with the highest ratings.
        history: twenty of the known items.
        genres: (genre, number of known items), most frequent first; of each item, the first three genres count.
    """

    name: str
    user_id: int | str
    known: int
    has_times: bool
    history: Sequence[HistoryEntry]
    genres: Sequence[tuple[str, int]]


def describe_users(
    connection: "duckdb.DuckDBPyConnection",
    examples: "Sequence[Example]",
    user_ids: "NDArray[np.int64]",
    item_ids: "NDArray[np.int64]",
) -> list[ExampleUser]:
    """Return the example users with their history.

    Args:
        connection: to a warehouse whose `clean` tables exist.
        examples: the chosen users, in index space.
        user_ids: (n_users,) id of each user index.
        item_ids: (n_items,) id of each item index.
    """
    return [_describe(connection, example, int(user_ids[example.user]), item_ids) for example in examples]


def _describe(
    connection: "duckdb.DuckDBPyConnection", example: "Example", user_id: int, item_ids: "NDArray[np.int64]"
) -> ExampleUser:
    known = item_ids[example.history.items].tolist()
    rows = connection.execute(
        f"""
        SELECT
            {name_sql()}, items.title_english, items.kind, items.year, coalesce(items.genres, []),
            ratings.rating, interactions."at"
        FROM clean.interactions
        INNER JOIN clean.items USING (item_id)
        LEFT JOIN clean.ratings
            ON ratings.user_id = interactions.user_id AND ratings.item_id = interactions.item_id
        WHERE interactions.user_id = $user AND list_contains($known, interactions.item_id)
        ORDER BY interactions."at" DESC NULLS LAST, ratings.rating DESC NULLS LAST, interactions.item_id
        """,
        {"user": user_id, "known": known},
    ).fetchall()
    names = connection.execute("SELECT source_id FROM clean.users WHERE user_id = ?", [user_id]).fetchall()
    history = [HistoryEntry(_summary(*row[:5]), row[5], row[6]) for row in rows]
    counts: dict[str, int] = {}
    for entry in history:
        for genre in entry.item.genres[:GENRES_PER_ITEM]:
            counts[genre] = counts.get(genre, 0) + 1
    most_frequent = sorted(counts.items(), key=lambda count: (-count[1], count[0]))
    return ExampleUser(
        name=example.name,
        user_id=names[0][0] if names else user_id,
        known=len(known),
        has_times=any(entry.at is not None for entry in history),
        history=history[:HISTORY_SHOWN],
        genres=most_frequent[:GENRES_SHOWN],
    )


def read_listed_items(
    connection: "duckdb.DuckDBPyConnection", lists: "Mapping[str, Sequence[ListedItem]]"
) -> dict[int, ItemSummary]:
    """Return, by id, the items that are on any of the lists, which are given by model."""
    item_ids = sorted({listed.item_id for one in lists.values() for listed in one})
    rows: list[tuple[Any, ...]] = connection.execute(
        f"""
        SELECT item_id, {name_sql()}, title_english, kind, year, coalesce(genres, [])
        FROM clean.items WHERE list_contains(?, item_id)
        """,
        [item_ids],
    ).fetchall()
    return {row[0]: _summary(*row[1:]) for row in rows}


def _summary(
    title: str, title_english: str | None, kind: str | None, year: int | None, genres: list[str]
) -> ItemSummary:
    return ItemSummary(title, title_english, kind, year, tuple(genres))
