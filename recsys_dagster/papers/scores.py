"""Scores as sums over users, so that two scores can be compared on the same resamples of users."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recsys_dagster.data.interactions import Interactions
from recsys_dagster.evaluation.intervals import Interval, interval, resampled_sums
from recsys_dagster.evaluation.metrics.metric import MetricKey
from recsys_dagster.evaluation.metrics.ratios import Statistic, mean, root_mean
from recsys_dagster.evaluation.store import PerUser


@dataclass(frozen=True)
class Score:
    """A metric as a ratio over users.

    Attributes:
        totals, weights: (n_users,) float64 numerator and denominator of each user; zeros for a user who does not count.
        statistic: maps the sum of the totals and that of the weights to the metric.
    """

    totals: NDArray[np.float64]
    weights: NDArray[np.float64]
    statistic: Statistic = mean

    @property
    def value(self) -> float:
        """The metric over all users."""
        return float(self.statistic(self.totals.sum(keepdims=True), self.weights.sum(keepdims=True))[0])


def per_pair(values: NDArray[Any], users: NDArray[np.int32], n_users: int, statistic: Statistic) -> Score:
    """Return the statistic of (n,) values of pairs, given the (n,) users of the pairs."""
    totals = np.bincount(users, values, n_users).astype(np.float64)
    return Score(totals, np.bincount(users, minlength=n_users).astype(np.float64), statistic)


def squared_errors(
    predicted: NDArray[np.floating] | float, pairs: Interactions, n_users: int, statistic: Statistic = root_mean
) -> Score:
    """Return the RMSE of (n,) predictions, or of one constant, over rated pairs; the MSE with the statistic `mean`."""
    return per_pair((predicted - pairs.ratings.astype(np.float64)) ** 2, pairs.users, n_users, statistic)


def absolute_errors(predicted: NDArray[np.floating] | float, pairs: Interactions, n_users: int) -> Score:
    """Return the MAE of (n,) predictions, or of one constant, over rated pairs."""
    return per_pair(np.abs(predicted - pairs.ratings.astype(np.float64)), pairs.users, n_users, mean)


def ranked(per_user: PerUser, key: MetricKey, n_users: int) -> Score:
    """Return a ranking metric over the users who have a value."""
    has_value = ~np.isnan(per_user[key.column])
    return per_pair(per_user[key.column][has_value], per_user["user_idx"][has_value], n_users, mean)


def difference(faulty: Score, honest: Score, seed: int) -> Interval:
    """Return `faulty` − `honest` with its 95 % interval; both are computed on the same resamples of users."""
    columns = np.column_stack([faulty.totals, faulty.weights, honest.totals, honest.weights])
    drawn = resampled_sums(columns, seed)
    differences = faulty.statistic(drawn[:, 0], drawn[:, 1]) - honest.statistic(drawn[:, 2], drawn[:, 3])
    return interval(faulty.value - honest.value, differences)
