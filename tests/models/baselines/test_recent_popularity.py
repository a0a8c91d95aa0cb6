from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose

from recsys_dagster.data.interactions import Interactions
from recsys_dagster.data.training_data import TrainingData
from recsys_dagster.models.attempt import SkippedError
from recsys_dagster.models.baselines.recent_popularity import RecentPopularity, RecentPopularityParams, decayed_counts

DAY = 86_400


def pairs_at(*rows: tuple[int, int]) -> Interactions:
    """(item, day) rows, each of another user."""
    items, days = np.array(rows, dtype=np.int64).T
    users = np.arange(len(rows), dtype=np.int32)
    return Interactions(users, items.astype(np.int32), np.full(len(rows), 9, np.float32), days * DAY)


def test_a_pair_counts_half_after_each_half_life() -> None:
    counts = decayed_counts(pairs_at((0, 0), (1, 10), (1, 20), (2, 20)), 4, half_life=10)
    assert_allclose(counts, [0.25, 1.5, 1, 0], atol=1e-5)


def test_an_item_without_recent_pairs_keeps_a_popularity_above_zero() -> None:
    counts = decayed_counts(pairs_at((0, 0), (0, 1), (1, 0), (2, 100_000)), 3, half_life=7)
    assert counts[0] > counts[1] > 0


def test_a_pair_whose_time_is_unknown_is_infinitely_old() -> None:
    pairs = pairs_at((0, 10), (1, 10))
    pairs.times[0] = np.iinfo(np.int64).min
    counts = decayed_counts(pairs, 2, half_life=1000)
    assert 0 < counts[0] < 1e-5 < counts[1]


def world(data: TrainingData, rows: list[tuple[int, int]]) -> TrainingData:
    return replace(data, train=pairs_at(*rows), n_users=len(rows))


def test_where_fashions_change_the_half_life_is_short(data: TrainingData) -> None:
    # Item d // 300 is what everybody takes on day d: before the latest 150 days, item 4 has the fewest pairs of all.
    rows = [(day // 300, day) for day in range(1500) for _ in range(2)]
    model = RecentPopularity().fit(world(data, rows))
    assert model.half_life_ <= 90
    assert model.recommend(np.array([0], dtype=np.int32), 1, exclude_seen=False).items[0, 0] == 4


def test_where_nothing_changes_all_time_counts(data: TrainingData) -> None:
    items = np.random.default_rng(0).geometric(0.05, 4000) % 50
    model = RecentPopularity().fit(world(data, [(int(item), day) for day, item in enumerate(items)]))
    assert model.half_life_ >= 365


def test_a_given_half_life_is_kept(data: TrainingData) -> None:
    assert RecentPopularity(RecentPopularityParams(half_life=3)).fit(data).half_life_ == 3


def test_without_times_it_is_skipped(data: TrainingData) -> None:
    with pytest.raises(SkippedError, match="needs the times of the interactions"):
        RecentPopularity().fit(replace(data, train=replace(data.train, times=None)))
