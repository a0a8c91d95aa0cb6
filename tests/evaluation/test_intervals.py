import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from recsys_dagster.evaluation import intervals
from recsys_dagster.evaluation.intervals import interval, paired_differences, resampled_sums
from recsys_dagster.evaluation.metrics.ratios import mean, root_mean


def test_a_resample_draws_as_many_users_as_there_are_and_whole_users_only():
    columns = np.column_stack([np.ones(50), np.arange(50), 2 * np.arange(50)])
    sums = resampled_sums(columns, seed=1, resamples=200)
    assert sums.shape == (200, 3)
    assert (sums[:, 0] == 50).all()
    assert_array_equal(sums[:, 2], 2 * sums[:, 1])  # both columns of a user are drawn together
    assert len(np.unique(sums[:, 1])) > 50


def test_the_sums_do_not_depend_on_the_size_of_the_blocks(monkeypatch):
    columns = np.random.default_rng(0).integers(0, 100, (70, 3)).astype(float)
    whole = resampled_sums(columns, seed=5, resamples=50)
    monkeypatch.setattr(intervals, "BLOCK_BYTES", 70 * 8 * 7)
    assert_array_equal(resampled_sums(columns, seed=5, resamples=50), whole)
    assert (resampled_sums(columns, seed=6, resamples=50) != whole).any()


def test_the_interval_of_a_mean_has_the_width_of_theory():
    values = np.random.default_rng(2).normal(3, 2, (4000, 1))
    drawn = resampled_sums(values, seed=0)[:, 0] / len(values)
    result = interval(values.mean(), drawn)
    half = 1.96 * values.std() / np.sqrt(len(values))
    assert_allclose([result.low, result.high], [values.mean() - half, values.mean() + half], atol=0.15 * half)


def test_the_interval_covers_the_truth_about_95_times_in_100():
    generator = np.random.default_rng(3)
    covered = 0
    for seed in range(300):
        sample = generator.exponential(1, (100, 1))
        result = interval(sample.mean(), resampled_sums(sample, seed, resamples=400)[:, 0] / 100)
        covered += result.low <= 1 <= result.high
    assert 0.90 <= covered / 300 <= 0.98


def test_resampling_users_is_wider_than_resampling_ratings_would_be():
    generator = np.random.default_rng(4)
    per_pair = generator.normal(0, 1, 300)[:, None] ** 2 * np.ones((300, 40))  # a user's errors are all alike
    by_user = np.column_stack([per_pair.sum(axis=1), np.full(300, 40.0)])
    by_pair = np.column_stack([per_pair.ravel(), np.ones(per_pair.size)])
    widths = []
    for columns in (by_user, by_pair):
        sums = resampled_sums(columns, seed=0, resamples=300)
        result = interval(0, root_mean(sums[:, 0], sums[:, 1]))
        widths.append(result.high - result.low)
    assert widths[0] > 4 * widths[1]


def test_a_draw_without_weight_does_not_count():
    result = interval(1.0, np.array([np.nan, 1.0, 1.0]))
    assert (result.low, result.high) == (1.0, 1.0)


def test_a_paired_difference_is_significant_where_the_separate_intervals_overlap():
    generator = np.random.default_rng(5)
    difficulty = generator.random(500)
    worse, better = difficulty - 0.01, difficulty + generator.normal(0, 0.02, 500)
    ones = np.ones(500)
    alone = [
        interval(x.mean(), mean(resampled_sums(x[:, None], 0)[:, 0], np.full(1000, 500.0))) for x in (worse, better)
    ]
    assert alone[0].high > alone[1].low
    (difference,) = paired_differences(worse[:, None], better, ones, mean, seed=0)
    assert difference.value == pytest.approx(worse.mean() - better.mean())
    assert difference.low < difference.value < difference.high < 0


def test_a_model_does_not_differ_from_itself_and_noise_is_not_significant():
    a, noise = np.random.default_rng(6).random((2, 400))
    same, other = paired_differences(np.column_stack([a, a + (noise - noise.mean())]), a, np.ones(400), mean, seed=0)
    assert (same.value, same.low, same.high) == (0, 0, 0)
    assert other.low <= 0 <= other.high


def test_the_difference_of_two_rmses_is_that_of_the_pooled_errors():
    pairs = np.array([1.0, 3.0])
    (difference,) = paired_differences(np.array([[4.0], [12.0]]), np.array([0.0, 4.0]), pairs, root_mean, seed=0)
    assert difference.value == pytest.approx(2 - 1)  # √(16 / 4) - √(4 / 4)
