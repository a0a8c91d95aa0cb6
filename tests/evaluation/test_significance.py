from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from recsys_dagster.evaluation import significance
from recsys_dagster.evaluation.metrics.metric import MetricKey
from recsys_dagster.evaluation.metrics.ratios import mean, root_mean
from recsys_dagster.evaluation.significance import compare_all, holm, signed_sums

NDCG = MetricKey("ndcg", 10)


def compared(values, weights=None, statistic=mean, **draws):
    values = np.asarray(values, float)
    weights = np.ones(len(values)) if weights is None else np.asarray(weights, float)
    names = [f"m{column}" for column in range(values.shape[1])]
    return compare_all(names, values, weights, statistic, NDCG, seed=0, **draws)


def test_two_models_differ_significantly_although_their_intervals_overlap():
    easy = np.random.default_rng(1).random(300)
    (pair,) = compared(np.column_stack([easy + 0.02, easy]))
    assert pair.difference.value == pytest.approx(0.02)
    assert pair.difference.low > 0
    assert pair.p == pair.p_corrected == pytest.approx(1 / 10_001)
    assert (pair.model, pair.other, pair.metric, pair.k) == ("m0", "m1", "ndcg", 10)


def test_p_is_the_share_of_swaps_with_as_large_a_difference():
    # Of the 8 ways to swap three users the differences ±1 ±2 ±4 are at least 7 in two; 5 in four (7, 5, −5, −7).
    p = compared([[1, 0], [2, 0], [4, 0]])[0].p
    assert p == pytest.approx(2 / 8, abs=0.02)
    assert compared([[-1, 0], [2, 0], [4, 0]])[0].p == pytest.approx(4 / 8, abs=0.02)


def test_an_error_is_compared_as_the_root_of_all_squares_over_all_pairs():
    squared, pairs = np.array([[4.0, 0.0], [12.0, 4.0], [2.0, 5.0]]), np.array([1.0, 3.0, 2.0])
    (pair,) = compared(squared, pairs, root_mean)
    assert pair.difference.value == pytest.approx((18 / 6) ** 0.5 - (9 / 6) ** 0.5)
    differences = []
    for swap in product([False, True], repeat=3):
        chosen = np.where(np.array(swap)[:, None], squared[:, ::-1], squared).sum(axis=0)
        differences.append(np.subtract(*np.sqrt(chosen / 6)))
    exact = np.mean(np.abs(differences) >= pair.difference.value - 1e-12)
    assert pair.p == pytest.approx(exact, abs=0.02)


def test_equal_models_do_not_differ_significantly():
    same = np.random.default_rng(2).random(50)
    (pair,) = compared(np.column_stack([same, same]))
    assert (pair.difference.value, pair.p) == (0, 1)


def test_about_one_in_twenty_pairs_of_models_that_are_alike_seems_different():
    generator = np.random.default_rng(3)
    ps = [compared(generator.random((40, 2)), resamples=2, swaps=400)[0].p for _ in range(300)]
    assert 0.02 <= np.mean(np.array(ps) <= 0.05) <= 0.09


def test_every_pair_is_compared_once_and_corrected_for_all_of_them():
    values = np.random.default_rng(4).random((60, 4)) + np.array([0, 0, 0.1, 0.4])
    pairs = compared(values)
    assert [(one.model, one.other) for one in pairs] == [
        ("m0", "m1"), ("m0", "m2"), ("m0", "m3"), ("m1", "m2"), ("m1", "m3"), ("m2", "m3"),
    ]  # fmt: skip
    assert_allclose([one.p_corrected for one in pairs], holm([one.p for one in pairs]))


def test_holm_matches_values_computed_by_hand():
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.6, 0.9]) == [1, 1]
    assert holm([]) == []


@settings(max_examples=50)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_a_correction_keeps_the_order_and_is_between_p_and_n_p(ps):
    corrected = np.array(holm(ps))
    assert (corrected >= np.array(ps)).all()
    assert (corrected <= np.minimum(1, len(ps) * np.array(ps) + 1e-12)).all()
    order = np.argsort(ps, kind="stable")
    assert (np.diff(corrected[order]) >= 0).all()


def test_the_signs_do_not_depend_on_the_size_of_the_blocks(monkeypatch):
    columns = np.random.default_rng(0).integers(0, 100, (70, 3)).astype(float)
    whole = signed_sums(columns, seed=5, draws=50)
    monkeypatch.setattr(significance, "BLOCK_BYTES", 70 * 8 * 7)
    assert_array_equal(signed_sums(columns, seed=5, draws=50), whole)
    assert abs(signed_sums(np.ones((70, 1)), seed=1, draws=2000).mean()) < 1
