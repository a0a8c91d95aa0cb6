"""The users of a fold that models are evaluated on."""

import numpy as np

from recsys_dagster.data.interactions import Interactions
from recsys_dagster.evaluation.user_sample import draw_users


def fold(n_users: int) -> Interactions:
    """Return three interactions of each of the users 0, 2, 4 and so on."""
    users = np.repeat(np.arange(n_users, dtype=np.int32) * 2, 3)
    items = np.tile(np.arange(3, dtype=np.int32), n_users)
    return Interactions(users, items, np.full(len(users), 4, np.float32))


def test_a_fold_with_few_users_is_evaluated_whole() -> None:
    whole = fold(50)
    assert draw_users(whole, 50, seed=1) is whole


def test_drawn_users_keep_all_their_interactions_and_are_the_same_for_every_model() -> None:
    whole = fold(500)
    drawn, again, other = draw_users(whole, 100, 1), draw_users(whole, 100, 1), draw_users(whole, 100, 2)
    users, counts = np.unique(drawn.users, return_counts=True)
    assert len(users) == 100
    assert set(counts) == {3}
    assert set(users) < set(whole.users)
    np.testing.assert_array_equal(drawn.users, again.users)
    assert set(users) != set(np.unique(other.users))
