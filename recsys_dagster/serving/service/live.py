"""Rank all items for a user who is described in the request, with a model of the last run."""

import threading
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from recsys_dagster.data.interactions import Interactions
from recsys_dagster.errors import RecsysError
from recsys_dagster.model_store.store import ModelStore
from recsys_dagster.models.base import Model
from recsys_dagster.models.capabilities import FoldIn, StatedTastes
from recsys_dagster.models.registry import get_model_class, model_names
from recsys_dagster.runtime.layout import Layout
from recsys_dagster.serving.cold_start import FALLBACK
from recsys_dagster.serving.service.snapshot import Snapshot

_SLOW_TO_IMPORT = {"keras", "tensorflow", "jax"}


@dataclass(frozen=True)
class Ranking:
    """Items in the order in which a model recommends them.

    Attributes:
        model, version: the model.
        items: int32 positions of the items in the snapshot, best first.
        scores: float32 score of each.
    """

    model: str
    version: str
    items: NDArray[np.int32]
    scores: NDArray[np.float32]


class LiveModels:
    """The model of each domain that answers for histories, and the one that answers for tastes; loaded when needed.

    The best by validation is taken of those that can do it and need no deep-learning library, as importing one takes
    longer than a client waits.
    """

    def __init__(self, layout: Layout) -> None:
        self._store = ModelStore(layout)
        self._models: dict[tuple[str, type], tuple[Snapshot, Model, str]] = {}
        self._lock = threading.Lock()

    def by_history(self, snapshot: Snapshot, items: Sequence[int], ratings: Sequence[float | None]) -> Ranking:
        """Rank all items but those of the history.

        Args:
            snapshot: the publication.
            items: positions of the items of the history, the oldest first.
            ratings: rating of each; None for an item without one.

        Raises:
            RecsysError: the model's files are missing or damaged.
        """
        indices = snapshot.index_of_model_item[list(items)]
        known = indices >= 0  # items that nobody rated have no index
        values = np.array([np.nan if rating is None else rating for rating in ratings], np.float32)
        history = Interactions(np.zeros(known.sum(), np.int32), indices[known], values[known])
        model, version = self._load(snapshot, FoldIn)
        top = model.recommend_for(model.n_items_, history=history)
        return _ranking(snapshot, model, version, top.items[0], top.scores[0])

    def by_tastes(self, snapshot: Snapshot, tastes: dict[str, float]) -> Ranking:
        """Rank all items by ratings of genres, whose names are those of the snapshot."""
        values = np.array([[tastes.get(genre, np.nan) for genre in snapshot.model_genres]], np.float32)
        model, version = self._load(snapshot, StatedTastes)
        top = model.recommend_for(model.n_items_, tastes=values)
        return _ranking(snapshot, model, version, top.items[0], top.scores[0])

    def _load(self, snapshot: Snapshot, capability: type) -> tuple[Model, str]:
        """Return the model and its version; one request loads it, the others wait."""
        domain = snapshot.provenance.domain
        with self._lock:
            cached = self._models.get((domain, capability))
            if cached is None or cached[0] is not snapshot:
                name, version, ids = self._choose(snapshot, capability)
                model, _ = self._store.load(domain, name, version, id_map_hash=ids)
                cached = snapshot, model, version
                self._models[domain, capability] = cached
        return cached[1], cached[2]

    def _choose(self, snapshot: Snapshot, capability: type) -> tuple[str, str, str]:
        """Return the name, the version and the id-map hash of the model that answers."""
        domain, provenance = snapshot.provenance.domain, snapshot.provenance
        ids = self._store.record(domain, provenance.model, provenance.version).id_map_hash
        fitted = {provenance.model: provenance.version} | snapshot.models
        for name, version in fitted.items():
            if name not in model_names():
                continue
            model_class = get_model_class(name)
            able = issubclass(model_class, capability) and not _SLOW_TO_IMPORT & set(model_class.kinds)
            if able and self._store.record(domain, name, version).id_map_hash == ids:
                return name, version, ids
        if FALLBACK not in fitted:
            raise RecsysError(f"the last run of {domain} had no model that can answer for a new user; run {FALLBACK}")
        return FALLBACK, fitted[FALLBACK], ids


def _ranking(
    snapshot: Snapshot, model: Model, version: str, indices: NDArray[np.int32], scores: NDArray[np.float32]
) -> Ranking:
    listed = indices >= 0
    return Ranking(model.name, version, snapshot.model_items[indices[listed]], scores[listed])
