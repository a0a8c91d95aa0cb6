"""Compare models in pairs: the difference over the same users, its interval, and whether it may be chance.

The interval of a difference is by bootstrap (`intervals`): both models on the same resampled users, so that what makes
a user easy or hard for every model cancels out. p is by randomisation: if the models were alike, a user's two results
could as well have been swapped. So the results of every user are swapped or not at random, 10,000 times; p is the share
of these draws in which the models differ at least as much as they really do. No distribution is assumed.

Source: Smucker, Allan, Carterette, A comparison of statistical significance tests for information retrieval evaluation,
CIKM 2007 (randomisation); Phipson, Smyth, Permutation p-values should never be zero, SAGMB 9(1), 2010 (the 1 that is
added to numerator and denominator).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from recsys_dagster.evaluation.intervals import BLOCK_BYTES, RESAMPLES, Interval, interval, resampled_sums
from recsys_dagster.evaluation.metrics.metric import MetricKey
from recsys_dagster.evaluation.metrics.ratios import Statistic

SWAPS = 10_000
SIGNIFICANT = 0.05
"""A difference with a smaller p is not taken for chance."""


@dataclass(frozen=True)
class Paired:
    """Two models compared by one metric on the same users.

    Attributes:
        model, other: their names.
        metric, k: the metric.
        difference: the metric of `model` minus that of `other`.
        p: probability of a difference at least as large if the two were alike; at least 1 / 10,001.
        p_corrected: the same, corrected by Holm for the number of pairs of models that were compared by the metric.
    """

    model: str
    other: str
    metric: str
    k: int | None
    difference: Interval
    p: float
    p_corrected: float

    @property
    def key(self) -> MetricKey:
        """The metric."""
        return MetricKey(self.metric, self.k)


def compare_all(
    names: Sequence[str],
    values: NDArray[np.float64],
    weights: NDArray[np.float64],
    statistic: Statistic,
    key: MetricKey,
    *,
    seed: int,
    resamples: int = RESAMPLES,
    swaps: int = SWAPS,
) -> list[Paired]:
    """Compare each two of m models, in the order of the names.

    Args:
        names: (m,) names of the models.
        values: (n_users, m) values of each user under each model, such as NDCG or the sum of squared errors.
        weights: (n_users,) weight of each user in the denominator: ones for a mean over users, the number of rated
            pairs for an error.
        statistic: maps the totals of values and of weights to the metric: `mean` or `root_mean`.
        key: the metric.
        seed: of the bootstrap and of the randomisation.
        resamples, swaps: number of draws of the bootstrap and of the randomisation.
    """
    sums = resampled_sums(np.column_stack([values, weights]), seed, resamples)
    drawn = statistic(sums[:, :-1], np.broadcast_to(sums[:, -1:], sums[:, :-1].shape))
    totals, weight = values.sum(axis=0), weights.sum(keepdims=True)
    figures = statistic(totals, np.broadcast_to(weight, totals.shape))
    signed = signed_sums(values, seed, swaps)
    pairs = list(combinations(range(len(names)), 2))
    differences, ps = [], []
    for a, b in pairs:
        # A user whose results are swapped adds (a + b) / 2 − (a − b) / 2 to the first total, the others + (a − b) / 2.
        middle, half = (totals[a] + totals[b]) / 2, (signed[:, a] - signed[:, b]) / 2
        denominator = np.broadcast_to(weight, half.shape)
        swapped = statistic(middle + half, denominator) - statistic(middle - half, denominator)
        actual = figures[a] - figures[b]
        # A difference that is as large but for rounding counts as large.
        as_large = np.count_nonzero(np.abs(swapped) >= abs(actual) * (1 - 1e-9) - 1e-15)
        ps.append((1 + as_large) / (1 + swaps))
        differences.append(interval(actual, drawn[:, a] - drawn[:, b]))
    return [
        Paired(names[a], names[b], *key, difference, p, corrected)
        for (a, b), difference, p, corrected in zip(pairs, differences, ps, holm(ps), strict=True)
    ]


def signed_sums(columns: NDArray[np.float64], seed: int, draws: int = SWAPS) -> NDArray[np.float64]:
    """Return (draws, m): the sums of the (n_users, m) columns with a random sign for each user, block by block."""
    n, m = columns.shape
    generator = np.random.default_rng(seed)
    sums = np.empty((draws, m))
    rows = max(1, min(draws, BLOCK_BYTES // (8 * n)))
    for start in range(0, draws, rows):
        count = min(rows, draws - start)
        # Whole words a row, so that the signs do not depend on the size of the blocks.
        words = generator.integers(0, 2**64, (count, -(-n // 64)), dtype=np.uint64)
        bits = np.unpackbits(words.view(np.uint8), axis=1, count=n)
        signs = bits.astype(np.float64)
        signs *= 2
        signs -= 1
        np.matmul(signs, columns, out=sums[start : start + count])
    return sums


def holm(ps: Sequence[float]) -> list[float]:
    """Correct the p-values of several tests: the probability that any of them is below α by chance is α at most.

    The i-th smallest of n values, from 0, is multiplied by n − i; none becomes smaller than the one before it, or
    larger than 1.

    Source: Holm, A simple sequentially rejective multiple test procedure, Scandinavian J. of Statistics 6(2), 1979.
    """
    values = np.asarray(ps, dtype=np.float64)
    order = np.argsort(values, kind="stable")
    corrected = np.empty_like(values)
    corrected[order] = np.minimum(1, np.maximum.accumulate(values[order] * np.arange(len(values), 0, -1)))
    return [float(p) for p in corrected]
