"""Sums of trees in NumPy against those of LightGBM, and worked out by hand."""

import numpy as np
from lightgbm import Booster
from numpy.testing import assert_array_equal

from recsys_dagster.models.ensembles.boosted_trees import FEW, boost_ratings, boost_trees, tree_scores
from recsys_dagster.models.ensembles.conditional_logit import Examples
from recsys_dagster.models.ensembles.flat_trees import FlatTrees

TWO_TREES = """tree
Tree=0
num_leaves=3
split_feature=0 1
threshold=0.5 2
decision_type=2 8
left_child=1 -1
right_child=-3 -2
leaf_value=1 10 100

Tree=1
num_leaves=1
leaf_value=0.25

end of trees
"""


def test_the_leaves_of_two_trees_are_added() -> None:
    rows = np.array([[0.5, 2], [0.5, 3], [0.6, 0], [np.nan, np.nan]], np.float32)
    # In the first column NaN counts as zero, in the second it is missing and goes to the right.
    assert_array_equal(FlatTrees.parse(TWO_TREES).sums(rows), [1.25, 10.25, 100.25, 10.25])


def test_the_sums_of_ranking_trees_are_those_of_lightgbm() -> None:
    random = np.random.default_rng(0)
    features = random.normal(size=(9000, 6)).astype(np.float32)
    relevant = features[:, 2] * features[:, 4] > 1
    examples = Examples(
        np.repeat(np.arange(300), 30), features, np.ones((9000, 1), np.float32), relevant, np.full(300, 3)
    )
    trees = boost_trees(examples, np.zeros(9000, np.float32), [f"f{n}" for n in range(6)], 0)
    expected = Booster(model_str=trees).predict(features)
    assert len(np.unique(expected)) > 100
    assert_array_equal(FlatTrees.parse(trees).sums(features[:FEW]), expected[:FEW])
    assert_array_equal(tree_scores(trees, features[:FEW]), tree_scores(trees, features)[:FEW])


def test_the_sums_of_rating_trees_with_missing_values_are_those_of_lightgbm() -> None:
    random = np.random.default_rng(1)
    features = random.normal(size=(3000, 5)).astype(np.float32)
    errors = np.where(features[:, 1] > 0, 2, -1) + features[:, 3]
    features[random.random(features.shape) < 0.3] = np.nan
    features[:, 4] = np.abs(np.nan_to_num(features[:, 4]))  # a column in which nothing was missing when it was learnt
    trees = boost_ratings(features, errors.astype(np.float32), 40, 0)
    features[::7, 4] = np.nan
    expected = Booster(model_str=trees).predict(features)
    assert len(np.unique(expected)) > 100
    assert_array_equal(FlatTrees.parse(trees).sums(features), expected)


def test_trees_that_found_nothing_to_split_are_single_leaves() -> None:
    features = np.zeros((200, 2), np.float32)
    trees = boost_ratings(features, np.full(200, 0.5, np.float32), 3, 0)
    assert_array_equal(FlatTrees.parse(trees).sums(features[:4]), Booster(model_str=trees).predict(features[:4]))
