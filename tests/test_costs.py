"""What a step costs is measured where it is spent."""

import numpy as np
import pytest

from recsys_dagster.costs import measuring


def test_the_peak_is_that_of_the_block_and_not_of_what_came_before() -> None:
    np.ones(200 * 2**20, dtype=np.int8)
    with measuring() as small:
        pass
    with measuring() as large:
        np.ones(200 * 2**20, dtype=np.int8)
    assert large.peak_bytes - small.peak_bytes > 150 * 2**20


def test_the_cost_is_known_also_of_a_block_that_failed() -> None:
    with pytest.raises(ZeroDivisionError), measuring() as cost:
        1 / 0  # noqa: B018
    assert cost.wall_seconds > 0
    assert cost.peak_bytes > 0
