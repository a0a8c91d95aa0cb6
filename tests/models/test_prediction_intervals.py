"""Intervals of predicted ratings: quantiles worked out by hand, and coverage of ratings like the held-out ones."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recsys_dagster.data.interactions import Interactions
from recsys_dagster.data.training_data import TrainingData
from recsys_dagster.errors import RecsysError
from recsys_dagster.models import prediction_intervals
from recsys_dagster.models.baselines.user_item_bias import UserItemBias
from recsys_dagster.models.prediction_intervals import (
    CALIBRATION_RATINGS,
    INTERVAL_LEVEL,
    calibration_rows,
    conformal_bounds,
    learn_spread,
    spread_facts,
)


def test_of_nineteen_scores_the_lowest_and_the_highest_bound_nine_of_ten() -> None:
    scores = np.random.default_rng(0).permutation(np.arange(-9, 10)).astype(np.float32)
    assert conformal_bounds(scores) == (-9, 9)  # place ⌈20 · 0.95⌉ = 19 from either end
    assert conformal_bounds(scores[1:]) == (-np.inf, np.inf)  # place ⌈19 · 0.95⌉ = 19 of 18


def test_the_place_of_the_quantile_is_counted_from_the_far_end() -> None:
    scores = np.arange(-20, 19) / 2  # 39 of them: place ⌈40 · 0.95⌉ = 38
    assert conformal_bounds(scores) == (-9.5, 8.5)
    assert conformal_bounds(scores, level=0.5) == (-5.5, 4.5)  # place 30 from either end


def test_bounds_never_exclude_the_prediction_itself() -> None:
    assert conformal_bounds(np.linspace(1, 2, 100)) == (0, pytest.approx(1 + 95 / 99))
    assert conformal_bounds(np.empty(0)) == (-np.inf, np.inf)


def test_the_spread_doubles_with_a_fact_that_doubles_the_errors() -> None:
    random = np.random.default_rng(1)
    facts = random.integers(0, 2, (20_000, 1)).astype(float)
    errors = random.normal(0, 1, 20_000) * 2 ** facts[:, 0]
    (weight,) = learn_spread(facts, errors, (1, 5))
    assert 2 ** (weight / np.log(2)) == pytest.approx(2, rel=0.1)


def test_facts_count_the_ratings_of_users_and_items_and_know_who_has_none(data: TrainingData) -> None:
    users, items = (np.array(values, np.int32) for values in ([0, 0, 1], [2, 3, 2]))
    of_users, of_items = spread_facts(
        replace(data, train=Interactions(users, items, np.array([10, 6, np.nan], np.float32)))
    )
    np.testing.assert_allclose(of_users[0], [np.log(3), 0, np.log(2)])  # damped by five ratings of the same variance
    np.testing.assert_allclose(of_users[1], [0, 1, np.log(2)])
    np.testing.assert_allclose(of_items[2], [np.log(2), 0, np.log(np.sqrt((4 + 20) / 6 - (2 / 6) ** 2))])


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), deviation=st.floats(0.3, 2), bias=st.floats(-1, 1))
def test_ratings_like_the_held_out_ones_lie_in_their_interval_nine_times_in_ten(
    data: TrainingData, seed: int, deviation: float, bias: float
) -> None:
    random = np.random.default_rng(seed)
    noise = np.exp(random.normal(0, 0.5, 60))  # some users are harder to predict than others
    users, items = (random.integers(0, n, 4000).astype(np.int32) for n in (60, 40))
    ratings = np.clip(5.5 + bias + deviation * noise[users] * random.standard_t(4, 4000), 1, 10).astype(np.float32)
    pairs, fold = Interactions(users, items, ratings), random.permutation(4000) % 4
    part = replace(data, n_users=60, n_items=40, train=pairs.where(fold < 2), validation=pairs.where(fold == 2))
    model, test = UserItemBias(seed=seed).fit(part), pairs.where(fold == 3)
    low, high = model.predict_interval(test.users, test.items)
    share = np.mean((low <= test.ratings) & (test.ratings <= high))
    # Both the 1000 ratings and the 1000 that calibrate are drawn: 0.0134 is one standard deviation.
    assert share > INTERVAL_LEVEL - 5 * 0.0134
    assert share < INTERVAL_LEVEL + 5 * 0.0134 + np.mean((test.ratings == 1) | (test.ratings == 10))


def test_users_whose_ratings_vary_more_have_wider_intervals(data: TrainingData) -> None:
    random = np.random.default_rng(3)
    users, items = (random.integers(0, n, 6000).astype(np.int32) for n in (60, 40))
    ratings = np.clip(5.5 + np.where(users < 30, 0.4, 1.6) * random.normal(size=6000), 1, 10).astype(np.float32)
    pairs, held_out = Interactions(users, items, ratings), random.random(6000) < 0.3
    part = replace(data, n_users=60, n_items=40, train=pairs.where(~held_out), validation=pairs.where(held_out))
    low, high = UserItemBias().fit(part).predict_interval(np.array([0, 59], np.int32), np.zeros(2, np.int32))
    steady, erratic = high - low
    assert erratic > 2.5 * steady


@pytest.mark.parametrize("mean", [3.05, 5.05, 5.15, 5.25])
def test_ratings_on_a_bound_lie_inside_after_rounding(data: TrainingData, mean: float) -> None:
    items = np.repeat(np.array([0, 59], np.int32), 40)  # item 0 is easy to predict, of item 59 nothing is known
    ratings = np.where(items == 0, mean, np.tile([2, 9], 40)).astype(np.float32)  # two errors, which are the bounds
    held_out = Interactions(np.arange(80, dtype=np.int32), items, ratings)
    train = Interactions(np.array([100], np.int32), np.zeros(1, np.int32), np.array([mean], np.float32))
    model = UserItemBias().fit(replace(data, train=train, validation=held_out))
    low, high = model.predict_interval(held_out.users, held_out.items)
    assert ((low <= ratings) & (ratings <= high)).all()


def test_items_without_training_ratings_have_bounds_of_their_own(data: TrainingData) -> None:
    held_out = data.validation.rated
    is_new = np.bincount(data.train.rated.items, minlength=data.n_items)[held_out.items] == 0
    assert is_new.any()
    far_off = replace(held_out, ratings=np.where(is_new, 1, held_out.ratings).astype(np.float32))
    model, other = (UserItemBias().fit(replace(data, validation=fold)) for fold in (held_out, far_off))
    known = int(held_out.items[~is_new][0])
    new = int(held_out.items[is_new][0])
    users, items = np.zeros(2, np.int32), np.array([known, new], np.int32)
    (low_known, low_new), _ = model.predict_interval(users, items)
    (other_known, other_new), _ = other.predict_interval(users, items)
    assert other_new < low_new
    assert abs(other_known - low_known) < abs(other_new - low_new) / 2


def test_without_held_out_ratings_there_is_no_interval_and_the_message_says_why(data: TrainingData) -> None:
    model = UserItemBias().fit(replace(data, validation=Interactions.empty()))
    assert not model.has_interval
    with pytest.raises(
        RecsysError, match=r"user_item_bias: has no interval, .*; train it again with a validation fold"
    ):
        model.predict_interval(np.zeros(1, np.int32), np.zeros(1, np.int32))


def test_a_model_of_an_earlier_version_loads_and_has_no_interval(data: TrainingData, tmp_path: Path) -> None:
    class Earlier(UserItemBias):
        def _state(self):
            return {key: value for key, value in super()._state().items() if "spread" not in key and "bound" not in key}

    model = Earlier().fit(data)
    model.save(tmp_path)
    loaded = UserItemBias.load(tmp_path)
    assert model.has_interval
    assert not loaded.has_interval
    np.testing.assert_array_equal(
        loaded.predict(data.train.users, data.train.items), model.predict(data.train.users, data.train.items)
    )


def test_many_held_out_ratings_are_drawn_from_and_few_are_all_used(monkeypatch: pytest.MonkeyPatch) -> None:
    assert len(calibration_rows(10 * CALIBRATION_RATINGS, 0)) == CALIBRATION_RATINGS
    monkeypatch.setattr(prediction_intervals, "CALIBRATION_RATINGS", 3)
    rows = calibration_rows(10, 0)
    assert len(set(rows)) == 3
    assert (np.diff(rows) > 0).all()
    np.testing.assert_array_equal(calibration_rows(3, 0), [0, 1, 2])
