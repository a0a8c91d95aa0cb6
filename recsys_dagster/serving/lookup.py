"""Reading a published file: who is recommended what, and where the lists come from."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Self

import duckdb

from recsys_dagster.errors import RecsysError, UsageError
from recsys_dagster.serving.item_finder import NamedItem

if TYPE_CHECKING:
    from recsys_dagster.evaluation.store import MetricRow

_BIGINT = (-(2**63), 2**63 - 1)


def _now() -> datetime:
    """The time in UTC, without zone and to the second, as the published file keeps it."""
    return datetime.now(UTC).replace(tzinfo=None, microsecond=0)


@dataclass(frozen=True)
class Provenance:
    """Where published lists come from.

    Attributes:
        domain: the partition.
        dataset: id in the dataset catalogue.
        data_version: hash of the files that the lists were learnt from.
        licence: of the data.
        model, version: the champion, as in the model store.
        trained_rows: interactions that it was fitted on.
        scale: lowest and highest rating of the domain.
        packages: version of the code and of each package that matters, by name.
        created_at: time of publication in UTC, without zone.
    """

    domain: str
    dataset: str
    data_version: str
    licence: str
    model: str
    version: str
    trained_rows: int
    scale: tuple[float, float]
    packages: dict[str, str]
    created_at: datetime = field(default_factory=_now)


@dataclass(frozen=True)
class Recommendation:
    """One line of a list. What the source does not know is None; `score` is comparable within one list only."""

    rank: int
    item_id: int
    title: str
    title_english: str | None
    kind: str | None
    year: int | None
    genres: tuple[str, ...]
    score: float


class Indices(NamedTuple):
    """Ids of titles by item index, and names of genres by genre index."""

    item_ids: tuple[int, ...]
    genre_names: tuple[str, ...]


def format_score(score: float) -> str:
    """Return a score for a person to read, whatever the model's scale: 0.0123, 4.57, 67,310."""
    return f"{score:,.0f}" if abs(score) >= 1000 else f"{score:.4g}"


class Published:
    """The published file of one domain, open for reading; a context manager.

    What it reads is one whole publication: a newer one that is swapped in meanwhile is seen by the next opening.

    Raises:
        RecsysError: there is no such file, or it is not a published one.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        if not path.exists():
            raise RecsysError(
                f"{path}: nothing is published for {path.stem} yet; run `recsys run --domain {path.stem}` first"
            )
        try:
            self._connection = duckdb.connect(path, read_only=True)
        except duckdb.Error as error:
            raise RecsysError(
                f"{path}: not a readable published file ({_first_line(error)}); "
                f"run `recsys run --domain {path.stem}` to publish again"
            ) from error

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    def provenance(self) -> Provenance:
        """Return where the lists come from."""
        row = self._rows(
            """
            SELECT
                domain, dataset, data_version, licence, model, version,
                trained_rows, scale_low, scale_high, packages, created_at
            FROM provenance
            """
        )[0]
        return Provenance(scale=(row.pop("scale_low"), row.pop("scale_high")), **row)

    def kinds(self) -> list[str]:
        """Return every kind of title there is, in alphabetical order."""
        rows = self._rows("SELECT DISTINCT kind FROM items WHERE kind IS NOT NULL ORDER BY kind")
        return [row["kind"] for row in rows]

    def indices(self) -> Indices:
        """Return what the indices of the run's models stand for.

        Raises:
            RecsysError: the file was published before indices were.
        """
        try:
            items = self._rows("SELECT item_id FROM item_index ORDER BY item_idx")
            genres = self._rows("SELECT genre FROM genre_index ORDER BY genre_idx")
        except duckdb.CatalogException as error:
            raise RecsysError(
                f"{self.path}: published by an earlier version of this project, which serves only its own users; run "
                f"`recsys run --domain {self.path.stem}` to publish again"
            ) from error
        return Indices(tuple(row["item_id"] for row in items), tuple(row["genre"] for row in genres))

    def models(self) -> dict[str, str]:
        """Return the version of each model that was evaluated, by name, the best on validation first."""
        rows = self._rows(
            """
            SELECT model, version
            FROM leaderboard
            WHERE protocol = 'holdout' AND fold = 'validation' AND metric = 'ndcg' AND k = 10 AND NOT isnan(value)
            ORDER BY value DESC, model
            """
        )
        return {row["model"]: row["version"] for row in rows}

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
        """Return how many users and titles the file knows."""
        (row,) = self._rows("SELECT (SELECT count(*) FROM users) AS users, (SELECT count(*) FROM items) AS titles")
        return row

    def named_titles(self) -> list[NamedItem]:
        """Return all titles with what tells one from another."""
        return [
            NamedItem(**row)
            for row in self._rows("SELECT item_id, title, title_english, kind, year FROM items ORDER BY item_id")
        ]

    def ranked(
        self, items: Sequence[int], scores: Sequence[float], n: int, kind: str | None = None
    ) -> list[Recommendation]:
        """Return the first n titles of a list of the caller's, as `recommendations` does of a published one.

        Args:
            items: ids of titles, best first.
            scores: of each.
            n, kind: as for `recommendations`.

        Raises:
            UsageError: no such kind; the message lists the known.
        """
        if kind is not None:
            kind = self._known_kind(kind)
        rows = self._rows(
            """
            SELECT
                lists.rank, lists.item_id, items.title, items.title_english,
                items.kind, items.year, items.genres, lists.score
            FROM (
                SELECT unnest($items) AS item_id, unnest($scores) AS score, unnest(range(1, len($items) + 1)) AS rank
            ) AS lists
            JOIN items ON items.item_id = lists.item_id
            WHERE $kind IS NULL OR items.kind = $kind
            ORDER BY lists.rank
            LIMIT $n
            """,
            {"items": list(items), "scores": list(scores), "kind": kind, "n": n},
        )
        return [_recommendation(row) for row in rows]

    def recommendations(self, user_id: int, n: int, kind: str | None = None) -> list[Recommendation]:
        """Return the first n titles of a user's list, best first; none where the user already has every title.

        Args:
            user_id: as in the source.
            n: at most so many; fewer where the published list is shorter.
            kind: only titles of this kind, whatever its case; their ranks stay those of the whole list.

        Raises:
            UsageError: no such user, or no such kind; the message says what there is.
        """
        if kind is not None:
            kind = self._known_kind(kind)
        self._check_user(user_id)
        rows = self._rows(
            """
            SELECT
                lists.rank, lists.item_id, items.title, items.title_english,
                items.kind, items.year, items.genres, lists.score
            FROM recommendations AS lists
            JOIN items ON items.item_id = lists.item_id
            WHERE lists.user_id = $user_id
            ORDER BY lists.rank
            """,
            {"user_id": user_id},
        )
        if kind is not None:
            rows = [row for row in rows if row["kind"] == kind]
        return [_recommendation(row) for row in rows[:n]]

    def _known_kind(self, kind: str) -> str:
        known = self.kinds()
        for candidate in known:
            if candidate.casefold() == kind.casefold():
                return candidate
        raise UsageError(f"unknown kind {kind!r} in {self.path.stem}; known: {', '.join(known)}")

    def _check_user(self, user_id: int) -> None:
        if _BIGINT[0] <= user_id <= _BIGINT[1] and self._rows(
            "SELECT 1 FROM users WHERE user_id = $user_id", {"user_id": user_id}
        ):
            return
        (known,) = self._rows(
            """
            SELECT count(*) AS users, min(user_id) AS low, max(user_id) AS high, min(user_id, 3) AS examples
            FROM users
            """
        )
        raise UsageError(
            f"unknown user {user_id} in {self.path.stem}; known: {known['users']:,} users with ids from {known['low']} "
            f"to {known['high']}, such as {', '.join(map(str, known['examples']))}"
        )

    def _rows(self, query: str, parameters: dict[str, Any] | None = None) -> list[dict[str, Any]]:
        cursor = self._connection.execute(query, parameters or {})
        names = [column[0] for column in cursor.description or ()]
        return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


def _recommendation(row: dict[str, Any]) -> Recommendation:
    return Recommendation(**row | {"genres": tuple(row["genres"] or ())})


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0]
