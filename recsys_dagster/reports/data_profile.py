"""The data at a glance, read from the cleaned tables of a warehouse; only the page and the plots need it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import duckdb

GENRES_SHOWN = 20
TITLES_SHOWN = 10
WORDS_SHOWN = 70
MEAN_BIN = 0.25
"""Width of a bin of mean ratings."""

PARTICLES = frozenset({"no", "ni", "wa", "ga", "wo", "de", "to", "na", "movie", "season", "episode", "special"})
"""Words of anime titles that say as little as `the` does, beside the English ones."""


@dataclass(frozen=True)
class Profile:
    """The data at a glance; every sequence is in the order in which it is drawn, empty where nothing is known.

    Attributes:
        counts: users, titles, ratings, watches and rejected rows.
        ratings: (rating, how many).
        joint: (b, m, titles with 2^b to 2^(b+1) - 1 ratings whose mean is m to m + 1 times `MEAN_BIN`).
        kinds: (kind of title, titles), most first.
        genres: (genre, titles), most first, at most 20.
        years: (year of release, titles).
        months: (first day of the month, interactions), for those that have a time.
        per_user: (b, users that have 2^b to 2^(b+1) - 1 interactions).
        per_title: the same of titles that have any.
        most_rated, most_members, most_episodes: (title, how many), the ten with most.
        kind_members: (kind and its title with most members, how many), most first.
        words: (word of titles, titles), most first, without words that are in every language's titles.
    """

    counts: dict[str, int]
    ratings: Sequence[tuple[float, int]]
    joint: Sequence[tuple[int, int, int]]
    kinds: Sequence[tuple[str, int]]
    genres: Sequence[tuple[str, int]]
    years: Sequence[tuple[int, int]]
    months: Sequence[tuple[date, int]]
    per_user: Sequence[tuple[int, int]]
    per_title: Sequence[tuple[int, int]]
    most_rated: Sequence[tuple[str, int]]
    most_members: Sequence[tuple[str, int]]
    kind_members: Sequence[tuple[str, int]]
    most_episodes: Sequence[tuple[str, int]]
    words: Sequence[tuple[str, int]]


@dataclass(frozen=True)
class Fold:
    """What one fold holds: pairs, those of them with a rating, users, titles, and the time from the first to the last
    (None where the source has none).
    """

    name: str
    pairs: int
    rated: int
    users: int
    titles: int
    since: datetime | None
    until: datetime | None


def profile(connection: "duckdb.DuckDBPyConnection") -> Profile:
    """Read the profile of a warehouse whose `clean` tables are built."""

    def rows(query: str) -> list[tuple[Any, ...]]:
        found: list[tuple[Any, ...]] = connection.execute(query).fetchall()
        return found

    def count(table: str, what: str = "*") -> int:
        return int(rows(f"SELECT count({what}) FROM clean.{table}")[0][0])

    def most(column: str) -> list[tuple[Any, ...]]:
        return rows(
            f"""
            SELECT title, {column} FROM clean.items
            WHERE {column} IS NOT NULL ORDER BY {column} DESC, item_id LIMIT {TITLES_SHOWN}
            """
        )

    def doubling(column: str) -> list[tuple[Any, ...]]:
        return rows(
            f"""
            SELECT floor(log2(interactions))::INTEGER AS b, count(*)
            FROM (SELECT count(*) AS interactions FROM clean.interactions GROUP BY {column})
            GROUP BY b ORDER BY b
            """
        )

    return Profile(
        counts={
            "users": count("interactions", "DISTINCT user_id"),
            "items": count("items"),
            "ratings": count("ratings"),
            "interactions": count("interactions"),
            "rejected rows": count("rejected"),
        },
        ratings=rows("SELECT rating, count(*) FROM clean.ratings GROUP BY ALL ORDER BY 1"),
        joint=rows(
            f"""
            SELECT floor(log2(ratings))::INTEGER AS b, floor(mean / {MEAN_BIN})::INTEGER AS m, count(*)
            FROM (SELECT count(*) AS ratings, avg(rating) AS mean FROM clean.ratings GROUP BY item_id)
            GROUP BY b, m ORDER BY b, m
            """
        ),
        kinds=rows("SELECT kind, count(*) FROM clean.items WHERE kind IS NOT NULL GROUP BY kind ORDER BY 2 DESC, 1"),
        genres=rows(
            f"""
            SELECT genre, count(*) FROM (SELECT unnest(genres) AS genre FROM clean.items)
            GROUP BY genre ORDER BY 2 DESC, 1 LIMIT {GENRES_SHOWN}
            """
        ),
        years=rows("SELECT year, count(*) FROM clean.items WHERE year IS NOT NULL GROUP BY 1 ORDER BY 1"),
        months=rows(
            """
            SELECT date_trunc('month', watched_at)::DATE, count(*)
            FROM clean.interactions WHERE watched_at IS NOT NULL GROUP BY 1 ORDER BY 1
            """
        ),
        per_user=doubling("user_id"),
        per_title=doubling("item_id"),
        most_rated=rows(
            f"""
            SELECT title, ratings
            FROM (
                SELECT item_id, count(*) AS ratings FROM clean.ratings
                GROUP BY item_id ORDER BY ratings DESC, item_id LIMIT {TITLES_SHOWN}
            )
            INNER JOIN clean.items USING (item_id)
            ORDER BY ratings DESC, item_id
            """
        ),
        most_members=most("members"),
        kind_members=rows(
            """
            SELECT kind || ': ' || max_by(title, members), max(members) FROM clean.items
            WHERE kind IS NOT NULL AND members IS NOT NULL GROUP BY kind ORDER BY 2 DESC, 1
            """
        ),
        most_episodes=most("episodes"),
        words=_words(connection),
    )


def _words(connection: "duckdb.DuckDBPyConnection") -> list[tuple[str, int]]:
    """Return words of three Latin letters or more, by the number of titles that have them."""
    from wordcloud import STOPWORDS

    found = connection.execute(
        r"""
        SELECT word, count(*)
        FROM (
            SELECT DISTINCT
                item_id, unnest(regexp_extract_all(lower(title), '\p{Latin}[\p{Latin}'']*\p{Latin}')) AS word
            FROM (SELECT item_id, coalesce(title_english, title) AS title FROM clean.items)
        )
        WHERE length(word) > 2 AND NOT list_contains(?, word)
        GROUP BY word ORDER BY 2 DESC, 1 LIMIT ?
        """,
        [sorted(STOPWORDS | PARTICLES), WORDS_SHOWN],
    ).fetchall()
    return [(word, titles) for word, titles in found]


def folds(connection: "duckdb.DuckDBPyConnection") -> list[Fold]:
    """Read what the folds hold, in the order in which they are used, of a warehouse whose `features` are built."""
    found = connection.execute(
        """
        SELECT
            fold, count(*), count(rating), count(DISTINCT user_idx), count(DISTINCT item_idx), min("at"), max("at")
        FROM features.interactions GROUP BY fold ORDER BY list_position(['train', 'validation', 'test'], fold)
        """
    ).fetchall()
    return [Fold(*row) for row in found]
