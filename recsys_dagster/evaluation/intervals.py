"""Estimate 95 % intervals by resampling users, for the metric of one model and for the difference of two.

Users are drawn with replacement as whole clusters, because the ratings of one user are not independent. Every
statistic here is a ratio of sums over users (a mean over users is Σ value / Σ 1, an RMSE is √(Σ squared / Σ pairs)),
so one set of resamples serves all of them: a (resamples, n_users) matrix of counts times the (n_users, m) matrix of the
columns. The counts are made and multiplied block by block, so that memory does not grow with the number of resamples.

Source: Efron, Tibshirani, An Introduction to the Bootstrap, 1993, section 13.3 (percentile interval).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from recsys_dagster.evaluation.metrics.ratios import Statistic

RESAMPLES = 1000
CONFIDENCE = 0.95
BLOCK_BYTES = 32 * 2**20
"""Bytes of one block of counts (float64)."""


@dataclass(frozen=True)
class Interval:
    """A statistic and its 95 % interval."""

    value: float
    low: float
    high: float

    @property
    def negated(self) -> "Interval":
        """The interval of the difference taken the other way round."""
        return Interval(-self.value, -self.high, -self.low)


def resampled_sums(columns: NDArray[np.float64], seed: int, resamples: int = RESAMPLES) -> NDArray[np.float64]:
    """Return the (resamples, m) sums of the (n_users, m) columns over n_users users drawn with replacement."""
    n, m = columns.shape
    generator = np.random.default_rng(seed)
    sums = np.empty((resamples, m))
    rows = max(1, min(resamples, BLOCK_BYTES // (8 * n)))
    counts = np.empty((rows, n))
    for start in range(0, resamples, rows):
        block = counts[: resamples - start]
        for row in block:
            row[:] = np.bincount(generator.integers(0, n, n), minlength=n)
        np.matmul(block, columns, out=sums[start : start + len(block)])
    return sums


def interval(value: float, drawn: NDArray[np.float64]) -> Interval:
    """Return `value` with the 2.5th and 97.5th percentile of its (resamples,) draws, NaN not counted."""
    tail = 100 * (1 - CONFIDENCE) / 2
    low, high = np.nanpercentile(drawn, [tail, 100 - tail])
    return Interval(float(value), float(low), float(high))


def paired_differences(
    models: NDArray[np.float64],
    reference: NDArray[np.float64],
    weights: NDArray[np.float64],
    statistic: Statistic,
    *,
    seed: int,
    resamples: int = RESAMPLES,
) -> list[Interval]:
    """Return the difference of each model's statistic from the reference's, with its interval.

    Both are computed on the same resampled users, so what makes a user easy or hard for every model cancels out:
    two models may differ significantly although their own intervals overlap.

    Args:
        models: (n_users, m) values of each user under each of m models, such as NDCG or the sum of squared errors.
        reference: (n_users,) the same under the model that they are compared with.
        weights: (n_users,) weight of each user in the denominator: ones for a mean over users, the number of rated
            pairs for an error.
        statistic: maps the totals of values and of weights to the metric: `mean` or `root_mean`.
        seed: of the resamples.
        resamples: their number.
    """
    columns = np.column_stack([models, reference, weights])

    def differences(sums: NDArray[np.float64]) -> NDArray[np.float64]:
        statistics = statistic(sums[:, :-1], np.broadcast_to(sums[:, -1:], sums[:, :-1].shape))
        return statistics[:, :-1] - statistics[:, -1:]

    values = differences(columns.sum(axis=0, keepdims=True))[0]
    drawn = differences(resampled_sums(columns, seed, resamples))
    return [interval(value, column) for value, column in zip(values, drawn.T, strict=True)]
