"""Folding in what users had done before their moment."""

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys_dagster.data.fold_in import FoldedIn
from recsys_dagster.data.interactions import Interactions
from recsys_dagster.errors import RecsysError

Timed = tuple[int, int, int]
"""User, item and time."""


def timed(rows: Sequence[Timed]) -> Interactions:
    users, items, times = (np.array([row[column] for row in rows], np.int64) for column in range(3))
    return Interactions(users.astype(np.int32), items.astype(np.int32), np.full(len(rows), 4, np.float32), times)


def rows(pairs: Interactions) -> list[Timed]:
    assert pairs.times is not None
    return list(zip(pairs.users.tolist(), pairs.items.tolist(), pairs.times.tolist(), strict=True))


def test_the_history_is_all_before_the_moment_in_the_order_of_time_and_the_rest_is_later() -> None:
    train = timed([(0, 1, 20), (0, 0, 10), (1, 0, 15), (2, 0, 5)])
    fold = timed([(0, 3, 40), (0, 2, 30), (0, 4, 40), (2, 1, 50), (0, 5, 60)])
    folded_in = FoldedIn.at(np.array([40, 0, 50]), fold, [train])
    # User 1 is not in the fold. What user 0 did at the moment itself is not known yet. Of user 2 a pair of train is.
    assert rows(folded_in.history) == [(0, 0, 10), (0, 1, 20), (0, 2, 30), (2, 0, 5)]
    assert rows(folded_in.later) == [(0, 3, 40), (0, 4, 40), (2, 1, 50), (0, 5, 60)]
    folded_in.require_causal()


def test_a_pair_without_a_time_was_before() -> None:
    untimed = Interactions(np.zeros(1, np.int32), np.zeros(1, np.int32), np.ones(1, np.float32))
    fold = timed([(0, 1, 30)])
    for train in (untimed, timed([(0, 0, np.iinfo(np.int64).min)])):
        assert FoldedIn.at(np.array([30]), fold, [train]).history.items.tolist() == [0]


@pytest.mark.parametrize("time", [40, 45, 70])
def test_a_history_that_is_as_late_as_what_it_is_to_predict_is_refused(time: int) -> None:
    later = timed([(0, 1, 40), (0, 2, 60), (1, 1, 100)])
    FoldedIn(timed([(0, 3, 39), (1, 3, 99), (2, 0, 500)]), later).require_causal()
    leaky = FoldedIn(timed([(0, 3, 39), (0, 4, time), (1, 3, 99)]), later)
    with pytest.raises(RecsysError, match="leaks: 1 pairs that are folded in are no earlier than what they are to"):
        leaky.require_causal()


@given(
    st.lists(st.tuples(st.integers(0, 4), st.integers(0, 30), st.integers(100, 110)), min_size=1),
    st.lists(st.tuples(st.integers(0, 4), st.integers(0, 30), st.integers(0, 90))),
    st.lists(st.integers(95, 115), min_size=5, max_size=5),
)
def test_every_pair_of_a_user_of_the_fold_is_on_one_side_of_the_moment(
    fold: list[Timed], train: list[Timed], moments: list[int]
) -> None:
    folded_in = FoldedIn.at(np.array(moments), timed(fold), [timed(train)])
    history, later = rows(folded_in.history), rows(folded_in.later)
    users = {user for user, *_ in fold}
    assert sorted(history + later) == sorted([*fold, *(row for row in train if row[0] in users)])
    assert all(time < moments[user] for user, _, time in history)
    assert all(time >= moments[user] for user, _, time in later)
    folded_in.require_causal()
