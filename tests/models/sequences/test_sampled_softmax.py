"""The sampled cross-entropy against numbers worked out by hand."""

import numpy as np
import pytest

from recsys_dagster.models.networks.neural import import_keras
from recsys_dagster.models.sequences.sampled_softmax import biases_at_popularity, sampled_cross_entropy

COUNTS = np.array([1, 3, 7])


def mean_loss(vectors: np.ndarray, states: list, targets: list, negatives: int) -> float:
    """The mean loss of (places, units) states of one history that is followed by the (places,) targets."""
    layers = import_keras().layers
    items = layers.Embedding(*vectors.shape)
    loss = sampled_cross_entropy(items, biases_at_popularity(COUNTS), negatives, seed=0)
    items.build()
    items.set_weights([vectors])
    return float(np.mean(loss(np.array([states], np.float32), np.array([targets], np.int32))))


def test_the_biases_are_the_log_of_the_popularity_of_each_item_and_one() -> None:
    np.testing.assert_allclose(biases_at_popularity(COUNTS), [0, *np.log([2 / 14, 4 / 14, 8 / 14])], rtol=1e-6)


def test_over_all_items_it_is_the_mean_cross_entropy_of_the_places_with_a_next_item() -> None:
    states = [[0, 0], [0, 0], [1, 1]]
    loss = mean_loss(np.zeros((4, 2), np.float32), states, [0, 1, 3], negatives=5)
    assert loss == pytest.approx(-np.log([2 / 14, 8 / 14]).mean(), rel=1e-5)


def test_the_vectors_of_items_count() -> None:
    # exp(state · vector) of the items is 1, 2 and 1, so that they have 2, 8 and 8 eighteenths.
    vectors = np.array([[9, 9], [0, 1], [1, 0], [0, 0]], np.float32)
    loss = mean_loss(vectors, [[np.log(2), 0]], [2], negatives=5)
    assert loss == pytest.approx(-np.log(8 / 18), rel=1e-5)


def test_drawn_items_stand_for_all_others() -> None:
    # 2,000 items of the same popularity and with the same vector: whichever are drawn, each has one of 2,000 shares.
    items = import_keras().layers.Embedding(2_001, 1)
    loss = sampled_cross_entropy(items, biases_at_popularity(np.ones(2_000)), 100, seed=0)
    states, targets = np.zeros((50, 1, 1), np.float32), np.arange(1, 51, dtype=np.int32)[:, None]
    # A draw that hits the next item is not counted, which one place in twenty sees here.
    assert float(np.mean(loss(states, targets))) == pytest.approx(np.log(2_000), rel=1e-3)
