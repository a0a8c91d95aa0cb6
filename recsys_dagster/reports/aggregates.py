"""The aggregates that the page shows and nothing else needs, read from the cleaned tables of a warehouse."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import duckdb

    from recsys_dagster.serving import Recommendation

GENRES_SHOWN = 20
RATED_SHOWN = 10


@dataclass(frozen=True)
class Profile:
    """The data at a glance; every sequence is in the order in which it is drawn, empty where nothing is known.

    Attributes:
        counts: users, titles, ratings, watches and rejected rows.
        ratings: (rating, how many).
        kinds: (kind of title, titles), most first.
        genres: (genre, titles), most first, at most 20.
        years: (year of release, titles).
        months: (first day of the month, interactions), for those that have a time.
        per_user: (b, users that have 2^b to 2^(b+1) - 1 interactions).
        per_title: the same of titles that have any.
    """

    counts: dict[str, int]
    ratings: Sequence[tuple[float, int]]
    kinds: Sequence[tuple[str, int]]
    genres: Sequence[tuple[str, int]]
    years: Sequence[tuple[int, int]]
    months: Sequence[tuple[date, int]]
    per_user: Sequence[tuple[int, int]]
    per_title: Sequence[tuple[int, int]]


@dataclass(frozen=True)
class Rated:
    """A title that somebody knows; `rating` is None where it was watched without a rating."""

    title: str
    year: int | None
    genres: tuple[str, ...]
    rating: float | None


@dataclass(frozen=True)
class Reader:
    """One user of the page: what they know, and what they are recommended.

    Attributes:
        user_id: as in the source.
        interactions: how many titles they have.
        genres: (genre, titles of the whole history), the five most frequent.
        history: the titles they rated highest, newest first among equals.
        recommended: the head of their published list.
    """

    user_id: int
    interactions: int
    genres: Sequence[tuple[str, int]]
    history: Sequence[Rated]
    recommended: "Sequence[Recommendation]"


def profile(connection: "duckdb.DuckDBPyConnection") -> Profile:
    """Read the profile of a warehouse whose `clean` tables are built."""

    def rows(query: str) -> list[tuple[Any, ...]]:
        found: list[tuple[Any, ...]] = connection.execute(query).fetchall()
        return found

    def doubling(column: str) -> list[tuple[int, int]]:
        return [
            (int(b), n)
            for b, n in rows(
                f"""
                SELECT floor(log2(interactions)) AS b, count(*)
                FROM (SELECT count(*) AS interactions FROM clean.watches GROUP BY {column})
                GROUP BY b ORDER BY b
                """
            )
        ]

    def count(table: str, what: str = "*") -> int:
        return int(rows(f"SELECT count({what}) FROM clean.{table}")[0][0])

    return Profile(
        counts={
            "users": count("watches", "DISTINCT user_id"),
            "titles": count("titles"),
            "ratings": count("ratings"),
            "interactions": count("watches"),
            "rejected rows": count("rejected"),
        },
        ratings=[(float(r), n) for r, n in rows("SELECT rating, count(*) FROM clean.ratings GROUP BY ALL ORDER BY 1")],
        kinds=[
            (kind, n)
            for kind, n in rows(
                "SELECT kind, count(*) FROM clean.titles WHERE kind IS NOT NULL GROUP BY kind ORDER BY 2 DESC, 1"
            )
        ],
        genres=[
            (genre, n)
            for genre, n in rows(
                f"""
                SELECT genre, count(*) FROM (SELECT unnest(genres) AS genre FROM clean.titles)
                GROUP BY genre ORDER BY 2 DESC, 1 LIMIT {GENRES_SHOWN}
                """
            )
        ],
        years=[
            (year, n)
            for year, n in rows("SELECT year, count(*) FROM clean.titles WHERE year IS NOT NULL GROUP BY 1 ORDER BY 1")
        ],
        months=[
            (month, n)
            for month, n in rows(
                """
                SELECT date_trunc('month', watched_at)::DATE, count(*)
                FROM clean.watches WHERE watched_at IS NOT NULL GROUP BY 1 ORDER BY 1
                """
            )
        ],
        per_user=doubling("user_id"),
        per_title=doubling("item_id"),
    )


def pick_readers(
    connection: "duckdb.DuckDBPyConnection", recommended: "Callable[[int], Sequence[Recommendation]]", n: int = 10
) -> list[Reader]:
    """Return n users from the lightest to the heaviest, evenly spread over the ranks of activity.

    Args:
        connection: a warehouse whose `clean` tables are built.
        recommended: gives the list to be shown of a user id.
        n: how many; fewer where there are fewer users.
    """
    picked = connection.execute(
        """
        SELECT min_by(user_id, place), min_by(interactions, place)
        FROM (
            SELECT
                user_id, interactions, place,
                CASE WHEN users <= $n THEN place ELSE floor((place - 1) * ($n - 1) / (users - 1)) END AS step
            FROM (
                SELECT
                    user_id, count(*) AS interactions,
                    row_number() OVER (ORDER BY count(*), user_id) AS place, count(*) OVER () AS users
                FROM clean.watches
                GROUP BY user_id
            )
        )
        GROUP BY step
        ORDER BY step
        """,
        {"n": n},
    ).fetchall()
    return [
        Reader(
            user_id,
            interactions,
            connection.execute(
                """
                SELECT genre, count(*)
                FROM (
                    SELECT unnest(titles.genres) AS genre
                    FROM clean.watches JOIN clean.titles USING (item_id)
                    WHERE user_id = ? AND status IS DISTINCT FROM 'plan_to_watch'
                )
                GROUP BY genre ORDER BY 2 DESC, 1 LIMIT 5
                """,
                [user_id],
            ).fetchall(),
            [
                Rated(title, year, tuple(genres or ()), rating)
                for title, year, genres, rating in connection.execute(
                    f"""
                    SELECT titles.title, titles.year, titles.genres, ratings.rating
                    FROM clean.watches AS watches
                    JOIN clean.titles AS titles USING (item_id)
                    LEFT JOIN clean.ratings AS ratings
                        ON ratings.user_id = watches.user_id AND ratings.item_id = watches.item_id
                    WHERE watches.user_id = ? AND watches.status IS DISTINCT FROM 'plan_to_watch'
                    ORDER BY ratings.rating DESC NULLS LAST, watches.watched_at DESC NULLS LAST, watches.item_id
                    LIMIT {RATED_SHOWN}
                    """,
                    [user_id],
                ).fetchall()
            ],
            recommended(user_id),
        )
        for user_id, interactions in picked
    ]
