import numpy as np
import scipy.sparse as sp

from recsys_dagster.models.kernels.columns import cooccurrences, scores_of_all, sparse_by_dense


def test_the_product_is_that_of_dense_matrices_whatever_number_of_entries_a_row_has() -> None:
    random = np.random.default_rng(0)
    left = np.where(np.tri(11, 10, -1), random.standard_normal((11, 10)), 0).astype(np.float32)  # 0 … 10 entries
    right = random.standard_normal((10, 33), dtype=np.float32)
    np.testing.assert_allclose(sparse_by_dense(sp.csr_array(left), right), left @ right, rtol=1e-5, atol=1e-6)


def test_items_without_a_column_come_below_all_others() -> None:
    scores = np.array([[3, -2], [0.5, 7]], dtype=np.float32)
    np.testing.assert_array_equal(
        scores_of_all(scores, np.array([1, 3], dtype=np.int32), 4), [[-3, 3, -3, -2], [-0.5, 0.5, -0.5, 7]]
    )


def test_what_occurs_together_is_counted_by_the_users_weights() -> None:
    random = np.random.default_rng(1)
    X = (random.random((70, 90)) < 0.2).astype(np.float32)
    weights = random.random(70, dtype=np.float32)
    expected = X.T @ (weights[:, None] * X)
    for some in (slice(30, 41), slice(None)):
        counts = cooccurrences(sp.csr_array(X.T), sp.csr_array(X), weights, some)
        np.testing.assert_allclose(counts, expected[some], rtol=1e-5)
