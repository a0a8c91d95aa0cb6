"""What a step costs is measured where it is spent."""

import numpy as np
import pytest

from recsys_dagster.runtime.resource_usage import ResourceUsage, charge, track_resources


def test_the_peak_is_that_of_the_block_and_not_of_what_came_before() -> None:
    np.ones(200 * 2**20, dtype=np.int8)
    with track_resources() as small:
        pass
    with track_resources() as large:
        np.ones(200 * 2**20, dtype=np.int8)
    assert large.peak_bytes - small.peak_bytes > 150 * 2**20


def test_what_was_allocated_before_a_block_is_in_its_peak_and_not_in_what_it_added() -> None:
    before = np.ones(400 * 2**20, dtype=np.int8)
    with track_resources() as usage:
        np.ones(100 * 2**20, dtype=np.int8)
    assert usage.peak_bytes > before.nbytes
    assert 90 * 2**20 < usage.added_bytes < 150 * 2**20


def test_the_cost_is_known_also_of_a_block_that_failed() -> None:
    with pytest.raises(ZeroDivisionError), track_resources() as usage:
        1 / 0  # noqa: B018
    assert usage.wall_seconds > 0
    assert usage.peak_bytes > 0


def test_a_block_within_another_hides_nothing_of_its_peak() -> None:
    with track_resources() as outer:
        np.ones(200 * 2**20, dtype=np.int8)
        with track_resources() as inner:
            pass
    assert outer.peak_bytes - inner.peak_bytes > 150 * 2**20


def test_what_is_used_again_is_charged_to_those_who_use_it() -> None:
    with track_resources() as first:
        charge(ResourceUsage(wall_seconds=100, cpu_seconds=200, peak_bytes=2**50, added_bytes=2**49))
    assert 100 < first.wall_seconds < 101
    assert 200 < first.cpu_seconds < 201
    assert (first.peak_bytes, first.added_bytes) == (2**50, 2**49)
