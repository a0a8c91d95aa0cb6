"""The stability index, by numbers worked out by hand."""

import math

import pytest

from recsys_dagster.quality.data import FLOOR, stability_index


def test_equal_distributions_have_the_index_zero_whatever_their_sizes() -> None:
    assert stability_index([(1, 10), (3, 30)]) == 0


def test_the_index_is_the_sum_over_the_shares() -> None:
    # Shares 1/2, 1/2 against 1/4, 3/4: -1/4 ln 1/2 + 1/4 ln 3/2 = 1/4 ln 3.
    assert stability_index([(5, 1), (5, 3)]) == pytest.approx(math.log(3) / 4)


def test_a_value_that_is_new_weighs_but_stays_finite() -> None:
    expected = (0.5 - 1) * math.log(0.5) + (0.5 - FLOOR) * math.log(0.5 / FLOOR)
    assert stability_index([(4, 2), (0, 2)]) == pytest.approx(expected)
