import numpy as np
import pytest
import scipy.sparse as sp
from numpy.typing import NDArray
from small_world import pairs_of, random_likes, world_of
from threadpoolctl import threadpool_limits

from recsys_dagster.models.factorization.implicit_als import ImplicitAls, ImplicitAlsParams, penalty_scale

SMALL = ImplicitAlsParams(factors=6, regularisation=1, alpha=5, iterations=60)


def solved(Y: NDArray[np.float64], X: NDArray[np.float64], penalty: float) -> NDArray[np.float64]:
    """Each row's least squares solution against Y, (n, factors): the formula of Hu 2008, eq. 4."""
    out = []
    for row in X:
        confidence = np.where(row > 0, SMALL.alpha, 1.0)
        A = Y.T @ (confidence[:, None] * Y) + penalty * np.eye(Y.shape[1])
        out.append(np.linalg.solve(A, Y.T @ (confidence * row)))
    return np.array(out)


@pytest.fixture(scope="module")
def likes() -> NDArray[np.float64]:
    return random_likes(80, 30)


@pytest.fixture(scope="module")
def model(likes: NDArray[np.float64]) -> ImplicitAls:
    return ImplicitAls(SMALL).fit(world_of(likes))


def test_the_penalty_grows_with_the_data() -> None:
    # two users and two items with three positives, α₀ = 1: √√((3/2 + 2) (3/2 + 2)) = √3.5
    X = world_of([[10, 10], [10, 0]]).train.matrix(2, 2)
    assert penalty_scale(X, alpha=2) == pytest.approx(np.sqrt(3.5))


def test_a_converged_fit_solves_the_normal_equations_of_both_sides(
    model: ImplicitAls, likes: NDArray[np.float64]
) -> None:
    X = likes[:, model.columns_] / 10
    users, items = model.user_factors_.astype(float), model.item_factors_.astype(float)
    scores = users @ items.T
    np.testing.assert_allclose(solved(items, X, model.penalty_) @ items.T, scores, atol=0.01)
    np.testing.assert_allclose(users @ solved(users, X.T, model.penalty_).T, scores, atol=0.01)


def test_a_new_user_is_solved_exactly(model: ImplicitAls, likes: NDArray[np.float64]) -> None:
    history = likes[[3, 7]].copy()
    history[:, -5:] = 0
    scores = model._scores_for(pairs_of(history), 2)[:, model.columns_]
    items = model.item_factors_.astype(float)
    expected = solved(items, history[:, model.columns_] / 10, model.penalty_) @ items.T
    np.testing.assert_allclose(scores, expected, atol=1e-4)


def test_the_number_of_threads_does_not_change_the_result(
    model: ImplicitAls, likes: NDArray[np.float64], monkeypatch: pytest.MonkeyPatch
) -> None:
    from implicit.cpu import als

    original = als.AlternatingLeastSquares
    threads = []

    def single(**kwargs: object) -> object:
        threads.append(1)
        return original(num_threads=1, **kwargs)

    monkeypatch.setattr(als, "AlternatingLeastSquares", single)
    alone = ImplicitAls(SMALL).fit(world_of(likes))
    assert threads
    np.testing.assert_array_equal(alone.item_factors_, model.item_factors_)
    np.testing.assert_array_equal(alone.user_factors_, model.user_factors_)


def test_blas_keeps_its_threads_after_a_fit(likes: NDArray[np.float64]) -> None:
    with threadpool_limits(2, "blas") as limits:
        ImplicitAls(SMALL).fit(world_of(likes))
        assert {pool["num_threads"] for pool in limits._controller.info() if pool["user_api"] == "blas"} == {2}


def test_confidence_grows_with_strength_from_that_in_an_absent_pair() -> None:
    strengths = sp.csr_array(np.array([[0.5, 1, 2]], dtype=np.float32))
    confidences = SMALL.alpha * ImplicitAls(SMALL)._confidences(strengths).toarray()
    np.testing.assert_allclose(confidences, [[1 + 4 * 0.5, 5, 1 + 4 * 2]], rtol=1e-6)
    np.testing.assert_array_equal(strengths.toarray(), [[0.5, 1, 2]], "the strengths stay")
