"""Look up recommendations, their provenance and the leaderboard in a published file."""

import contextlib
import itertools
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Self

import duckdb

from recsys_dagster.errors import RecsysError, UsageError
from recsys_dagster.serving.database import open_database, path_without_lock, unreadable
from recsys_dagster.serving.filters import ItemFilter
from recsys_dagster.serving.item_finder import NamedItem
from recsys_dagster.serving.item_names import name_sql
from recsys_dagster.serving.provenance import Provenance
from recsys_dagster.serving.recommendation import Id, Reason, Recommendation, recommendation
from recsys_dagster.serving.rules import NO_RULES, Rules, today

if TYPE_CHECKING:
    import pyarrow as pa

    from recsys_dagster.evaluation.store import MetricRow

FORMAT_VERSION = 4
"""Version of the tables of the published file; raised when a change would mislead a reader of the earlier version."""

_BIGINT = (-(2**63), 2**63 - 1)

_ITEM_OF_LIST = f"""
lists.rank, lists.item_id, {name_sql()} AS title, items.title_english, items.kind, items.year, items.genres,
lists.score, items.episodes, items.members, items.site_score, items.synopsis, items.creators, items.language,
items.image_url, items.page_url, items.is_adult
"""


class Indices(NamedTuple):
    """Item ids by item index, and genre names by genre index."""

    item_ids: tuple[Id, ...]
    genre_names: tuple[str, ...]


class PublishedFile:
    """The published file of one domain, open for reading; a context manager.

    It shows one complete publication. A newer one that is swapped in meanwhile is seen when the file is opened again.
    """

    def __init__(self, path: Path) -> None:
        """Open the file.

        Raises:
            RecsysError: the file does not exist, is damaged, was not written by this project or by an incompatible
                version of it, or another program has it open for writing.
        """
        self.path = path
        self.domain = path.stem
        try:
            exists = path.exists()
        except OSError as error:
            raise RecsysError(f"{path}: cannot be read ({error.strerror}); check RECSYS_HOME") from error
        if not exists:
            raise RecsysError(
                f"{path}: nothing is published for {self.domain} yet; run `recsys run --domain {self.domain}` first, "
                "or set RECSYS_HOME to the folder that has it"
            )
        self._connection = open_database(path)
        try:
            self._check_format()
        except BaseException:
            self._connection.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    def provenance(self) -> Provenance:
        """Return the origin of the lists."""
        (row,) = self._rows("SELECT * FROM provenance")
        low, high = row.pop("scale_low"), row.pop("scale_high")
        # Files of earlier versions do not say what the ids are: they had whole numbers only.
        known = {name: value for name, value in row.items() if name in Provenance.__dataclass_fields__}
        return Provenance(scale=None if low is None else (low, high), **known)

    def kinds(self) -> list[str]:
        """Return the kinds of items in alphabetical order."""
        return self._column("SELECT DISTINCT kind FROM items WHERE kind IS NOT NULL ORDER BY kind")

    def indices(self) -> Indices:
        """Return the ids and names that the indices of the run's models stand for."""
        items = self._column("SELECT item_id FROM item_index ORDER BY item_idx")
        return Indices(tuple(items), tuple(self._column("SELECT genre FROM genre_index ORDER BY genre_idx")))

    def models(self) -> dict[str, str]:
        """Return the version of each evaluated model by name, the best on the validation fold first."""
        rows = self._rows(
            """
            SELECT model, version
            FROM leaderboard
            WHERE protocol = 'holdout' AND fold = 'validation' AND metric = 'ndcg' AND k = 10 AND NOT isnan(value)
            ORDER BY value DESC, model
            """
        )
        return {row["model"]: row["version"] for row in rows}

    def rating_model(self) -> str | None:
        """Return the name of the model that predicted the ratings: the lowest RMSE on validation; None if none did."""
        rows = self._rows(
            """
            SELECT model
            FROM leaderboard
            WHERE protocol = 'holdout' AND fold = 'validation' AND metric = 'rmse' AND model <> 'constant'
            ORDER BY value, model
            LIMIT 1
            """
        )
        return rows[0]["model"] if rows else None

    def metrics(self, fold: str) -> "list[MetricRow]":
        """Return the metrics of all models on a fold of the holdout protocol, by model, metric and k."""
        from recsys_dagster.evaluation.store import MetricRow

        rows = self._rows(
            """
            SELECT model, version, protocol, fold, metric, k, value, low, high, users
            FROM leaderboard
            WHERE protocol = 'holdout' AND fold = $fold
            ORDER BY model, metric, k
            """,
            {"fold": fold},
        )
        return [MetricRow(**row) for row in rows]

    def sizes(self) -> dict[str, int]:
        """Return the number of `users` and `items`."""
        (row,) = self._rows("SELECT (SELECT count(*) FROM users) AS users, (SELECT count(*) FROM items) AS items")
        return row

    def users_with_lists(self, n: int) -> list[Id]:
        """Return the n lowest ids of users who have a list."""
        rows = self._rows("SELECT DISTINCT user_id FROM recommendations ORDER BY user_id LIMIT $n", {"n": n})
        return [row["user_id"] for row in rows]

    def named_items(self) -> list[NamedItem]:
        """Return all items with their names."""
        rows = self._rows(
            f"SELECT item_id, {name_sql()} AS title, title_english, kind, year FROM items ORDER BY item_id"
        )
        return [NamedItem(**row) for row in rows]

    def items_where(self, wanted: ItemFilter) -> list[Id]:
        """Return the ids of the items that a filter lets through.

        Raises:
            UsageError: there is no item of the kind or genre; the message lists those that there are.
        """
        if wanted.kind is not None:
            self._known_kind(wanted.kind)
        if wanted.genre is not None:
            known = self._column("SELECT genre FROM genre_index ORDER BY genre_idx")
            if wanted.genre.casefold() not in {genre.casefold() for genre in known}:
                raise UsageError(f"unknown genre {wanted.genre!r} in {self.domain}; known: {', '.join(known)}")
        conditions, parameters = ["true"], dict[str, Any]()
        if wanted.kind is not None:
            conditions.append("list_contains($kinds, kind)")
            parameters["kinds"] = _named(wanted.kind, self.kinds())
        if wanted.genre is not None:
            conditions.append("list_has_any(genres, $genres)")
            parameters["genres"] = _named(wanted.genre, self._column("SELECT DISTINCT unnest(genres) FROM items"))
        if wanted.years is not None:
            conditions.append("year BETWEEN $first AND $last")
            parameters["first"], parameters["last"] = wanted.years
        if wanted.no_adult:
            conditions.append("is_adult IS DISTINCT FROM true")
        return self._column(f"SELECT item_id FROM items WHERE {' AND '.join(conditions)} ORDER BY item_id", parameters)

    def describe(
        self, item_ids: Sequence[Id], scores: Sequence[float], because: Sequence[Sequence[Id]] | None = None
    ) -> list[Recommendation]:
        """Return a list that was computed elsewhere in the form of `recommendations`.

        Args:
            item_ids: the items, best first.
            scores: score of each item.
            because: ids of the items that each item is recommended for; None: nothing is known.
        """
        rows = self._rows(
            f"""
            SELECT {_ITEM_OF_LIST}
            FROM (
                SELECT unnest($items) AS item_id, unnest($scores) AS score, unnest(range(1, len($items) + 1)) AS rank
            ) AS lists
            JOIN items ON items.item_id = lists.item_id
            ORDER BY lists.rank
            """,
            {"items": list(item_ids), "scores": list(scores)},
        )
        return self._with_reasons(rows, [because[row["rank"] - 1] if because else () for row in rows])

    def recommendations(self, user_id: Id, n: int, kind: str | None = None) -> list[Recommendation]:
        """Return the first n items of a user's list, best first; empty if the user already has every item.

        Args:
            user_id: id in the source.
            n: largest number of items; the published list may be shorter.
            kind: return items of this kind only, in any case of letters; their ranks stay those of the whole list.

        Raises:
            UsageError: the user or the kind is unknown; the message says which are known.
        """
        kind = None if kind is None else self._known_kind(kind)
        self.check_user(user_id)
        rows = self._rows(
            f"""
            SELECT {_ITEM_OF_LIST}, lists.rating, lists.rating_low, lists.rating_high, lists.because
            FROM recommendations AS lists
            JOIN items ON items.item_id = lists.item_id
            WHERE lists.user_id = $user_id
            ORDER BY lists.rank
            """,
            {"user_id": user_id},
        )
        if kind is not None:
            rows = [row for row in rows if row["kind"] == kind]
        return self._with_reasons(rows[:n], [row.pop("because") or () for row in rows[:n]])

    def _with_reasons(self, rows: list[dict[str, Any]], because: Sequence[Sequence[Id]]) -> list[Recommendation]:
        """Return the rows as recommendations, with the titles of the items that each is recommended for."""
        ids = sorted({item_id for reasons in because for item_id in reasons})
        query = f"SELECT item_id, {name_sql()} AS title FROM items WHERE list_contains($ids, item_id)"
        named = {row["item_id"]: Reason(**row) for row in self._rows(query, {"ids": ids})} if ids else {}
        return [
            recommendation(row, [named[item_id] for item_id in reasons])
            for row, reasons in zip(rows, because, strict=True)
        ]

    def find_user(self, text: str, pseudonym_of: Callable[[str], int | None]) -> Id:
        """Return the id of a user as a person types it: an id of the source or, where names were replaced, a name.

        Args:
            text: what was typed.
            pseudonym_of: gives the number that replaces a name; None where the secret for it is not there.

        Raises:
            UsageError: the user is unknown; the message says which are known.
        """
        provenance = self.provenance()
        if provenance.user_ids == "text":
            self.check_user(text)
            return text
        number = int(text) if re.fullmatch(r"-?[0-9]{1,19}", text) else None
        if number is not None and self._has_user(number):
            return number
        if provenance.user_ids == "pseudonym" and (replaced := pseudonym_of(text)) is not None:
            number = replaced if self._has_user(replaced) else number
        self.check_user(text if number is None else number)
        return text if number is None else number

    def similar(self, item_id: Id, n: int, rules: Rules = NO_RULES) -> list[tuple[NamedItem, float]]:
        """Return the n items that most resemble an item, the most similar first, each with its similarity.

        Args:
            item_id: id in the source.
            n: largest number of items.
            rules: of the domain; what they forbid today is left out.
        """
        rows = self._rows(
            f"""
            SELECT
                items.item_id, {name_sql()} AS title, items.title_english, items.kind, items.year,
                pairs.score, items.genres, items.is_adult
            FROM similar_items AS pairs
            JOIN items ON items.item_id = pairs.similar_id
            WHERE pairs.item_id = $item_id
            ORDER BY pairs.rank
            """,
            {"item_id": item_id},
        )
        looked_at = [{name: row.pop(name) for name in ("score", "genres", "is_adult")} | row for row in rows]
        allowed = [rules.forbids(one, today()) is None for one in looked_at]
        pairs = [(NamedItem(**row), one["score"]) for row, one in zip(rows, looked_at, strict=True)]
        return list(itertools.compress(pairs, allowed))[:n]

    def indexed_items(self) -> list[dict[str, Any]]:
        """Return what rules look at of each item, by the index of the item in the run's models."""
        return self._rows(
            "SELECT item_id, genres, creators, is_adult FROM item_index JOIN items USING (item_id) ORDER BY item_idx"
        )

    def history_items(self, user_id: Id) -> list[Id]:
        """Return the latest items of a user, the latest first."""
        rows = self._rows(
            "SELECT item_id FROM user_history WHERE user_id = $user_id ORDER BY position", {"user_id": user_id}
        )
        return [row["item_id"] for row in rows]

    def to_arrow(self, query: str) -> "pa.Table":
        """Return the result of a query over the published tables as an Arrow table.

        Raises:
            RecsysError: the file is damaged or lacks a table.
        """
        try:
            return self._connection.sql(query).to_arrow_table()
        except duckdb.Error as error:
            raise unreadable(self.path, error) from error

    def _known_kind(self, kind: str) -> str:
        known = self.kinds()
        for candidate in known:
            if candidate.casefold() == kind.casefold():
                return candidate
        raise UsageError(f"unknown kind {kind!r} in {self.domain}; known: {', '.join(known)}")

    def _has_user(self, user_id: Id) -> bool:
        if isinstance(user_id, int) and not _BIGINT[0] <= user_id <= _BIGINT[1]:
            return False
        is_text = self.provenance().user_ids == "text"
        return is_text == isinstance(user_id, str) and bool(
            self._rows("SELECT 1 FROM users WHERE user_id = $user_id", {"user_id": user_id})
        )

    def check_user(self, user_id: Id) -> None:
        """Raise UsageError if the user is unknown; the message says which users are known."""
        if self._has_user(user_id):
            return
        (known,) = self._rows(
            """
            SELECT count(*) AS users, min(user_id) AS low, max(user_id) AS high, min(user_id, 3) AS examples
            FROM users
            """
        )
        raise UsageError(
            f"unknown user {user_id if isinstance(user_id, int) else repr(user_id)} in {self.domain}; known: "
            f"{known['users']:,} users with ids from {known['low']} to {known['high']}, such as "
            f"{', '.join(map(str, known['examples']))}"
        )

    def _check_format(self) -> None:
        """Raise RecsysError unless the file has the format that this version reads."""
        cure = f"run `recsys run --domain {self.domain}` to publish again"
        tables = {row["table_name"] for row in self._rows("SELECT table_name FROM duckdb_tables()")}
        if "format_version" not in tables:
            if {"recommendations", "provenance"} <= tables:
                raise RecsysError(f"{self.path}: published by an earlier version of this project; {cure}")
            raise RecsysError(f"{self.path}: a DuckDB database, but not one that this project published; {cure}")
        versions = [row["version"] for row in self._rows("SELECT version FROM format_version")]
        if versions != [FORMAT_VERSION]:
            found = ", ".join(map(str, versions)) or "none"
            raise RecsysError(
                f"{self.path}: has format version {found}, but this version of the project reads {FORMAT_VERSION}; "
                f"use the version that published it, or {cure}"
            )

    def _column(self, query: str, parameters: dict[str, Any] | None = None) -> list[Any]:
        """Return the values of a query with one column."""
        try:
            return [value for (value,) in self._connection.execute(query, parameters or {}).fetchall()]
        except duckdb.Error as error:
            raise unreadable(self.path, error) from error

    def _rows(self, query: str, parameters: dict[str, Any] | None = None) -> list[dict[str, Any]]:
        try:
            cursor = self._connection.execute(query, parameters or {})
            names = [column[0] for column in cursor.description or ()]
            return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
        except duckdb.Error as error:
            raise unreadable(self.path, error) from error


def _named(name: str, known: Sequence[str]) -> list[str]:
    """Return the known names that are equal to a name in any case of letters."""
    return [one for one in known if one.casefold() == name.casefold()]


@contextlib.contextmanager
def open_without_lock(path: Path) -> Iterator[PublishedFile]:
    """Open a published file even while another program has it open for writing; see `path_without_lock`.

    Raises:
        RecsysError: as for `PublishedFile`.
    """
    with contextlib.ExitStack() as stack:
        readable = stack.enter_context(path_without_lock(path)) if path.exists() else path
        yield stack.enter_context(PublishedFile(readable))
