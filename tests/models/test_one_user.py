"""What NumPy does for one user against what the compiled loops do for many."""

import numpy as np
import pytest
import scipy.sparse as sp
from numpy.testing import assert_allclose, assert_array_equal

from recsys_dagster.data.training_data import TrainingData
from recsys_dagster.models import one_user
from recsys_dagster.models.kernels import columns, history_weights, top_k
from recsys_dagster.models.registry import get_model_class


def histories(n_items: int) -> list[sp.csr_array]:
    """A history of nothing, of one item, of two, and of most items."""
    random = np.random.default_rng(n_items)
    sizes = (0, 1, 2, n_items - 5)
    chosen = [np.sort(random.choice(n_items, size, replace=False)) for size in sizes]
    return [sp.csr_array((np.ones(len(one), np.float32), one, [0, len(one)]), shape=(1, n_items)) for one in chosen]


@pytest.mark.parametrize("k", [1, 7, 100])
def test_the_highest_scores_and_their_order_are_those_of_the_compiled_loop(k: int) -> None:
    random = np.random.default_rng(k)
    for row in (random.normal(size=600), random.integers(0, 4, 600), np.full(600, -np.inf), np.zeros(600)):
        scores = row[None].astype(np.float32)
        scores[0, ::3] = -np.inf
        scores[0, 1::6] *= -1  # among the zeros some are negative
        for ours, theirs in zip(one_user.highest(scores, k), top_k.highest(scores, k), strict=True):
            assert_array_equal(ours, theirs)
            assert ours.dtype == theirs.dtype


def test_a_score_that_is_no_number_is_told_as_by_the_compiled_loop() -> None:
    scores = np.array([[1, np.nan, 2]], np.float32)
    assert np.isnan(one_user.highest(scores, 2)[1][0, 0])
    assert np.isnan(top_k.highest(scores, 2)[1][0, 0])


def test_scores_of_items_without_a_column_are_one_below_the_lowest() -> None:
    scores, chosen = np.array([[3, -2]], np.float32), np.array([3, 1], np.int32)
    assert_array_equal(one_user.scores_of_all(scores, chosen, 4), [[-3, -2, -3, 3]])
    assert_array_equal(columns.scores_of_all(scores, chosen, 4), [[-3, -2, -3, 3]])


def test_a_row_times_a_matrix_is_the_same_sum_in_blocks_as_in_the_compiled_loop() -> None:
    random = np.random.default_rng(0)
    n = 3 * one_user.ROWS_AT_A_TIME // 2
    right = random.normal(size=(n, 40)).astype(np.float32)
    for row in histories(n):
        assert_allclose(one_user.sparse_by_dense(row, right), columns.sparse_by_dense(row, right), atol=2e-4)


def test_the_strongest_relations_to_a_history_are_equal_to_the_bit() -> None:
    random = np.random.default_rng(1)
    n_items, known = 60, np.sort(np.random.default_rng(2).choice(60, 45, replace=False)).astype(np.int32)
    weights = random.normal(size=(45, 45)).astype(np.float32)
    sparse = sp.csr_array(np.where(random.random((45, 45)) < 0.2, weights, 0))
    vectors = np.where(random.random((45, 9)) < 0.4, random.normal(size=(45, 9)), 0).astype(np.float32)
    items = np.sort(random.choice(n_items, 30, replace=False)).astype(np.int64)
    rows = np.zeros(30, np.int64)
    for history in histories(n_items):
        for relation in (weights, sparse):
            assert_array_equal(
                one_user.strongest_weights(history, relation, known, items),
                history_weights.strongest_weights(history, relation, known, rows, items),
            )
        assert_array_equal(
            one_user.strongest_cosines(history, vectors, known, items),
            history_weights.strongest_cosines(history, vectors, known, rows, items),
        )


@pytest.mark.parametrize("name", ["reranker", "ease", "item_knn", "implicit_als"])
def test_the_list_of_one_user_is_that_among_all_users(data: TrainingData, name: str) -> None:
    model = get_model_class(name)().fit(data)
    everybody = np.arange(data.n_users, dtype=np.int32)
    together = model.recommend(everybody, data.n_items)
    new_together = model.recommend_for(data.n_items, history=data.train)
    for user in everybody[:12]:
        alone = model.recommend(everybody[user : user + 1], data.n_items)
        assert_array_equal(alone.items, together.items[[user]])
        assert_allclose(alone.scores, together.scores[[user]], rtol=1e-4, atol=1e-5)
        history = data.train.where(data.train.users == user)
        history.users[:] = 0
        new_alone = model.recommend_for(data.n_items, history=history)
        assert_allclose(new_alone.scores, new_together.scores[[user]], rtol=1e-3, atol=1e-4)
