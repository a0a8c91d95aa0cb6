"""Compute the summary of the data that the page and the plots show, from the clean tables."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from recsys_dagster.quality.reference import COUNTED
from recsys_dagster.serving.item_names import name_sql

if TYPE_CHECKING:
    import duckdb

GENRES_SHOWN = 20
ITEMS_SHOWN = 10
OF_A_KIND = 3
"""Titles of each kind in the table of those with the most members."""
DAMPING = 10
"""Average ratings that are added to those of each title, so that a single high rating is not a high mean."""
WORDS_SHOWN = 70
MEAN_BIN = 0.25
"""Width of the bins of mean ratings."""

PARTICLES = frozenset({"no", "ni", "wa", "ga", "wo", "de", "to", "na", "movie", "season", "episode", "special"})
"""Stop words of anime titles, in addition to the English ones."""


@dataclass(frozen=True)
class Profile:
    """Summary of the data. Sequences are in plotting order and empty if the source has no such data.

    Attributes:
        counts: number of users, titles, ratings (if there are any), interactions and rejected rows, by label.
        ratings: (rating, count), in rising order.
        joint: (b, m, n): n items have 2^b to 2^(b+1) - 1 ratings with a mean from m to m + 1 times `MEAN_BIN`.
        kinds: (kind, number of items), most frequent first.
        genres: (genre, number of items), most frequent first, at most 20.
        years: (year of release, number of items).
        months: (first day of the month, number of interactions), of the interactions that have a time.
        per_user: (b, n): n users have 2^b to 2^(b+1) - 1 interactions.
        per_item: the same for items that have any interactions.
        most_rated, most_members, most_episodes: (name, count) of the ten items with the highest counts; without ratings
            `most_rated` counts interactions.
        kind_members: (kind and the name of its item with the most members, count), highest first.
        best_rated: (name, mean rating, damped by `DAMPING` average ratings) of the ten items with the highest.
        words: (word, number of titles that contain it), most frequent first, without stop words.
        top_members: the titles with the most members, overall and of each kind.
    """

    counts: dict[str, int]
    ratings: Sequence[tuple[float, int]]
    joint: Sequence[tuple[int, int, int]]
    kinds: Sequence[tuple[str, int]]
    genres: Sequence[tuple[str, int]]
    years: Sequence[tuple[int, int]]
    months: Sequence[tuple[date, int]]
    per_user: Sequence[tuple[int, int]]
    per_item: Sequence[tuple[int, int]]
    most_rated: Sequence[tuple[str, int]]
    most_members: Sequence[tuple[str, int]]
    kind_members: Sequence[tuple[str, int]]
    most_episodes: Sequence[tuple[str, int]]
    best_rated: Sequence[tuple[str, float]]
    words: Sequence[tuple[str, int]]
    top_members: "Sequence[TopTitle]" = ()


class TopTitle(NamedTuple):
    """A title with many members.

    Attributes:
        among: `all kinds`, or the kind that it is the first of.
        title, title_english, kind, genres, site_score, episodes, synopsis: of the title; None is unknown.
        members: how many people have it on their list.
    """

    among: str
    title: str
    title_english: str | None
    kind: str | None
    genres: list[str]
    site_score: float | None
    episodes: int | None
    members: int
    synopsis: str | None


@dataclass(frozen=True)
class Fold:
    """Contents of one fold.

    Attributes:
        name: `train`, `validation` or `test`.
        pairs, rated: number of pairs, and of pairs that have a rating.
        users, items: number of distinct users and items.
        since, until: first and last time; None if the source has no times.
    """

    name: str
    pairs: int
    rated: int
    users: int
    items: int
    since: datetime | None
    until: datetime | None


def _highest(column: str) -> str:
    """Return the query for the names of the items with the highest values of a column."""
    return f"""
    SELECT {name_sql()}, {column} FROM clean.items
    WHERE {column} IS NOT NULL ORDER BY {column} DESC, item_id LIMIT {ITEMS_SHOWN}
    """


def _activity(column: str) -> str:
    """Return the query for the distribution of the number of interactions per user or item."""
    return f"""
    SELECT floor(log2(interactions))::INTEGER AS b, count(*)
    FROM (SELECT count(*) AS interactions FROM clean.interactions GROUP BY {column})
    GROUP BY b ORDER BY b
    """


_COUNTS = {
    "users": "SELECT count(DISTINCT user_id) FROM clean.interactions",
    "items": "SELECT count(*) FROM clean.items",
    "ratings": "SELECT count(*) FROM clean.ratings",
    "interactions": "SELECT count(*) FROM clean.interactions",
    "rejected rows": "SELECT count(*) FROM clean.rejected",
}
_QUERIES = {
    "ratings": "SELECT rating, count(*) FROM clean.ratings GROUP BY ALL ORDER BY 1",
    "joint": f"""
        SELECT floor(log2(ratings))::INTEGER AS b, floor(mean / {MEAN_BIN})::INTEGER AS m, count(*)
        FROM (SELECT count(*) AS ratings, avg(rating) AS mean FROM clean.ratings GROUP BY item_id)
        GROUP BY b, m ORDER BY b, m
        """,
    "kinds": "SELECT kind, count(*) FROM clean.items WHERE kind IS NOT NULL GROUP BY kind ORDER BY 2 DESC, 1",
    "genres": f"""
        SELECT genre, count(*) FROM (SELECT unnest(genres) AS genre FROM clean.items)
        GROUP BY genre ORDER BY 2 DESC, 1 LIMIT {GENRES_SHOWN}
        """,
    "years": "SELECT year, count(*) FROM clean.items WHERE year IS NOT NULL GROUP BY 1 ORDER BY 1",
    "months": """
        SELECT date_trunc('month', "at")::DATE, count(*)
        FROM clean.interactions WHERE "at" IS NOT NULL GROUP BY 1 ORDER BY 1
        """,
    "per_user": _activity("user_id"),
    "per_item": _activity("item_id"),
    "most_rated": f"""
        SELECT {name_sql()}, ratings
        FROM (
            SELECT item_id, count(*) AS ratings FROM ({COUNTED})
            GROUP BY item_id ORDER BY ratings DESC, item_id LIMIT {ITEMS_SHOWN}
        )
        INNER JOIN clean.items USING (item_id)
        ORDER BY ratings DESC, item_id
        """,
    "most_members": _highest("members"),
    "kind_members": f"""
        SELECT kind || ': ' || max_by({name_sql()}, members), max(members) FROM clean.items
        WHERE kind IS NOT NULL AND members IS NOT NULL GROUP BY kind ORDER BY 2 DESC, 1
        """,
    "most_episodes": _highest("episodes"),
    "best_rated": f"""
        SELECT {name_sql()}, round((total + {DAMPING} * mean) / (ratings + {DAMPING}), 2) AS damped
        FROM (
            SELECT item_id, sum(rating) AS total, count(*) AS ratings FROM clean.ratings GROUP BY item_id
        )
        CROSS JOIN (SELECT avg(rating) AS mean FROM clean.ratings)
        INNER JOIN clean.items USING (item_id)
        ORDER BY damped DESC, item_id LIMIT {ITEMS_SHOWN}
        """,
}
"""The query of each field of `Profile` that is one."""


COLUMNS: dict[str, tuple[str, ...]] = {
    "ratings": ("rating", "ratings"),
    "joint": ("log2_ratings", "mean_bin", "titles"),
    "kinds": ("kind", "titles"),
    "genres": ("genre", "titles"),
    "years": ("year", "titles"),
    "months": ("month", "interactions"),
    "per_user": ("log2_interactions", "users"),
    "per_item": ("log2_interactions", "titles"),
    "most_rated": ("title", "ratings"),
    "most_members": ("title", "members"),
    "kind_members": ("title", "members"),
    "most_episodes": ("title", "episodes"),
    "best_rated": ("title", "mean_rating"),
    "words": ("word", "titles"),
}
"""The columns of each field of `Profile` that a figure shows."""

_TOP_MEMBERS = f"""
    SELECT among, {name_sql("listed")}, title_english, kind, coalesce(genres, []), site_score, episodes, members,
        synopsis
    FROM (
        SELECT *, 'all kinds' AS among, row_number() OVER (ORDER BY members DESC, item_id) AS place
        FROM clean.items WHERE members IS NOT NULL
        UNION ALL BY NAME
        SELECT *, kind AS among, row_number() OVER (PARTITION BY kind ORDER BY members DESC, item_id) AS place
        FROM clean.items WHERE members IS NOT NULL AND kind IS NOT NULL
    ) AS listed
    WHERE place <= CASE WHEN among = 'all kinds' THEN {ITEMS_SHOWN} ELSE {OF_A_KIND} END
    ORDER BY among <> 'all kinds', among, place
"""


def read_exploration(connection: "duckdb.DuckDBPyConnection", name: str) -> list[Any]:
    """Return the rows of a field of `Profile` that a figure shows, with the columns that `COLUMNS` names."""
    return _words(connection) if name == "words" else connection.execute(_QUERIES[name]).fetchall()


def read_profile(connection: "duckdb.DuckDBPyConnection") -> Profile:
    """Return the profile of a warehouse whose `clean` tables exist."""

    def rows(query: str) -> list[Any]:
        return connection.execute(query).fetchall()

    counts = {label: rows(query)[0][0] for label, query in _COUNTS.items()}
    return Profile(
        counts={label: n for label, n in counts.items() if n or label != "ratings"},
        top_members=[TopTitle(*row) for row in rows(_TOP_MEMBERS)],
        **{field: read_exploration(connection, field) for field in COLUMNS},
    )


def _words(connection: "duckdb.DuckDBPyConnection") -> list[tuple[str, int]]:
    """Return words of at least three Latin letters with the number of titles that contain them."""
    from wordcloud import STOPWORDS

    rows = connection.execute(
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
    return [(word, count) for word, count in rows]


def read_folds(connection: "duckdb.DuckDBPyConnection") -> list[Fold]:
    """Return the contents of train, validation and test of a warehouse whose `features` tables exist."""
    rows = connection.execute(
        """
        SELECT
            fold, count(*), count(rating), count(DISTINCT user_idx), count(DISTINCT item_idx), min("at"), max("at")
        FROM features.interactions GROUP BY fold ORDER BY list_position(['train', 'validation', 'test'], fold)
        """
    ).fetchall()
    return [Fold(*row) for row in rows]
