"""Mean and deviation of the ratings of each user, or of each item, where there are few of them too."""

import numpy as np
from numpy.typing import NDArray

PRIOR_RATINGS = 5.0
"""Number of average ratings by which means and deviations are damped."""


def damped_moments(
    groups: NDArray[np.int32], ratings: NDArray[np.float32], n: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the mean, less that of all ratings, and the deviation of the ratings of each group, both damped.

    Args:
        groups: (n_ratings,) the user, or the item, of each rating, in [0, n).
        ratings: (n_ratings,), at least one.
        n: number of groups; one without ratings gets the mean 0 and the deviation of all ratings.

    Returns:
        (n,) means and (n,) deviations.
    """
    above = ratings.astype(np.float64) - ratings.mean(dtype=np.float64)
    weights = np.bincount(groups, minlength=n) + PRIOR_RATINGS
    means = np.bincount(groups, weights=above, minlength=n) / weights
    squares = np.bincount(groups, weights=above**2, minlength=n) + PRIOR_RATINGS * above.var()
    return means, np.sqrt(np.maximum(squares / weights - means**2, 0))
