"""Parameters that suit several domains."""

import pytest

from recsys_dagster.experiments.joint_tuning import DEFAULTS, JointResult, choose, loss
from recsys_dagster.model_store.tuned import Tuned


def tuned(domain: str, metric: str, value: float) -> Tuned:
    return Tuned("als", domain, "some", "1", "2026-11-30", metric, value, None, {"rank": 8}, 5, 0)


def test_a_loss_is_a_share_of_the_best_value_whichever_direction_is_better() -> None:
    assert loss("ndcg@100", 0.3, 0.4) == pytest.approx(0.25)
    assert loss("rmse", 1.1, 1.0) == pytest.approx(0.1)


def test_the_parameters_with_the_smallest_largest_loss_are_chosen() -> None:
    best = {"a": tuned("a", "ndcg@100", 0.4), "b": tuned("b", "ndcg@100", 0.2)}
    values = {DEFAULTS: {"a": 0.3, "b": 0.19}, "a": {"a": 0.4, "b": 0.17}, "b": {"a": 0.36, "b": 0.2}}
    assert choose(best, values) == "b"  # they lose at most 10 %; the defaults 25 %, those of a 15 %
    result = JointResult(best, values, "b")
    assert (result.loss("b", "a"), result.loss("b", "b")) == (pytest.approx(0.1), 0)
    assert result.params == {"rank": 8}


def test_of_equal_losses_the_defaults_are_chosen() -> None:
    best = {"a": tuned("a", "rmse", 1.0)}
    assert choose(best, {DEFAULTS: {"a": 1.0}, "a": {"a": 1.0}}) == DEFAULTS


def test_parameters_that_fail_on_a_domain_are_chosen_last() -> None:
    best = {"a": tuned("a", "rmse", 1.0), "b": tuned("b", "rmse", 1.0)}
    values = {DEFAULTS: {"a": 9.0, "b": 9.0}, "a": {"a": 1.0, "b": float("nan")}}
    assert choose(best, values) == DEFAULTS
