"""The item neighbourhood against sums worked out by hand."""

from dataclasses import replace

import numpy as np
import pytest
import scipy.sparse as sp

from recsys_dagster.data.interactions import Interactions
from recsys_dagster.data.training_data import TrainingData
from recsys_dagster.models.neighbours.rating_knn import RatingKnn, RatingKnnParams, item_variances, similar_items

RESIDUALS = sp.csr_array(np.array([[1, 2, 0, -1], [-1, -2, 0, 0], [0, 1, 1, 0]], dtype=np.float32))
"""Three users, four items; items 0 and 1 have two raters in common, 1 and 2 one, 0 and 3 one, 1 and 3 one."""
VARIANCES = [(1 + 1 + 10 * 13 / 7) / 12, (4 + 4 + 1 + 10 * 13 / 7) / 13, (1 + 10 * 13 / 7) / 11, (1 + 10 * 13 / 7) / 11]
"""The mean square of all seven residuals is 13/7."""


def test_a_variance_is_damped_by_ten_residuals_of_the_mean_square() -> None:
    np.testing.assert_allclose(item_variances(RESIDUALS), VARIANCES, rtol=1e-6)


def test_a_similarity_is_the_correlation_over_common_raters_shrunk_by_their_number() -> None:
    similar = similar_items(RESIDUALS, RatingKnnParams(neighbours=4, shrinkage=3, amplification=1)).toarray()
    sums = np.array([[0, 4, 0, -1], [4, 0, 1, -2], [0, 1, 0, 0], [-1, -2, 0, 0]])
    counts = np.array([[2, 2, 0, 1], [2, 3, 1, 1], [0, 1, 1, 0], [1, 1, 0, 1]])
    np.testing.assert_allclose(similar, sums / (np.sqrt(np.outer(VARIANCES, VARIANCES)) * (counts + 3)), rtol=1e-5)


def test_the_neighbours_kept_are_those_of_the_largest_similarity_of_either_sign() -> None:
    similar = similar_items(RESIDUALS, RatingKnnParams(neighbours=1, shrinkage=3, amplification=1)).toarray()
    assert [np.flatnonzero(row).tolist() for row in similar] == [[1], [0], [1], [1]]
    assert similar[3, 1] < 0


def test_amplification_raises_the_size_of_a_similarity_and_keeps_its_sign() -> None:
    plain, squared = (
        similar_items(RESIDUALS, RatingKnnParams(neighbours=4, shrinkage=3, amplification=power)).toarray()
        for power in (1, 2)
    )
    np.testing.assert_allclose(squared, np.sign(plain) * plain**2, rtol=1e-5)


def test_a_prediction_is_the_bias_plus_the_weighed_mean_of_the_neighbours_residuals(data: TrainingData) -> None:
    model = RatingKnn(RatingKnnParams(neighbours=5, shrinkage=10, damping=0.5)).fit(data)
    residuals, similar = model.residuals_.toarray(), model.similarities_.toarray()
    rated = data.train.rated
    expected = rated.ratings - (model.mean_ + model.item_bias_[rated.items] + model.user_bias_[rated.users])
    np.testing.assert_allclose(residuals[rated.users, rated.items], expected, atol=1e-5)
    known = data.train.rated.matrix(data.n_users, data.n_items).toarray()
    users, items = data.validation.users, data.validation.items
    for user, item, predicted in zip(users, items, model._predict(users, items), strict=True):
        total, weight = similar[item] @ residuals[user], np.abs(similar[item]) @ known[user]
        bias = model.mean_ + model.item_bias_[item] + model.user_bias_[user]
        assert predicted == pytest.approx(bias + total / (0.5 + weight), abs=1e-5)


def test_a_pair_is_predicted_as_in_the_users_row(data: TrainingData) -> None:
    model = RatingKnn().fit(data)
    users = np.repeat(np.arange(data.n_users, dtype=np.int32), data.n_items)
    items = np.tile(np.arange(data.n_items, dtype=np.int32), data.n_users)
    rows = model._ratings(np.arange(data.n_users, dtype=np.int32))
    np.testing.assert_allclose(model._predict(users, items), rows.ravel(), rtol=1e-5)


def test_a_new_user_is_predicted_like_a_user_with_the_same_history(data: TrainingData) -> None:
    model = RatingKnn().fit(data)
    known = data.train.where(data.train.users == 10)
    history = Interactions(known.users - np.int32(10), known.items, known.ratings)
    np.testing.assert_allclose(model._ratings_for(history, 1), model._ratings(np.array([10], np.int32)), rtol=1e-4)


def test_without_any_rating_the_prediction_is_the_middle_of_the_scale(data: TrainingData) -> None:
    unrated = replace(data.train, ratings=np.full(len(data.train), np.nan, dtype=np.float32))
    model = RatingKnn().fit(replace(data, train=unrated))
    assert (model.predict(data.validation.users, data.validation.items) == 5.5).all()


def test_the_closest_rated_neighbours_of_a_pair_are_given_with_the_users_residuals() -> None:
    model = RatingKnn()
    model.residuals_ = RESIDUALS
    weights = np.array([[0, 0.5, 0, -0.25], [0.5, 0, 0.1, 0], [0, 0.1, 0, 0], [-0.25, 0, 0, 0]], dtype=np.float32)
    model.similarities_ = sp.csr_array(weights)
    facts = model.nearest_rated(np.array([0, 1, 2], np.int32), np.array([0, 3, 3], np.int32))
    np.testing.assert_allclose(facts, [[0.5, 2, 0.25, -1, 2, 0.75], [0.25, -1, 0, 0, 1, 0.25], [0] * 6])
