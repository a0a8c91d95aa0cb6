"""The same five people for every model, so that lists can be compared by eye; a figure alone convinces nobody.

All five have training pairs and, where enough users do, something they like in the test fold, so that a list can be
seen to come true. Four are asked for as the evaluation asks for everybody. The fifth is new: the models are told five
of their titles and nothing else, as by somebody who has just come.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from recsys_dagster.data.interactions import Interactions
from recsys_dagster.evaluation.metrics.registry import SHORT_LIST
from recsys_dagster.models.base import Model
from recsys_dagster.runtime.storage import replacing

NEW = "new"
TOLD_BY_NEW = 5
FEWEST_PAIRS = 5
RANKS = {"light": 0.05, "average": 0.5, "heavy": 0.95, NEW: 0.35}
"""Where each stands among all users by their number of training pairs, from 0 to 1; `niche` stands elsewhere."""


@dataclass(frozen=True)
class Example:
    """One person.

    Attributes:
        name: `light`, `average`, `heavy`, `niche` or `new`.
        user: their index.
        known: the pairs that a model knows of them.
        liked: (n,) int32 titles, rising, that they like and that no model was told of.
    """

    name: str
    user: int
    known: Interactions
    liked: NDArray[np.int32]


@dataclass(frozen=True)
class ListedItem:
    """A title on the list of an example.

    Attributes:
        example: name of the person.
        rank: from 1.
        item_id: the title, by its id.
        score: as the model gave it; comparable within the list only.
        liked: whether the person likes it, as the held-out ratings say; False where they say nothing.
    """

    example: str
    rank: int
    item_id: int
    score: float
    liked: bool


def pick_example_users(train: Interactions, test: Interactions, like_threshold: float) -> list[Example]:
    """Return the five people, the same for the same folds; fewer where there are not as many users.

    light, average, heavy: at 5, 50 and 95 % of the users by number of training pairs; new: at 35 %, known by the five
    titles that they rated highest. niche: of the middle half by that number, the one whose titles have the lowest
    mean log popularity.
    """
    activity = np.bincount(train.users)
    liked = test.liked(like_threshold)
    active = np.flatnonzero(activity >= FEWEST_PAIRS)
    candidates = np.intersect1d(active, liked.users)
    if len(candidates) < 2 * (len(RANKS) + 1):
        candidates = active if len(active) > len(RANKS) else np.flatnonzero(activity)
    candidates = candidates[np.argsort(activity[candidates], kind="stable")]
    popularity = np.log1p(np.bincount(train.items))
    mean_popularity = np.bincount(train.users, popularity[train.items]) / np.maximum(activity, 1)

    picked: dict[str, int] = {}
    for name in ("light", "average", "heavy", "niche", NEW):
        free = candidates[~np.isin(candidates, list(picked.values()))]
        if not len(free):
            break
        if name == "niche":
            middle = free[len(free) // 4 : -(-3 * len(free) // 4)]
            picked[name] = int(middle[np.argmin(mean_popularity[middle])])
        else:
            picked[name] = int(free[round(RANKS[name] * (len(free) - 1))])

    def example(name: str, user: int) -> Example:
        history, later = train.where(train.users == user), liked.items[liked.users == user]
        if name != NEW:
            return Example(name, user, history, np.unique(later))
        told = np.argsort(-np.nan_to_num(history.ratings), kind="stable")[:TOLD_BY_NEW]
        is_told = np.isin(np.arange(len(history)), told)
        untold = history.where(~is_told).liked(like_threshold).items
        return Example(name, user, history.where(is_told), np.unique(np.concatenate([untold, later])))

    return [example(name, user) for name, user in picked.items()]


def example_lists(
    model: Model,
    examples: Sequence[Example],
    owned: sp.csr_array | None,
    item_ids: NDArray[np.int64],
    k: int = SHORT_LIST,
) -> list[ListedItem]:
    """Return what a fitted model recommends to each of the people, without what it knows that they have.

    Args:
        model: fitted on the training fold that the examples are from.
        examples: the people.
        owned: (n_users, n_items) CSR of pairs of further folds to leave out, such as validation.
        item_ids: (n_items,) id of each item index.
        k: length of the lists.
    """
    listed = []
    for example in examples:
        if example.name == NEW:
            alone = replace(example.known, users=np.zeros_like(example.known.users))
            top = model.recommend_for(k, alone)
        else:
            top = model.recommend(np.array([example.user], dtype=np.int32), k, exclude=owned)
        found = top.items[0] >= 0
        items, scores = top.items[0][found], top.scores[0][found]
        hits = np.isin(items, example.liked)
        listed += [
            ListedItem(example.name, rank, int(item_ids[item]), float(score), bool(hit))
            for rank, (item, score, hit) in enumerate(zip(items, scores, hits, strict=True), start=1)
        ]
    return listed


def write_example_lists(listed: Sequence[ListedItem], path: Path) -> None:
    """Write the lists as a Parquet file, replacing `path` atomically."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    with replacing(path) as beside:
        pq.write_table(pa.Table.from_pylist([vars(title) for title in listed]), beside, compression="zstd")


def read_example_lists(path: Path) -> list[ListedItem]:
    """Return what `write_example_lists` wrote; nothing of a model that was evaluated before lists were kept."""
    import pyarrow.parquet as pq

    if not path.exists():
        return []
    return [ListedItem(**row) for row in pq.read_table(path).to_pylist()]
