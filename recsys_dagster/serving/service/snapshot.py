"""Hold one publication as memory-mapped arrays, which all processes of the service share.

A published file is read once into a folder of arrays. Whoever needs the same publication later maps the same folder. An
open snapshot stays whole when its folder is removed.
"""

import json
import math
import mmap
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from recsys_dagster.errors import RecsysError
from recsys_dagster.models.explaining import REASONS
from recsys_dagster.runtime.locks import file_lock
from recsys_dagster.runtime.storage import temporary_folder
from recsys_dagster.serving.database import path_without_lock, unreadable
from recsys_dagster.serving.item_finder import ItemFinder, NamedItem
from recsys_dagster.serving.item_names import name_sql
from recsys_dagster.serving.lookup import Id, Provenance, PublishedFile

_ROWS_PER_BATCH = 2**20
_BUILD_SECONDS = 600
_MEMORY_LIMIT = "512MB"

NO_TIME = np.iinfo(np.int64).min
"""Stands for a time that is unknown."""

_LISTS = "SELECT user_id, item_id, score FROM recommendations"
_SIMILAR = "SELECT item_id, similar_id, score FROM similar_items ORDER BY item_id, rank"
_HISTORIES = "SELECT user_id, item_id, rating FROM user_history"
_ITEMS = f"""
SELECT item_id, {name_sql()} AS title, title_english, kind, year, genres, creators, image_url, is_adult
FROM items ORDER BY item_id
"""


@dataclass(frozen=True)
class IdIndex:
    """The position of each id.

    Attributes:
        values: (n,) rising ids: int64, or UTF-8 text as bytes.
    """

    values: NDArray[Any]

    def __len__(self) -> int:
        return len(self.values)

    @property
    def is_text(self) -> bool:
        """Whether the ids are text."""
        return self.values.dtype.kind == "S"

    def find(self, text: str) -> int | None:
        """Return the position of an id as a URL or a user writes it; None if it is unknown."""
        key: bytes | int
        try:
            key = text.encode() if self.is_text else int(text)
        except ValueError:
            return None
        if isinstance(key, int) and not -(2**63) <= key < 2**63:
            return None
        position = int(np.searchsorted(self.values, np.array(key)))
        return position if position < len(self.values) and self.values[position] == key else None

    def __getitem__(self, position: int) -> Id:
        value = self.values[position]
        return value.decode() if self.is_text else int(value)


@dataclass(frozen=True)
class Lists:
    """Lists of several owners in two long arrays.

    Attributes:
        offsets: (n + 1,) int64; the list of owner i is from offsets[i] to offsets[i + 1].
        items: int32 positions of the items, best first.
        scores: float32 score of each.
    """

    offsets: NDArray[np.int64]
    items: NDArray[np.int32]
    scores: NDArray[np.float32]

    def of(self, owner: int) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
        """Return the item positions and the scores of one list."""
        start, stop = self.offsets[owner], self.offsets[owner + 1]
        return self.items[start:stop], self.scores[start:stop]


class Texts:
    """Texts in one memory-mapped file, by position."""

    def __init__(self, folder: Path, name: str) -> None:
        with (folder / f"{name}.bin").open("rb") as file:
            self._bytes = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        # Plain numbers: indexing an array makes an object of its own each time.
        self._offsets: list[int] = np.load(folder / f"{name}_offsets.npy").tolist()

    def __getitem__(self, position: int) -> bytes:
        return self._bytes[self._offsets[position] : self._offsets[position + 1]]

    @staticmethod
    def write(folder: Path, name: str, texts: Sequence[bytes]) -> None:
        """Write the files that the texts are read from."""
        (folder / f"{name}.bin").write_bytes(b"".join(texts))
        np.save(folder / f"{name}_offsets.npy", np.cumsum([0, *map(len, texts)]))


class Snapshot:
    """One publication of a domain.

    Attributes:
        folder: the arrays.
        provenance: origin of the lists.
        genre_names, kind_names: what the columns of `genres`, and the numbers in `kinds`, stand for.
        users, items: ids; a user or item is referred to by its position there.
        lists: the published list of each user.
        kinds: (n_items,) int16 position in `kind_names`; -1 where unknown.
        years: (n_items,) int16; 0 where unknown.
        adult: (n_items,) bool; false where unknown.
        genres: (n_items, n_genres) bool.
        ratings: (n_recommendations,) float32 predicted rating of each entry of `lists`; NaN without a rating model.
        because: (n_recommendations, REASONS) int32 items that each entry of `lists` is recommended for; -1 for none.
        similar: the similar items of each item.
        histories: the latest items of each user; the scores are their ratings, NaN without one.
        times: int64 seconds since 1970 of each entry of `histories`; the smallest int64 where it is unknown.
        rarity: (n_users,) float32 mean −log₂ of the share of all interactions that the items of a history have.
        popular: (n_items,) int32 positions of the items, those with the most ratings first.
        model_items: (n_model_items,) int32 position of the item of each index of the models.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        meta = json.loads((folder / "meta.json").read_text(encoding="utf-8"))
        self.provenance: Provenance = _provenance(meta["provenance"])
        self.genre_names: tuple[str, ...] = tuple(meta["genre_names"])
        self.model_genres: tuple[str, ...] = tuple(meta["model_genres"])
        self.kind_names: tuple[str, ...] = tuple(meta["kind_names"])
        self.models: dict[str, str] = meta["models"]
        self.leaderboard: list[dict[str, Any]] = meta["leaderboard"]
        self.users, self.items = IdIndex(self._map("users")), IdIndex(self._map("items"))
        self.lists = self._lists("lists")
        self.ratings = self._map("ratings")
        self.because, self.times, self.rarity = self._map("because"), self._map("times"), self._map("rarity")
        self.similar, self.histories = self._lists("similar"), self._lists("histories")
        self.kinds, self.years, self.adult = self._map("kinds"), self._map("years"), self._map("adult")
        self.genres, self.popular = self._map("genres"), self._map("popular")
        self.model_items = self._map("model_items")
        self._fields, self._names = Texts(folder, "fields"), Texts(folder, "names")

    @cached_property
    def finder(self) -> ItemFinder:
        """Finds items by name; built when it is first needed."""
        known = ("title", "title_english", "kind", "year")
        rows = ({name: fields[name] for name in known} for fields in map(self.item, range(len(self.items))))
        return ItemFinder(NamedItem(item_id=self.items[place], **row) for place, row in enumerate(rows))

    @cached_property
    def index_of_model_item(self) -> NDArray[np.int32]:
        """(n_items,) int32 index of each item in the models; -1 where they do not know it."""
        index = np.full(len(self.items), -1, np.int32)
        index[self.model_items] = np.arange(len(self.model_items), dtype=np.int32)
        return index

    def fields(self, item: int) -> bytes:
        """Return the fields of an item as the inside of a JSON object, without braces."""
        return self._fields[item]

    def item(self, item: int) -> dict[str, Any]:
        """Return the fields of an item."""
        fields: dict[str, Any] = json.loads(b"{" + self.fields(item) + b"}")
        return fields

    def name(self, item: int) -> bytes:
        """Return the id and the title of an item as a JSON object."""
        return self._names[item]

    def _lists(self, name: str) -> Lists:
        return Lists(*(self._map(f"{name}_{part}") for part in ("offsets", "items", "scores")))

    def _map(self, name: str) -> NDArray[Any]:
        array: NDArray[Any] = np.load(self.folder / f"{name}.npy", mmap_mode="r")
        return array


def open_snapshot(path: Path, cache: Path) -> Snapshot:
    """Return the snapshot of a published file; read the file into the cache unless another process has done so.

    Args:
        path: the published file.
        cache: folder of the snapshots of this domain; those of earlier publications are removed from it.

    Raises:
        RecsysError: the file does not exist or cannot be read.
    """
    name = publication_name(path)
    cache.mkdir(parents=True, exist_ok=True)
    folder = cache / name
    with file_lock(cache / ".lock", "another process reading the lists", wait_seconds=_BUILD_SECONDS):
        if not folder.is_dir():
            with temporary_folder(cache, name) as unfinished:
                written = unfinished / "snapshot"
                written.mkdir()
                with path_without_lock(path) as readable:
                    try:
                        _write(readable, written)
                    except duckdb.Error as error:
                        raise unreadable(path, error) from error
                written.rename(folder)
        snapshot = Snapshot(folder)
        for other in cache.iterdir():
            if other.is_dir() and other != folder and not other.name.startswith("."):
                shutil.rmtree(other)
    return snapshot


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


def _provenance(stored: dict[str, Any]) -> Provenance:
    scale = None if stored["scale"] is None else tuple(stored["scale"])
    return Provenance(**stored | {"scale": scale, "created_at": datetime.fromisoformat(stored["created_at"])})


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
        _write_lists(connection, folder, "lists", _LISTS, users, item_ids)
        _write_lists(connection, folder, "similar", _SIMILAR, item_ids, item_ids)
        _write_lists(connection, folder, "histories", _HISTORIES, users, item_ids)
        ratings = connection.sql("SELECT rating FROM recommendations").to_arrow_table().column(0)
        _save(folder, ratings=ratings.fill_null(np.nan).to_numpy())
        _write_reasons(connection, folder, item_ids)
        _write_history_facts(connection, folder)
        meta |= _write_items(folder, items)
        _write_order(connection, folder, item_ids)
        board = connection.sql("SELECT * FROM leaderboard ORDER BY ALL").to_arrow_table().to_pylist()
        meta["leaderboard"] = [{name: _known(value) for name, value in row.items()} for row in board]
    (folder / "meta.json").write_text(json.dumps(meta), encoding="utf-8")


def _write_lists(
    connection: duckdb.DuckDBPyConnection, folder: Path, name: str, query: str, owners: pa.Array, items: pa.Array
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
    listed = np.lib.format.open_memmap(folder / f"{name}_items.npy", "w+", np.int32, (rows,))
    scores = np.lib.format.open_memmap(folder / f"{name}_scores.npy", "w+", np.float32, (rows,))
    lengths = np.zeros(len(owners) + 1, np.int64)
    place = last = 0
    for batch in connection.sql(query).to_arrow_reader(_ROWS_PER_BATCH):
        stop = place + len(batch)
        who = _places(batch.column(0), owners)
        if len(who) and (who[0] < last or (np.diff(who) < 0).any()):
            raise RecsysError("the published tables are not in the order of their ids; publish again")
        last = who[-1] if len(who) else last
        lengths[1:] += np.bincount(who, minlength=len(owners))
        listed[place:stop] = _places(batch.column(1), items)
        scores[place:stop] = batch.column(2).fill_null(np.nan).to_numpy()
        place = stop
    _save(folder, **{f"{name}_offsets": np.cumsum(lengths)})


def _write_reasons(connection: duckdb.DuckDBPyConnection, folder: Path, items: pa.Array) -> None:
    """Write the items that each recommendation is made for."""
    rows = connection.execute("SELECT count(*) FROM recommendations").fetchall()[0][0]
    reasons = np.lib.format.open_memmap(folder / "because.npy", "w+", np.int32, (rows, REASONS))
    reasons[:] = -1
    place = 0
    for batch in connection.sql("SELECT because FROM recommendations").to_arrow_reader(_ROWS_PER_BATCH):
        lists = batch.column(0)
        parents = pc.list_parent_indices(lists).to_numpy()
        # The place of each value in its own list.
        within = np.arange(len(parents)) - np.searchsorted(parents, parents)
        reasons[place + parents, within] = _places(lists.flatten(), items)
        place += len(batch)


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
    genres[pc.list_parent_indices(lists).to_numpy(), _places(lists.flatten(), pa.array(names, pa.string()))] = True
    Texts.write(folder, "fields", [_as_json(row)[1:-1] for row in _rows(items)])
    Texts.write(folder, "names", [_as_json(row) for row in _rows(items.select(["item_id", "title"]))])
    _save(
        folder,
        kinds=kinds.indices.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int16),
        years=items.column("year").fill_null(0).to_numpy().astype(np.int16),
        adult=items.column("is_adult").fill_null(False).to_numpy(),
        genres=genres,
    )
    return {"kind_names": kinds.dictionary.to_pylist(), "genre_names": names}


def _write_order(connection: duckdb.DuckDBPyConnection, folder: Path, items: pa.Array) -> None:
    """Write the items by popularity, and the position of the item of each index of the models."""
    tables = {name for (name,) in connection.execute("SELECT table_name FROM duckdb_tables()").fetchall()}
    counts = np.zeros(len(items), np.int64)
    if "item_ratings" in tables:
        counted = connection.sql("SELECT item_id, ratings FROM item_ratings").to_arrow_table()
        counts[_places(counted.column(0).combine_chunks(), items)] = counted.column(1).to_numpy()
    index = connection.sql("SELECT item_id FROM item_index ORDER BY item_idx").to_arrow_table().column(0)
    _save(
        folder,
        popular=np.argsort(-counts, kind="stable").astype(np.int32),
        model_items=_places(index.combine_chunks(), items),
    )


def _places(values: pa.Array, known: pa.Array) -> NDArray[np.int32]:
    """Return the position of each value among the known ones; all of them must be known."""
    places: NDArray[np.int32] = pc.index_in(values, value_set=known).to_numpy(zero_copy_only=False).astype(np.int32)
    return places


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


def _as_json(row: dict[str, Any]) -> bytes:
    return json.dumps(row, ensure_ascii=False, separators=(",", ":")).encode()


def _save(folder: Path, **arrays: NDArray[Any] | Sequence[int]) -> None:
    for name, array in arrays.items():
        np.save(folder / f"{name}.npy", np.asarray(array))
