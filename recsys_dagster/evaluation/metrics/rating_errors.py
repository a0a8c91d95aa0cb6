"""Errors of predicted ratings, and their intervals, added up by user: sums over any users are those of these users."""

import numpy as np
from numpy.typing import NDArray

from recsys_dagster.data.interactions import Interactions
from recsys_dagster.evaluation.metrics.inputs import RatedPairs
from recsys_dagster.models.base import Model
from recsys_dagster.models.capabilities import RatingPredictor


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


def interval_sums(
    model: Model, rated: Interactions, predicted: NDArray[np.float32], rows: NDArray[np.integer], n_users: int
) -> dict[str, NDArray[np.float64]]:
    """Add up, for each user, the ratings that lie in their prediction interval, and the widths of the intervals.

    Args:
        model: that predicted the ratings.
        rated: (n,) pairs with ratings.
        predicted: (n,) what the model predicts for them.
        rows: (n,) the user of each pair, in [0, n_users).
        n_users: number of users; one without a pair gets zeros.

    Returns:
        (n_users,) columns `covered` (number of ratings) and `interval_widths` (sum); none if the model has no interval.
    """
    if not (isinstance(model, RatingPredictor) and model.has_interval):
        return {}
    low, high = model.interval_around(predicted, rated.users, rated.items)
    covered = (low <= rated.ratings) & (rated.ratings <= high)
    return {
        "covered": np.bincount(rows, covered, n_users).astype(np.float64),
        "interval_widths": np.bincount(rows, high - low, n_users).astype(np.float64),
    }


def prediction_std(pairs: RatedPairs) -> float:
    """Return the standard deviation of the predicted ratings, ≥ 0; 0 for a model that predicts a constant."""
    return float("nan") if pairs.predicted is None else float(pairs.predicted.std(dtype=np.float64))
