"""Load the feature tables as the arrays that models are trained and evaluated on."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import duckdb
import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from recsys_dagster.data.fold_in import FoldedIn
from recsys_dagster.data.interactions import UNKNOWN_TIME, Interactions
from recsys_dagster.data.items import ItemFeatures
from recsys_dagster.data.split import Ids
from recsys_dagster.data.training_data import TrainingData
from recsys_dagster.runtime.blocks import USERS_PER_BLOCK
from recsys_dagster.warehouse.database import Warehouse, require
from recsys_dagster.warehouse.moments import read_moments
from recsys_dagster.warehouse.origin import origin_of
from recsys_dagster.warehouse.schemas import tables_of

if TYPE_CHECKING:
    import pyarrow as pa

HISTORY_LENGTH = 50
"""Interactions of a user that are published."""

_LATEST = """
SELECT
    user_idx,
    item_idx,
    rating,
    "at",
    cast(
        row_number() OVER (
            PARTITION BY user_idx
            ORDER BY "at" DESC NULLS LAST, rating DESC NULLS LAST, item_idx ASC
        ) AS INTEGER
    ) AS position
FROM features.interactions
WHERE user_idx >= $start AND user_idx < $stop
QUALIFY position <= $n
ORDER BY user_idx, position
"""

POPULAR_DAYS = (1, 7, 30, 90, 365)
"""Days before the last interaction whose popular items are published, beside those of all time."""

_COUNTS = f"""
SELECT
    item_idx,
    count(*) AS all_time,
    {", ".join(f'count(*) FILTER ("at" > last - INTERVAL {days} DAY) AS days_{days}' for days in POPULAR_DAYS)}
FROM features.interactions
CROSS JOIN (SELECT max("at") AS last FROM features.interactions)
GROUP BY item_idx
"""


@dataclass(frozen=True)
class Holdout:
    """What is needed to evaluate a fitted model.

    Attributes:
        data: the data that it was fitted on.
        test: the pairs of the test fold.
        user_ids: (n_users,) id of each user index.
        item_ids: (n_items,) id of each item index.
        moments: by fold, the (n_users,) moments as `read_moments` returns them; empty if the folds are cut by hash.
    """

    data: TrainingData
    test: Interactions
    user_ids: NDArray[np.int64]
    item_ids: NDArray[np.int64]
    moments: dict[str, NDArray[np.int64]]

    def folded_in(self, fold: str, pairs: Interactions) -> FoldedIn | None:
        """Return what is known of users when lists are made for them; None if the folds are cut by hash.

        Args:
            fold: `validation` or `test`.
            pairs: the interactions of all or some users of that fold.
        """
        if not self.moments:
            return None
        earlier = [self.data.train] if fold == "validation" else [self.data.train, self.data.validation]
        return FoldedIn.at(self.moments[fold], pairs, earlier)

    @property
    def id_map_hash(self) -> str:
        """The hash that `id_map_hash` returns."""
        return _hash_of_ids(self.user_ids, self.item_ids)


def load_holdout(warehouse: Warehouse) -> Holdout:
    """Return the three folds, the ids and, where the folds are cut by time, the moments of the users.

    They are read through one connection, as opening a small file takes longer than reading it.
    """
    with warehouse.connect() as connection:
        _require_features(connection, warehouse)
        data = _read_training_data(connection, warehouse)
        return Holdout(
            data,
            read_fold(connection, "test"),
            read_ids(connection, "users"),
            read_ids(connection, "items"),
            read_moments(connection, data.n_users),
        )


def load_training_data(warehouse: Warehouse) -> TrainingData:
    """Return the training and validation folds with the features of the items; equal tables give equal arrays.

    Raises:
        RecsysError: the feature tables do not exist.
    """
    with warehouse.connect() as connection:
        _require_features(connection, warehouse)
        return _read_training_data(connection, warehouse)


def _read_training_data(connection: duckdb.DuckDBPyConnection, warehouse: Warehouse) -> TrainingData:
    origin = origin_of(connection, warehouse)
    n_users, n_items = read_sizes(connection)
    item_features = read_item_features(connection, n_items)
    data = TrainingData(
        train=read_fold(connection, "train"),
        validation=read_fold(connection, "validation"),
        n_users=n_users,
        n_items=n_items,
        item_features=item_features,
        scale=origin.scale,
        like_threshold=origin.liked_from,
    )
    return data.with_user_genre_taste(_read_user_genre_taste(connection, n_users, item_features.genre_names))


def _read_user_genre_taste(
    connection: duckdb.DuckDBPyConnection, n_users: int, genre_names: tuple[str, ...]
) -> NDArray[np.float32]:
    """Return `features.user_genre_taste` as a (n_users, n_genres) array, NaN where it has no row."""
    rows = connection.execute(
        "SELECT user_idx, list_position(?::VARCHAR[], genre) - 1 AS genre_idx, mean_rating"
        " FROM features.user_genre_taste",
        [list(genre_names)],
    ).fetchnumpy()
    tastes = np.full((n_users, len(genre_names)), np.nan, dtype=np.float32)
    tastes[np.ma.getdata(rows["user_idx"]), np.ma.getdata(rows["genre_idx"])] = np.ma.getdata(rows["mean_rating"])
    return tastes


def load_fold(warehouse: Warehouse, fold: str) -> Interactions:
    """Return the pairs of the fold `train`, `validation` or `test`."""
    with warehouse.connect() as connection:
        _require_features(connection, warehouse)
        return read_fold(connection, fold)


def load_excluded(warehouse: Warehouse) -> sp.csr_array:
    """Return what must not be recommended: a (n_users, n_items) CSR matrix of float32 ones.

    These are a user's interactions in every fold, and the items that the user dropped or put on hold. An item that is
    only planned may be recommended, unless it is rated.
    """
    with warehouse.connect() as connection:
        _require_features(connection, warehouse)
        pairs = _arrays(
            connection,
            """
            SELECT user_idx, item_idx FROM features.interactions
            UNION ALL
            SELECT user_idx, item_idx
            FROM clean.interactions
            INNER JOIN features.users USING (user_id)
            INNER JOIN features.items USING (item_id)
            WHERE status NOT IN ('watching', 'completed', 'plan_to_watch')
            """,
        )
        shape = read_sizes(connection)
    ones = np.ones(len(pairs["user_idx"]), np.float32)
    excluded = sp.csr_array((ones, (pairs["user_idx"], pairs["item_idx"])), shape)
    # An item that was rated and then dropped is in both parts of the query.
    excluded.sum_duplicates()
    excluded.data[:] = 1
    return excluded


def load_ids(warehouse: Warehouse) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the (n_users,) int64 id of each user index and the (n_items,) int64 id of each item index."""
    with warehouse.connect() as connection:
        _require_features(connection, warehouse)
        return read_ids(connection, "users"), read_ids(connection, "items")


def load_user_activity(warehouse: Warehouse) -> NDArray[np.int64]:
    """Return the (n_users,) number of interactions of each user, in all folds."""
    with warehouse.connect() as connection:
        _require_features(connection, warehouse)
        n_users, _ = read_sizes(connection)
        users, counts = _arrays(
            connection, "SELECT user_idx, count(*) AS interactions FROM features.interactions GROUP BY user_idx"
        ).values()
    activity = np.zeros(n_users, np.int64)
    activity[users] = counts
    return activity


def load_source_ids(warehouse: Warehouse) -> tuple[Ids, Ids]:
    """Return the (n_users,) id of each user index and the (n_items,) id of each item index, as the source writes them.

    Ids that are whole numbers, and pseudonyms, are int64; texts are str objects.
    """
    with warehouse.connect() as connection:
        return read_source_ids(connection, warehouse)


def read_source_ids(connection: duckdb.DuckDBPyConnection, warehouse: Warehouse) -> tuple[Ids, Ids]:
    """Return what `load_source_ids` does, through an open connection."""
    _require_features(connection, warehouse)
    origin = origin_of(connection, warehouse)
    return (
        _read_source_ids(connection, "user", is_text=origin.user_ids == "text"),
        _read_source_ids(connection, "item", is_text=origin.item_ids == "text"),
    )


def load_histories(warehouse: Warehouse, user_ids: Ids, item_ids: Ids) -> Iterator["pa.Table"]:
    """Give the latest interactions of every user, at most HISTORY_LENGTH, in blocks of users.

    Args:
        warehouse: where the feature tables are; it is open while the blocks are taken.
        user_ids, item_ids: id of each index, as `load_source_ids` returns them.

    Yields:
        Columns `user_id`, `position` (from 1, the latest first), `item_id`, `rating` and `at`.
    """
    import pyarrow as pa

    with warehouse.connect() as connection:
        _require_features(connection, warehouse)
        for start in range(0, len(user_ids), USERS_PER_BLOCK):
            block = {"start": start, "stop": start + USERS_PER_BLOCK, "n": HISTORY_LENGTH}
            rows = connection.sql(_LATEST, params=block).to_arrow_table()
            users, items = (rows.column(name).to_numpy() for name in ("user_idx", "item_idx"))
            named = {"user_id": pa.array(user_ids[users]), "item_id": pa.array(item_ids[items])}
            yield pa.table(named | {name: rows.column(name) for name in ("position", "rating", "at")})


def load_popularity(warehouse: Warehouse) -> dict[int | None, NDArray[np.int64]]:
    """Return the (n_items,) int64 number of interactions of each item index, of all time (None) and by POPULAR_DAYS.

    Where no interaction has a time, only those of all time are known.
    """
    with warehouse.connect() as connection:
        _require_features(connection, warehouse)
        n_items = read_sizes(connection)[1]
        columns = _arrays(connection, _COUNTS)
    names = {None: "all_time"} | {days: f"days_{days}" for days in POPULAR_DAYS}
    counts = {days: np.zeros(n_items, np.int64) for days in names}
    for days, name in names.items():
        counts[days][columns["item_idx"]] = columns[name]
    return {days: counted for days, counted in counts.items() if days is None or counted.any()}


def _read_source_ids(connection: duckdb.DuckDBPyConnection, kind: str, *, is_text: bool) -> Ids:
    keys, texts = _arrays(
        connection,
        f"SELECT indexed.{kind}_id, named.source_id FROM features.{kind}s AS indexed"
        f" LEFT JOIN clean.{kind}s AS named USING ({kind}_id) ORDER BY indexed.{kind}_idx",
    ).values()
    ids: Ids = texts.astype(object) if is_text else keys
    return ids


def id_map_hash(warehouse: Warehouse) -> str:
    """Return 16 hex digits that change when an index refers to another user or item than before."""
    return _hash_of_ids(*load_ids(warehouse))


def read_id_map_hash(connection: duckdb.DuckDBPyConnection) -> str:
    """Return what `id_map_hash` does, through an open connection."""
    return _hash_of_ids(read_ids(connection, "users"), read_ids(connection, "items"))


def _hash_of_ids(users: NDArray[np.int64], items: NDArray[np.int64]) -> str:
    return hashlib.sha256(len(users).to_bytes(8) + users.tobytes() + items.tobytes()).hexdigest()[:16]


def _require_features(connection: duckdb.DuckDBPyConnection, warehouse: Warehouse) -> None:
    require(connection, warehouse, "features", tables_of("features"))


def read_ids(connection: duckdb.DuckDBPyConnection, table: str) -> NDArray[Any]:
    """Return the (n,) id of each index from a feature table whose columns are the index and the id."""
    _, ids = _arrays(connection, f"SELECT * FROM features.{table} ORDER BY 1").values()
    return ids


def read_sizes(connection: duckdb.DuckDBPyConnection) -> tuple[int, int]:
    """Return the numbers of users and of items."""
    return connection.execute(
        "SELECT (SELECT count(*) FROM features.users), (SELECT count(*) FROM features.items)"
    ).fetchall()[0]


def has_times(connection: duckdb.DuckDBPyConnection) -> bool:
    """Return whether any interaction of `features.interactions` has a time."""
    return _times_and_weights(connection)[0]


def _times_and_weights(connection: duckdb.DuckDBPyConnection) -> tuple[bool, bool]:
    """Return whether any interaction of `features.interactions` has a time, and whether any has a weight."""
    return connection.execute('SELECT count("at") > 0, count(weight) > 0 FROM features.interactions').fetchall()[0]


def read_fold(connection: duckdb.DuckDBPyConnection, fold: str, user: int | None = None) -> Interactions:
    """Return the pairs of a fold, of all users or of one user index, in the order of `features.interactions`."""
    # The table is stored in the order of user and item, and a scan keeps this order.
    timed, weighted = _times_and_weights(connection)
    time = f', coalesce(epoch_us("at") // 1000000, {UNKNOWN_TIME}) AS time' if timed else ""
    weight = ", coalesce(weight, 1::FLOAT) AS weight" if weighted else ""
    columns = _arrays(
        connection,
        f"SELECT user_idx, item_idx, coalesce(rating, 'nan'::FLOAT) AS rating {time} {weight} "
        f"FROM features.interactions WHERE fold = '{fold}'" + ("" if user is None else f" AND user_idx = {user}"),
    )
    return Interactions(
        columns["user_idx"], columns["item_idx"], columns["rating"], columns.get("time"), columns.get("weight")
    )


def read_item_features(connection: duckdb.DuckDBPyConnection, n_items: int) -> ItemFeatures:
    """Return the features of all items, read from `clean.items` in the order of `features.items`."""
    genre_names = _names(connection, "SELECT DISTINCT genre FROM features.item_genres ORDER BY genre")
    kind_names = _names(connection, "SELECT DISTINCT kind FROM clean.items WHERE kind IS NOT NULL ORDER BY kind")
    genres = connection.execute("SELECT item_idx, genre FROM features.item_genres").fetchall()
    column = {name: position for position, name in enumerate(genre_names)}
    matrix = sp.csr_array(
        (np.ones(len(genres), np.float32), ([item for item, _ in genres], [column[genre] for _, genre in genres])),
        shape=(n_items, len(genre_names)),
    )
    rows = connection.execute(
        "SELECT kind, year, site_score"
        " FROM features.items INNER JOIN clean.items AS described USING (item_id) ORDER BY item_idx"
    ).fetchall()
    place = {name: position for position, name in enumerate(kind_names)}
    return ItemFeatures(
        genres=matrix,
        genre_names=genre_names,
        kinds=np.array([place.get(kind, -1) for kind, _, _ in rows], dtype=np.int16),
        kind_names=kind_names,
        years=np.array([year for _, year, _ in rows], dtype=np.float32),
        site_scores=np.array([score for _, _, score in rows], dtype=np.float32),
        tags=_read_tags(connection, n_items),
    )


def _read_tags(connection: duckdb.DuckDBPyConnection, n_items: int) -> sp.csr_array | None:
    """Return the tags that at least two items have, as of `ItemFeatures`; the most frequent first."""
    tags = _arrays(
        connection,
        """
        WITH tags AS (
            SELECT item_idx, unnest(tags) AS tag
            FROM features.items INNER JOIN clean.items USING (item_id)
        ),
        shared AS (
            SELECT tag, row_number() OVER (ORDER BY count(DISTINCT item_idx) DESC, tag) - 1 AS tag_idx
            FROM tags GROUP BY tag HAVING count(DISTINCT item_idx) > 1
        )
        SELECT DISTINCT item_idx, tag_idx FROM tags INNER JOIN shared USING (tag) ORDER BY ALL
        """,
    )
    items, columns = tags["item_idx"], tags["tag_idx"]
    if not len(items):
        return None
    return sp.csr_array((np.ones(len(items), np.float32), (items, columns)), shape=(n_items, int(columns.max()) + 1))


def _names(connection: duckdb.DuckDBPyConnection, query: str) -> tuple[str, ...]:
    return tuple(name for (name,) in connection.execute(query).fetchall())


def _arrays(connection: duckdb.DuckDBPyConnection, query: str) -> dict[str, NDArray[Any]]:
    """Return the columns of a query result without NULLs."""
    return {name: np.ma.getdata(column) for name, column in connection.execute(query).fetchnumpy().items()}
