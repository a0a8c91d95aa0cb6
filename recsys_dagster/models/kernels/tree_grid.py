"""Score every pair of user and item by boosted trees in compiled loops, with a few operations per tree.

If a row fails a test, the leaves to the left of it become unreachable. With a bit for each leaf of a tree, from left to
right, the leaf of the row is the first whose bit no failed test has cleared (QuickScorer, Lucchese et al. 2015). Tests
of user features have the same result for all items, and tests of item features for all users. The bits of each side are
therefore computed once, and combined for each pair.
"""

from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

from recsys_dagster.runtime.compiling import compiled

MOST_LEAVES = 64
"""Largest number of leaves of a tree: one bit of a word for each."""

DE_BRUIJN = np.uint64(0x03F79D71B4CB0A89)
"""A word whose 64 windows of six bits all differ, so that the top six bits of its product with 2^i identify i."""
BIT_OF_WINDOW = np.zeros(64, dtype=np.uint8)
for _bit in range(64):
    BIT_OF_WINDOW[(int(DE_BRUIJN) << _bit & (2**64 - 1)) >> 58] = _bit


def flat_trees(trees: list[NDArray[Any]]) -> tuple[NDArray[Any], ...]:
    """Return the tests of all trees and the values of their leaves as arrays.

    Args:
        trees: the nodes of each tree, the root first, as in scikit-learn's histogram gradient boosting: structured
            arrays with `is_leaf`, `value`, `feature_idx`, `num_threshold`, `left` and `right`.

    Returns:
        For each test its feature (int32), threshold (float64), tree (int32), and the leaves that stay reachable if the
        feature is greater than the threshold (uint64); then the (n_trees, 64) float64 values of the leaves.
    """
    tests: list[tuple[int, float, int, int]] = []
    leaves = np.zeros((len(trees), MOST_LEAVES))

    def visit(tree: int, place: int, first: int) -> int:
        """Collect the subtree at `place`, whose first leaf has the number `first`; return its number of leaves."""
        node = trees[tree][place]
        if node["is_leaf"]:
            leaves[tree, first] = node["value"]
            return 1
        left = visit(tree, node["left"], first)
        cleared = ((1 << left) - 1) << first
        tests.append((node["feature_idx"], node["num_threshold"], tree, ~cleared & (2**64 - 1)))
        return left + visit(tree, node["right"], first + left)

    for tree in range(len(trees)):
        visit(tree, 0, 0)
    feature, threshold, tree_of, kept = zip(*tests, strict=True) if tests else ((), (), (), ())
    return (
        np.array(feature, dtype=np.int32),
        np.array(threshold, dtype=np.float64),
        np.array(tree_of, dtype=np.int32),
        np.array(kept, dtype=np.uint64),
        leaves,
    )


@compiled(parallel=True)
def reachable(rows: Any, first: int, feature: Any, threshold: Any, tree: Any, kept: Any, n_trees: int) -> Any:
    """Return the (n, n_trees) uint64 leaves that each of the (n, width) rows can still reach.

    The rows hold the features from column `first` on; tests of other features are ignored.
    """
    n, width = rows.shape
    leaves = np.full((n, n_trees), ~np.uint64(0))
    for row in numba.prange(n):
        for test in range(len(feature)):
            column = feature[test] - first
            if 0 <= column < width and rows[row, column] > threshold[test]:
                leaves[row, tree[test]] &= kept[test]
    return leaves


@compiled()
def first_leaf(leaves: Any) -> Any:
    """Return the position of the lowest set bit."""
    lowest = leaves & (~leaves + np.uint64(1))
    return BIT_OF_WINDOW[(lowest * DE_BRUIJN) >> np.uint64(58)]


@compiled(parallel=True)
def row_sums(leaves: Any, values: Any) -> Any:
    """Return the (n,) float64 sums over all trees of the value of the first of the (n, n_trees) leaves."""
    sums = np.zeros(len(leaves))
    for row in numba.prange(len(leaves)):
        for tree in range(len(values)):
            sums[row] += values[tree, first_leaf(leaves[row, tree])]
    return sums


@compiled(parallel=True)
def grid_sums(first_leaves: Any, second_leaves: Any, item_leaves: Any, genres: Any, values: Any) -> Any:
    """Return the (n_users, n_items) float64 sums over all trees of the values of the leaves of each pair.

    Args:
        first_leaves, second_leaves: (n_users, n_genres, n_trees) leaves that a user can reach for items of that first
            or second genre.
        item_leaves: (n_items, n_trees) leaves that can be reached given the item's own features.
        genres: (n_items, 2) first and second genre of each item.
        values: (n_trees, 64) values of the leaves.
    """
    sums = np.zeros((len(first_leaves), len(item_leaves)))
    for user in numba.prange(len(first_leaves)):
        for item in range(len(item_leaves)):
            first, second = first_leaves[user, genres[item, 0]], second_leaves[user, genres[item, 1]]
            own = item_leaves[item]
            total = 0.0
            for tree in range(len(values)):
                total += values[tree, first_leaf(first[tree] & second[tree] & own[tree])]
            sums[user, item] = total
    return sums
