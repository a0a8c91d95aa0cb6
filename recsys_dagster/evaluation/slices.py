"""Compute metrics for parts of the users and of the items: a mean over all of them hides for whom a model works.

Users are split by activity; items by popularity, by support (how few users have them), by kind and by genre. Ranking:
`recall` of the relevant items of a part, pooled, that is those among the first ten ranks / all, in [0, 1], and for
parts of users also the mean `ndcg`. Rating: `rmse` over the pairs of a part.

The 95 % intervals are those of a ratio of sums over users, because users are sampled, not their pairs:
R ± 1.96 √(U / (U − 1) · Σ (x − R w)²) / Σ w over the U users of the part, where x and w are what each user adds to the
numerator and to the denominator. With one user there is no interval.

Source of the interval: Cochran, Sampling techniques, 3rd ed. 1977, section 6.4 (ratio estimator).
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from recsys_dagster.data.items import ItemFeatures
from recsys_dagster.evaluation.metrics.metric import MetricKey

COLD = 5
"""An item with fewer training pairs is cold."""
_NORMAL = 1.959963984540054


@dataclass(frozen=True)
class Slice:
    """A metric for one part of the users or items.

    Attributes:
        dimension: `activity` (training pairs of the user), `popularity` (thirds of all training pairs: head, middle,
            tail), `support` (training pairs of the item), `kind`, `genre`, or `reliability`, see there.
        part: its name; an item of several genres is in several parts.
        position: of the part within the dimension, from 0.
        metric, k: `recall` or `ndcg` at 10, or `rmse`.
        value, low, high: the metric and its 95 % interval, None for that with one user only.
        users, pairs: number of users and of pairs that the value is over: relevant pairs for recall and ndcg, rated
            pairs for rmse.
    """

    dimension: str
    part: str
    position: int
    metric: str
    k: int | None
    value: float
    low: float | None
    high: float | None
    users: int
    pairs: int


@dataclass(frozen=True)
class Parts:
    """The parts of the users or items along one dimension; parts may overlap.

    Attributes:
        dimension: its name.
        names: of the parts.
        members: (n, len(names)) CSC of ones: which parts each of the n users or items is in.
    """

    dimension: str
    names: tuple[str, ...]
    members: sp.csc_array

    @classmethod
    def of_positions(cls, dimension: str, names: tuple[str, ...], positions: NDArray[np.integer]) -> "Parts":
        """Return parts that do not overlap, from the (n,) position in `names` of each user or item."""
        n = len(positions)
        ones = np.ones(n, dtype=np.bool_)
        return cls(dimension, names, sp.csc_array((ones, (np.arange(n), positions)), shape=(n, len(names))))

    def __iter__(self) -> Iterator[tuple[int, str, NDArray[np.bool_]]]:
        """Give position, name and (n,) membership of each part."""
        for position, name in enumerate(self.names):
            mask = np.zeros(self.members.shape[0], dtype=np.bool_)
            mask[self.members.indices[self.members.indptr[position] : self.members.indptr[position + 1]]] = True
            yield position, name, mask


def activity_parts(pairs_of_user: NDArray[np.integer]) -> Parts:
    """Split users, by their (n_users,) training pairs, into those with none and thirds of the others."""
    some = pairs_of_user[pairs_of_user > 0]
    first, second = np.quantile(some, [1 / 3, 2 / 3], method="lower") if len(some) else (1, 2)
    names = ("none", f"up to {first:g}", f"up to {second:g}", f"over {second:g}")
    return Parts.of_positions("activity", names, np.digitize(pairs_of_user, [1, first + 1, second + 1]))


def item_parts(pairs_of_item: NDArray[np.integer], items: ItemFeatures) -> list[Parts]:
    """Split items, by their (n_items,) training pairs, by popularity and by support; and by kind and by genre.

    The head is the smallest number of items that have a third of all training pairs, the tail the largest number that
    have the last third.
    """
    order = np.argsort(-pairs_of_item, kind="stable")
    before = np.empty(len(order))
    before[order] = np.cumsum(pairs_of_item[order]) - pairs_of_item[order]
    third = np.minimum(3 * before // max(1, int(pairs_of_item.sum())), 2).astype(np.int64)
    has_genres = np.diff(items.genres.indptr) > 0
    genres = sp.csc_array(sp.hstack([items.genres.astype(np.bool_), sp.csr_array((~has_genres)[:, None])]))
    kinds = np.where(items.kinds < 0, len(items.kind_names), items.kinds)
    support = ("0 (cold)", f"1 to {COLD - 1} (cold)", f"{COLD} or more")
    return [
        Parts.of_positions("popularity", ("head", "middle", "tail"), third),
        Parts.of_positions("support", support, np.digitize(pairs_of_item, [1, COLD])),
        Parts.of_positions("kind", (*items.kind_names, "unknown"), kinds.astype(np.int64)),
        Parts("genre", (*items.genre_names, "unknown"), genres),
    ]


@dataclass(frozen=True)
class Contribution:
    """What each pair, or each user, contributes to a metric.

    Attributes:
        key: the metric.
        rows: (n,) the user, in [0, number of evaluated users).
        users: (n,) the same user as an index into the parts of users.
        items: (n,) the item; None if the values are of users, not of pairs.
        values: (n,) the values to be averaged.
        root: whether the metric is the root of their mean.
    """

    key: MetricKey
    rows: NDArray[np.integer]
    users: NDArray[np.integer]
    items: NDArray[np.integer] | None
    values: NDArray[np.float64]
    root: bool = False


def slices(contributions: list[Contribution], of_users: list[Parts], of_items: list[Parts]) -> list[Slice]:
    """Return each metric for each part that has any pair."""
    result = []
    for one in contributions:
        split = [(parts, one.users) for parts in of_users]
        if one.items is not None:
            split += [(parts, one.items) for parts in of_items]
        for parts, index in split:
            for position, name, mask in parts:
                chosen = mask[index]
                if chosen.any():
                    value, low, high, users = _pooled(one.rows[chosen], one.values[chosen], one.root)
                    pairs = int(np.count_nonzero(chosen))
                    result.append(Slice(parts.dimension, name, position, *one.key, value, low, high, users, pairs))
    return result


def _pooled(
    rows: NDArray[np.integer], values: NDArray[np.float64], root: bool
) -> tuple[float, float | None, float | None, int]:
    """Return the mean of the values, or its root, its interval, and the number of users."""
    weights = np.bincount(rows).astype(np.float64)
    totals = np.bincount(rows, values)
    ratio = totals.sum() / weights.sum()
    users = int(np.count_nonzero(weights))
    finish = np.sqrt if root else float
    if users < 2:
        return float(finish(ratio)), None, None, users
    residuals = totals - ratio * weights
    half = _NORMAL * np.sqrt(users / (users - 1) * (residuals @ residuals)) / weights.sum()
    low, high = max(0.0, ratio - half), ratio + half
    return float(finish(ratio)), float(finish(low)), float(finish(high if root else min(1.0, high))), users


RELIABILITY = "reliability"
"""Dimension of the parts of the pairs by predicted probability of a like."""
TENTHS = 10


def reliability(
    liked: NDArray[np.bool_], probabilities: NDArray[np.floating], users: NDArray[np.integer]
) -> list[Slice]:
    """Return how large the share of likes really is where a model predicts a probability of 0 to 0.1, 0.1 to 0.2, …

    A calibrated model's share is its probability. Intervals are Wilson's for a share, at 95 %.

    Source: Wilson, Probable inference, the law of succession, and statistical inference, JASA 22(158), 1927.

    Args:
        liked: (n,) whether each pair is a like.
        probabilities: (n,) predicted, in [0, 1].
        users: (n,) the user of each pair.
    """
    tenth = np.minimum((probabilities * TENTHS).astype(np.int64), TENTHS - 1)
    slices = []
    for position in np.unique(tenth):
        mine = tenth == position
        n, share, z = int(mine.sum()), float(liked[mine].mean()), 1.96
        middle, half = share + z**2 / (2 * n), z * np.sqrt(share * (1 - share) / n + z**2 / (4 * n**2))
        low, high = (float((middle + sign * half) / (1 + z**2 / n)) for sign in (-1, 1))
        part = f"{position / TENTHS:g} to {(position + 1) / TENTHS:g}"
        n_users = len(np.unique(users[mine]))
        slices.append(Slice(RELIABILITY, part, int(position), "like_share", None, share, low, high, n_users, n))
    return slices
