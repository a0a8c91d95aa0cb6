"""Rank all items for a user who is described in the request, with a model of the last run."""

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from http import HTTPStatus

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from recsys_dagster.data.interactions import Interactions
from recsys_dagster.errors import RecsysError
from recsys_dagster.model_store.store import ModelStore
from recsys_dagster.models.base import Model, TopN
from recsys_dagster.models.capabilities import FoldIn, StatedTastes
from recsys_dagster.models.registry import get_model_class
from recsys_dagster.runtime.layout import Layout
from recsys_dagster.serving.cold_start import FALLBACK, models_of_last_run
from recsys_dagster.serving.service.problems import ProblemError
from recsys_dagster.serving.service.snapshot import Snapshot

MODELS_KEPT = 3
"""Models of a domain that are in memory at a time."""

_SLOW_TO_IMPORT = {"keras", "tensorflow", "jax"}


@dataclass(frozen=True)
class Ranking:
    """Items in the order in which a model recommends them.

    Attributes:
        model, version: the model.
        items: int32 positions of the items in the snapshot, best first.
        scores: float32 score of each.
        history: int32 positions of the items of the user's history.
    """

    model: str
    version: str
    items: NDArray[np.int32]
    scores: NDArray[np.float32]
    history: NDArray[np.int32]


class LiveModels:
    """The models of the last run of each domain, loaded when a request needs them.

    Unless the request names one, the best by validation is taken of those that can do it. None of them needs a
    deep-learning library, as importing one takes longer than a client waits.
    """

    def __init__(self, layout: Layout) -> None:
        self._store = ModelStore(layout)
        self._models: dict[tuple[str, str], tuple[Snapshot, Model, str]] = {}
        self._versions: dict[str, tuple[Snapshot, dict[str, str], str]] = {}
        self._lock = threading.Lock()

    def by_history(
        self, snapshot: Snapshot, items: Sequence[int], ratings: Sequence[float | None], name: str | None = None
    ) -> Ranking:
        """Rank all items but those of the history.

        Args:
            snapshot: the publication.
            items: positions of the items of the history, the oldest first.
            ratings: rating of each; None for an item without one.
            name: one of `names`; None: the best.

        Raises:
            RecsysError: the model's files are missing or damaged.
        """
        indices = snapshot.index_of_model_item[list(items)]
        known = indices >= 0  # items that nobody rated have no index
        values = np.array([np.nan if rating is None else rating for rating in ratings], np.float32)
        history = Interactions(np.zeros(known.sum(), np.int32), indices[known], values[known])
        model, version = self._load(snapshot, FoldIn, name)
        with threadpool_limits(1, "blas"):  # for one user, threads wait for each other for longer than they work
            top = model.recommend_for(model.n_items_, history=history)
        return _ranking(snapshot, model, version, top, indices[known])

    def by_tastes(self, snapshot: Snapshot, tastes: dict[str, float]) -> Ranking:
        """Rank all items by ratings of genres, whose names are those of the snapshot."""
        values = np.array([[tastes.get(genre, np.nan) for genre in snapshot.model_genres]], np.float32)
        model, version = self._load(snapshot, StatedTastes)
        top = model.recommend_for(model.n_items_, tastes=values)
        return _ranking(snapshot, model, version, top, np.empty(0, np.int32))

    def names(self, snapshot: Snapshot) -> list[str]:
        """Return the models of the last run that can rank by a history, the best by validation first.

        None if the model store is not there, as where only the published files were copied.
        """
        try:
            return list(self._able(snapshot, FoldIn))
        except RecsysError:
            return []

    def _load(self, snapshot: Snapshot, capability: type, name: str | None = None) -> tuple[Model, str]:
        """Return the model and its version; one request loads it, the others wait."""
        domain = snapshot.provenance.domain
        able = self._able(snapshot, capability)
        if name is not None and name not in able:
            detail = f"{name!r} cannot answer; models of the last run that can: {', '.join(able) or 'none'}"
            raise ProblemError(HTTPStatus.UNPROCESSABLE_ENTITY, detail, "model")
        chosen = name or next(iter(able), FALLBACK)
        with self._lock:
            cached = self._models.get((domain, chosen))
            if cached is None or cached[0] is not snapshot:
                version = able.get(chosen) or snapshot.models[FALLBACK]
                model, _ = self._store.load(domain, chosen, version, id_map_hash=self._fitted(snapshot)[1])
                cached = snapshot, model, version
                self._models[domain, chosen] = cached
                self._forget(domain, snapshot)
        return cached[1], cached[2]

    def _forget(self, domain: str, snapshot: Snapshot) -> None:
        """Let go of models of earlier publications, and of all but the MODELS_KEPT that were loaded last."""
        of_domain = [key for key in self._models if key[0] == domain]
        old = [key for key in of_domain if self._models[key][0] is not snapshot]
        for key in {*old, *of_domain[:-MODELS_KEPT]}:
            del self._models[key]

    def _fitted(self, snapshot: Snapshot) -> tuple[dict[str, str], str]:
        """Return what `models_of_last_run` does; the records are read once for a publication."""
        domain = snapshot.provenance.domain
        known = self._versions.get(domain)
        if known is None or known[0] is not snapshot:
            known = snapshot, *models_of_last_run(self._store, snapshot.provenance, snapshot.models)
            self._versions[domain] = known
        return known[1], known[2]

    def _able(self, snapshot: Snapshot, capability: type) -> dict[str, str]:
        """Return the version of each model with the capability, the best first."""
        versions, _ = self._fitted(snapshot)
        return {
            name: version
            for name, version in versions.items()
            if issubclass(get_model_class(name), capability) and not _SLOW_TO_IMPORT & set(get_model_class(name).kinds)
        }


def _ranking(snapshot: Snapshot, model: Model, version: str, top: TopN, history: NDArray[np.int32]) -> Ranking:
    """Return a list, and the history that it was made for, with positions of the snapshot in the place of indices."""
    listed = top.items[0] >= 0
    items, scores = snapshot.model_items[top.items[0, listed]], top.scores[0, listed]
    return Ranking(model.name, version, items, scores, snapshot.model_items[history])
