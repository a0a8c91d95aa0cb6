"""What the trees of the rating blend know, against numbers worked out by hand."""

from dataclasses import replace

import numpy as np

from recsys_dagster.data.interactions import Interactions
from recsys_dagster.data.training_data import TrainingData
from recsys_dagster.models.baselines.user_item_bias import UserItemBias
from recsys_dagster.models.ensembles.rating_facts import (
    RatingFacts,
    item_facts,
    item_traits,
    trait_slopes,
    user_facts,
)


def test_facts_are_damped_by_five_average_ratings_and_unknown_users_have_the_averages(data: TrainingData) -> None:
    train = Interactions(
        np.array([0, 0, 1], np.int32), np.array([2, 3, 2], np.int32), np.array([10, 7.5, np.nan], np.float32)
    )
    facts = user_facts(replace(data, train=train))
    mean, variance = 0.0, (2 * 1.25**2 + 5 * 1.25**2) / 7
    np.testing.assert_allclose(facts[0], [np.log(3), mean, variance**0.5, 0.5, 0.5], rtol=1e-6, atol=1e-7)
    np.testing.assert_allclose(facts[1], [np.log(2), 0, 1.25, 0, 0], rtol=1e-6)
    of_items, features = item_facts(replace(data, train=train)), data.item_features
    np.testing.assert_allclose(of_items[2, :2], [np.log(3), 1.25 / 6], rtol=1e-6)
    np.testing.assert_array_equal(of_items[:, 3:5], np.column_stack([features.site_scores, features.years]))


def test_a_trait_s_slope_is_a_ridge_on_the_users_residuals() -> None:
    rated = Interactions(np.array([0, 0, 1], np.int32), np.array([0, 1, 1], np.int32), np.ones(3, np.float32))
    traits = np.array([[1.0], [-2.0]], np.float32)
    slopes, centres = trait_slopes(rated, np.array([0.5, -1, 3], np.float32), traits, 3)
    np.testing.assert_allclose(centres[:, 0], [-1 / 3, -2 / 2, 0], rtol=1e-6)
    above = np.array([1 + 1 / 3, -2 + 1 / 3])
    first = (above @ [0.5, -1]) / (above @ above + 20)
    np.testing.assert_allclose(slopes[:, 0], [first, -1 * 3 / (1 + 20), 0], rtol=1e-6)


def test_a_pair_knows_the_users_residuals_of_like_genres(data: TrainingData) -> None:
    facts = RatingFacts.of(data)
    rated, biases = data.train.rated, UserItemBias().fit(replace(data, validation=Interactions.empty()))
    genres = data.item_features.genres.toarray()
    genres = genres / np.maximum(np.linalg.norm(genres, axis=1, keepdims=True), 1)
    user, item = 5, 7
    mine = rated.users == user
    likeness = genres[rated.items[mine]] @ genres[item]
    residuals = rated.ratings[mine] - biases._predict(rated.users[mine], rated.items[mine])
    features = facts.features([], [], np.array([user], np.int32), np.array([item], np.int32), None)
    expected = [likeness @ residuals / (likeness.sum() + 5), likeness.sum()]
    np.testing.assert_allclose(features[0, 12:14], expected, rtol=1e-4, atol=1e-5)


def test_an_unknown_site_score_is_an_average_trait(data: TrainingData) -> None:
    scores = data.item_features.site_scores
    assert np.isnan(scores).any()
    traits = item_traits(data, np.zeros(data.n_items, np.float32))
    np.testing.assert_array_equal(traits[np.isnan(scores), 1], 0)
    np.testing.assert_allclose(traits[:, :2].mean(axis=0), 0, atol=1e-6)
    np.testing.assert_allclose(traits[:, :2].std(axis=0), 1, rtol=1e-5)
    np.testing.assert_array_equal(traits[:, 2], 0)
