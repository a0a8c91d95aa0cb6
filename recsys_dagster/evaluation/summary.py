"""Summarise per-user results: each metric over all users with its 95 % interval, all on the same resamples of users."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recsys_dagster.evaluation.intervals import RESAMPLES, interval, resampled_sums
from recsys_dagster.evaluation.metrics.metric import MetricKey, UserRatio


@dataclass(frozen=True)
class MetricValue:
    """The value of a metric over the users of a fold, with its 95 % interval over users.

    Attributes:
        metric, k: the metric and the length of the lists; k is None for a metric that has nothing to do with lists.
        value: the value.
        low, high: the interval; None for a property of all lists or all pairs together.
        users: number of users that the value is over.
    """

    metric: str
    k: int | None
    value: float
    low: float | None
    high: float | None
    users: int

    @property
    def key(self) -> MetricKey:
        """The metric and the length of the lists."""
        return MetricKey(self.metric, self.k)


def with_intervals(
    per_user: Mapping[str, NDArray[Any]], ratios: Iterable[UserRatio], seed: int, resamples: int = RESAMPLES
) -> list[MetricValue]:
    """Return the metrics, each with its interval; those without a column, or without any value in it, are skipped.

    Args:
        per_user: (n_users,) columns.
        ratios: the metrics.
        seed: of the resamples.
        resamples: their number.
    """
    table = _Columns()
    resolved: list[tuple[UserRatio, int, int]] = []
    for ratio in ratios:
        if ratio.total not in per_user:
            continue
        has_value = ~np.isnan(per_user[ratio.total])
        if not has_value.any():
            continue
        total = table.position(ratio.total, per_user[ratio.total])
        if ratio.weight is None:
            resolved.append((ratio, total, table.position_of_count(has_value)))
        else:
            resolved.append((ratio, total, table.position(ratio.weight, per_user[ratio.weight])))
    if not resolved:
        return []
    columns = np.column_stack(table.columns)
    totals, drawn = columns.sum(axis=0), resampled_sums(columns, seed, resamples)

    def summarise(ratio: UserRatio, i: int, j: int) -> MetricValue:
        value = float(ratio.statistic(totals[i : i + 1], totals[j : j + 1])[0])
        bounds = interval(value, ratio.statistic(drawn[:, i], drawn[:, j]))
        return MetricValue(*ratio.key, value, bounds.low, bounds.high, int(np.count_nonzero(columns[:, j])))

    return [summarise(ratio, i, j) for ratio, i, j in resolved if totals[j] > 0]


class _Columns:
    """Columns to be summed over users, each kept once, NaN as 0."""

    def __init__(self) -> None:
        self.columns: list[NDArray[np.float64]] = []
        self._named: dict[str, int] = {}
        self._counts: list[int] = []

    def position(self, name: str, values: NDArray[Any]) -> int:
        """Return where the named column is, adding it if it is new."""
        if name not in self._named:
            self._named[name] = self._add(np.nan_to_num(values))
        return self._named[name]

    def position_of_count(self, has_value: NDArray[np.bool_]) -> int:
        """Return where the column of ones for the users with a value is: metrics over the same users share it."""
        ones = has_value.astype(np.float64)
        for position in self._counts:
            if np.array_equal(self.columns[position], ones):
                return position
        self._counts.append(self._add(ones))
        return self._counts[-1]

    def _add(self, values: NDArray[np.float64]) -> int:
        self.columns.append(values)
        return len(self.columns) - 1
