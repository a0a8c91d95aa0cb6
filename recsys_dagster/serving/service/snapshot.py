"""Hold one publication as memory-mapped arrays, which all processes of the service share.

A published file is read once into a folder of arrays. Whoever needs the same publication later maps the same folder. An
open snapshot stays whole when its folder is removed.
"""

import json
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from recsys_dagster.serving.item_finder import ItemFinder, NamedItem
from recsys_dagster.serving.item_rules import ItemRules
from recsys_dagster.serving.provenance import Provenance
from recsys_dagster.serving.service.arrays import IdIndex, Lists, Texts


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
        ratings: (n_recommendations, 3) float32 predicted rating of each entry of `lists`, and its lower and upper
            bound; NaN without a rating model, or without an interval.
        because: (n_recommendations, n_reasons) positions of the items that each entry of `lists` is for; -1 for none.
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
