from dataclasses import replace

import numpy as np
import pytest
from small_world import UNRATED, pairs_of, world_of

from recsys_dagster.data.training_data import TrainingData
from recsys_dagster.errors import RecsysError
from recsys_dagster.models.factorization.bpr import Bpr, BprParams
from recsys_dagster.models.factorization.implicit_als import ImplicitAls, ImplicitAlsParams
from recsys_dagster.models.linear.ease import Ease, EaseParams
from recsys_dagster.models.neighbours.item_knn import ItemKnn

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


def implicit(plays: list[list[float]], *, weighted: bool = True) -> TrainingData:
    """Feedback without ratings: how often each user played each item."""
    data = world_of(plays)
    ratings, weights = np.full(len(data.train), np.nan, np.float32), data.train.ratings if weighted else None
    train = replace(data.train, ratings=ratings, weights=weights)
    return replace(data, train=train, scale=None, like_threshold=None)


PLAYS = [[1, 2, 0], [6, 0, 2], [2, 2, 2]]


def test_a_positive_is_as_strong_as_its_weight_next_to_the_median() -> None:
    model = Ease(EaseParams(**PLAIN)).fit(implicit(PLAYS))
    assert model.typical_weight_ == 2
    expected = [[np.log2(1.5), 1, 0], [2, 0, 1], [1, 1, 1]]
    np.testing.assert_allclose(model.positives_.toarray(), expected, rtol=1e-6)


def test_the_unit_of_the_weights_does_not_matter() -> None:
    hours = Ease(EaseParams(**PLAIN)).fit(implicit(PLAYS))
    minutes = Ease(EaseParams(**PLAIN)).fit(implicit([[60 * hours for hours in row] for row in PLAYS]))
    np.testing.assert_array_equal(hours.positives_.toarray(), minutes.positives_.toarray())


@pytest.mark.parametrize("model", [Ease(), ItemKnn(), ImplicitAls(ImplicitAlsParams(factors=3, alpha=3.3))])
def test_equal_weights_are_as_good_as_none(model: Ease | ItemKnn | ImplicitAls) -> None:
    users = np.arange(3, dtype=np.int32)
    ones = [[float(plays > 0) for plays in row] for row in PLAYS]
    expected = model.fit(implicit(PLAYS, weighted=False)).recommend(users, 3, exclude_seen=False).scores
    actual = model.fit(implicit([[7 * one for one in row] for row in ones])).recommend(users, 3, exclude_seen=False)
    np.testing.assert_array_equal(actual.scores, expected)


@pytest.mark.parametrize("model_class", [Ease, ItemKnn])
def test_what_is_learnt_of_items_does_not_depend_on_weights(model_class: type[Ease] | type[ItemKnn]) -> None:
    models = [model_class().fit(implicit(PLAYS, weighted=one)) for one in (True, False)]
    learnt = [one.weights_ if isinstance(one, Ease) else one.similarities_.toarray() for one in models]
    np.testing.assert_array_equal(*learnt)


def test_a_stronger_positive_raises_the_items_that_go_with_it() -> None:
    """Item 2 goes with item 0 and item 3 with item 1; the last user has 0 and 1."""
    together = [[1, 0, 1, 0]] * 5 + [[0, 1, 0, 1]] * 5
    for model in (Ease(), ItemKnn()):
        for plays, first in (([9, 1, 0, 0], 2), ([1, 9, 0, 0], 3)):
            model.fit(implicit([*together, plays]))
            assert model.recommend(np.array([10], np.int32), 1).items[0, 0] == first


def test_bpr_ignores_weights() -> None:
    users, params = np.arange(3, dtype=np.int32), BprParams(factors=2, iterations=5)
    lists = [Bpr(params).fit(implicit(PLAYS, weighted=one)).recommend(users, 2) for one in (True, False)]
    np.testing.assert_array_equal(lists[0].scores, lists[1].scores)
