"""Hold one publication as memory-mapped arrays, which all processes of the service share.

A published file is read once into a folder of arrays. Whoever needs the same publication later maps the same folder. An
open snapshot stays whole when its folder is removed.
"""

import json
import mmap
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from recsys_dagster.serving.item_finder import ItemFinder, NamedItem
from recsys_dagster.serving.item_rules import ItemRules
from recsys_dagster.serving.lookup import Provenance
from recsys_dagster.serving.recommendation import Id

NO_TIME = np.iinfo(np.int64).min
"""Stands for a time that is unknown."""


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
        position = int(self.values.searchsorted(key))
        return position if position < len(self.values) and self.values[position] == key else None

    def __getitem__(self, position: int) -> Id:
        value = self.values[position]
        return value.decode() if self.is_text else int(value)


@dataclass(frozen=True)
class Lists:
    """Lists of several owners in two long arrays.

    Attributes:
        offsets: (n + 1,) int64; the list of owner i is from offsets[i] to offsets[i + 1].
        items: positions of the items, best first; int16 where that suffices, else int32.
        scores: float32 score of each.
    """

    offsets: NDArray[np.int64]
    items: NDArray[np.int16 | np.int32]
    scores: NDArray[np.float32]

    def of(self, owner: int) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
        """Return the (k,) int32 item positions and the (k,) float32 scores of one list."""
        start, stop = self.offsets[owner], self.offsets[owner + 1]
        return self.items[start:stop].astype(np.int32), self.scores[start:stop]


class Texts:
    """Texts in one memory-mapped file, by position."""

    def __init__(self, folder: Path, name: str) -> None:
        with (folder / f"{name}.bin").open("rb") as file:
            self._bytes = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        # Plain numbers: indexing an array makes an object of its own each time.
        self._offsets: list[int] = np.load(folder / f"{name}_offsets.npy").tolist()

    def at(self, positions: Sequence[int]) -> list[bytes]:
        """Return the texts at several positions; that at -1 is empty."""
        content, offsets = self._bytes, self._offsets
        return [content[offsets[position] : offsets[position + 1]] for position in positions]

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
        rules: of the domain, for the items; `Publications` replaces them when they change.
        ratings: (n_recommendations,) float32 predicted rating of each entry of `lists`; NaN without a rating model.
        because: (n_recommendations, REASONS) positions of the items that each entry of `lists` is for; -1 for none.
        similar: the similar items of each item.
        histories: the latest items of each user; the scores are their ratings, NaN without one.
        times: int64 seconds since 1970 of each entry of `histories`; the smallest int64 where it is unknown.
        rarity: (n_users,) float32 mean −log₂ of the share of all interactions that the items of a history have.
        popular: the items by number of interactions, one list for each of `popular_days`.
        popular_days: days before the last interaction that are counted; 0 for all time.
        fields: the fields of each item as the inside of a JSON object, without braces.
        names: the id and the title of each item as a JSON object.
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
        self.genres, self.model_items = self._map("genres"), self._map("model_items")
        self.popular, self.popular_days = self._lists("popular"), tuple(meta["popular_days"])
        self.rules = ItemRules.none(sp.csr_array(self.genres, dtype=np.float32))
        self.fields, self.names = Texts(folder, "fields"), Texts(folder, "names")

    @cached_property
    def finder(self) -> ItemFinder:
        """Finds items by name; built when it is first needed."""
        known = ("title", "title_english", "kind", "year")
        rows = ({name: fields[name] for name in known} for fields in map(self.item, range(len(self.items))))
        return ItemFinder(NamedItem(item_id=self.items[place], **row) for place, row in enumerate(rows))

    def popular_items(self, days: int = 0) -> NDArray[np.int32]:
        """Return the positions of the items with interactions in one of `popular_days`, the most popular first.

        Without any count there are none.
        """
        return self.popular.of(self.popular_days.index(days))[0] if self.popular_days else np.empty(0, np.int32)

    @cached_property
    def index_of_model_item(self) -> NDArray[np.int32]:
        """(n_items,) int32 index of each item in the models; -1 where they do not know it."""
        index = np.full(len(self.items), -1, np.int32)
        index[self.model_items] = np.arange(len(self.model_items), dtype=np.int32)
        return index

    def item(self, item: int) -> dict[str, Any]:
        """Return the fields of an item."""
        (text,) = self.fields.at([item])
        fields: dict[str, Any] = json.loads(b"{" + text + b"}")
        return fields

    def _lists(self, name: str) -> Lists:
        return Lists(*(self._map(f"{name}_{part}") for part in ("offsets", "items", "scores")))

    def _map(self, name: str) -> NDArray[Any]:
        # A plain array on the mapped file: slices of a memmap take ten times as long.
        array: NDArray[Any] = np.load(self.folder / f"{name}.npy", mmap_mode="r").view(np.ndarray)
        return array


def _provenance(stored: dict[str, Any]) -> Provenance:
    scale = None if stored["scale"] is None else tuple(stored["scale"])
    return Provenance(**stored | {"scale": scale, "created_at": datetime.fromisoformat(stored["created_at"])})
