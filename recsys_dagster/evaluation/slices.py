"""The same figures for parts of the users and of the titles: a mean over everything hides for whom a model works.

Users are divided by activity, titles by popularity, by how few know them, by kind and by genre. Ranking: `recall` of
the likes of a part, pooled: found among the first ten / all, in [0, 1], and for parts of users also the mean `ndcg`.
Rating: `rmse` over the pairs of a part. Intervals (95 %) are for ratios of sums over users, who are drawn and not
their pairs: R ± 1.96 √(U / (U − 1) · Σ (x − R w)²) / Σ w over the U users of the part, x and w what each adds above and
below; with one user there is none.

Source of the interval: Cochran, Sampling techniques, 3rd ed. 1977, section 6.4 (ratio estimator).
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from recsys_dagster.data.items import ItemFeatures

SLICE_K = 10
COLD = 5
"""A title with fewer training pairs is cold."""
_NORMAL = 1.959963984540054


@dataclass(frozen=True)
class Slice:
    """A figure for a part.

    Attributes:
        dimension: `activity` (training pairs of the user), `popularity` (thirds of all training pairs: head, middle,
            tail), `support` (training pairs of the title), `kind`, `genre`.
        part: its name; a title of several genres is in several parts.
        position: of the part within the dimension, from 0.
        metric, k: `recall` or `ndcg` at 10, or `rmse`.
        value, low, high: with its 95 % interval; None for that where there is one user only.
        users, pairs: that the figure is over: likes for recall and ndcg, ratings for rmse.
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
    """A division, into parts that may overlap.

    Attributes:
        dimension: its name.
        names: of the parts.
        members: (n, len(names)) CSR of ones: which part the n users or titles are in.
    """

    dimension: str
    names: tuple[str, ...]
    members: sp.csc_array

    @classmethod
    def of_positions(cls, dimension: str, names: tuple[str, ...], positions: NDArray[np.integer]) -> "Parts":
        """Return the parts that the (n,) positions in `names` say, one each."""
        n = len(positions)
        ones = np.ones(n, dtype=np.bool_)
        return cls(dimension, names, sp.csc_array((ones, (np.arange(n), positions)), shape=(n, len(names))))

    def __iter__(self) -> Iterator[tuple[int, str, NDArray[np.bool_]]]:
        for position, name in enumerate(self.names):
            mask = np.zeros(self.members.shape[0], dtype=np.bool_)
            mask[self.members.indices[self.members.indptr[position] : self.members.indptr[position + 1]]] = True
            yield position, name, mask


def activity_parts(pairs_of_user: NDArray[np.integer]) -> Parts:
    """Divide (n_users,) training pairs into none, and thirds of the users who have any."""
    some = pairs_of_user[pairs_of_user > 0]
    first, second = np.quantile(some, [1 / 3, 2 / 3], method="lower") if len(some) else (1, 2)
    names = ("none", f"up to {first:g}", f"up to {second:g}", f"over {second:g}")
    return Parts.of_positions("activity", names, np.digitize(pairs_of_user, [1, first + 1, second + 1]))


def title_parts(pairs_of_title: NDArray[np.integer], titles: ItemFeatures) -> list[Parts]:
    """Divide the titles by popularity, support, kind and genre.

    head is the fewest titles that have a third of all training pairs, tail the most that have the last third.
    """
    order = np.argsort(-pairs_of_title, kind="stable")
    before = np.empty(len(order))
    before[order] = np.cumsum(pairs_of_title[order]) - pairs_of_title[order]
    third = np.minimum(3 * before // max(1, int(pairs_of_title.sum())), 2).astype(np.int64)
    known = np.diff(titles.genres.indptr) > 0
    unknown = sp.csr_array((~known)[:, None])
    genres = sp.csc_array(sp.hstack([titles.genres.astype(np.bool_), unknown]))
    kinds = np.where(titles.kinds < 0, len(titles.kind_names), titles.kinds)
    support = ("0 (cold)", f"1 to {COLD - 1} (cold)", f"{COLD} or more")
    return [
        Parts.of_positions("popularity", ("head", "middle", "tail"), third),
        Parts.of_positions("support", support, np.digitize(pairs_of_title, [1, COLD])),
        Parts.of_positions("kind", (*titles.kind_names, "unknown"), kinds.astype(np.int64)),
        Parts("genre", (*titles.genre_names, "unknown"), genres),
    ]


@dataclass(frozen=True)
class Judged:
    """What each pair, or each user, adds to a metric.

    Attributes:
        metric, k: its name.
        rows: (n,) the user, in [0, n_users).
        users: (n,) the same user as an index into the parts of users.
        items: (n,) the title; None where a value is a user's as a whole.
        values: (n,) what is averaged.
        root: whether the figure is the root of the mean.
    """

    metric: str
    k: int | None
    rows: NDArray[np.integer]
    users: NDArray[np.integer]
    items: NDArray[np.integer] | None
    values: NDArray[np.float64]
    root: bool = False


def slices(judged: list[Judged], of_users: list[Parts], of_titles: list[Parts]) -> list[Slice]:
    """Return the figure of each metric for each part that has any pair."""
    found = []
    for one in judged:
        divisions = [(parts, one.users) for parts in of_users]
        if one.items is not None:
            divisions += [(parts, one.items) for parts in of_titles]
        for parts, index in divisions:
            for position, name, mask in parts:
                chosen = mask[index]
                if chosen.any():
                    value, low, high, users = _pooled(one.rows[chosen], one.values[chosen], one.root)
                    pairs = int(np.count_nonzero(chosen))
                    found.append(
                        Slice(parts.dimension, name, position, one.metric, one.k, value, low, high, users, pairs)
                    )
    return found


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
