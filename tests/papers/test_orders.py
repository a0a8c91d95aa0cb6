"""The next item of each user, worked out by hand."""

import numpy as np
from small_world import world_of

from recsys_dagster.data.interactions import Interactions
from recsys_dagster.papers.experiment import Experiment
from recsys_dagster.papers.orders import upcoming_items

WORLD = world_of([[10, 9, 8, 7, 6], [5, 6, 7, 8, 9]])


def timed(*rows: tuple[int, int, int]) -> Interactions:
    """Pairs of (user, item, time), all rated 8."""
    users, items, times = (np.array(column) for column in zip(*rows, strict=True))
    return Interactions(users.astype(np.int32), items.astype(np.int32), np.full(len(rows), 8, np.float32), times)


def experiment(train: Interactions, test: Interactions) -> Experiment:
    base = Experiment("here", WORLD, test, np.arange(5))
    return base.on(train=train, validation=train.where(train.users > 9))


def pairs_of(test: Interactions) -> set[tuple[int, int]]:
    return set(zip(test.users.tolist(), test.items.tolist(), strict=True))


def test_of_folds_cut_by_time_it_is_the_first_item_of_the_test_fold() -> None:
    folds = experiment(timed((0, 0, 1), (0, 1, 2), (1, 0, 2)), timed((0, 3, 8), (0, 2, 7), (1, 4, 9)))
    upcoming = upcoming_items(folds)
    assert upcoming is not None
    assert pairs_of(upcoming.test) == {(0, 2), (1, 4)}


def test_of_folds_cut_by_a_hash_it_is_the_last_item_of_each_user() -> None:
    folds = experiment(timed((0, 0, 1), (0, 1, 9), (1, 0, 2), (1, 3, 3)), timed((0, 3, 5), (0, 2, 7), (1, 4, 1)))
    upcoming = upcoming_items(folds)
    assert upcoming is not None
    assert pairs_of(upcoming.test) == {(0, 1), (1, 3)}
    assert not pairs_of(upcoming.test) & pairs_of(upcoming.data.train)


def test_without_times_there_is_no_next_item() -> None:
    untimed = Interactions(np.array([0], np.int32), np.array([1], np.int32), np.array([8], np.float32))
    assert upcoming_items(Experiment("here", WORLD, untimed, np.arange(5))) is None
