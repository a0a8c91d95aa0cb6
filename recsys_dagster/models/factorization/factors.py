"""Compute inner products of user and item vectors for pairs."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

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
