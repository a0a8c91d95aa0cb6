import numpy as np
import pytest
from small_world import UNRATED, pairs_of, world_of

from recsys_dagster.errors import RecsysError
from recsys_dagster.models.linear.ease import Ease, EaseParams

PLAIN = {"regularisation": 1, "dropout": 0, "activity_power": 0, "popularity_power": 0}

MATRIX = [
    [9, UNRATED, 0, 3],
    [8, 9, 0, 0],
    [0, 0, 0, 5],
    [7, 0, 2, 9],
]


def test_positives_are_likes_and_interactions_without_a_rating() -> None:
    model = Ease(EaseParams(**PLAIN)).fit(world_of(MATRIX))
    np.testing.assert_array_equal(model.columns_, [0, 1, 3])
    np.testing.assert_array_equal(model.positives_.toarray(), [[1, 1, 0], [1, 1, 0], [0, 0, 0], [0, 0, 1]])


def test_items_with_too_few_positives_have_no_column() -> None:
    model = Ease(EaseParams(min_positives=2, **PLAIN)).fit(world_of(MATRIX))
    np.testing.assert_array_equal(model.columns_, [0, 1])
    assert model.weights_.shape == (2, 2)


def test_items_without_a_column_come_last() -> None:
    model = Ease(EaseParams(**PLAIN)).fit(world_of(MATRIX))
    top = model.recommend(np.array([1], dtype=np.int32), 4, exclude_seen=False)
    assert top.items[0, -1] == 2
    assert np.isfinite(top.scores[0, -1])


def test_a_user_who_liked_nothing_gets_the_most_popular() -> None:
    model = Ease(EaseParams(**PLAIN)).fit(world_of(MATRIX))
    np.testing.assert_array_equal(model.recommend(np.array([2], dtype=np.int32), 3).items, [[0, 1, 2]])


def test_a_new_user_who_liked_nothing_gets_the_most_popular() -> None:
    model = Ease(EaseParams(**PLAIN)).fit(world_of(MATRIX))
    np.testing.assert_array_equal(model.recommend_for(3, history=pairs_of([[0, 0, 0, 5]])).items, [[0, 1, 2]])


def test_a_training_fold_without_a_positive_is_refused() -> None:
    with pytest.raises(RecsysError, match=r"no item has 1 positives .*rated at least 8"):
        Ease(EaseParams(**PLAIN)).fit(world_of([[3, 4], [5, 0]]))
