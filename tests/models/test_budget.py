"""Estimates of time and memory, and the models that are skipped because of them."""

import numpy as np
import pytest
from small_world import UNRATED, world_of

from recsys_dagster.models import budget
from recsys_dagster.models.attempt import SkippedError
from recsys_dagster.models.budget import FLOPS, Budget, Estimate, Size
from recsys_dagster.models.registry import get_model_class, model_names

SAMPLE = Size(users=600, items=800, pairs=40_000)
MOVIELENS_20M = Size(users=138_000, items=26_000, pairs=16_000_000)


def test_users_and_items_without_a_training_pair_do_not_count() -> None:
    data = world_of([[8, 0, 0], [0, 0, 0], [UNRATED, 5, 0]])
    assert Size.of(data) == Size(users=2, items=2, pairs=3)


def test_fit_ranking_and_memory_are_those_of_all_models_and_what_the_model_adds() -> None:
    size = Size(users=1000, items=500, pairs=1_000_000)
    estimate = Estimate.of_work(size, fit=30, score=80e-9, memory=1e9)
    # A million scores on two folds at 5 + 80 ns, after a second; 50 bytes a pair and 100 MB.
    assert estimate.fit == pytest.approx(31)
    assert estimate.ranking == pytest.approx(1 + 2 * 500_000 * 85e-9)
    assert estimate.bytes == pytest.approx(1e9 + 50e6 + 1e8)
    assert estimate.seconds == pytest.approx(32.085)


def test_only_the_users_that_are_evaluated_are_ranked_for() -> None:
    all_users, some, more = (Size(1000, 500, 1_000_000, most) for most in (None, 100, 5000))
    assert Estimate.of_work(some).ranking == pytest.approx(1 + 2 * 100 * 500 * 5e-9)
    assert Estimate.of_work(more) == Estimate.of_work(all_users)


@pytest.mark.parametrize(
    ("seconds", "text"), [(119.4, "119 s"), (150, "2 min"), (40 * 60, "40 min"), (3 * 3600, "3 h")]
)
def test_an_estimate_is_shown_in_round_figures(seconds: float, text: str) -> None:
    assert str(Estimate(seconds, 0, 3 * 2**29)) == f"{text} and 1.5 GiB"


def test_a_model_above_the_budget_is_skipped_with_the_estimate_and_the_cure() -> None:
    estimate = Estimate(fit=2000, ranking=400, bytes=3 * 2**30)
    Budget(2400, 3 * 2**30).require(estimate)
    with pytest.raises(SkippedError) as slow:
        Budget(600, 4 * 2**30).require(estimate)
    assert str(slow.value) == (
        "would take about 40 min and 3.0 GiB, and the budget of a model is 10 min (RECSYS_BUDGET_SECONDS); "
        "name it in --models or RECSYS_MODELS to fit it all the same"
    )
    with pytest.raises(SkippedError, match=r"budget of a model is 2\.0 GiB \(RECSYS_BUDGET_MEMORY\); name it"):
        Budget(3600, 2 * 2**30).require(estimate)


def test_without_a_memory_budget_it_is_the_free_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(budget, "available_bytes", lambda: 2**30)
    with pytest.raises(SkippedError, match=r"1\.0 GiB \(free\)"):
        Budget(3600).require(Estimate(1, 1, 3 * 2**30))
    monkeypatch.setattr(budget, "available_bytes", lambda: None)
    Budget(3600).require(Estimate(1, 1, 3 * 2**30))


@pytest.mark.parametrize("name", model_names())
def test_every_model_fits_the_budget_on_the_samples_and_needs_more_for_more_data(name: str) -> None:
    model = get_model_class(name)()
    small, large = model.estimate(SAMPLE), model.estimate(MOVIELENS_20M)
    Budget(1200, 8 * 2**30).require(small)
    assert large.fit > small.fit
    assert large.ranking > small.ranking
    assert large.bytes > small.bytes


def test_more_epochs_and_wider_layers_cost_more_and_an_early_stop_saves_half() -> None:
    model_class = get_model_class("bilstm")

    def fit(**params: object) -> float:
        return model_class(model_class.params_type(**params)).estimate(SAMPLE).fit

    assert fit(units=200) > 2 * fit(units=100)
    ten, twenty, thirty = (fit(epochs=epochs, patience=None) for epochs in (10, 20, 30))
    assert thirty - twenty == pytest.approx(twenty - ten)
    assert fit(epochs=20, patience=3) == pytest.approx(ten)


def test_a_rating_network_costs_its_products_of_matrices() -> None:
    model = get_model_class("dropout_mlp")()
    ranking = model.estimate(SAMPLE).ranking
    # After the first layer, which is added up of two halves: 128 x 64 and 64 x 1, and 128 numbers to add.
    score = 5e-9 + (128 * 64 + 64) / FLOPS + 1e-10 * 128
    assert ranking == pytest.approx(1 + 2 * 600 * 800 * score)


def test_a_stack_fits_each_member_once_a_part_and_once_more() -> None:
    model_class = get_model_class("stack_linear")
    stack = model_class(model_class.params_type(members=["als"], folds=3))
    als = get_model_class("als")().estimate(SAMPLE)
    assert stack.estimate(SAMPLE) == Estimate(4 * als.fit, als.ranking, als.bytes)


def test_the_estimate_of_no_data_is_no_error() -> None:
    empty = world_of(np.zeros((2, 2)))
    for name in model_names():
        assert get_model_class(name)().estimate(Size.of(empty)).seconds > 0
