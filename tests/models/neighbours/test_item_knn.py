import numpy as np
import pytest
from small_world import pairs_of, random_likes, world_of

from recsys_dagster.models.neighbours import item_knn
from recsys_dagster.models.neighbours.item_knn import ItemKnn, ItemKnnParams

# c_00 = 3, c_11 = 2, c_22 = 1; c_01 = 2, c_02 = 1, c_12 = 0
LIKES = [[10, 10, 0], [10, 10, 0], [10, 0, 10]]


def similarities(**params: object) -> np.ndarray:
    chosen = {"activity_power": 0, "shrinkage": 0} | params
    return ItemKnn(ItemKnnParams(**chosen)).fit(world_of(LIKES)).similarities_.toarray()


def test_cosine_by_hand() -> None:
    a, b = 2 / np.sqrt(6), 1 / np.sqrt(3)
    np.testing.assert_allclose(similarities(), [[0, a, b], [a, 0, 0], [b, 0, 0]], rtol=1e-6)


def test_shrinkage_is_added_to_the_denominator() -> None:
    a, b = 2 / (np.sqrt(6) + 4), 1 / (np.sqrt(3) + 4)
    np.testing.assert_allclose(similarities(shrinkage=4), [[0, a, b], [a, 0, 0], [b, 0, 0]], rtol=1e-6)


def test_conditional_probability_by_hand() -> None:
    # row i, column j: P(j | i) = c_ij / c_i
    expected = [[0, 2 / 3, 1 / 3], [1, 0, 0], [1, 0, 0]]
    result = similarities(similarity="conditional", popularity_power=0)
    np.testing.assert_allclose(result, expected, rtol=1e-6)


def test_conditional_probability_is_held_against_popularity() -> None:
    expected = [[0, 1 / 3, 1 / 3], [1 / 3, 0, 0], [1 / 3, 0, 0]]
    result = similarities(similarity="conditional", popularity_power=1)
    np.testing.assert_allclose(result, expected, rtol=1e-6)


def test_each_item_keeps_its_nearest_neighbours() -> None:
    a, b = 2 / np.sqrt(6), 1 / np.sqrt(3)
    np.testing.assert_allclose(similarities(neighbours=1), [[0, a, b], [a, 0, 0], [0, 0, 0]], rtol=1e-6)


def test_active_users_count_less() -> None:
    # users of 3, 1 and 2 items count 1/3, 1 and 1/2, all times 2, which makes the six positives six again
    result = ItemKnn(ItemKnnParams(activity_power=0.5, shrinkage=0)).fit(world_of([[9, 9, 9], [9, 0, 0], [0, 9, 9]]))
    c_00, c_11, c_01, c_12 = 8 / 3, 5 / 3, 2 / 3, 5 / 3
    a, b = c_01 / np.sqrt(c_00 * c_11), c_12 / c_11
    np.testing.assert_allclose(result.similarities_.toarray(), [[0, a, a], [a, 0, b], [a, b, 0]], rtol=1e-6)


@pytest.mark.parametrize("similarity", ["cosine", "conditional"])
def test_blocks_agree_with_the_naive_formula(monkeypatch: pytest.MonkeyPatch, similarity: str) -> None:
    monkeypatch.setattr(item_knn, "SCORE_BYTES", 4 * 29 * 6)
    params = ItemKnnParams(similarity=similarity, neighbours=7, shrinkage=2, activity_power=0.3, popularity_power=0.4)
    likes = random_likes(80, 30)
    model = ItemKnn(params).fit(world_of(likes))
    X = likes[:, model.columns_] / 10
    C = X.T @ (np.maximum(X.sum(axis=1), 1)[:, None] ** -0.6 * X)
    c = np.diag(C) * X.sum() / np.trace(C)
    together = C * X.sum() / np.trace(C)
    expected = together / ((np.sqrt(np.outer(c, c)) if similarity == "cosine" else np.outer(c, c**0.4)) + 2)
    np.fill_diagonal(expected, 0)
    expected[expected < np.sort(expected, axis=0)[-7]] = 0
    np.testing.assert_allclose(model.similarities_.toarray(), expected, rtol=1e-4)
    scores = model._scores(np.arange(80, dtype=np.int32))[:, model.columns_]
    np.testing.assert_allclose(scores, X @ expected, rtol=1e-4, atol=1e-6)


def test_a_new_user_with_a_users_history_gets_that_users_list() -> None:
    likes = random_likes(80, 30)
    model = ItemKnn().fit(world_of(likes))
    known = model.recommend(np.array([3, 7], dtype=np.int32), 10)
    np.testing.assert_array_equal(known.items, model.recommend_for(10, history=pairs_of(likes[[3, 7]])).items)
