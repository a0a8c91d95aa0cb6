"""Read a published file into the arrays that a snapshot maps."""

import contextlib
import json
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from recsys_dagster.errors import RecsysError
from recsys_dagster.runtime.storage import temporary_folder
from recsys_dagster.serving.database import path_without_lock, unreadable
from recsys_dagster.serving.item_names import name_sql
from recsys_dagster.serving.lookup import PublishedFile
from recsys_dagster.serving.service.arrays import NO_TIME, Texts, compact_json

_ROWS_PER_BATCH = 2**20
_MEMORY_LIMIT = "256MB"
_LARGEST_TABLE = 2**22
"""Numbers from the lowest to the highest id up to which a table with a place for each is made."""

_LISTS = "SELECT user_id, item_id, score FROM recommendations"
_SIMILAR = "SELECT item_id, similar_id, score FROM similar_items ORDER BY item_id, rank"
_POPULAR = "SELECT coalesce(days, 0) AS days, item_id, interactions FROM popular_items ORDER BY 1, rank"
_HISTORIES = "SELECT user_id, item_id, rating FROM user_history"
_ITEMS = f"""
SELECT item_id, {name_sql()} AS title, title_english, kind, year, genres, creators, image_url, is_adult
FROM items ORDER BY item_id
"""


class _Places:
    """The position of each of the ids."""

    def __init__(self, ids: pa.Array) -> None:
        self._ids = ids
        self._table: NDArray[np.int32] | None = None
        if pa.types.is_integer(ids.type) and len(ids):
            numbers = ids.to_numpy(zero_copy_only=False).astype(np.int64)
            self._first = int(numbers.min())
            size = int(numbers.max()) - self._first + 1
            if size <= max(_LARGEST_TABLE, 8 * len(ids)):
                self._table = np.full(size, -1, np.int32)
                self._table[numbers - self._first] = np.arange(len(ids), dtype=np.int32)

    def __len__(self) -> int:
        return len(self._ids)

    def of(self, values: pa.Array) -> NDArray[np.int32]:
        """Return the position of each value, all of which must be among the ids."""
        places: NDArray[np.int32]
        if self._table is not None:
            numbers = values.to_numpy(zero_copy_only=False).astype(np.int64)
            places = self._table.take(numbers - self._first)
            return places
        # Arrow hashes all ids anew each time, so numbers that are close to each other are looked up in a table.
        places = pc.index_in(values, value_set=self._ids).to_numpy(zero_copy_only=False)
        return places.astype(np.int32, copy=False)


def build_snapshot(path: Path, cache: Path) -> Path:
    """Read a published file into arrays, and return their folder, whose name is that of the publication.

    Args:
        path: the published file.
        cache: an existing folder, in which that of the arrays appears when it is complete.

    Raises:
        RecsysError: the file does not exist or cannot be read.
    """
    folder = cache / publication_name(path)
    with temporary_folder(cache) as unfinished, path_without_lock(path) as readable:
        written = unfinished / "snapshot"
        written.mkdir()
        try:
            _write(readable, written)
        except duckdb.Error as error:
            raise unreadable(path, error) from error
        if not folder.is_dir():
            written.rename(folder)
    return folder


def publication_name(path: Path) -> str:
    """Return a name that differs between any two publications at the path.

    Raises:
        RecsysError: nothing is published.
    """
    try:
        status = path.stat()
    except OSError as error:
        raise RecsysError(f"{path}: nothing is published yet ({error.strerror}); run `recsys run` first") from error
    return f"{status.st_ino:x}-{status.st_mtime_ns:x}-{status.st_size:x}"


def _write(path: Path, folder: Path) -> None:
    """Write the arrays of a published file."""
    with PublishedFile(path) as published:
        described = asdict(published.provenance())
        meta: dict[str, Any] = {
            "provenance": described | {"created_at": described["created_at"].isoformat()},
            "models": published.models(),
            "model_genres": list(published.indices().genre_names),
        }
    with duckdb.connect(path, read_only=True) as connection:
        connection.execute(f"SET memory_limit = '{_MEMORY_LIMIT}'")
        users = connection.sql("SELECT user_id FROM users ORDER BY user_id").to_arrow_table().column(0).combine_chunks()
        items = connection.sql(_ITEMS).to_arrow_table()
        item_ids = items.column("item_id").combine_chunks()
        _save(folder, users=_ids(users), items=_ids(item_ids))
        user_places, item_places = _Places(users), _Places(item_ids)
        _write_lists(connection, folder, "lists", _LISTS, user_places, item_places)
        _write_lists(connection, folder, "similar", _SIMILAR, item_places, item_places)
        days = connection.sql(
            "SELECT DISTINCT coalesce(days, 0) AS days FROM popular_items ORDER BY 1"
        ).to_arrow_table()
        meta["popular_days"] = days.column(0).to_pylist()
        _write_lists(connection, folder, "popular", _POPULAR, _Places(days.column(0).combine_chunks()), item_places)
        _write_lists(connection, folder, "histories", _HISTORIES, user_places, item_places)
        _write_list_facts(connection, folder, item_places)
        _write_history_facts(connection, folder)
        meta |= _write_items(folder, items)
        _write_model_items(connection, folder, item_places)
        board = connection.sql("SELECT * FROM leaderboard ORDER BY ALL").to_arrow_table().to_pylist()
        meta["leaderboard"] = [{name: _known(value) for name, value in row.items()} for row in board]
    (folder / "meta.json").write_text(json.dumps(meta), encoding="utf-8")


def _write_lists(
    connection: duckdb.DuckDBPyConnection, folder: Path, name: str, query: str, owners: _Places, items: _Places
) -> None:
    """Write lists as arrays.

    Args:
        connection: to the published file.
        folder: where the arrays are written.
        name: of the lists.
        query: gives owner, item and score, in the order of the owners.
        owners, items: all ids.
    """
    rows = connection.execute(f"SELECT count(*) FROM ({query})").fetchall()[0][0]
    lengths = np.zeros(len(owners) + 1, np.int64)
    last = 0
    with (
        _written(folder / f"{name}_items.npy", _position_type(items), (rows,)) as write_items,
        _written(folder / f"{name}_scores.npy", np.float32, (rows,)) as write_scores,
    ):
        for batch in connection.sql(query).to_arrow_reader(_ROWS_PER_BATCH):
            runs = pc.run_end_encode(batch.column(0))  # an owner is looked for once for a list
            who = owners.of(runs.values)
            if len(who) and (who[0] < last or (np.diff(who) < 0).any()):
                raise RecsysError("the published tables are not in the order of their ids; publish again")
            last = who[-1] if len(who) else last
            np.add.at(lengths, who + 1, np.diff(runs.run_ends.to_numpy(), prepend=0))
            write_items(items.of(batch.column(1)))
            write_scores(_floats(batch.column(2)))
    _save(folder, **{f"{name}_offsets": np.cumsum(lengths)})


def _write_list_facts(connection: duckdb.DuckDBPyConnection, folder: Path, items: _Places) -> None:
    """Write the predicted rating of each recommendation with its interval, and the items that it is made for."""
    rows, n_reasons = connection.execute(
        "SELECT count(*), coalesce(max(len(because)), 0) FROM recommendations"
    ).fetchall()[0]
    with (
        _written(folder / "ratings.npy", np.float32, (rows, 3)) as write_ratings,
        _written(folder / "because.npy", _position_type(items), (rows, n_reasons)) as write_reasons,
    ):
        query = "SELECT rating, rating_low, rating_high, because FROM recommendations"
        for batch in connection.sql(query).to_arrow_reader(_ROWS_PER_BATCH):
            *ratings, lists = batch.columns
            write_ratings(np.column_stack([_floats(column) for column in ratings]))
            reasons = np.full((len(batch), n_reasons), -1, np.int32)
            lengths = pc.list_value_length(lists).fill_null(0).to_numpy(zero_copy_only=False)
            reasons[np.arange(n_reasons) < lengths[:, None]] = items.of(lists.flatten())
            write_reasons(reasons)


def _write_history_facts(connection: duckdb.DuckDBPyConnection, folder: Path) -> None:
    """Write the times of the histories, and how rare the items of each history are."""
    times = connection.sql('SELECT epoch("at")::BIGINT AS seconds FROM user_history').to_arrow_table().column(0)
    items, offsets = (np.load(folder / f"histories_{name}.npy", mmap_mode="r") for name in ("items", "offsets"))
    counts = np.bincount(items)
    bits = -np.log2(counts[items] / max(len(items), 1))
    sums = np.concatenate([[0], np.cumsum(bits)])
    lengths = np.diff(offsets)
    rarity = (sums[offsets[1:]] - sums[offsets[:-1]]) / np.maximum(lengths, 1)
    _save(folder, times=times.fill_null(NO_TIME).to_numpy(), rarity=rarity.astype(np.float32))


def _write_items(folder: Path, items: pa.Table) -> dict[str, list[str]]:
    """Write what filters need of the items, and their fields as JSON; return the names of kinds and genres."""
    kinds = items.column("kind").combine_chunks().dictionary_encode()
    lists = items.column("genres").combine_chunks()
    names = sorted(pc.unique(lists.flatten()).to_pylist())
    genres = np.zeros((len(items), len(names)), np.bool_)
    genres[pc.list_parent_indices(lists).to_numpy(), _Places(pa.array(names, pa.string())).of(lists.flatten())] = True
    Texts.write(folder, "fields", [compact_json(row)[1:-1] for row in _rows(items)])
    Texts.write(folder, "names", [compact_json(row) for row in _rows(items.select(["item_id", "title"]))])
    _save(
        folder,
        kinds=kinds.indices.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int16),
        years=items.column("year").fill_null(0).to_numpy().astype(np.int16),
        adult=items.column("is_adult").fill_null(False).to_numpy(),
        genres=genres,
    )
    return {"kind_names": kinds.dictionary.to_pylist(), "genre_names": names}


def _write_model_items(connection: duckdb.DuckDBPyConnection, folder: Path, items: _Places) -> None:
    """Write the position of the item of each index of the models."""
    index = connection.sql("SELECT item_id FROM item_index ORDER BY item_idx").to_arrow_table().column(0)
    _save(folder, model_items=items.of(index.combine_chunks()))


@contextlib.contextmanager
def _written(path: Path, dtype: type, shape: tuple[int, ...]) -> Iterator[Callable[[NDArray[Any]], None]]:
    """Give a function that appends rows to an array in a file.

    Rows that were written are not memory of this process, as those of a mapped array would be.
    """
    with path.open("wb") as file:
        descr = np.lib.format.dtype_to_descr(np.dtype(dtype))
        np.lib.format.write_array_header_1_0(file, {"descr": descr, "fortran_order": False, "shape": shape})
        yield lambda rows: rows.astype(dtype, copy=False).tofile(file)


def _position_type(items: _Places) -> type:
    """Return the smallest type for positions of items and -1; the lists of all users are most of a snapshot."""
    return np.int16 if len(items) < 2**15 else np.int32


def _floats(values: pa.Array) -> NDArray[np.float32]:
    """Return float32 values, NaN for NULL."""
    floats: NDArray[np.float32] = values.cast(pa.float32()).fill_null(np.nan).to_numpy(zero_copy_only=False)
    return floats


def _ids(ids: pa.Array) -> NDArray[Any]:
    if pa.types.is_integer(ids.type):
        values: NDArray[np.int64] = ids.to_numpy(zero_copy_only=False).astype(np.int64)
        return values
    encoded = [text.encode() for text in ids.to_pylist()]
    return np.array(encoded, dtype=f"S{max(map(len, encoded), default=1)}")


def _rows(items: pa.Table) -> Iterator[dict[str, Any]]:
    for batch in items.to_batches(max_chunksize=10_000):
        yield from batch.to_pylist()


def _known(value: Any) -> Any:
    """Return the value, or None for NaN, which JSON does not have."""
    return None if isinstance(value, float) and math.isnan(value) else value


def _save(folder: Path, **arrays: NDArray[Any] | Sequence[int]) -> None:
    for name, array in arrays.items():
        np.save(folder / f"{name}.npy", np.asarray(array))
