"""First-order and longer transitions, worked out by hand."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose

from recsys_dagster.data.interactions import Interactions
from recsys_dagster.data.training_data import TrainingData
from recsys_dagster.errors import RecsysError
from recsys_dagster.models.base import Model
from recsys_dagster.models.sequences.item_transitions import ItemTransitions, ItemTransitionsParams

PLAIN = {"source_power": 0, "target_power": 0}


def ordered(*histories: list[int]) -> Interactions:
    """Each history in order of time, its users numbered from 0."""
    rows = [(user, item, place) for user, items in enumerate(histories) for place, item in enumerate(items)]
    users, items, times = np.array(rows, dtype=np.int64).T
    return Interactions(users.astype(np.int32), items.astype(np.int32), np.full(len(rows), 9, np.float32), times)


def fitted_on(data: TrainingData, pairs: Interactions, **params: object) -> ItemTransitions:
    return ItemTransitions(ItemTransitionsParams(**params)).fit(replace(data, train=pairs))


def test_a_transition_weighs_less_the_further_it_leads(data: TrainingData) -> None:
    model = fitted_on(data, ordered([0, 1, 2, 3]), window=2, decay=0.5, **PLAIN)
    expected = np.zeros((data.n_items, data.n_items))
    expected[[0, 1, 2], [1, 2, 3]] = 1
    expected[[0, 1], [2, 3]] = 0.5
    assert_allclose(model.transitions_.toarray(), expected)


def test_transitions_are_divided_by_the_popularity_of_both_items(data: TrainingData) -> None:
    # Item 1 has three pairs and item 2 two: the two transitions from 1 to 2 count 2 / (3^0.5 · 2^0.25).
    model = fitted_on(data, ordered([1, 2], [1, 2], [1, 0]), window=1, source_power=0.5, target_power=0.25)
    assert model.transitions_.toarray()[1, 2] == pytest.approx(2 / (3**0.5 * 2**0.25), rel=1e-5)


def test_histories_of_two_users_are_not_joined(data: TrainingData) -> None:
    model = fitted_on(data, ordered([0, 1], [2, 3]), window=5, **PLAIN)
    assert model.transitions_.toarray()[1].tolist() == [0] * data.n_items


def test_only_the_most_frequent_followers_are_kept(data: TrainingData) -> None:
    model = fitted_on(data, ordered([0, 1], [0, 1], [0, 2]), window=1, followers=1, **PLAIN)
    assert model.transitions_.indices.tolist() == [1]


def test_a_new_user_gets_what_follows_the_last_item_and_then_what_followed_those_before(data: TrainingData) -> None:
    model = fitted_on(data, ordered([0, 1], [2, 3], [2, 3], [4, 5]), window=2, decay=0.5, **PLAIN)
    history = ordered([2, 0])
    # 1 followed 0 once: weight 1. 3 followed 2 twice, one place further back: weight 2 · 0.5; the tie goes to item 1.
    top = model.recommend_for(3, history=history)
    assert top.items[0, :2].tolist() == [1, 3]
    assert_allclose(top.scores[0, :2], [1, 1])


def test_the_order_of_a_new_users_history_decides(data: TrainingData) -> None:
    model = fitted_on(data, ordered([0, 1], [2, 3]), window=1, **PLAIN)
    lists = [model.recommend_for(1, history=ordered(history)).items[0, 0] for history in ([2, 0], [0, 2])]
    assert lists == [1, 3]


def test_items_that_never_followed_come_last_by_popularity(data: TrainingData) -> None:
    model = fitted_on(data, ordered([0, 1], [2, 3], [3, 2], [2, 4]), window=1, **PLAIN)
    assert model.recommend_for(5, history=ordered([0])).items[0].tolist() == [1, 2, 3, 4, -1]


def test_the_scores_of_known_users_are_those_of_their_history(
    fitted: Callable[[str], Model], data: TrainingData
) -> None:
    model: ItemTransitions = fitted("item_transitions")
    users = np.arange(data.n_users - 2, dtype=np.int32)
    history = data.train.where(data.train.users < data.n_users - 2)
    assert_allclose(model._scores(users), model._scores_for(history, len(users)), rtol=1e-5)


def test_histories_of_one_item_teach_nothing(data: TrainingData) -> None:
    with pytest.raises(RecsysError, match="no user has two items in the training fold"):
        fitted_on(data, ordered([0], [1]))
