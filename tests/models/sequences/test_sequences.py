import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from recsys_dagster.data.interactions import Interactions
from recsys_dagster.models.sequences.histories import Histories

UNKNOWN = np.iinfo(np.int64).min


def pairs(*rows: tuple[int, ...]) -> Interactions:
    """(user, item) or (user, item, time) rows."""
    users, items, *times = np.array(rows, dtype=np.int64).T
    ratings = np.full(len(rows), 5, dtype=np.float32)
    return Interactions(users.astype(np.int32), items.astype(np.int32), ratings, times[0] if times else None)


def shuffled(of: Interactions, seed: int) -> Interactions:
    order = np.random.default_rng(seed).permutation(len(of))
    return Interactions(of.users[order], of.items[order], of.ratings[order], of.times[order])


def test_the_items_of_each_user_are_in_order_of_time() -> None:
    histories = Histories.of(pairs((2, 7, 30), (0, 5, 20), (2, 8, 10), (0, 6, 40), (2, 9, 20)), n_users=4)
    assert histories.users.tolist() == [0, 0, 2, 2, 2]
    assert histories.items.tolist() == [5, 6, 8, 9, 7]
    assert histories.offsets.tolist() == [0, 2, 2, 5, 5]
    assert histories.order.tolist() == [1, 3, 2, 4, 0]
    assert histories.places.tolist() == [0, 1, 0, 1, 2]
    assert histories.places_from_end.tolist() == [1, 0, 2, 1, 0]


def test_an_unknown_time_comes_first() -> None:
    assert Histories.of(pairs((0, 1, 5), (0, 2, UNKNOWN)), 1).items.tolist() == [2, 1]


def test_a_window_ends_before_its_target_and_is_padded_in_front() -> None:
    histories = Histories.of(pairs((0, 5, 1), (0, 6, 2), (1, 3, 1), (1, 0, 2), (1, 4, 3), (1, 2, 4)), n_users=3)
    # Item i stands as i + 1; what user 0 has is no part of user 1's windows.
    assert histories.before(np.array([1, 3, 5]), 2).tolist() == [[0, 6], [0, 4], [1, 5]]
    assert histories.latest(3).tolist() == [[0, 6, 7], [1, 5, 3], [0, 0, 0]]


times = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 30), st.integers(0, 2)), min_size=1, max_size=40)


@given(times, st.integers(0, 9))
def test_ties_have_one_order_whatever_the_order_of_the_rows(rows: list[tuple[int, int, int]], seed: int) -> None:
    some = pairs(*{row[:2]: row for row in rows}.values())
    first, second = Histories.of(some, 4), Histories.of(shuffled(some, seed), 4)
    np.testing.assert_array_equal(first.items, second.items)
    np.testing.assert_array_equal(first.users, second.users)


def test_ties_follow_neither_the_index_nor_one_order_for_all_users() -> None:
    users, items = (grid.ravel() for grid in np.meshgrid(np.arange(200), np.arange(20), indexing="ij"))
    histories = Histories.of(pairs(*zip(users, items, np.zeros_like(users), strict=True)), n_users=200)
    by_user = histories.items.reshape(200, 20)
    # With 20 items in random order the larger one comes second in half of all neighbouring pairs.
    rises = (np.diff(by_user, axis=1) > 0).mean()
    assert abs(rises - 0.5) < 0.05
    assert abs(by_user.mean(axis=0) - 9.5).max() < 2
    assert len({tuple(row) for row in by_user}) == 200


def test_without_times_everything_is_a_tie() -> None:
    timed = pairs(*((0, item, item) for item in range(50)))
    untimed = Interactions(timed.users, timed.items, timed.ratings)
    np.testing.assert_array_equal(Histories.of(timed, 1).items, np.arange(50))
    without = Histories.of(untimed, 1).items
    np.testing.assert_array_equal(without, Histories.of(timed, 1, by_time=False).items)
    assert not np.array_equal(without, np.arange(50))
    assert sorted(without) == list(range(50))
