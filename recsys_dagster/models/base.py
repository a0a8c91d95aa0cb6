"""The contract that every model keeps, and the parts of it that are the same for all.

What belongs here: fitting's common bookkeeping, blocked top-N, fallbacks for the unknown, saving and loading.
What does not: anything that only one family of models needs.
"""

import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from recsys_dagster.data.interactions import Interactions
from recsys_dagster.data.tastes import mean_genre_ratings
from recsys_dagster.data.training_data import TrainingData
from recsys_dagster.errors import RecsysError
from recsys_dagster.models.budget import Estimate, Size
from recsys_dagster.models.search_space import Range

STATE_FILE = "state.json"
"""Name of the file, in a model's folder, that says which model it is and with which parameters."""
BLOCK_BYTES = 64 * 2**20
"""Bytes of one block of scores (float32); bounds the memory of `recommend` whatever the number of users."""


class Params(BaseModel):
    """Base of each model's parameters: immutable, documented, unknown names refused.

    Attributes:
        searched: by name, what `recsys tune` tries of a parameter; the others keep their defaults.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    searched: ClassVar[Mapping[str, Range]] = {}


@dataclass(frozen=True)
class TopN:
    """Lists of recommendations, best first.

    Attributes:
        items: (n_users, k) int32; -1 where a list is shorter than k.
        scores: (n_users, k) float32, falling along each row; -inf where a list is shorter than k.
    """

    items: NDArray[np.int32]
    scores: NDArray[np.float32]


class Model(ABC):
    """One recommender in index space.

    A subclass sets the class attributes, implements `_fit` and `_scores` (and `_predict` if it predicts ratings,
    `_scores_for` if it can serve somebody who is not in the data), and keeps all that it learns in attributes
    whose names end in one underscore: NumPy arrays, lists of them, CSR arrays and JSON values are saved and loaded
    from there.

    Attributes:
        name, summary: what it is called, and one sentence about it.
        kinds: the libraries that do its work, as the graph shows them.
        presets: parameters by name, such as a paper's.
        predicts_ratings, folds_in: whether it does the one, and whether it serves strangers by their history.
        needs_item_features: whether it is nothing without the features of the titles.
        reads_user_genre_taste: whether it learns from `TrainingData.user_genre_taste`, the feature table of that name.
        inputs: what it is told of a pair, where that can be told apart: `user`, and what it knows of the title.
        params: the parameters it was made with.
        seed: makes two fits on the same data equal.
        n_users_, n_items_: sizes of the index spaces.
        scale_: lowest and highest rating.
        seen_: (n_users, n_items) CSR, 1 where the user has the item in the training fold.
        popularity_: (n_items,) float32, training pairs of each item.
        genres_: (n_items, n_genres) CSR of ones.
        history_: learning curves, one list a curve, one value an epoch; empty where there is nothing to show.
    """

    name: ClassVar[str]
    summary: ClassVar[str]
    kinds: ClassVar[tuple[str, ...]] = ("numpy",)
    params_type: ClassVar[type[Params]] = Params
    presets: ClassVar[Mapping[str, Params]] = {}
    predicts_ratings: ClassVar[bool] = False
    folds_in: ClassVar[bool] = False
    needs_item_features: ClassVar[bool] = False
    reads_user_genre_taste: ClassVar[bool] = False
    inputs: ClassVar[tuple[str, ...]] = ()

    n_users_: int
    n_items_: int
    scale_: tuple[float, float]
    seen_: sp.csr_array
    popularity_: NDArray[np.float32]
    genres_: sp.csr_array

    def __init__(self, params: Params | None = None, *, seed: int = 42) -> None:
        self.params: Any = params if params is not None else self.params_type()
        self.seed = seed
        self.history_: dict[str, list[float]] = {}

    @classmethod
    def takes_tastes(cls) -> bool:
        """Return whether it has a way of its own to serve stated tastes; every other model leans popularity by them."""
        return cls._scores_by_taste is not Model._scores_by_taste

    # -- fitting

    def fit(self, data: TrainingData) -> Self:
        """Learn from `data.train`, with `data.validation` for early stopping where there is one; return self."""
        if len(data.train) == 0:
            raise RecsysError(f"{self.name}: the training fold is empty; check clean.rejected for what was dropped")
        self.n_users_, self.n_items_, self.scale_ = data.n_users, data.n_items, data.scale
        self.seen_ = data.train.matrix(data.n_users, data.n_items)
        self.popularity_ = np.bincount(data.train.items, minlength=data.n_items).astype(np.float32)
        self.genres_ = data.item_features.genres
        self._fit(data)
        return self

    @abstractmethod
    def _fit(self, data: TrainingData) -> None:
        """Learn the model's own state."""

    def estimate(self, size: Size) -> Estimate:
        """Return what a fit and an evaluation are expected to cost; here, of a model that only counts and averages."""
        return Estimate.of_work(size)

    def refit_params(self) -> Params:
        """The parameters for a refit on all folds, where nothing is left to stop early on."""
        params: Params = self.params
        return params

    def scalers(self, data: TrainingData) -> Mapping[str, tuple[NDArray[np.float32], NDArray[np.float32]]]:
        """Return what it scales its inputs by, as it is kept and as `data.train` gives it anew; both by name."""
        del data
        return {}

    # -- predicting

    def predict(self, users: NDArray[np.int32], items: NDArray[np.int32]) -> NDArray[np.float32]:
        """Return the (n,) predicted ratings of the pairs (users[i], items[i]), on the domain's scale.

        Raises:
            RecsysError: this model ranks but does not predict ratings, or what it predicts is not a number.
        """
        if not self.predicts_ratings:
            raise RecsysError(f"{self.name} ranks titles but predicts no ratings")
        ratings = np.clip(self._predict(users, items), *self.scale_).astype(np.float32)
        if np.isnan(ratings).any():
            raise RecsysError(f"{self.name}: predictions are not numbers; the model did not converge")
        return ratings

    def _predict(self, users: NDArray[np.int32], items: NDArray[np.int32]) -> NDArray[np.float32]:
        """Return raw predictions; `predict` clips them to the scale."""
        raise NotImplementedError

    def predict_from(self, sources: Mapping[str, NDArray[np.int32]]) -> NDArray[np.float32]:
        """Return (n,) predictions for pairs whose inputs come from several users and titles, for a model with `inputs`.

        Args:
            sources: for each of the inputs the (n,) users, or titles, whose value of it the pairs are given.

        Returns:
            Ratings on the domain's scale of a model that predicts ratings, else probabilities of a like.
        """
        return self._predict_from(sources)

    def _predict_from(self, sources: Mapping[str, NDArray[np.int32]]) -> NDArray[np.float32]:
        """Return what `predict_from` does; a model with `inputs` has it."""
        raise NotImplementedError

    @abstractmethod
    def _scores(self, users: NDArray[np.int32]) -> NDArray[np.float32]:
        """Return (len(users), n_items) float32, new or a view: the higher, the sooner the item is recommended."""

    def _scores_for(self, history: Interactions, n_users: int) -> NDArray[np.float32]:
        """Return (n_users, n_items) scores for people known only by `history`, whose users count from 0."""
        raise NotImplementedError

    # -- recommending

    def recommend(
        self,
        users: NDArray[np.int32],
        k: int,
        exclude_seen: bool = True,
        exclude: sp.csr_array | None = None,
    ) -> TopN:
        """Return the k best items of each user among the items of the training fold.

        Args:
            users: (n,) indices; a user without training pairs gets the most popular items.
            k: length of the lists.
            exclude_seen: leave out what the user has in the training fold.
            exclude: (n_users, n_items) CSR of further pairs to leave out, by user index.
        """
        masks = [matrix for matrix in (self.seen_ if exclude_seen else None, exclude) if matrix is not None]

        def score(start: int, stop: int) -> NDArray[np.float32]:
            block = users[start:stop]
            # A view, such as one row for everybody, is copied before it is written to; all else is new.
            scores = np.require(self._scores(block), np.float32, ["C", "W", "O"])
            scores[np.diff(self.seen_.indptr)[block] == 0] = self.popularity_
            for mask in masks:
                scores[mask[block].nonzero()] = -np.inf
            return scores

        return self._top(score, len(users), k)

    def recommend_for(
        self,
        k: int,
        history: Interactions | None = None,
        tastes: NDArray[np.float32] | None = None,
    ) -> TopN:
        """Return the k best items for people who are not in the data, without what they already have.

        A model that folds in goes by the history of those who have one. Everybody else is served by tastes: those
        stated, or else the mean rating of each genre in the history; and without any of them by popularity.

        Args:
            k: length of the lists.
            history: what they have rated or watched; `users` counts the people from 0.
            tastes: (n_people, n_genres) rating of each genre on the domain's scale, NaN where not stated.
        """
        history = Interactions.empty() if history is None else history
        n_people = int(history.users.max(initial=0)) + 1 if tastes is None else len(tastes)
        owned = history.matrix(n_people, self.n_items_)
        known = np.diff(owned.indptr) > 0
        if tastes is None:
            tastes = self._tastes_of(history, n_people)

        def score(start: int, stop: int) -> NDArray[np.float32]:
            scores = self._scores_by_taste(tastes[start:stop])
            folded = known[start:stop]
            if self.folds_in and folded.any():
                part = history.where((history.users >= start) & (history.users < stop))
                moved = Interactions(part.users - np.int32(start), part.items, part.ratings, part.times)
                scores[folded] = self._scores_for(moved, stop - start)[folded]
            scores[owned[start:stop].nonzero()] = -np.inf
            return scores

        return self._top(score, n_people, k)

    def _tastes_of(self, history: Interactions, n_people: int) -> NDArray[np.float32]:
        """Return (n_people, n_genres) mean rating of each genre in each history, NaN where it has none."""
        return mean_genre_ratings(history, self.genres_, n_people)

    def _scores_by_taste(self, tastes: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return popularity, raised for the genres a person rates above the middle of the scale, lowered below.

        log(1 + popularity) is multiplied by 1 + the mean over an item's stated genres of the taste, mapped from the
        scale to [-1, 1]; an item with no stated genre keeps its popularity.
        """
        low, high = self.scale_
        lean = np.nan_to_num((2 * tastes - low - high) / (high - low))
        stated = (~np.isnan(tastes)).astype(np.float32)
        total = (self.genres_ @ lean.T).T
        count = (self.genres_ @ stated.T).T
        scores: NDArray[np.float32] = np.log1p(self.popularity_) * (1 + total / np.maximum(count, 1))
        return scores

    def _top(self, score: Callable[[int, int], NDArray[np.float32]], n: int, k: int) -> TopN:
        """Rank block by block what `score(start, stop)` returns, so that n × n_items never exists at once."""
        k = min(k, self.n_items_)
        items = np.full((n, k), -1, dtype=np.int32)
        values = np.full((n, k), -np.inf, dtype=np.float32)
        rows = max(1, BLOCK_BYTES // (4 * self.n_items_))
        outside = self.popularity_ == 0
        for start in range(0, n, rows):
            stop = min(n, start + rows)
            scores = score(start, stop)
            scores[:, outside] = -np.inf
            items[start:stop], values[start:stop] = top_k(scores, k)
            if np.isnan(values[start:stop, 0]).any():
                raise RecsysError(f"{self.name}: scores are not numbers; the model did not converge")
        return TopN(items, values)

    # -- keeping

    def save(self, folder: Path) -> None:
        """Write what was learnt to `folder`, which exists: `state.npz` and `state.json`."""
        arrays: dict[str, Any] = {}
        values: dict[str, Any] = {}
        for key, value in self._state().items():
            if sp.issparse(value):
                for part in ("data", "indices", "indptr"):
                    arrays[f"{key}.{part}"] = getattr(value, part)
                arrays[f"{key}.shape"] = np.array(value.shape)
            elif isinstance(value, list) and value and isinstance(value[0], np.ndarray):
                arrays.update({f"{key}.{position}": array for position, array in enumerate(value)})
            elif isinstance(value, np.ndarray):
                arrays[key] = value
            else:
                values[key] = value
        np.savez(folder / "state.npz", **arrays)
        described = {"model": self.name, "params": self.params.model_dump(), "seed": self.seed, "state": values}
        (folder / STATE_FILE).write_text(json.dumps(described, indent=2), encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Return the model that `save` wrote to `folder`."""
        described = json.loads((folder / STATE_FILE).read_text(encoding="utf-8"))
        model = cls(cls.params_type(**described["params"]), seed=described["seed"])
        state: dict[str, Any] = dict(described["state"])
        with np.load(folder / "state.npz", allow_pickle=False) as arrays:
            for key in arrays.files:
                name, _, part = key.partition(".")
                if not part:
                    state[name] = arrays[key]
                elif part == "data":
                    parts = (arrays[key], arrays[f"{name}.indices"], arrays[f"{name}.indptr"])
                    state[name] = sp.csr_array(parts, shape=tuple(arrays[f"{name}.shape"]))
                elif part.isdigit():
                    state.setdefault(name, []).append(arrays[key])
        model._restore(state)
        return model

    def _state(self) -> dict[str, Any]:
        """Return all that was learnt, by attribute name."""
        return {key: value for key, value in vars(self).items() if key.endswith("_")}

    def _restore(self, state: dict[str, Any]) -> None:
        """Take back what `_state` returned."""
        state["scale_"] = tuple(state["scale_"])
        vars(self).update(state)


def top_k(scores: NDArray[np.float32], k: int) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """Return the (n, k) columns of the k highest scores of each row, best first, and those scores.

    Of equal scores the lower column comes first, also at the edge of the list. A score of -inf is never listed:
    its column is given as -1.
    """
    from recsys_dagster.models.kernels.top_k import highest  # what only looks models up need not wait for the compiler

    items, values = highest(np.ascontiguousarray(scores, np.float32), k)
    return items, values
