"""Define what a metric is: a name, how it is shown, which direction is better, and the function that computes it."""

from collections.abc import Callable, Sequence
from dataclasses import KW_ONLY, dataclass
from enum import StrEnum
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from recsys_dagster.evaluation.metrics.inputs import RatedPairs, RecommendedLists
from recsys_dagster.evaluation.metrics.ratios import Statistic, mean

Values = NDArray[np.float64]
RankingFunction = Callable[[NDArray[np.bool_], NDArray[np.integer], int], Values]
"""(hits, n_relevant, k) → (n_users,); see `ranking`."""
ListFunction = Callable[[RecommendedLists, int], Values]
"""(lists, k) → (n_users,); see `beyond_accuracy`."""
CatalogueFunction = Callable[[NDArray[np.integer]], float]
"""(n_items,) lists that hold each item → one value."""
OverlapFunction = Callable[[NDArray[np.int32]], float]
"""(n_users, k) items, nothing excluded → one value."""
PairFunction = Callable[[RatedPairs], float]
"""Rated pairs → one value; NaN where it is undefined."""


class Family(StrEnum):
    """What a group of metrics measures."""

    RANKING = "ranking"
    BEYOND_ACCURACY = "beyond accuracy"
    RATING = "rating error"
    LIKES = "like or dislike"
    OTHER = "other"


class MetricKey(NamedTuple):
    """A metric and the length of the lists that it is computed on.

    Attributes:
        name: as in the registry.
        k: length of the lists; None for a metric that has nothing to do with lists.

    >>> str(MetricKey("ndcg", 10)), MetricKey("ndcg", 10).column, str(MetricKey("rmse"))
    ('ndcg@10', 'ndcg_10', 'rmse')
    >>> MetricKey.parse("ndcg@10")
    MetricKey(name='ndcg', k=10)
    """

    name: str
    k: int | None = None

    def __str__(self) -> str:
        """Return the key in one word, such as `ndcg@10`."""
        return self.name if self.k is None else f"{self.name}@{self.k}"

    @property
    def column(self) -> str:
        """The key as a column name, such as `ndcg_10`."""
        return self.name if self.k is None else f"{self.name}_{self.k}"

    @classmethod
    def parse(cls, text: str) -> "MetricKey":
        """Return the key that `str` writes as `text`."""
        name, _, k = text.partition("@")
        return cls(name, int(k) if k else None)


@dataclass(frozen=True)
class UserRatio:
    """A metric over users: a statistic of the totals of two per-user columns.

    Attributes:
        key: the metric.
        total: column of the numerator; a user with NaN there does not count.
        weight: column of the denominator; None for the number of users who have a value.
        statistic: maps the two totals to the metric.
    """

    key: MetricKey
    total: str
    weight: str | None = None
    statistic: Statistic = mean


@dataclass(frozen=True)
class Metric:
    """What a reader needs to know of a metric; a subclass adds the function, by what that is a function of.

    Attributes:
        name: in tables and files, such as `ndcg`.
        label: on pages and plots, such as `NDCG`.
        family: what it measures.
        higher_is_better: None where neither direction is better.
        unit: of its values; empty for a plain number.
        definition: the formula, in half a line.
        on_leaderboard: whether it is a column of the leaderboard.
    """

    name: str
    label: str
    family: Family
    higher_is_better: bool | None
    unit: str
    definition: str
    _: KW_ONLY
    on_leaderboard: bool = False


@dataclass(frozen=True)
class RankingMetric(Metric):
    """A mean over users of what their lists hit.

    Attributes:
        function: as the functions of `ranking`.
    """

    function: RankingFunction

    def ratios(self, ks: Sequence[int]) -> list[UserRatio]:
        """Return the metric at each list length."""
        return [UserRatio(key, key.column) for key in (MetricKey(self.name, k) for k in ks)]


@dataclass(frozen=True)
class ListMetric(Metric):
    """A statistic over users of which items their lists hold.

    Attributes:
        function: as the functions of `beyond_accuracy`.
        total: name of its per-user column, without the list length, where that is not the metric's name.
        weight: per-user column of the denominator; None for a mean over users.
        statistic: of the totals of the two columns.
    """

    function: ListFunction
    _: KW_ONLY
    total: str | None = None
    weight: str | None = None
    statistic: Statistic = mean

    def column(self, k: int) -> str:
        """Return the name of its per-user column at a list length."""
        return MetricKey(self.total or self.name, k).column

    def ratios(self, ks: Sequence[int]) -> list[UserRatio]:
        """Return the metric at each list length."""
        return [UserRatio(MetricKey(self.name, k), self.column(k), self.weight, self.statistic) for k in ks]


@dataclass(frozen=True)
class CatalogueMetric(Metric):
    """A property of all lists together: how the recommendations are spread over the items.

    Attributes:
        function: of the (n_items,) number of lists that hold each item of the catalogue.
    """

    function: CatalogueFunction


@dataclass(frozen=True)
class OverlapMetric(Metric):
    """A property of the unfiltered lists of a sample of users, `lists.sample_lists`.

    Attributes:
        function: of their (n_users, k) items.
    """

    function: OverlapFunction


@dataclass(frozen=True)
class PairRatioMetric(Metric):
    """A ratio of sums over rated pairs, added up by user.

    Attributes:
        total, weight: per-user columns, see `rating_errors.error_sums` and `classification.classification_sums`.
        function: statistic of the totals of the two columns.
    """

    total: str
    weight: str
    function: Statistic = mean

    def ratios(self) -> list[UserRatio]:
        """Return the metric."""
        return [UserRatio(MetricKey(self.name), self.total, self.weight, self.function)]


@dataclass(frozen=True)
class PairMetric(Metric):
    """A property of all rated pairs together.

    Attributes:
        function: of the pairs.
    """

    function: PairFunction
