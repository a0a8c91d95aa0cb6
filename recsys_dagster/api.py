"""Open a domain in a notebook: its tables, results and recommendations as pandas DataFrames.

    from recsys_dagster.api import open_domain

    movie = open_domain("movie")
    movie.ratings()
    movie.leaderboard()
    movie.recommend(42, model="ease")

Everything here reads, also while a run goes on. `recsys run` and the Dagster UI are what writes.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from recsys_dagster.data.split import Ids
from recsys_dagster.errors import UsageError
from recsys_dagster.evaluation.evaluate import evaluate
from recsys_dagster.evaluation.results import EvaluationResults
from recsys_dagster.evaluation.store import CHOOSING_FOLD, HOLDOUT, REPORTED_FOLD
from recsys_dagster.evaluation.user_sample import draw_users
from recsys_dagster.evaluation.verdicts import verdicts
from recsys_dagster.ingest.domain_lookup import get_domain
from recsys_dagster.lifecycle.pending import published_history
from recsys_dagster.model_store.store import ModelStore
from recsys_dagster.models.base import Model
from recsys_dagster.models.capabilities import RatingPredictor
from recsys_dagster.reports.explorations import EXPLORATIONS, draw, explore
from recsys_dagster.reports.frames import frame_of, records_frame
from recsys_dagster.serving.cold_start import recommend_by_ratings
from recsys_dagster.serving.filters import ItemFilter
from recsys_dagster.serving.lookup import open_without_lock
from recsys_dagster.serving.on_demand import ModelList, recommend_by_models, recommend_to_user
from recsys_dagster.serving.reading import readable
from recsys_dagster.serving.recommendation import Id
from recsys_dagster.serving.user_history import read_history
from recsys_dagster.settings import read_settings
from recsys_dagster.warehouse.arrays import id_map_hash, load_holdout, load_source_ids
from recsys_dagster.warehouse.domain_run import DomainRun

if TYPE_CHECKING:
    import duckdb
    from matplotlib.figure import Figure


class OpenDomain:
    """A domain whose pipeline has run at least once. User and item ids are those of the source.

    While a run holds the domain, tables are read from a copy of what the run's last step has left.
    """

    def __init__(self, run: DomainRun) -> None:
        self.run = run

    # -- tables

    def items(self) -> pd.DataFrame:
        """Return `clean.items` by `item_id`: titles, kind, year (Int16), genres, …; unknown is missing."""
        return self.table("clean.items").set_index("item_id")

    def ratings(self) -> pd.DataFrame:
        """Return `clean.ratings`: `user_id`, `item_id` (int64), `rating` (float32), `rated_at` (datetime64)."""
        return self.table("clean.ratings")

    def interactions(self) -> pd.DataFrame:
        """Return `clean.interactions`: every interaction, rated or not, with status, progress, weight and time."""
        return self.table("clean.interactions")

    def rejected(self) -> pd.DataFrame:
        """Return `clean.rejected`: every row that did not make it, with its file, line and the reason."""
        return self.table("clean.rejected")

    def query(self, sql: str) -> pd.DataFrame:
        """Return the result of a DuckDB query over the schemas `clean`, `features` and `evaluation`."""
        with self._connection() as connection:
            return frame_of(connection, sql)

    def table(self, name: str) -> pd.DataFrame:
        """Return a table, such as `features.users`.

        Raises:
            UsageError: there is no such table; the message lists the tables.
        """
        with self._connection() as connection:
            known = _tables(connection)
            if name not in known:
                raise UsageError(f"unknown table {name!r}; known: {', '.join(known)}")
            return frame_of(connection, f"SELECT * FROM {name}")

    def tables(self) -> list[str]:
        """Return the names of all tables."""
        with self._connection() as connection:
            return _tables(connection)

    def explore(self, name: str) -> pd.DataFrame:
        """Return one of the explorations of the asset `explore/profile`, such as `genres`; see `EXPLORATIONS`.

        Raises:
            UsageError: there is no such exploration; the message lists them.
        """
        with self._connection() as connection:
            return explore(name, connection)

    def figure(self, name: str) -> "Figure":
        """Return the figure of an exploration, as it is on the page; raises as `explore`."""
        return draw(name, self.explore(name))

    @property
    def explorations(self) -> dict[str, str]:
        """What each exploration shows, by name."""
        return {name: one.caption for name, one in EXPLORATIONS.items()}

    # -- results

    def leaderboard(self) -> pd.DataFrame:
        """Return the leaderboard of the last run by model, the best on validation first."""
        return pd.DataFrame(EvaluationResults(self.run).leaderboard().records()).set_index("model")

    def verdicts(self) -> list[str]:
        """Return what the leaderboard says, in sentences."""
        return verdicts(EvaluationResults(self.run).leaderboard())

    def metrics(self, protocol: str = HOLDOUT) -> pd.DataFrame:
        """Return every metric of every model on both folds with its 95 % interval, by model, fold, metric and k.

        Args:
            protocol: `holdout`; or `frozen` for the lists of the beginning of each fold, where it is cut by time.
        """
        with readable(self.run) as reading:
            rows = EvaluationResults(reading).metrics(protocol)
        return _metrics_frame(records_frame(rows), ["model", "fold", "metric", "k"])

    def decisions(self) -> pd.DataFrame:
        """Return every decision on the champion, the oldest first."""
        return records_frame(published_history(self.run.layout, self.run.domain.name))

    # -- users and items

    def history(self, user: Id) -> pd.DataFrame:
        """Return what a user has, the latest first: title, kind, year, genres, rating, status and time, by `item_id`.

        Raises:
            UsageError: the user is unknown.
        """
        with open_without_lock(self._published) as published:
            published.check_user(user)
        with readable(self.run) as reading:
            frame = records_frame(
                read_history(reading, user),
                ["item_id", "title", "kind", "year", "genres", "rating", "status", "at"],
            )
        types = {"year": "Int16", "rating": "float32", "at": "datetime64[us]"}
        return frame.astype(types).set_index("item_id")

    def recommend(
        self,
        users: Id | Sequence[Id],
        *,
        model: str | None = None,
        n: int = 10,
        kind: str | None = None,
        genre: str | None = None,
        years: tuple[int, int] | None = None,
        no_adult: bool = False,
    ) -> pd.DataFrame:
        """Return the lists of users without what they have, by `user_id` and `rank`.

        Args:
            users: an id, or several.
            model: name of a model of the last run, as it was evaluated; None: the published lists.
            n: length of a list.
            kind, genre, years, no_adult: which items a list may hold; the whole catalogue is ranked if need be.

        Raises:
            UsageError: a user, the model, the kind or the genre is unknown.
        """
        wanted = ItemFilter(kind, genre, years, no_adult)
        frames = []
        with open_without_lock(self._published) as published:
            for user in [users] if isinstance(users, int | str | np.integer) else users:
                user_id = user if isinstance(user, str) else int(user)
                if model is None:
                    one = recommend_to_user(self.run, published, user_id, n, wanted)
                else:
                    (one,) = recommend_by_models(self.run, published, user_id, n, [model], wanted)
                frames.append(_list_frame(one).assign(user_id=user_id))
        return pd.concat(frames, ignore_index=True).set_index(["user_id", "rank"])

    def similar(self, item: int | str, *, model: str | None = None, n: int = 10) -> pd.DataFrame:
        """Return the items that a model recommends to someone of whom it knows nothing but this item, by `rank`.

        Args:
            item: id or title.
            model: name of a model that scores by a history; None: the best of the last run, or `genre_similarity` for
                likeness of content.
            n: length of the list.

        Raises:
            UsageError: the item is unknown or ambiguous, or the model cannot score by a history.
        """
        name = f"#{item}" if isinstance(item, int | np.integer) else item
        with open_without_lock(self._published) as published:
            scale, store = published.provenance().scale, ModelStore(self.run.layout)
            rated, liked = ([], [name]) if scale is None else ([f"{name}={scale[1]:g}"], [])
            made = recommend_by_ratings(published, store, rated, n, liked=liked, model=model)
        frame = _list_frame(ModelList(made.model, made.version, made.recommendations, False, None))
        return frame.set_index("rank")

    # -- models

    def model(self, name: str, version: str | None = None) -> Model:
        """Return a fitted model, the current version unless one is named. Its users and items are indices.

        Raises:
            RecsysError: it was never fitted, or not on the users and items that the warehouse has now.
        """
        with readable(self.run) as reading:
            index = id_map_hash(reading.warehouse)
        return ModelStore(self.run.layout).load(self.run.domain.name, name, version, id_map_hash=index)[0]

    def evaluate(self, model: str | Model, *, fold: str = REPORTED_FOLD) -> pd.DataFrame:
        """Evaluate a model as the leaderboard does; return value, interval and number of users by metric and k.

        Args:
            model: name of a fitted model, or a model that was fitted on the training fold of this domain.
            fold: `test`, or `validation` to choose between models.

        Raises:
            UsageError: there is no such fold or model.
        """
        if fold not in (CHOOSING_FOLD, REPORTED_FOLD):
            raise UsageError(f"unknown fold {fold!r}; known: {CHOOSING_FOLD}, {REPORTED_FOLD}")
        with readable(self.run) as reading:
            holdout = load_holdout(reading.warehouse)
        fitted = self.model(model) if isinstance(model, str) else model
        data, settings = holdout.data, self.run.settings
        is_test = fold == REPORTED_FOLD
        pairs = draw_users(holdout.test if is_test else data.validation, settings.evaluation_users, settings.seed)
        result = evaluate(
            fitted,
            pairs,
            data.validation.matrix(data.n_users, data.n_items) if is_test else None,
            like_threshold=data.like_threshold,
            folded_in=holdout.folded_in(fold, pairs),
            data=data,
            seed=settings.seed,
        )
        frame = records_frame(result.rows(fitted.name, "", HOLDOUT, fold))
        return _metrics_frame(frame.drop(columns=["model", "version", "protocol", "fold"]), ["metric", "k"])

    def predict(self, model: str, pairs: pd.DataFrame) -> pd.Series:
        """Return the predicted ratings of pairs, by a model that was fitted in the last run.

        Args:
            model: the name of a model that predicts ratings.
            pairs: columns `user_id` and `item_id`.

        Raises:
            UsageError: the model only ranks, or a user or an item is unknown.
        """
        fitted, users, items = self._predictor(model, pairs)
        return pd.Series(fitted.predict(users, items), index=pairs.index, name="rating")

    def predict_interval(self, model: str, pairs: pd.DataFrame) -> pd.DataFrame:
        """Return `rating_low` and `rating_high`, between which 90 % of the ratings of such pairs are expected.

        Args:
            model: the name of a model that predicts ratings.
            pairs: columns `user_id` and `item_id`.

        Raises:
            UsageError: the model only ranks, or a user or an item is unknown.
            RecsysError: the model was fitted without held-out ratings, or by an earlier version of the project.
        """
        fitted, users, items = self._predictor(model, pairs)
        low, high = fitted.predict_interval(users, items)
        return pd.DataFrame({"rating_low": low, "rating_high": high}, index=pairs.index)

    def _predictor(
        self, model: str, pairs: pd.DataFrame
    ) -> tuple[RatingPredictor, NDArray[np.int32], NDArray[np.int32]]:
        """Return the rating model and the indices of the users and items of the pairs.

        Raises:
            UsageError: the model only ranks, or a user or an item is unknown.
        """
        fitted = self.model(model)
        if not isinstance(fitted, RatingPredictor):
            raise UsageError(f"{model} ranks items, but does not predict ratings")
        with readable(self.run) as reading:
            user_ids, item_ids = load_source_ids(reading.warehouse)
        users = _indices(pairs["user_id"].tolist(), user_ids, "user")
        items = _indices(pairs["item_id"].tolist(), item_ids, "item")
        return fitted, users, items

    @contextmanager
    def _connection(self) -> "Iterator[duckdb.DuckDBPyConnection]":
        with readable(self.run) as reading, reading.warehouse.connect() as connection:
            yield connection

    @property
    def _published(self) -> Path:
        return self.run.layout.published(self.run.domain.name)


def open_domain(name: str) -> OpenDomain:
    """Open a domain under the settings of the environment and `.env`.

    Raises:
        UsageError: there is no such domain; the message lists the domains.
    """
    settings = read_settings()
    return OpenDomain(DomainRun(settings, get_domain(name, settings)))


def _tables(connection: "duckdb.DuckDBPyConnection") -> list[str]:
    rows = connection.execute("SELECT schema_name || '.' || table_name FROM duckdb_tables() ORDER BY 1").fetchall()
    return [name for (name,) in rows]


def _list_frame(made: ModelList) -> pd.DataFrame:
    """Return a list as a DataFrame; columns that say nothing of any item are left out."""
    frame = records_frame(made.recommendations, ["rank", "item_id", "title", "score"])
    types = {"year": "Int16", "episodes": "Int32", "members": "Int32"}
    frame = frame.astype({name: dtype for name, dtype in types.items() if name in frame})
    said = ("rating", "rating_low", "rating_high", "probability", "similarity")
    unknown = [name for name in said if name in frame and frame[name].isna().all()]
    return frame.drop(columns=unknown).assign(model=made.model, version=made.version)


def _metrics_frame(frame: pd.DataFrame, index: list[str]) -> pd.DataFrame:
    return frame.astype({"k": "Int16", "users": "Int64"}).set_index(index).sort_index()


def _indices(ids: Sequence[Id], known: Ids, kind: str) -> NDArray[np.int32]:
    """Return the index of each id; raise UsageError if one is unknown."""
    index = pd.Index(known)
    places = index.get_indexer(pd.Index(ids, dtype=object if known.dtype == object else None))
    if (places < 0).any():
        unknown = [one for one, place in zip(ids, places, strict=True) if place < 0]
        raise UsageError(f"unknown {kind} {unknown[0]}; such as {', '.join(map(str, sorted(known)[:3]))} are known")
    indices: NDArray[np.int32] = places.astype(np.int32)
    return indices
