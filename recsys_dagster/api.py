"""Open a domain in a notebook: its tables, results and recommendations as pandas DataFrames.

    from recsys_dagster.api import open_domain

    movie = open_domain("movie")
    movie.table("clean.ratings")
    movie.leaderboard()
    movie.recommend("ease", users=[1, 42])

Everything here reads. `recsys run` and the Dagster UI are what writes.
"""

from collections.abc import Sequence
from dataclasses import asdict

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from recsys_dagster.data.split import Ids
from recsys_dagster.errors import UsageError
from recsys_dagster.evaluation.results import EvaluationResults
from recsys_dagster.evaluation.verdicts import verdicts
from recsys_dagster.ingest.catalogue import get_domain
from recsys_dagster.lifecycle.pending import published_history
from recsys_dagster.model_store.store import ModelStore
from recsys_dagster.models.base import Model
from recsys_dagster.models.capabilities import RatingPredictor
from recsys_dagster.serving.lookup import Id, open_without_lock
from recsys_dagster.settings import read_settings
from recsys_dagster.warehouse.arrays import id_map_hash, load_excluded, load_source_ids
from recsys_dagster.warehouse.domain_run import DomainRun


class OpenDomain:
    """A domain whose pipeline has run at least once. User and item ids are those of the source.

    Reading the tables holds the domain for that moment, so it fails while a run is active; the published lists can be
    read at any time.
    """

    def __init__(self, run: DomainRun) -> None:
        self.run = run

    # -- tables

    def query(self, sql: str) -> pd.DataFrame:
        """Return the result of a DuckDB query over the schemas `clean`, `features` and `evaluation`.

        Raises:
            RecsysError: a run of the domain is active.
        """
        with self.run, self.run.warehouse.connect() as connection:
            frame: pd.DataFrame = connection.execute(sql).df()
        return frame

    def table(self, name: str) -> pd.DataFrame:
        """Return a table, such as `clean.ratings`.

        Raises:
            UsageError: there is no such table; the message lists the tables.
        """
        known = self.tables()
        if name not in known:
            raise UsageError(f"unknown table {name!r}; known: {', '.join(known)}")
        return self.query(f"SELECT * FROM {name}")

    def tables(self) -> list[str]:
        """Return the names of all tables."""
        names = self.query("SELECT schema_name || '.' || table_name AS name FROM duckdb_tables() ORDER BY name")
        return [str(name) for name in names["name"]]

    # -- results

    def leaderboard(self) -> pd.DataFrame:
        """Return the leaderboard of the last run: one row for each model, the best on validation first."""
        return pd.DataFrame(EvaluationResults(self.run).leaderboard().records())

    def verdicts(self) -> list[str]:
        """Return what the leaderboard says, in sentences."""
        return verdicts(EvaluationResults(self.run).leaderboard())

    def metrics(self) -> pd.DataFrame:
        """Return every metric of every model on both folds, with its 95 % interval."""
        with self.run:
            rows = EvaluationResults(self.run).metrics()
        return pd.DataFrame([asdict(row) for row in rows])

    def history(self) -> pd.DataFrame:
        """Return every decision on the champion, the oldest first."""
        return pd.DataFrame([asdict(row) for row in published_history(self.run.layout, self.run.domain.name)])

    # -- recommendations

    def published(self, user: Id, n: int = 10) -> pd.DataFrame:
        """Return the first n published recommendations of a user.

        Raises:
            UsageError: the user is unknown.
        """
        with open_without_lock(self.run.layout.published(self.run.domain.name)) as published:
            return pd.DataFrame([asdict(item) for item in published.recommendations(user, n)])

    def model(self, name: str, version: str | None = None) -> Model:
        """Return a fitted model, the current version unless one is named. Its users and items are indices.

        Raises:
            RecsysError: it was never fitted, or not on the users and items that the warehouse has now.
        """
        with self.run:
            index = id_map_hash(self.run.warehouse)
        return ModelStore(self.run.layout).load(self.run.domain.name, name, version, id_map_hash=index)[0]

    def recommend(self, model: str, users: Sequence[Id], n: int = 10) -> pd.DataFrame:
        """Return the lists of a model that was fitted in the last run, without what the users have.

        Args:
            model: its name.
            users: ids of users.
            n: length of a list.

        Returns:
            Columns `user_id`, `rank`, `item_id`, `title`, `score`.

        Raises:
            UsageError: a user is unknown.
        """
        fitted = self.model(model)
        with self.run:
            user_ids, item_ids = load_source_ids(self.run.warehouse)
            excluded = load_excluded(self.run.warehouse)
        lists = fitted.recommend(_indices(users, user_ids, "user"), n, exclude=excluded)
        rows, places = np.nonzero(lists.items >= 0)
        frame = pd.DataFrame(
            {
                "user_id": np.asarray(users)[rows],
                "rank": places + 1,
                "item_id": item_ids[lists.items[rows, places]],
                "score": lists.scores[rows, places],
            }
        )
        titles = self.query(
            "SELECT title FROM features.items INNER JOIN clean.items USING (item_id) ORDER BY item_idx"
        )["title"].to_numpy()
        frame.insert(3, "title", titles[lists.items[rows, places]])
        return frame

    def predict(self, model: str, pairs: pd.DataFrame) -> pd.Series:
        """Return the predicted ratings of pairs, by a model that was fitted in the last run.

        Args:
            model: the name of a model that predicts ratings.
            pairs: columns `user_id` and `item_id`.

        Raises:
            UsageError: the model only ranks, or a user or an item is unknown.
        """
        fitted = self.model(model)
        if not isinstance(fitted, RatingPredictor):
            raise UsageError(f"{model} ranks items, but does not predict ratings")
        with self.run:
            user_ids, item_ids = load_source_ids(self.run.warehouse)
        users = _indices(pairs["user_id"].tolist(), user_ids, "user")
        items = _indices(pairs["item_id"].tolist(), item_ids, "item")
        return pd.Series(fitted.predict(users, items), index=pairs.index, name="rating")


def open_domain(name: str) -> OpenDomain:
    """Open a domain under the settings of the environment and `.env`.

    Raises:
        UsageError: there is no such domain; the message lists the domains.
    """
    settings = read_settings()
    return OpenDomain(DomainRun(settings, get_domain(name, settings)))


def _indices(ids: Sequence[Id], known: Ids, kind: str) -> NDArray[np.int32]:
    """Return the index of each id; raise UsageError if one is unknown."""
    index = pd.Index(known)
    places = index.get_indexer(pd.Index(ids, dtype=object if known.dtype == object else None))
    if (places < 0).any():
        unknown = [one for one, place in zip(ids, places, strict=True) if place < 0]
        raise UsageError(f"unknown {kind} {unknown[0]}; such as {', '.join(map(str, sorted(known)[:3]))} are known")
    indices: NDArray[np.int32] = places.astype(np.int32)
    return indices
