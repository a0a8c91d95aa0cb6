"""The statistics that turn two totals over users into a metric."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Totals = NDArray[np.float64]
Statistic = Callable[[Totals, Totals], Totals]
"""(numerators, denominators) → values, element by element."""


def mean(total: Totals, count: Totals) -> Totals:
    """Divide total by count, element by element; NaN where the count is zero.

    Applied to a ranking metric it is the mean over users; to absolute errors the MAE, Σ|e| / n, in units of the scale;
    to squared errors the MSE, Σe² / n. Every rated pair has the same weight, so a user with many ratings counts more.
    """
    return np.divide(total, count, out=np.full_like(total, np.nan), where=count > 0)


def root_mean(total: Totals, count: Totals) -> Totals:
    """Return √(total / count), element by element: of squared errors the RMSE, √(Σe² / n), in units of the scale.

    It is taken over all pairs; it is not the mean of the users' RMSEs.
    """
    return np.sqrt(mean(total, count))
