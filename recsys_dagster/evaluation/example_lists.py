"""Make the lists of the same five example users by every model, so that lists can be compared by eye.

All five have training pairs and, where enough users do, a liked item in the test fold, so that a list can prove right.
Four get their lists from the training fold. The fifth is treated as a new user: the models get five of the user's items
as history, and nothing else.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from recsys_dagster.data.interactions import Interactions
from recsys_dagster.data.list_lengths import SHORT_LIST
from recsys_dagster.evaluation.score_meaning import meaningful_values
from recsys_dagster.models.base import Model
from recsys_dagster.runtime.storage import replacing

NEW = "new"
HISTORY_OF_NEW = 5
"""Number of items in the history of the new user."""
MIN_PAIRS = 5
"""Users with fewer training pairs are picked only if there are too few others."""
QUANTILES = {"light": 0.05, "average": 0.5, "heavy": 0.95, NEW: 0.35}
"""Which quantile of the users by number of training pairs each example is; `niche` is picked by other means."""


@dataclass(frozen=True)
class Example:
    """One example user.

    Attributes:
        name: `light`, `average`, `heavy`, `niche` or `new`.
        user: index of the user.
        history: the pairs of the user that a model knows.
        liked: (n,) int32 items, rising, that the user likes and that no model knows of.
    """

    name: str
    user: int
    history: Interactions
    liked: NDArray[np.int32]


@dataclass(frozen=True)
class ListedItem:
    """An item on the list of an example user.

    Attributes:
        example: name of the example.
        rank: from 1.
        item_id: id of the item.
        score: the model's score; comparable within the list only.
        liked: whether the user likes the item according to the held-out ratings; False if they do not tell.
        meaning: what `value` is, as in `Meaning`; None if the model only ranks, or the user is new to it.
        value: the rating, probability or similarity that the model gives the item.
        low, high: prediction interval of the rating; None where there is none.
    """

    example: str
    rank: int
    item_id: int
    score: float
    liked: bool
    meaning: str | None = None
    value: float | None = None
    low: float | None = None
    high: float | None = None


def pick_example_users(train: Interactions, test: Interactions, like_threshold: float | None) -> list[Example]:
    """Return the five example users, the same for the same folds; fewer if there are not as many users.

    light, average, heavy: at 5, 50 and 95 % of the users by number of training pairs. new: at 35 %, whose history is
    the five items that the user rated highest or, without ratings, those of the largest weights. niche: of the middle
    half by that number, the user whose items have the lowest mean log popularity.
    """
    activity = np.bincount(train.users)
    liked = test.liked(like_threshold)
    candidates = _candidates(activity, liked.users)
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
            picked[name] = int(free[round(QUANTILES[name] * (len(free) - 1))])
    return [
        _new_user(user, train, liked, like_threshold)
        if name == NEW
        else Example(name, user, train.where(train.users == user), np.unique(liked.items[liked.users == user]))
        for name, user in picked.items()
    ]


def _candidates(activity: NDArray[np.integer], users_who_like: NDArray[np.int32]) -> NDArray[np.integer]:
    """Return the users that can be examples, by rising activity: those with enough pairs and a liked item, if many."""
    active = np.flatnonzero(activity >= MIN_PAIRS)
    candidates = np.intersect1d(active, users_who_like)
    if len(candidates) < 2 * (len(QUANTILES) + 1):
        candidates = active if len(active) > len(QUANTILES) else np.flatnonzero(activity)
    return candidates[np.argsort(activity[candidates], kind="stable")]


def _new_user(user: int, train: Interactions, liked: Interactions, like_threshold: float | None) -> Example:
    """Return a user as a new one, who likes also what is left of the training pairs."""
    pairs = train.where(train.users == user)
    strength = np.zeros(len(pairs), np.float32) if pairs.weights is None else pairs.weights
    highest = np.lexsort((-strength, -np.nan_to_num(pairs.ratings)))[:HISTORY_OF_NEW]
    is_history = np.isin(np.arange(len(pairs)), highest)
    liked_before = pairs.where(~is_history).liked(like_threshold).items
    liked_later = liked.items[liked.users == user]
    return Example(NEW, user, pairs.where(is_history), np.unique(np.concatenate([liked_before, liked_later])))


def example_lists(
    model: Model,
    examples: Sequence[Example],
    exclude: sp.csr_array | None,
    item_ids: NDArray[np.int64],
    k: int = SHORT_LIST,
) -> list[ListedItem]:
    """Return what a fitted model recommends to each of the example users, without what it knows that they have.

    Args:
        model: fitted on the training fold that the examples are from.
        examples: the example users.
        exclude: (n_users, n_items) CSR of pairs of further folds to leave out, such as validation.
        item_ids: (n_items,) id of each item index.
        k: length of the lists.
    """
    listed = []
    for example in examples:
        if example.name == NEW:
            history = replace(example.history, users=np.zeros_like(example.history.users))
            top = model.recommend_for(k, history)
        else:
            top = model.recommend(np.array([example.user], dtype=np.int32), k, exclude=exclude)
        is_item = top.items[0] >= 0
        items, scores = top.items[0][is_item], top.scores[0][is_item]
        hits = np.isin(items, example.liked)
        users = np.full(len(items), example.user, np.int32)
        values = {} if example.name == NEW else meaningful_values(model, users, items)
        meaning = next(iter(values), None)
        for place, (item, score, hit) in enumerate(zip(items, scores, hits, strict=True)):
            said = [float(column[place]) for column in values.values()]
            listed.append(
                ListedItem(example.name, place + 1, int(item_ids[item]), float(score), bool(hit), meaning, *said)
            )
    return listed


def write_example_lists(listed: Sequence[ListedItem], path: Path) -> None:
    """Write the lists as a Parquet file, replacing `path` atomically."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    with replacing(path) as unfinished:
        pq.write_table(pa.Table.from_pylist([vars(item) for item in listed]), unfinished, compression="zstd")


def read_example_lists(path: Path) -> list[ListedItem]:
    """Return what `write_example_lists` wrote; nothing for a model whose lists were never kept."""
    import pyarrow.parquet as pq

    if not path.exists():
        return []
    return [ListedItem(**row) for row in pq.read_table(path).to_pylist()]
