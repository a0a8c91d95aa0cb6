"""Scores of boosted trees for every pair of a user and a title, at a few operations a tree.

A test that a row fails makes the leaves to the left of it unreachable. With a bit for each leaf of a tree, from left to
right, the row's leaf is the first whose bit no failed test clears (QuickScorer, Lucchese et al. 2015). Tests of a
user's features are the same for all titles, and the other way round: each side's bits are worked out once, and a pair
only joins them.
"""

from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

MOST_LEAVES = 64
"""Bits of a word."""

DE_BRUIJN = np.uint64(0x03F79D71B4CB0A89)
"""A word whose 64 windows of six bits all differ, so that the top six of its product with 2^i tell i."""
BIT_OF_WINDOW = np.zeros(64, dtype=np.uint8)
for _bit in range(64):
    BIT_OF_WINDOW[(int(DE_BRUIJN) << _bit & (2**64 - 1)) >> 58] = _bit


def flat_trees(trees: list[NDArray[Any]]) -> tuple[NDArray[Any], ...]:
    """Return the tests of all trees, and the values of their leaves.

    Args:
        trees: nodes of each tree, the root first, as scikit-learn's histogram gradient boosting has them: structured
            arrays with `is_leaf`, `value`, `feature_idx`, `num_threshold`, `left` and `right`.

    Returns:
        For each test the feature (int32), the threshold (float64), the tree (int32) and the leaves that are left when
        the feature is greater (uint64); and the (n_trees, 64) float64 values of the leaves.
    """
    tests: list[tuple[int, float, int, int]] = []
    leaves = np.zeros((len(trees), MOST_LEAVES))

    def visit(tree: int, place: int, first: int) -> int:
        """Collect the subtree at `place`, whose leaves count from `first`; return their number."""
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


@numba.njit(cache=True, parallel=True)  # type: ignore[untyped-decorator, unused-ignore]
def reachable(rows: Any, first: int, feature: Any, threshold: Any, tree: Any, kept: Any, n_trees: int) -> Any:
    """Return (n, n_trees) uint64 leaves that the tests leave to each of the (n, width) rows.

    The rows hold the features from number `first` on; tests of other features are passed over.
    """
    n, width = rows.shape
    leaves = np.full((n, n_trees), ~np.uint64(0))
    for row in numba.prange(n):
        for test in range(len(feature)):
            column = feature[test] - first
            if 0 <= column < width and rows[row, column] > threshold[test]:
                leaves[row, tree[test]] &= kept[test]
    return leaves


@numba.njit(cache=True)  # type: ignore[untyped-decorator, unused-ignore]
def first_leaf(leaves: Any) -> Any:
    """Return the position of the lowest bit."""
    lowest = leaves & (~leaves + np.uint64(1))
    return BIT_OF_WINDOW[(lowest * DE_BRUIJN) >> np.uint64(58)]


@numba.njit(cache=True, parallel=True)  # type: ignore[untyped-decorator, unused-ignore]
def row_sums(leaves: Any, values: Any) -> Any:
    """Return (n,) float64 sums over the trees of the values of the first of the (n, n_trees) leaves."""
    sums = np.zeros(len(leaves))
    for row in numba.prange(len(leaves)):
        for tree in range(len(values)):
            sums[row] += values[tree, first_leaf(leaves[row, tree])]
    return sums


@numba.njit(cache=True, parallel=True)  # type: ignore[untyped-decorator, unused-ignore]
def grid_sums(of_first: Any, of_second: Any, of_titles: Any, genres: Any, values: Any) -> Any:
    """Return (n_users, n_items) float64 sums over the trees of the values of each pair's leaves.

    Args:
        of_first, of_second: (n_users, n_genres, n_trees) leaves left to a user and a title of that first, second genre.
        of_titles: (n_items, n_trees) leaves left by the title's own features.
        genres: (n_items, 2) the title's first and second genre.
        values: (n_trees, 64) values of the leaves.
    """
    sums = np.zeros((len(of_first), len(of_titles)))
    for user in numba.prange(len(of_first)):
        for item in range(len(of_titles)):
            left, right, own = of_first[user, genres[item, 0]], of_second[user, genres[item, 1]], of_titles[item]
            total = 0.0
            for tree in range(len(values)):
                total += values[tree, first_leaf(left[tree] & right[tree] & own[tree])]
            sums[user, item] = total
    return sums
