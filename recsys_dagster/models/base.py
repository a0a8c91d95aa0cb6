"""Define what every model does: fit, recommend, save, load.

Capabilities that only some models have are in `capabilities`. Nothing that a single family needs belongs here.
"""

import itertools
import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from recsys_dagster.data.interactions import Interactions
from recsys_dagster.data.tastes import TASTE_SCALE, mean_genre_ratings
from recsys_dagster.data.training_data import TrainingData
from recsys_dagster.errors import RecsysError, UsageError
from recsys_dagster.models import one_user
from recsys_dagster.models.attempt import SkippedError
from recsys_dagster.models.budget import Estimate, Size
from recsys_dagster.models.capabilities import FoldIn, RatingPredictor
from recsys_dagster.models.params import Params
from recsys_dagster.runtime.blocks import SCORE_BYTES

STATE_FILE = "state.json"
"""Name of the file in a model's folder that holds its name, its parameters and what it learnt, except arrays."""
ARRAYS_FILE = "state.npz"
"""Name of the file in a model's folder that holds the arrays it learnt, except large ones."""
LARGE_ARRAY = ".npy"
"""End of the name of a file that holds one large array, which is mapped: only what is used of it is read."""
LARGE_BYTES = 2**20
"""From this size on, an array is large."""

DEFAULT = "default"
"""Name of the preset with the default parameters, which every model has."""


@dataclass(frozen=True)
class TopN:
    """Lists of recommendations, best first.

    Attributes:
        items: (n_users, k) int32; -1 where a list is shorter than k.
        scores: (n_users, k) float32, descending along each row; -inf where a list is shorter than k.
    """

    items: NDArray[np.int32]
    scores: NDArray[np.float32]


class Model(ABC):
    """A recommender in index space.

    A subclass sets `name`, implements `_fit` and `_scores`, and inherits the `capabilities` that it has. The first line
    of its docstring is one plain sentence, which pages show as its summary. What it learns is kept in attributes whose
    names end in an underscore: NumPy arrays, lists of arrays, CSR arrays and JSON values, which `save` writes.

    Attributes:
        name: its name in the registry.
        summary: the first line of the class's docstring.
        kinds: the libraries that do the work, shown as Dagster's kinds.
        params_type: class of its parameters.
        presets: named parameters, such as those of a paper.
        needs_item_features: whether it cannot work without the genres of the items.
        needs_ratings: whether it cannot work with implicit feedback; true of every `RatingPredictor`.
        needs_times: whether it cannot work without the times of the interactions.
        reads_user_genre_taste: whether it learns from `TrainingData.user_genre_taste`, the feature table of that name.
        params: the parameters of this instance.
        seed: seed of everything random; two fits on the same data with the same seed are equal.
        n_users_, n_items_: sizes of the index spaces.
        scale_: lowest and highest rating; that of stated tastes, 0 to 1, if it was fitted on implicit feedback.
        seen_: (n_users, n_items) CSR, 1 where the user has the item in the training fold.
        popularity_: (n_items,) float32, number of training pairs of each item.
        genres_: (n_items, n_genres) CSR of ones.
        history_: learning curves by name, one value an epoch; empty for a model without epochs.
    """

    name: ClassVar[str]
    summary: ClassVar[str]
    kinds: ClassVar[tuple[str, ...]] = ("numpy",)
    params_type: ClassVar[type[Params]] = Params
    presets: ClassVar[Mapping[str, Params]] = {}
    needs_item_features: ClassVar[bool] = False
    needs_ratings: ClassVar[bool] = False
    needs_times: ClassVar[bool] = False
    reads_user_genre_taste: ClassVar[bool] = False

    params: Params
    n_users_: int
    n_items_: int
    scale_: tuple[float, float]
    seen_: sp.csr_array
    popularity_: NDArray[np.float32]
    genres_: sp.csr_array

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls.summary = (cls.__doc__ or "").strip().partition("\n")[0]

    def __init__(self, params: Params | None = None, *, seed: int = 42) -> None:
        self.params = params if params is not None else self.params_type()
        self.seed = seed
        self.history_: dict[str, list[float]] = {}

    @classmethod
    def preset(cls, name: str) -> Params:
        """Return the parameters of that preset; `default` exists for every model.

        Raises:
            UsageError: there is no such preset; the message lists the known ones.
        """
        known = {DEFAULT: cls.params_type(), **cls.presets}
        params = known.get(name) or known.get(name.replace("-", "_"))
        if params is None:
            raise UsageError(f"{cls.name} has no preset {name!r}; known: {', '.join(known)}")
        return params

    # -- fitting

    def fit(self, data: TrainingData) -> Self:
        """Learn from `data.train`, with `data.validation` for early stopping if it is not empty; return self.

        Raises:
            SkippedError: the model needs ratings, genres or times, and there are none.
            RecsysError: the data do not suffice for this model; the message says what is missing.
        """
        self.require(data)
        if len(data.train) == 0:
            raise RecsysError(
                f"{self.name}: the training fold is empty; clean.rejected lists the rows that were dropped"
            )
        self.n_users_, self.n_items_ = data.n_users, data.n_items
        self.scale_ = TASTE_SCALE if data.scale is None else data.scale
        self.seen_ = data.train.matrix(data.n_users, data.n_items)
        self.popularity_ = np.bincount(data.train.items, minlength=data.n_items).astype(np.float32)
        self.genres_ = data.item_features.genres
        self._fit(data)
        if isinstance(self, RatingPredictor):
            self.calibrate(data)
        return self

    @classmethod
    def require(cls, data: TrainingData) -> None:
        """Raise SkippedError, whose message says what is missing, if the model cannot work with data of this sort."""
        if cls.needs_ratings and data.scale is None:
            raise SkippedError(f"{cls.name}: needs ratings, and these data are implicit feedback")
        if cls.needs_item_features and not data.item_features.genres.nnz:
            raise SkippedError(f"{cls.name}: needs the genres of the items, and none is known")
        if cls.needs_times and len(data.train) and data.train.times is None:
            raise SkippedError(f"{cls.name}: needs the times of the interactions, and none is known")

    @abstractmethod
    def _fit(self, data: TrainingData) -> None:
        """Learn what is specific to this model."""

    def estimate(self, size: Size) -> Estimate:
        """Estimate the time and memory of a fit and an evaluation; the default suits a model that only counts."""
        return Estimate.of_work(size)

    def refit_params(self) -> Params:
        """Return the parameters for a refit on all folds, where no validation fold is left for early stopping."""
        return self.params

    def for_refit(self) -> Self:
        """Return an unfitted model for a refit on all folds; it keeps what can only be learnt on held-out pairs."""
        return type(self)(self.refit_params(), seed=self.seed)

    # -- recommending

    @abstractmethod
    def _scores(self, users: NDArray[np.int32]) -> NDArray[np.float32]:
        """Return (len(users), n_items) float32 scores; a higher score is recommended first. A view is allowed."""

    def recommend(
        self,
        users: NDArray[np.int32],
        k: int,
        exclude_seen: bool = True,
        exclude: sp.csr_array | None = None,
        allowed: NDArray[np.bool_] | None = None,
    ) -> TopN:
        """Recommend the k best items of the training fold to each user.

        Args:
            users: (n,) indices; a user without training pairs gets the most popular items.
            k: length of the lists.
            exclude_seen: exclude the items that the user has in the training fold.
            exclude: (n_users, n_items) CSR of further pairs to exclude, by user index.
            allowed: (n_items,) which items may be listed at all; None: all.
        """
        masks = [matrix for matrix in (self.seen_ if exclude_seen else None, exclude) if matrix is not None]

        def score(start: int, stop: int) -> NDArray[np.float32]:
            block = users[start:stop]
            # A view, such as one row for all users, is copied before it is written to.
            scores = np.require(self._scores(block), np.float32, ["C", "W", "O"])
            scores[np.diff(self.seen_.indptr)[block] == 0] = self.popularity_
            for mask in masks:
                scores[mask[block].nonzero()] = -np.inf
            return scores

        return self._top(score, len(users), k, allowed)

    def recommend_for(
        self,
        k: int,
        history: Interactions | None = None,
        tastes: NDArray[np.float32] | None = None,
        allowed: NDArray[np.bool_] | None = None,
    ) -> TopN:
        """Recommend the k best items to new users, without the items of their history.

        A user with a history is scored by it, if the model is a `FoldIn`. Other users are scored by their tastes: those
        given, else the mean rating of each genre in their history. Users with neither get the most popular items.

        Args:
            k: length of the lists.
            history: interactions of the new users; `users` holds numbers from 0.
            tastes: (n_users, n_genres) rating of each genre on the scale, NaN where not stated; with implicit feedback
                1 for a genre that the user likes.
            allowed: (n_items,) which items may be listed at all; None: all.
        """
        history = Interactions.empty() if history is None else history
        n_users = int(history.users.max(initial=0)) + 1 if tastes is None else len(tastes)
        exclude = history.matrix(n_users, self.n_items_)
        has_history = np.diff(exclude.indptr) > 0
        if tastes is None:
            tastes = self._tastes_of(history, n_users)

        def score(start: int, stop: int) -> NDArray[np.float32]:
            folded = has_history[start:stop] & isinstance(self, FoldIn)
            scores = np.empty((stop - start, self.n_items_), np.float32)
            if not folded.all():
                scores[~folded] = self._scores_by_taste(tastes[start:stop][~folded])
            if isinstance(self, FoldIn) and folded.any():
                part = history.where((history.users >= start) & (history.users < stop))
                moved = replace(part, users=part.users - np.int32(start))
                scores[folded] = self._scores_for(moved, stop - start)[folded]
            scores[exclude[start:stop].nonzero()] = -np.inf
            return scores

        return self._top(score, n_users, k, allowed)

    def _tastes_of(self, history: Interactions, n_users: int) -> NDArray[np.float32]:
        """Return the (n_users, n_genres) mean rating of each genre in each history, NaN where it has none."""
        return mean_genre_ratings(history, self.genres_, n_users)

    def _scores_by_taste(self, tastes: NDArray[np.float32]) -> NDArray[np.float32]:
        """Score items by popularity, raised by genres rated above the middle of the scale and lowered by those below.

        log(1 + popularity) is multiplied by 1 + the mean taste over the item's stated genres, mapped from the scale to
        [-1, 1]. An item without a stated genre keeps its popularity.

        Args:
            tastes: (n, n_genres), as for `recommend_for`.

        Returns:
            (n, n_items) float32.
        """
        low, high = self.scale_
        lean = np.nan_to_num((2 * tastes - low - high) / (high - low))
        stated = (~np.isnan(tastes)).astype(np.float32)
        total = (self.genres_ @ lean.T).T
        count = (self.genres_ @ stated.T).T
        scores: NDArray[np.float32] = np.log1p(self.popularity_) * (1 + total / np.maximum(count, 1))
        return scores

    def _top(
        self,
        score: Callable[[int, int], NDArray[np.float32]],
        n: int,
        k: int,
        allowed: NDArray[np.bool_] | None,
    ) -> TopN:
        """Rank the rows of `score(start, stop)` block by block, so that n × n_items scores never exist at once."""
        k = min(k, self.n_items_)
        items = np.full((n, k), -1, dtype=np.int32)
        values = np.full((n, k), -np.inf, dtype=np.float32)
        rows = max(1, SCORE_BYTES // (4 * self.n_items_))
        left_out = self.popularity_ == 0
        if allowed is not None:
            left_out |= ~allowed
        for start in range(0, n, rows):
            stop = min(n, start + rows)
            scores = score(start, stop)
            scores[:, left_out] = -np.inf
            items[start:stop], values[start:stop] = top_k(scores, k)
            if np.isnan(values[start:stop, 0]).any():
                raise RecsysError(f"{self.name}: scores are not numbers; the model did not converge")
        return TopN(items, values)

    # -- saving

    def save(self, folder: Path) -> None:
        """Write the fitted model to an existing folder: `state.npz`, `state.json` and large arrays, without pickles."""
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
        large = {key: array for key, array in arrays.items() if array.nbytes >= LARGE_BYTES}
        for key, array in large.items():
            np.save(folder / f"{key}{LARGE_ARRAY}", array, allow_pickle=False)
        np.savez(folder / ARRAYS_FILE, **{key: array for key, array in arrays.items() if key not in large})
        description = {"model": self.name, "params": self.params.model_dump(), "seed": self.seed, "state": values}
        (folder / STATE_FILE).write_text(json.dumps(description, indent=2), encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Return the model that `save` wrote to the folder."""
        description = json.loads((folder / STATE_FILE).read_text(encoding="utf-8"))
        model = cls(cls.params_type(**description["params"]), seed=description["seed"])
        state: dict[str, Any] = dict(description["state"])
        arrays = read_arrays(folder)
        for key, array in arrays.items():
            name, _, part = key.partition(".")
            if not part:
                state[name] = array
            elif part == "data":
                parts = (array, arrays[f"{name}.indices"], arrays[f"{name}.indptr"])
                state[name] = sp.csr_array(parts, shape=tuple(arrays[f"{name}.shape"]))
            elif part == "0":
                numbers = itertools.takewhile(lambda key: key in arrays, (f"{name}.{n}" for n in itertools.count()))
                state[name] = [arrays[number] for number in numbers]
        model._restore(state)
        return model

    def _state(self) -> dict[str, Any]:
        """Return everything that was learnt, by attribute name."""
        return {key: value for key, value in vars(self).items() if key.endswith("_")}

    def _restore(self, state: dict[str, Any]) -> None:
        """Set the attributes that `_state` returned."""
        state["scale_"] = tuple(state["scale_"])
        vars(self).update(state)


def read_arrays(folder: Path) -> dict[str, NDArray[Any]]:
    """Return the arrays that `Model.save` wrote to the folder; large ones are mapped, and changes to them not kept."""
    with np.load(folder / ARRAYS_FILE, allow_pickle=False) as small:
        arrays = {key: small[key] for key in small.files}
    for path in folder.glob(f"*{LARGE_ARRAY}"):
        # Mapped for writing, as loops are compiled once more for arrays that cannot be written.
        arrays[path.name.removesuffix(LARGE_ARRAY)] = np.asarray(np.load(path, mmap_mode="c", allow_pickle=False))
    return arrays


def top_k(scores: NDArray[np.float32], k: int) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """Return the (n, k) columns of the k highest scores of each row, best first, and those scores.

    Of equal scores the lower column comes first, also at the end of the list. A score of -inf is never listed: its
    column is given as -1.
    """
    if len(scores) == 1:
        return one_user.highest(scores, k)
    # Imported here because the compiler takes long to import, and looking up models does not need it.
    from recsys_dagster.models.kernels.top_k import highest

    items, values = highest(np.ascontiguousarray(scores, np.float32), k)
    return items, values
