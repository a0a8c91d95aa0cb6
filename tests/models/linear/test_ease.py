from dataclasses import replace

import numpy as np
import pytest
import scipy.sparse as sp
from numpy.typing import NDArray
from small_world import pairs_of, random_likes, world_of

from recsys_dagster.data.training_data import TrainingData
from recsys_dagster.errors import RecsysError
from recsys_dagster.models.linear import ease
from recsys_dagster.models.linear.ease import (
    Ease,
    EaseParams,
    add_features,
    feature_values,
    genre_combinations,
    gram_matrix,
    invert_in_place,
)
from recsys_dagster.runtime import memory

PLAIN = {"regularisation": 1, "dropout": 0, "activity_power": 0, "popularity_power": 0, "feature_weight": 0}


def naive_weights(X: NDArray[np.float64], params: EaseParams) -> NDArray[np.float64]:
    W2 = np.maximum(X.sum(axis=1), 1) ** (-2 * params.activity_power)
    G = X.T @ (W2[:, None] * X)
    G *= X.sum() / np.trace(G)
    G += np.diag(params.regularisation + params.dropout / (1 - params.dropout) * np.diag(G))
    P = np.linalg.inv(G)
    return (np.eye(len(P)) - P / np.diag(P)) * X.sum(axis=0) ** -params.popularity_power


def test_weights_by_hand() -> None:
    # XᵀX + λI = [[3, 1], [1, 2]], whose inverse is [[2, −1], [−1, 3]] / 5
    model = Ease(EaseParams(**PLAIN)).fit(world_of([[10, 10], [10, 0]]))
    np.testing.assert_allclose(model.weights_, [[0, 1 / 3], [1 / 2, 0]], rtol=1e-6)


def test_denoising_weights_by_hand() -> None:
    # half of a history dropped adds the diagonal once more: [[5, 1], [1, 3]], inverse [[3, −1], [−1, 5]] / 14
    model = Ease(EaseParams(**PLAIN | {"dropout": 0.5})).fit(world_of([[10, 10], [10, 0]]))
    np.testing.assert_allclose(model.weights_, [[0, 1 / 5], [1 / 3, 0]], rtol=1e-6)


def test_scores_are_held_against_popularity() -> None:
    # item 0 has two positives, item 1 has one: the column of item 0 is halved by a power of one
    model = Ease(EaseParams(**PLAIN | {"popularity_power": 1})).fit(world_of([[10, 10], [10, 0]]))
    np.testing.assert_allclose(model.weights_, [[0, 1 / 3], [1 / 4, 0]], rtol=1e-6)


def test_each_feature_adds_its_weight_spread_over_its_items_by_popularity() -> None:
    # The first feature has the items 0 and 1, with 3 and 1 of its 4 positives; the second has item 2 alone.
    values = sp.csr_array(np.array([[1, 0], [1, 0], [0, 1]], dtype=np.float32))
    gram = np.eye(3, dtype=np.float32)
    add_features(gram, values, np.array([3, 1, 7], dtype=np.float32), weight=8)
    root = np.sqrt(3 * 1) / 4
    np.testing.assert_allclose(
        gram - np.eye(3), 8 * np.array([[3 / 4, root, 0], [root, 1 / 4, 0], [0, 0, 1]]), rtol=1e-6
    )


def test_genres_kinds_and_five_years_are_features(data: TrainingData) -> None:
    features = replace(
        data.item_features, years=np.array([1984, 1985, 1989, *[np.nan] * (data.n_items - 3)], np.float32)
    )
    values = feature_values(features).toarray()
    n_genres, n_kinds = features.genres.shape[1], len(features.kind_names)
    np.testing.assert_array_equal(values[:, :n_genres], features.genres.toarray())
    np.testing.assert_array_equal(values[:, n_genres : n_genres + n_kinds].sum(axis=1), features.kinds >= 0)
    np.testing.assert_array_equal(values[:4, n_genres + n_kinds :][:, :2], [[1, 0], [0, 1], [0, 1], [0, 0]])


def test_items_with_the_same_genres_share_a_feature() -> None:
    genres = sp.csr_array(np.array([[1, 1], [1, 0], [1, 1], [0, 1], [0, 0], [0, 0]], dtype=np.float32))
    np.testing.assert_array_equal(genre_combinations(genres).toarray(), [[1], [0], [1], [0], [0], [0]])


def test_a_rare_feature_adds_the_same_as_a_common_one(monkeypatch: pytest.MonkeyPatch) -> None:
    values = sp.csr_array(np.random.default_rng(0).random((30, 4)) < 0.3, dtype=np.float32)
    popularity = np.arange(1, 31, dtype=np.float32)
    grams = []
    for share in (0, 1):
        monkeypatch.setattr(ease, "RARE_SHARE", share)
        gram = np.zeros((30, 30), np.float32)
        add_features(gram, values, popularity, weight=8)
        grams.append(gram)
    np.testing.assert_allclose(*grams, rtol=1e-5, atol=1e-7)


def test_tags_are_features_of_a_small_value(data: TrainingData) -> None:
    tags = sp.csr_array(np.eye(data.n_items, 2, dtype=np.float32))
    without = feature_values(data.item_features).toarray()
    values = feature_values(replace(data.item_features, tags=tags)).toarray()
    np.testing.assert_array_equal(values[:, :-2], without)
    np.testing.assert_allclose(values[:3, -2:], [[0.1, 0], [0, 0.1], [0, 0]], rtol=1e-6)


def test_an_item_with_few_users_is_found_by_its_genre(data: TrainingData) -> None:
    # Item 9 was liked by one user, together with item 8 alone; it is of the genre of items 0 to 2, as no other is.
    likes = np.zeros((40, 10), dtype=np.int64)
    likes[:20, :3], likes[20:39, 4:8], likes[39, 8:] = 10, 10, 10
    genre = np.zeros((10, data.item_features.genres.shape[1]), dtype=np.float32)
    genre[[0, 1, 2, 9], 0] = 1
    genre[[4, 5, 6, 7], 1] = 1
    world = world_of(likes)
    described = replace(world.item_features, genres=sp.csr_array(genre))
    rows = [Ease(EaseParams(feature_weight=weight)).fit(replace(world, item_features=described)) for weight in (0, 100)]
    without, with_features = (one._scores(np.array([3], dtype=np.int32))[0] for one in rows)
    assert without[9] == pytest.approx(0, abs=1e-6)
    assert with_features[9] > max(with_features[4:8])


def test_a_users_row_is_scaled_by_activity_and_the_trace_kept() -> None:
    # rows count 1/2 and 1, [[3/2, 1/2], [1/2, 1/2]] with trace 2; three positives make that × 3/2
    X = world_of([[10, 10], [10, 0]]).train.matrix(2, 2)
    np.testing.assert_allclose(gram_matrix(X, activity_power=0.5), [[9 / 4, 3 / 4], [3 / 4, 3 / 4]], rtol=1e-6)


@pytest.mark.parametrize("activity_power", [0, 0.25, 0.5])
def test_blocks_agree_with_the_naive_formula(monkeypatch: pytest.MonkeyPatch, activity_power: float) -> None:
    monkeypatch.setattr(ease, "MIRROR_ROWS", 5)
    likes = random_likes(80, 30)
    params = EaseParams(**PLAIN | {"dropout": 0.3, "activity_power": activity_power, "popularity_power": 0.2})
    model = Ease(params).fit(world_of(likes))
    X = likes[:, model.columns_] / 10
    assert X.shape[1] == 29
    expected = naive_weights(X, params)
    np.testing.assert_allclose(model.weights_, expected, atol=1e-5)
    users = np.arange(80, dtype=np.int32)
    np.testing.assert_allclose(model._scores(users)[:, model.columns_], X @ expected, atol=1e-4)


def test_a_new_user_with_a_users_history_gets_that_users_list() -> None:
    likes = random_likes(80, 30)
    model = Ease().fit(world_of(likes))
    known = model.recommend(np.array([3, 7], dtype=np.int32), 10)
    new_user = model.recommend_for(10, history=pairs_of(likes[[3, 7]]))
    np.testing.assert_array_equal(known.items, new_user.items)


def test_inverting_uses_no_second_matrix() -> None:
    half = np.random.default_rng(0).random((40, 40)).astype(np.float32)
    full = half @ half.T + 10 * np.eye(40, dtype=np.float32)
    matrix = np.triu(full)
    invert_in_place(matrix)
    np.testing.assert_allclose(matrix @ full, np.eye(40), atol=1e-4)
    with pytest.raises(AssertionError, match="copy"):
        invert_in_place(np.asfortranarray(np.triu(full)))


def test_a_matrix_that_cannot_be_inverted_is_refused() -> None:
    with pytest.raises(RecsysError, match="raise regularisation"):
        invert_in_place(np.array([[1, 2], [2, 1]], dtype=np.float32))


def test_more_items_than_fit_the_memory_are_refused_before_it_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "available_bytes", lambda: 15)
    with pytest.raises(RecsysError, match=r"ease: a matrix of 2 × 2 items takes .* GiB .*min_positives"):
        Ease().fit(world_of([[10, 10], [10, 0]]))
