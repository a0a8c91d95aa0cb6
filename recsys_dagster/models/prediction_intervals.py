"""Say how sure a predicted rating is: an interval that holds `INTERVAL_LEVEL` of the ratings, by conformal prediction.

It is calibrated on ratings that the model was not fitted on. A held-out rating r with the prediction r̂ has the score
(r − r̂) / σ, where σ is how far off such a prediction is expected to be. With l and h a low and a high quantile of the
scores, the interval is [r̂ + l·σ, r̂ + h·σ], on the scale; l and h are those of items with training ratings, or those of
items without, of which later folds hold more. It holds at least that share of further ratings if they are
like the held-out ones, whatever the model and however wrong σ is (Vovk, Gammerman and Shafer 2005, "Algorithmic
Learning in a Random World"; Lei et al. 2018, "Distribution-Free Predictive Inference for Regression", §5.2, for σ;
Romano, Patterson and Candès 2019, "Conformalized Quantile Regression", for two tails). Later ratings are less like
them than others drawn at random, so the evaluation says which share there really is.
"""

import math

import numpy as np
from numpy.typing import NDArray

from recsys_dagster.data.training_data import TrainingData
from recsys_dagster.models.moments import damped_moments

INTERVAL_LEVEL = 0.9
"""Share of the ratings that are to lie in their interval; half of the others may lie below it, half above."""
CALIBRATION_RATINGS = 100_000
"""Largest number of held-out ratings that an interval is calibrated on; more of them would not change it."""
LEAST_ERROR = 0.02
"""Error, as a share of the width of the scale, below which an error says no more of σ."""
IS_NEW = 1
"""Column of `spread_facts` that is 1 for a user or an item without training ratings, else 0."""
PENALTY = 10.0
"""L2 penalty, in ratings, of the weights of facts with a standard deviation of one."""


ROUNDING = 1 + 1e-5
"""Factor of the bounds by which a rating that lies on a bound is not outside after rounding to float32."""


def calibration_rows(n: int, seed: int) -> NDArray[np.int64]:
    """Return the rising places of the ratings, of n held-out ones, that an interval is calibrated on."""
    if n <= CALIBRATION_RATINGS:
        return np.arange(n)
    return np.sort(np.random.default_rng(seed).choice(n, CALIBRATION_RATINGS, replace=False))


def spread_facts(data: TrainingData) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return what is known of each user and of each item that says how well their ratings can be predicted.

    The columns are log(1 + number of training ratings), 1 for none and 0 for some, and log of the damped deviation of
    the ratings.

    Args:
        data: with at least one training rating.

    Returns:
        (n_users, 3) and (n_items, 3).
    """
    rated = data.train.rated
    return _facts(rated.users, rated.ratings, data.n_users), _facts(rated.items, rated.ratings, data.n_items)


def _facts(groups: NDArray[np.int32], ratings: NDArray[np.float32], n: int) -> NDArray[np.float64]:
    counts = np.bincount(groups, minlength=n)
    _, deviations = damped_moments(groups, ratings, n)
    return np.column_stack([np.log1p(counts), counts == 0, np.log(np.maximum(deviations, 1e-6))])


def learn_spread(
    facts: NDArray[np.float64], errors: NDArray[np.floating], scale: tuple[float, float]
) -> NDArray[np.float64]:
    """Return the (m,) weights w of a ridge regression of log |error| on facts: σ is exp(facts · w), up to a factor.

    Args:
        facts: (n, m).
        errors: (n,) rating − prediction.
        scale: lowest and highest rating.
    """
    logs = np.log(np.maximum(np.abs(errors), LEAST_ERROR * (scale[1] - scale[0])))
    deviations = np.maximum(facts.std(axis=0), 1e-6)
    centred = (facts - facts.mean(axis=0)) / deviations
    gram = centred.T @ centred + PENALTY * np.eye(facts.shape[1])
    weights: NDArray[np.float64] = np.linalg.solve(gram, centred.T @ (logs - logs.mean())) / deviations
    return weights


def conformal_bounds(scores: NDArray[np.floating], level: float = INTERVAL_LEVEL) -> tuple[float, float]:
    """Return the low and the high quantile between which a further score lies with a probability of at least `level`.

    Of n scores in rising order the high one is that at place ⌈(n + 1)(1 + level)/2⌉, counted from 1, the low one that
    at the same place from the other end; infinite where there are too few scores. Neither is on the wrong side of 0.
    """

    def highest(values: NDArray[np.floating]) -> float:
        # Rounded, since (n + 1) · 0.95 may come out a little above the whole number that it is.
        place = math.ceil(round((len(values) + 1) * (1 + level) / 2, 9))
        return math.inf if place > len(values) else max(0.0, float(np.partition(values, place - 1)[place - 1]))

    return -highest(-scores), highest(scores)
