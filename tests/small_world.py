"""Training data written as a matrix, for numbers worked out by hand."""

from collections.abc import Sequence

import numpy as np
import scipy.sparse as sp

from recsys_dagster.data.interactions import Interactions
from recsys_dagster.data.items import ItemFeatures
from recsys_dagster.data.training_data import TrainingData

UNRATED = -1
"""In a matrix of ratings: an interaction without a rating; 0 is no interaction."""


def pairs_of(matrix: Sequence[Sequence[float]]) -> Interactions:
    """The pairs of a users × items matrix of ratings."""
    ratings = np.array(matrix, dtype=np.float32)
    users, items = np.nonzero(ratings)
    values = ratings[users, items]
    values[values == UNRATED] = np.nan
    return Interactions(users.astype(np.int32), items.astype(np.int32), values)


def world_of(
    matrix: Sequence[Sequence[float]],
    genres: Sequence[Sequence[int]] | None = None,
    kinds: Sequence[int] | None = None,
) -> TrainingData:
    """The matrix as training data, with a scale of 1 to 10 and likes from 8; by default one genre and no kinds."""
    n_users, n_items = np.shape(matrix)
    flags = np.ones((n_items, 1)) if genres is None else np.array(genres)
    features = ItemFeatures(
        genres=sp.csr_array(flags.astype(np.float32)),
        genre_names=tuple(f"genre {column}" for column in range(flags.shape[1])),
        kinds=np.array([-1] * n_items if kinds is None else kinds, dtype=np.int16),
        kind_names=("TV", "Movie"),
        years=np.full(n_items, np.nan, dtype=np.float32),
        site_scores=np.full(n_items, np.nan, dtype=np.float32),
    )
    return TrainingData(
        train=pairs_of(matrix),
        validation=Interactions.empty(),
        n_users=n_users,
        n_items=n_items,
        item_features=features,
        scale=(1, 10),
        like_threshold=8,
    )


def random_likes(n_users: int, n_items: int, seed: int = 0) -> np.ndarray:
    """A matrix of tens and zeros, with likes for item 0 from no user, and for item i from more the larger i is."""
    random = np.random.default_rng(seed)
    return 10.0 * (random.random((n_users, n_items)) < np.linspace(0, 0.6, n_items))
