"""Errors of predicted ratings, added up by user: sums over any users give the error of those users."""

import numpy as np
from numpy.typing import NDArray

from recsys_dagster.evaluation.metrics.inputs import RatedPairs


def error_sums(rows: NDArray[np.integer], errors: NDArray[np.float64], n_users: int) -> dict[str, NDArray[np.float64]]:
    """Add up the rating errors of each user.

    Args:
        rows: (n,) the user of each pair, in [0, n_users).
        errors: (n,) predicted rating - rating.
        n_users: number of users; one without a pair gets zeros.

    Returns:
        (n_users,) columns `pairs` (number of rated pairs), `absolute_error` and `squared_error` (sums).
    """
    return {
        "pairs": np.bincount(rows, minlength=n_users).astype(np.float64),
        "absolute_error": np.bincount(rows, np.abs(errors), n_users).astype(np.float64),
        "squared_error": np.bincount(rows, errors**2, n_users).astype(np.float64),
    }


def prediction_std(pairs: RatedPairs) -> float:
    """Return the standard deviation of the predicted ratings, ≥ 0; 0 for a model that predicts a constant."""
    return float("nan") if pairs.predicted is None else float(pairs.predicted.std(dtype=np.float64))
