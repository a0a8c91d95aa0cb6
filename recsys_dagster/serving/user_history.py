"""Read what a user of the data has, the latest first, and how often each genre is in it."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from recsys_dagster.serving.item_names import name_sql
from recsys_dagster.serving.recommendation import Id
from recsys_dagster.warehouse.domain_run import DomainRun

GENRES_PER_ITEM = 3
"""Of each title, so many genres count, as in the figure of paper 002."""


@dataclass(frozen=True)
class HistoryEntry:
    """An interaction of a user; None is unknown.

    Attributes:
        item_id: id in the source.
        title: the title, or `#<id>` if the item has none.
        kind, year, genres: of the item.
        rating: None if the user did not rate it.
        status: such as `completed`.
        at: time in UTC.
    """

    item_id: Id
    title: str
    kind: str | None
    year: int | None
    genres: tuple[str, ...]
    rating: float | None
    status: str | None
    at: datetime | None


def read_history(run: DomainRun, user_id: Id) -> list[HistoryEntry]:
    """Return all interactions of a user, the latest first; those without a time last, the best rated first."""
    item_id = "items.source_id" if run.origin.item_ids == "text" else "items.item_id"
    user = "(SELECT user_id FROM clean.users WHERE source_id = ?)" if isinstance(user_id, str) else "?"
    with run.warehouse.connect() as connection:
        rows: list[tuple[Any, ...]] = connection.execute(
            f"""
            SELECT
                {item_id}, {name_sql()}, items.kind, items.year, coalesce(items.genres, []),
                ratings.rating, interactions.status, interactions."at"
            FROM clean.interactions
            INNER JOIN clean.items USING (item_id)
            LEFT JOIN clean.ratings
                ON ratings.user_id = interactions.user_id AND ratings.item_id = interactions.item_id
            WHERE interactions.user_id = {user}
            ORDER BY interactions."at" DESC NULLS LAST, ratings.rating DESC NULLS LAST, interactions.item_id
            """,
            [user_id],
        ).fetchall()
    return [
        HistoryEntry(item_id, title, kind, year, tuple(genres), rating, status, at)
        for item_id, title, kind, year, genres, rating, status, at in rows
    ]


def genre_counts(history: Sequence[HistoryEntry]) -> list[tuple[str, int]]:
    """Return (genre, number of titles), most frequent first; of each title its first three genres count."""
    counts = Counter(genre for entry in history for genre in entry.genres[:GENRES_PER_ITEM])
    return sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))
