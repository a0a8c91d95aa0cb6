"""Which items of a history a recommendation comes from, by hand."""

import numpy as np
import pytest
from small_world import pairs_of, world_of

from recsys_dagster.models.explaining import REASONS, explain_by, explaining_model, reasons
from recsys_dagster.models.linear.ease import Ease, EaseParams
from recsys_dagster.models.neighbours.item_knn import ItemKnn
from recsys_dagster.models.registry import get_model_class

# Items 0 and 1 go together, and so do 2 and 3; item 4 goes with nothing else.
WORLD = world_of([[10, 10, 0, 0, 0], [10, 10, 0, 0, 0], [0, 0, 10, 10, 0], [0, 0, 10, 10, 10], [10, 0, 10, 0, 0]])


@pytest.fixture(scope="module")
def ease() -> Ease:
    return Ease(EaseParams(regularisation=1, dropout=0, activity_power=0, popularity_power=0)).fit(WORLD)


def test_an_item_is_recommended_for_the_item_that_goes_with_it(ease: Ease) -> None:
    chosen = reasons(ease, pairs_of([[10, 0, 10, 0, 0]]), np.array([1, 3, -1], np.int32))
    assert chosen.shape == (3, REASONS)
    assert chosen[:, 0].tolist() == [0, 2, -1]


def test_an_item_that_is_not_liked_is_no_reason(ease: Ease) -> None:
    chosen = reasons(ease, pairs_of([[2, 0, 10, 0, 0]]), np.array([1, 3], np.int32))
    assert 0 not in chosen
    assert chosen[1, 0] == 2


def test_the_lists_of_all_users_are_explained_by_their_own_histories(ease: Ease) -> None:
    explain = explain_by(ease, WORLD.train, WORLD.n_users)
    chosen = explain(np.array([4, 0], np.int32), np.array([[1, 3], [2, -1]], np.int32))
    assert chosen[0, :, 0].tolist() == [0, 2]
    assert chosen[1, 1].tolist() == [-1, -1, -1]


def test_similar_items_of_a_neighbour_model_are_its_neighbours() -> None:
    similar, scores = ItemKnn().fit(WORLD).similar_items(np.array([0, 4], np.int32), 2)
    assert similar[0, 0] == 1
    assert set(similar[1]) <= {2, 3}
    assert scores[0, 0] > scores[0, 1]


def test_a_model_that_knows_no_contributions_explains_nothing() -> None:
    popularity = get_model_class("popularity")().fit(WORLD)
    assert explaining_model([popularity]) is None
