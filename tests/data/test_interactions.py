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


def weighted(weights: list[float] | None) -> Interactions:
    n = 2 if weights is None else len(weights)
    column = None if weights is None else np.array(weights, np.float32)
    unrated = np.full(n, np.nan, np.float32)
    return Interactions(np.arange(n, dtype=np.int32), np.zeros(n, np.int32), unrated, None, column)


def test_pairs_without_a_weight_count_once_next_to_others() -> None:
    together = Interactions.concatenate(weighted([3, 0.5]), weighted(None))
    assert together.weights is not None
    assert together.weights.tolist() == [3, 0.5, 1, 1]
    assert Interactions.concatenate(weighted(None), Interactions.empty()).weights is None


def test_selected_pairs_keep_their_weights() -> None:
    kept = weighted([3, 0.5]).where(np.array([False, True]))
    assert kept.weights is not None
    assert kept.weights.tolist() == [0.5]


def test_without_a_like_threshold_every_pair_is_a_like() -> None:
    pairs = Interactions(np.arange(2, dtype=np.int32), np.zeros(2, np.int32), np.array([1, np.nan], np.float32))
    assert len(pairs.liked(None)) == len(pairs.positive(None)) == 2
