"""Sum boosted trees of LightGBM's text format in NumPy."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

_DEFAULT_LEFT, _MISSING_IS_NAN = 2, 8
"""Bits of a `decision_type`: where a missing value goes, and that NaN is one (without this bit, NaN counts as 0)."""


@dataclass(frozen=True)
class FlatTrees:
    """The splits and leaves of all trees, one tree after the other. A child below zero is the leaf −1 − child.

    Attributes:
        roots: (n_trees,) int64, the first split of each tree, or its only leaf.
        features: (n_splits,) int64, the column that is compared.
        thresholds: (n_splits,) float64; a value up to it goes to the left.
        decisions: (n_splits,) int64, LightGBM's `decision_type`.
        children: (2, n_splits) int64, left and right.
        leaves: (n_leaves,) float64.
    """

    roots: NDArray[np.int64]
    features: NDArray[np.int64]
    thresholds: NDArray[np.float64]
    decisions: NDArray[np.int64]
    children: NDArray[np.int64]
    leaves: NDArray[np.float64]

    @classmethod
    def parse(cls, text: str) -> "FlatTrees":
        """Return the trees of a text with numerical splits, such as `boost_trees` and `boost_ratings` return."""
        trees = [dict(line.split("=", 1) for line in part.splitlines() if "=" in line) for part in _parts(text)]
        splits = [_numbers(tree, "threshold", np.float64) for tree in trees]
        leaves = [_numbers(tree, "leaf_value", np.float64) for tree in trees]
        first_split, first_leaf = (np.cumsum([0, *map(len, one)]) for one in (splits, leaves))
        children = []
        for side in ("left_child", "right_child"):
            of_trees = [_numbers(tree, side, np.int64) for tree in trees]
            moved = [
                np.where(child >= 0, child + first_split[tree], child - first_leaf[tree])
                for tree, child in enumerate(of_trees)
            ]
            children.append(np.concatenate(moved))
        return cls(
            np.array([first_split[n] if len(one) else -1 - first_leaf[n] for n, one in enumerate(splits)], np.int64),
            np.concatenate([_numbers(tree, "split_feature", np.int64) for tree in trees]),
            np.concatenate(splits),
            np.concatenate([_numbers(tree, "decision_type", np.int64) for tree in trees]),
            np.stack(children),
            np.concatenate(leaves),
        )

    def sums(self, features: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return the (n,) sums of the leaves of (n, n_features) rows, equal to the bit to those of LightGBM."""
        places = np.tile(self.roots, (len(features), 1))
        while True:
            rows, trees = np.nonzero(places >= 0)
            if not len(rows):
                # One tree after the other, as LightGBM adds them; `sum` would add pairs.
                return self.leaves[-1 - places].cumsum(axis=1)[:, -1]
            at = places[rows, trees]
            values = features[rows, self.features[at]].astype(np.float64)
            to_left = np.nan_to_num(values) <= self.thresholds[at]
            is_missing = np.isnan(values) & (self.decisions[at] & _MISSING_IS_NAN > 0)
            to_left = np.where(is_missing, self.decisions[at] & _DEFAULT_LEFT > 0, to_left)
            places[rows, trees] = self.children[np.where(to_left, 0, 1), at]


def _parts(text: str) -> list[str]:
    """Return the text of each tree."""
    return ["Tree=" + part for part in text.partition("\nend of trees")[0].split("\nTree=")[1:]]


def _numbers(tree: dict[str, str], name: str, dtype: Any) -> NDArray[Any]:
    """Return the numbers of a line of a tree; a tree that is a single leaf has none in the lines of splits."""
    return np.array(tree.get(name, "").split(), dtype)
