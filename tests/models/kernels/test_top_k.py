import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from numpy.typing import NDArray

from recsys_dagster.models.base import top_k

FEW_VALUES = st.sampled_from([-np.inf, -1.0, 0.0, 0.5, 2.0])


@given(arrays(np.float32, array_shapes(min_dims=2, max_dims=2, max_side=12), elements=FEW_VALUES), st.data())
def test_the_best_come_first_and_of_equal_ones_the_lower_column(
    scores: NDArray[np.float32], data: st.DataObject
) -> None:
    k = data.draw(st.integers(1, scores.shape[1]))
    order = np.argsort(-scores, axis=1, kind="stable")[:, :k]
    best = np.take_along_axis(scores, order, axis=1)

    items, values = top_k(scores, k)

    np.testing.assert_array_equal(values, best)
    np.testing.assert_array_equal(items, np.where(np.isneginf(best), -1, order))


@pytest.mark.parametrize("width", [511, 512, 800, 3001])
@pytest.mark.parametrize("k", [1, 10, 100])
@pytest.mark.parametrize("steps", [0.3, 1000.0])
def test_the_best_of_a_long_row_are_those_that_sorting_finds(width: int, k: int, steps: float) -> None:
    random = np.random.default_rng(width)
    # Coarse steps make ties, in a rising row the best are adjacent, and one row has fewer scores than k.
    scores = np.round(random.standard_normal((9, width)) * steps).astype(np.float32)
    scores[0] = np.sort(scores[0])
    scores[1, 5:] = -np.inf
    scores[2, ::2] *= 0

    items, values = top_k(scores, k)

    order = np.argsort(-scores, axis=1, kind="stable")[:, :k]
    best = np.take_along_axis(scores, order, axis=1)
    np.testing.assert_array_equal(values, best)
    np.testing.assert_array_equal(items, np.where(np.isneginf(best), -1, order))


def test_a_row_without_enough_finite_scores_has_a_short_list() -> None:
    items, values = top_k(np.array([[-np.inf, 1, -np.inf, -np.inf], [3, 3, 3, 3]], dtype=np.float32), 2)
    np.testing.assert_array_equal(items, [[1, -1], [0, 1]])
    np.testing.assert_array_equal(values, [[1, -np.inf], [3, 3]])


def test_a_row_that_holds_a_nan_begins_with_it() -> None:
    _, values = top_k(np.array([[1, np.nan, 2], [1, 3, 2]], dtype=np.float32), 2)
    np.testing.assert_array_equal(values[:, 0], [np.nan, 3])
