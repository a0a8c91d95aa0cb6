import numpy as np
import pytest
import scipy.sparse as sp
from numpy.testing import assert_array_equal

from recsys_dagster.data.items import ItemFeatures
from recsys_dagster.evaluation.metrics.metric import MetricKey
from recsys_dagster.evaluation.slices import Contribution, Parts, activity_parts, item_parts, reliability, slices

ITEMS = ItemFeatures(
    genres=sp.csr_array(np.array([[1, 0], [1, 1], [0, 1], [0, 0], [0, 0], [0, 0]], np.float32)),
    genre_names=("Crime", "Drama"),
    kinds=np.array([0, 0, 1, -1, 1, 1], np.int16),
    kind_names=("Movie", "TV"),
    years=np.full(6, np.nan, np.float32),
    site_scores=np.full(6, np.nan, np.float32),
)


def members(parts: Parts) -> dict[str, list[int]]:
    return {name: np.flatnonzero(mask).tolist() for _, name, mask in parts}


def test_users_are_none_or_in_thirds_by_their_training_pairs():
    assert members(activity_parts(np.array([0, 1, 2, 3, 10, 20, 30]))) == {
        "none": [0], "up to 2": [1, 2], "up to 10": [3, 4], "over 10": [5, 6],
    }  # fmt: skip


def test_items_are_in_thirds_of_the_pairs_by_support_by_kind_and_in_each_of_their_genres():
    popularity, support, kind, genre = item_parts(np.array([30, 20, 30, 5, 4, 0]), ITEMS)
    # 89 pairs: the first has up to 30, the second begins at 30 ≥ 29.7, the last ones at 60 ≥ 59.3.
    assert members(popularity) == {"head": [0], "middle": [2], "tail": [1, 3, 4, 5]}
    assert members(support) == {"0 (cold)": [5], "1 to 4 (cold)": [4], "5 or more": [0, 1, 2, 3]}
    assert members(kind) == {"Movie": [0, 1], "TV": [2, 4, 5], "unknown": [3]}
    assert members(genre) == {"Crime": [0, 1], "Drama": [1, 2], "unknown": [3, 4, 5]}


def test_metrics_of_parts_are_pooled_and_their_intervals_are_over_users():
    users = Parts.of_positions("activity", ("light", "heavy"), np.array([0, 0, 1]))
    items = Parts.of_positions("kind", ("Movie", "TV"), np.array([0, 1]))
    rows = np.array([0, 0, 1, 2])
    errors = Contribution(
        MetricKey("rmse"), rows, rows, np.array([0, 1, 0, 0]), np.array([1.0, 4.0, 9.0, 25.0]), root=True
    )
    metrics = {(one.dimension, one.part): one for one in slices([errors], [users], [items])}
    light = metrics["activity", "light"]
    assert (light.value, light.users, light.pairs) == (pytest.approx((14 / 3) ** 0.5), 2, 3)
    # Residuals 5 − 14/3 · 2 and 9 − 14/3: ±13/3; half the interval of the mean is 1.96 · √(2 · 2 · (13/3)²) / 3.
    half = 1.959963984540054 * np.sqrt(2 * 2 * (13 / 3) ** 2) / 3
    assert light.low == pytest.approx(max(0, 14 / 3 - half) ** 0.5)
    assert light.high == pytest.approx((14 / 3 + half) ** 0.5)
    heavy = metrics["activity", "heavy"]
    assert (heavy.value, heavy.low, heavy.high, heavy.users) == (5, None, None, 1)
    assert metrics["kind", "TV"].value == 2
    assert metrics["kind", "Movie"].value == pytest.approx((35 / 3) ** 0.5)


def test_a_part_without_a_pair_is_skipped_and_metrics_of_users_have_no_parts_of_items():
    users = Parts.of_positions("activity", ("none", "some"), np.array([1, 1]))
    items = Parts.of_positions("kind", ("Movie", "TV"), np.array([0]))
    rows = np.array([0, 1])
    ndcg = Contribution(MetricKey("ndcg", 10), rows, rows, None, np.array([0.5, 1.0]))
    (one,) = slices([ndcg], [users], [items])
    assert (one.dimension, one.part, one.position, one.value, one.high) == ("activity", "some", 1, 0.75, 1.0)


def test_the_interval_covers_the_true_value_about_95_times_in_100():
    generator = np.random.default_rng(3)
    inside = 0
    for _ in range(300):
        pairs = generator.integers(1, 20, 60)
        rows = np.repeat(np.arange(60), pairs)
        chance = np.repeat(generator.beta(2, 3, 60), pairs)  # the pairs of a user are alike
        hits = (generator.random(len(rows)) < chance).astype(float)
        all_users = Parts.of_positions("activity", ("all",), np.zeros(60, int))
        (one,) = slices([Contribution(MetricKey("recall", 10), rows, rows, None, hits)], [all_users], [])
        inside += one.low <= 0.4 <= one.high
    assert 0.90 <= inside / 300 <= 0.98


def test_every_item_is_in_exactly_one_part_by_popularity_support_and_kind():
    for parts in item_parts(np.array([3, 0, 9, 1, 1, 7]), ITEMS)[:3]:
        assert_array_equal(sum(mask.astype(int) for _, _, mask in parts), 1)


def test_reliability_is_the_share_of_likes_by_tenths_of_the_predicted_probability() -> None:
    liked = np.array([True, False, True, True])
    probabilities = np.array([0.05, 0.07, 0.95, 1.0])
    low, high = reliability(liked, probabilities, np.array([0, 0, 0, 1]))
    assert (low.part, low.position, low.value, low.users, low.pairs) == ("0 to 0.1", 0, 0.5, 1, 2)
    assert (high.part, high.position, high.value, high.users, high.pairs) == ("0.9 to 1", 9, 1.0, 2, 2)
    # Wilson's interval of 1 in 2 with z = 1.96: (0.5 + z²/4 ± z √(0.125 + z²/16)) / (1 + z²/2)
    assert (low.low, low.high) == (pytest.approx(0.0945, abs=1e-4), pytest.approx(0.9055, abs=1e-4))
