"""The mean rating that each user gives to each genre."""

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from recsys_dagster.data.interactions import Interactions

TASTE_SCALE = (0.0, 1.0)
"""Scale of stated tastes where there are no ratings; 1 stands for a genre that a user likes."""


def mean_genre_ratings(interactions: Interactions, genres: sp.csr_array, n_users: int) -> NDArray[np.float32]:
    """Compute the mean rating that each user gives to the items of each genre.

    `sql/features/user_genre_taste.sql` computes the same for the training fold. The two are equal to the bit where
    ratings are multiples of a half, as sums of those are exact; other ratings may differ in the last bit.

    Args:
        interactions: the pairs to average over; those without a rating are ignored.
        genres: (n_items, n_genres) matrix of ones.
        n_users: number of rows of the result.

    Returns:
        (n_users, n_genres) float32 on the scale of the ratings; NaN where a user rated no item of a genre.
    """
    rated = interactions.rated
    shape = (n_users, genres.shape[0])
    ratings = sp.csr_array((rated.ratings.astype(np.float64), (rated.users, rated.items)), shape=shape)
    totals = (ratings @ genres).toarray()
    counts = (rated.matrix(*shape) @ genres).toarray()
    means: NDArray[np.float32] = np.divide(totals, counts, out=np.full(totals.shape, np.nan), where=counts > 0).astype(
        np.float32
    )
    return means
