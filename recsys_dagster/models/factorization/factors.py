"""What models of user and item vectors share."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

BLOCK = 2**16
"""Pairs whose vectors are laid side by side at once, which bounds the memory of a prediction."""


def pair_products(
    users: NDArray[Any], items: NDArray[Any], user_positions: NDArray[np.int32], item_positions: NDArray[np.int32]
) -> NDArray[Any]:
    """Return the (n,) inner products ⟨users[user_positions[i]], items[item_positions[i]]⟩.

    Args:
        users: (n_users, width).
        items: (n_items, width), of the same dtype, which is the result's.
        user_positions, item_positions: (n,).
    """
    products = np.empty(len(user_positions), dtype=users.dtype)
    for start in range(0, len(products), BLOCK):
        block = slice(start, start + BLOCK)
        np.einsum("ij,ij->i", users[user_positions[block]], items[item_positions[block]], out=products[block])
    return products
