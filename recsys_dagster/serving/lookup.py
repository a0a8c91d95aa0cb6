"""Reading a published file: who is recommended what, and where the lists come from."""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

import duckdb

from recsys_dagster.errors import RecsysError, UsageError


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
        return Provenance(*row[:7], scale=(row[7], row[8]), packages=row[9], created_at=row[10])

    def kinds(self) -> list[str]:
        """Return every kind of title there is, in alphabetical order."""
        return [kind for (kind,) in self._rows("SELECT DISTINCT kind FROM titles WHERE kind IS NOT NULL ORDER BY kind")]

    def recommendations(self, user_id: int, n: int, kind: str | None = None) -> list[Recommendation]:
        """Return the first n titles of a user's list, best first.

        Args:
            user_id: as in the source.
            n: at most so many; fewer where the published list is shorter.
            kind: only titles of this kind, whatever its case; their ranks stay those of the whole list.

        Raises:
            UsageError: no list for this user, or no such kind; the message says what there is.
        """
        if kind is not None:
            kind = self._known_kind(kind)
        rows = self._rows(
            """
            SELECT
                lists.rank, lists.item_id, titles.title, titles.title_english,
                titles.kind, titles.year, titles.genres, lists.score
            FROM recommendations AS lists
            JOIN titles ON titles.item_id = lists.item_id
            WHERE lists.user_id = $user_id AND ($kind IS NULL OR titles.kind = $kind)
            ORDER BY lists.rank
            LIMIT $n
            """,
            {"user_id": user_id, "kind": kind, "n": n},
        )
        if not rows:
            self._check_user(user_id)
        return [Recommendation(*row[:6], genres=tuple(row[6] or ()), score=row[7]) for row in rows]

    def _known_kind(self, kind: str) -> str:
        known = self.kinds()
        for candidate in known:
            if candidate.casefold() == kind.casefold():
                return candidate
        raise UsageError(f"unknown kind {kind!r} in {self.path.stem}; known: {', '.join(known)}")

    def _check_user(self, user_id: int) -> None:
        if self._rows("SELECT 1 FROM recommendations WHERE user_id = $user_id LIMIT 1", {"user_id": user_id}):
            return
        users, low, high = self._rows("SELECT count(*), min(user_id), max(user_id) FROM recommendations WHERE rank = 1")[0]
        examples = self._rows("SELECT user_id FROM recommendations WHERE rank = 1 ORDER BY user_id LIMIT 3")
        raise UsageError(
            f"unknown user {user_id} in {self.path.stem}; known: {users:,} users with ids from {low} to {high}, "
            f"such as {', '.join(str(example) for (example,) in examples)}"
        )

    def _rows(self, query: str, parameters: dict[str, Any] | None = None) -> list[tuple[Any, ...]]:
        rows: list[tuple[Any, ...]] = self._connection.execute(query, parameters or {}).fetchall()
        return rows


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0]
