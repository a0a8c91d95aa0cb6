"""Describe users, items and pairs for the trees that correct blended ratings."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from recsys_dagster.data.training_data import TrainingData
from recsys_dagster.models.moments import damped_moments
from recsys_dagster.models.neighbours.rating_knn import RatingKnn
from recsys_dagster.models.rating import RatingModel


def user_facts(data: TrainingData) -> NDArray[np.float32]:
    """Return what is known of each user as (n_users, 5) float32.

    The columns are log(1 + number of training pairs), damped mean and deviation of the ratings, the share of them that
    are the highest of the scale, and the share that are not whole numbers.
    """
    rated = data.train.rated
    scale, _ = data.require_ratings()
    counts = np.maximum(np.bincount(rated.users, minlength=data.n_users), 1)
    shares = [
        np.bincount(rated.users, weights=true, minlength=data.n_users) / counts
        for true in (rated.ratings >= scale[1], rated.ratings % 1 != 0)
    ]
    pairs = np.log1p(np.bincount(data.train.users, minlength=data.n_users))
    moments = damped_moments(rated.users, rated.ratings, data.n_users)
    return np.column_stack([pairs, *moments, *shares]).astype(np.float32)


def item_facts(data: TrainingData) -> NDArray[np.float32]:
    """Return what is known of each item as (n_items, 7) float32, NaN where unknown.

    The columns are log(1 + number of training pairs), damped mean and deviation of the ratings, the mean on the
    publisher's site, the year, the kind as a number, and the number of genres.
    """
    rated, features = data.train.rated, data.item_features
    pairs = np.log1p(np.bincount(data.train.items, minlength=data.n_items))
    moments = damped_moments(rated.items, rated.ratings, data.n_items)
    genres = np.diff(features.genres.indptr)
    stacked = np.column_stack([pairs, *moments, features.site_scores, features.years, features.kinds, genres])
    return stacked.astype(np.float32)


def pair_facts(
    members: Sequence[RatingModel], users: NDArray[np.int32], items: NDArray[np.int32]
) -> NDArray[np.float32]:
    """Return what the neighbourhoods among the members know of each pair, as of `RatingKnn.nearest_rated`."""
    columns = [member.nearest_rated(users, items) for member in members if isinstance(member, RatingKnn)]
    return np.hstack([np.zeros((len(users), 0), np.float32), *columns])
