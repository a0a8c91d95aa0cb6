import numpy as np

from recsys_dagster.data.interactions import Interactions


def pair(time: int | None) -> Interactions:
    times = None if time is None else np.array([time])
    return Interactions(np.zeros(1, np.int32), np.zeros(1, np.int32), np.ones(1, np.float32), times)


def test_times_are_kept_next_to_an_empty_fold() -> None:
    together = Interactions.concatenate(pair(5), Interactions.empty(), pair(3))
    assert together.times is not None
    assert together.times.tolist() == [5, 3]


def test_times_of_only_one_part_are_dropped() -> None:
    assert Interactions.concatenate(pair(5), pair(None)).times is None


def test_empty_parts_have_no_times() -> None:
    assert Interactions.concatenate(Interactions.empty(), Interactions.empty()).times is None
