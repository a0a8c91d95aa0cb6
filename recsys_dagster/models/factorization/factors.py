"""Compute inner products of user and item vectors, and write the scores of rating models as such."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from recsys_dagster.models.capabilities import ScoreFactors
from recsys_dagster.models.rating import RatingModel, relative_popularity
from recsys_dagster.runtime.blocks import PAIRS_PER_BLOCK


def pair_products(
    users: NDArray[Any], items: NDArray[Any], user_positions: NDArray[np.int32], item_positions: NDArray[np.int32]
) -> NDArray[Any]:
    """Return the (n,) inner products ⟨users[user_positions[i]], items[item_positions[i]]⟩.

    Args:
        users: (n_users, width).
        items: (n_items, width), of the same dtype, which is also that of the result.
        user_positions, item_positions: (n,) rows of the two.
    """
    products = np.empty(len(user_positions), dtype=users.dtype)
    for start in range(0, len(products), PAIRS_PER_BLOCK):
        block = slice(start, start + PAIRS_PER_BLOCK)
        np.einsum("ij,ij->i", users[user_positions[block]], items[item_positions[block]], out=products[block])
    return products


def rating_factors(
    model: RatingModel, mean: float, deviation: float, users: NDArray[np.float32], items: NDArray[np.float32]
) -> ScoreFactors:
    """Return the factors of the scores of a model that predicts mean + deviation · (b_u + b_i + ⟨p_u, q_i⟩).

    Args:
        model: the fitted model, whose ranking adds popularity.
        mean, deviation: of the training ratings.
        users, items: (n_users, 1 + rank) and (n_items, 1 + rank), biases first.
    """
    low, high = model.scale_
    step = deviation / (high - low)
    offset = (mean - low) / (high - low) + model.params.popularity_weight * relative_popularity(model.popularity_)
    ones = np.ones((len(users), 1), np.float32)
    matrix = np.column_stack([step * items[:, 1:], np.full(len(items), step), step * items[:, 0] + offset])
    return ScoreFactors(
        users=np.hstack([users[:, 1:], users[:, :1], ones]),
        items=matrix.astype(np.float32).T,
        columns=np.arange(len(items), dtype=np.int32),
        known=np.ones(len(users), np.bool_),
    )
