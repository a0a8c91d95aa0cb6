from collections.abc import Callable
from typing import ClassVar

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from recsys_dagster.data.training_data import TrainingData
from recsys_dagster.models.base import Model
from recsys_dagster.models.capabilities import EarlyStopping
from recsys_dagster.models.params import Params
from recsys_dagster.models.refit import calibrate_on_hold_out, fit_on_all, hold_out
from recsys_dagster.models.registry import get_model_class


class FitsParams(Params):
    rounds: int = 7


class Once(Model):
    """Notes down what it is fitted on."""

    name = "once"
    params_type = FitsParams
    fits: ClassVar[list[tuple[FitsParams, TrainingData]]] = []

    def _fit(self, data):
        self.fits.append((self.params, data))

    def _scores(self, users):
        return np.zeros((len(users), self.n_items_), np.float32)


class Stopping(EarlyStopping, Once):
    """Finds that three rounds are best."""

    def refit_params(self):
        return FitsParams(rounds=3)


@pytest.fixture(autouse=True)
def _nothing_fitted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Once, "fits", [])


def test_a_model_without_early_stopping_is_fitted_once_on_everything(data: TrainingData) -> None:
    fit_on_all(Once, data, seed=1)
    ((_, seen),) = Once.fits
    assert seen.train is data.train
    assert len(seen.validation) == 0


def test_a_model_that_stops_early_learns_when_on_a_tenth_and_is_fitted_on_everything(data: TrainingData) -> None:
    model = fit_on_all(Stopping, data, seed=1)
    (first_params, first), (last_params, last) = Once.fits
    assert first_params.rounds == 7
    assert len(first.train) + len(first.validation) == len(data.train)
    assert 0.07 < len(first.validation) / len(data.train) < 0.13
    assert first.train.matrix(data.n_users, data.n_items).multiply(
        first.validation.matrix(data.n_users, data.n_items)
    ).nnz == 0  # fmt: skip
    assert last_params.rounds == model.params.rounds == 3
    assert last.train is data.train
    assert len(last.validation) == 0


def test_the_seed_decides_on_the_tenth(data: TrainingData) -> None:
    for seed in (1, 1, 2):
        fit_on_all(Stopping, data, seed=seed)
    tenths = [seen.validation for _, seen in Once.fits[::2]]
    assert_array_equal(tenths[0].items, tenths[1].items)
    assert len(tenths[0]) != len(tenths[2]) or (tenths[0].items != tenths[2].items).any()


def test_als_is_refitted_with_the_iterations_that_were_best(data: TrainingData, fitted: Callable[[str], Model]) -> None:
    model = fit_on_all(type(fitted("als")), data, seed=42)
    assert model.iterations_ == model.params.max_iter <= 20
    assert model.history_ == {}


def test_a_refit_keeps_the_calibration_of_the_fit_that_held_ratings_out(data: TrainingData) -> None:
    model_class = get_model_class("als")
    model = fit_on_all(model_class, data, seed=42)
    first = model_class(seed=42).fit(hold_out(data, seed=42))
    assert_array_equal(model.score_bounds_, first.score_bounds_)
    assert_array_equal(model.spread_weights_, first.spread_weights_)
    assert (model.user_spreads_ != first.user_spreads_).any(), "what is known of a user is more than before"


def test_a_rating_model_that_is_fitted_once_is_calibrated_by_another_fit(data: TrainingData) -> None:
    model = fit_on_all(get_model_class("user_item_bias"), data, seed=42)
    assert not model.has_interval
    calibrate_on_hold_out(model, data)
    first = type(model)(seed=42).fit(hold_out(data, seed=42))
    assert_array_equal(model.score_bounds_, first.score_bounds_)
    (low,), (high,) = model.predict_interval(np.zeros(1, np.int32), np.zeros(1, np.int32))
    assert low < model.predict(np.zeros(1, np.int32), np.zeros(1, np.int32))[0] < high
    before = model.score_bounds_
    calibrate_on_hold_out(model, data)
    assert model.score_bounds_ is before, "an interval that is there stays"


def test_ten_tenths_have_each_pair_once(data: TrainingData) -> None:
    tenths = [hold_out(data, seed=42, part=part) for part in range(10)]
    held_out = np.concatenate([tenth.validation.users * data.n_items + tenth.validation.items for tenth in tenths])
    np.testing.assert_array_equal(np.sort(held_out), np.sort(data.train.users * data.n_items + data.train.items))
    assert all(len(tenth.train) + len(tenth.validation) == len(data.train) for tenth in tenths)
