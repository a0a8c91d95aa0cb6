import numpy as np
import pytest
from numpy.typing import NDArray
from small_world import pairs_of, random_likes, world_of

from recsys_dagster.errors import RecsysError
from recsys_dagster.models.linear import ease
from recsys_dagster.models.linear.ease import Ease, EaseParams, gram_matrix, invert_in_place
from recsys_dagster.runtime import memory

PLAIN = {"regularisation": 1, "dropout": 0, "activity_power": 0, "popularity_power": 0}


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


def test_a_users_row_is_scaled_by_activity_and_the_trace_kept() -> None:
    # rows count 1/2 and 1, [[3/2, 1/2], [1/2, 1/2]] with trace 2; three positives make that × 3/2
    X = world_of([[10, 10], [10, 0]]).train.matrix(2, 2)
    np.testing.assert_allclose(gram_matrix(X, activity_power=0.5), [[9 / 4, 3 / 4], [3 / 4, 3 / 4]], rtol=1e-6)


@pytest.mark.parametrize("activity_power", [0, 0.25, 0.5])
def test_blocks_agree_with_the_naive_formula(monkeypatch: pytest.MonkeyPatch, activity_power: float) -> None:
    monkeypatch.setattr(ease, "MIRROR_ROWS", 5)
    likes = random_likes(80, 30)
    params = EaseParams(regularisation=3, dropout=0.3, activity_power=activity_power, popularity_power=0.2)
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
