"""What the trees of the rating blend know, against numbers worked out by hand."""

from dataclasses import replace

import numpy as np

from recsys_dagster.data.interactions import Interactions
from recsys_dagster.data.training_data import TrainingData
from recsys_dagster.models.ensembles.rating_facts import item_facts, user_facts


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
