"""Write the published file: lists in blocks of users, then everything else, then a check of the whole."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import duckdb

from recsys_dagster.errors import RecsysError
from recsys_dagster.runtime.prefetch import prefetch
from recsys_dagster.runtime.storage import replacing
from recsys_dagster.serving.lookup import FORMAT_VERSION
from recsys_dagster.serving.provenance import Provenance
from recsys_dagster.serving.recommendation import Id
from recsys_dagster.serving.swap import set_log_aside
from recsys_dagster.warehouse.schemas import create_statements, published_reference, published_tables

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa
    from numpy.typing import NDArray

    from recsys_dagster.data.split import Ids
    from recsys_dagster.model_store.decisions import Decision
    from recsys_dagster.models.base import TopN
    from recsys_dagster.models.explaining import Explain

    Predict = Callable[[NDArray[np.int32], NDArray[np.int32]], Mapping[str, NDArray[np.float32]]]

RATING_COLUMNS = ("rating", "rating_low", "rating_high")
"""Columns of the predicted rating of a recommendation, and of its interval."""
_MEMORY_LIMIT = "512MB"


class PublishedCounts(NamedTuple):
    """Number of users with a list, and of recommendations, in a published file."""

    users: int
    rows: int


def publish(
    path: Path,
    *,
    lists: "Iterable[tuple[NDArray[np.int32], TopN]]",
    user_ids: "Ids",
    item_ids: "Ids",
    items: "pa.Table",
    genre_names: Sequence[str],
    leaderboard: "pa.Table",
    provenance: Provenance,
    explain: "Explain | None" = None,
    similar: "tuple[NDArray[np.int32], NDArray[np.float32]] | None" = None,
    popularity: "Mapping[int | None, NDArray[np.int64]] | None" = None,
    histories: "Iterable[pa.RecordBatch]" = (),
    history: "Sequence[Decision]" = (),
    reference: "Mapping[str, pa.Table] | None" = None,
    predict: "Predict | None" = None,
) -> PublishedCounts:
    """Build the published file of a domain and replace `path` with it atomically.

    Memory: DuckDB uses at most 512 MB. Two blocks of lists exist at a time, one of which is being written.

    Args:
        path: `published/<domain>.duckdb`, or where the file waits for its checks.
        lists: blocks of ((b,) user indices, their lists) in rising order of user ids over all blocks, so that a look-up
            reads one row group. `np.argsort(user_ids)` cut into blocks has that order.
        user_ids: (n_users,) id of each user index, as the source writes it; readers know all of these users, with a
            list or without.
        item_ids: (n_items,) id of each item index, as the source writes it; published so that models of this run can
            answer later.
        items: columns of `clean.items`, where the source writes `item_id`, with a row for every recommended item.
        genre_names: genre of each genre index of the models; published for the same reason.
        leaderboard: columns of `evaluation.metrics`.
        provenance: origin of the lists.
        explain: says which items of a user's history the items of the list are recommended for; None: nothing can.
        similar: (n_items, k) similar items of each item index, -1 where there are fewer, and their similarities.
        popularity: (n_items,) number of interactions of each item index, by the number of days before the last
            interaction that are counted, None for all time; None: unknown.
        histories: rows of `user_history`.
        history: decisions about the champion, the oldest first.
        reference: summary of the data, as tables by name, with which the next run compares its data.
        predict: returns the (n,) columns `rating`, `rating_low` and `rating_high` of pairs, given (n,) user and item
            indices; columns that it lacks are NULL, and all of them are if it is None.

    Returns:
        The number of users with a list and of recommendations; empty lists are not counted.

    Raises:
        RecsysError: there is no list at all, a recommended item has no row in `items`, or the file cannot be written;
            the previous file stays.
        ValueError: the user ids do not rise.
    """
    import numpy as np
    import pyarrow as pa

    try:
        with replacing(path) as unfinished:
            config: dict[str, Any] = {"memory_limit": _MEMORY_LIMIT, "temp_directory": str(unfinished.parent)}
            with duckdb.connect(unfinished, config=config) as connection:
                connection.execute(create_statements(published_tables(_sql_type(user_ids), _sql_type(item_ids))))
                connection.execute("INSERT INTO format_version VALUES (?)", [FORMAT_VERSION])
                _insert(connection, "users", pa.table({"user_id": np.sort(user_ids)}))
                _insert_lists(connection, lists, user_ids, item_ids, provenance, predict, explain)
                if similar is not None:
                    _insert(connection, "similar_items", _similar(*similar, item_ids))
                for days, interactions in (popularity or {}).items():
                    _insert(connection, "popular_items", _popular(days, interactions, item_ids))
                for rows in histories:
                    _insert(connection, "user_history", rows)
                _insert(connection, "items", items)
                _insert(connection, "item_index", _indexed("item_idx", "item_id", item_ids))
                _insert(connection, "genre_index", _indexed("genre_idx", "genre", genre_names))
                _insert(connection, "leaderboard", leaderboard)
                _insert_provenance(connection, provenance)
                _insert_history(connection, history)
                if reference is not None:
                    connection.execute(create_statements(published_reference(_sql_type(item_ids))))
                    for name, rows in reference.items():
                        _insert(connection, name, rows)
                counts = _check(connection, path)
                connection.execute("CHECKPOINT")  # closing does it as well, but without an error if it fails
        set_log_aside(path)  # of the file that was replaced
        return counts
    except (duckdb.OperationalError, duckdb.FatalException) as error:
        reason = str(error).partition("\n")[0]
        raise RecsysError(
            f"{path}: could not be written ({reason}); free some space or point RECSYS_HOME at a larger disk, "
            "then run again (the previous file is untouched)"
        ) from error


def _insert_lists(
    connection: duckdb.DuckDBPyConnection,
    lists: "Iterable[tuple[NDArray[np.int32], TopN]]",
    user_ids: "Ids",
    item_ids: "Ids",
    provenance: Provenance,
    predict: "Predict | None",
    explain: "Explain | None",
) -> None:
    import numpy as np
    import pyarrow as pa

    last: Id | None = None
    for users, top in prefetch(iter(lists)):
        ids = user_ids[users]
        if (ids[1:] <= ids[:-1]).any() or (len(ids) and last is not None and ids[0] <= last):
            raise ValueError("the user ids of the lists do not rise; go through np.argsort(user_ids)")
        last = ids[-1] if len(ids) else last
        rows, places = np.nonzero(top.items >= 0)
        items = top.items[rows, places]
        ratings = {} if predict is None else predict(users[rows], items)
        block: Any = pa.table(
            {
                "user_id": ids[rows],
                "rank": places.astype(np.int32) + 1,
                "item_id": item_ids[items],
                "score": top.scores[rows, places],
                **{name: ratings.get(name, pa.nulls(len(rows), pa.float32())) for name in RATING_COLUMNS},
                "because": _because(explain(users, top.items)[rows, places] if explain else None, len(rows), item_ids),
            }
        )
        connection.register("block", block)
        connection.execute(
            "INSERT INTO recommendations BY NAME SELECT *, $model AS model, $version AS version FROM block",
            {"model": provenance.model, "version": provenance.version},
        )
        connection.unregister("block")


def _because(reasons: "NDArray[np.int32] | None", rows: int, item_ids: "Ids") -> "pa.Array":
    """Return the list of each row; NULL where nothing is known.

    Args:
        reasons: (rows, n) item indices, -1 where there are fewer; None: nothing is known.
        rows: number of rows.
        item_ids: id of each item index.
    """
    import numpy as np
    import pyarrow as pa

    type_ = pa.list_(pa.string() if item_ids.dtype == object else pa.int64())
    if reasons is None:
        return pa.nulls(rows, type_)
    listed = reasons >= 0
    offsets = np.concatenate([[0], listed.sum(axis=1).cumsum()]).astype(np.int32)
    values = pa.array(item_ids[reasons[listed]], type_.value_type)
    return pa.ListArray.from_arrays(pa.array(offsets), values, mask=pa.array(~listed.any(axis=1)))


def _similar(items: "NDArray[np.int32]", scores: "NDArray[np.float32]", item_ids: "Ids") -> "pa.Table":
    import numpy as np
    import pyarrow as pa

    rows, places = np.nonzero(items >= 0)
    return pa.table(
        {
            "item_id": item_ids[rows],
            "rank": places.astype(np.int32) + 1,
            "similar_id": item_ids[items[rows, places]],
            "score": scores[rows, places],
        }
    )


def _popular(days: int | None, counts: "NDArray[np.int64]", item_ids: "Ids") -> "pa.Table":
    """Return the items with interactions, those with the most first; of equal ones the one with the lower id first."""
    import numpy as np
    import pyarrow as pa

    by_id = np.argsort(item_ids, kind="stable")
    order = by_id[np.argsort(-counts[by_id], kind="stable")]
    order = order[counts[order] > 0]
    return pa.table(
        {
            "days": pa.array([days] * len(order), pa.int32()),
            "rank": np.arange(1, len(order) + 1, dtype=np.int32),
            "item_id": item_ids[order],
            "interactions": counts[order],
        }
    )


def _indexed(index: str, name: str, values: "Sequence[str] | Ids") -> "pa.Table":
    import pyarrow as pa

    return pa.table({index: pa.array(range(len(values)), pa.int32()), name: values})


def _sql_type(ids: "Ids") -> str:
    return "VARCHAR" if ids.dtype == object else "BIGINT"


def _insert(connection: duckdb.DuckDBPyConnection, table: str, rows: "pa.Table") -> None:
    connection.register("rows_in", rows)
    connection.execute(f"INSERT INTO {table} BY NAME SELECT * FROM rows_in")
    connection.unregister("rows_in")


def _insert_provenance(connection: duckdb.DuckDBPyConnection, provenance: Provenance) -> None:
    connection.execute(
        "INSERT INTO provenance VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, MAP(?::VARCHAR[], ?::VARCHAR[]), ?, ?, ?)",
        [
            provenance.domain,
            provenance.dataset,
            provenance.data_version,
            provenance.licence,
            provenance.model,
            provenance.version,
            provenance.trained_rows,
            *(provenance.scale or (None, None)),
            list(provenance.packages),
            list(provenance.packages.values()),
            provenance.created_at,
            provenance.user_ids,
            provenance.item_ids,
        ],
    )


def _insert_history(connection: duckdb.DuckDBPyConnection, history: "Sequence[Decision]") -> None:
    for row in history:
        connection.execute(
            "INSERT INTO history VALUES (?, ?, ?, ?, ?, ?, ?, MAP(?::VARCHAR[], ?::DOUBLE[]))",
            [
                datetime.fromisoformat(row.at).replace(tzinfo=None),
                *(row.model, row.version, row.previous_model, row.previous_version, row.reason, row.by),
                list(row.metrics),
                list(row.metrics.values()),
            ],
        )


def _check(connection: duckdb.DuckDBPyConnection, path: Path) -> PublishedCounts:
    """Return the counts; raise RecsysError if readers could not use the file."""
    counts = connection.execute("SELECT count(*) FILTER (rank = 1), count(*) FROM recommendations").fetchone()
    result = PublishedCounts(*(counts or (0, 0)))
    if not result.rows:
        raise RecsysError(f"{path}: no user has any item to be recommended; the previous file stays")
    unknown = connection.execute(
        "SELECT DISTINCT item_id FROM recommendations ANTI JOIN items USING (item_id) ORDER BY item_id LIMIT 3"
    ).fetchall()
    if unknown:
        examples = ", ".join(str(item) for (item,) in unknown)
        raise RecsysError(f"{path}: recommended items are missing from items (ids {examples}, …); build clean again")
    return result
