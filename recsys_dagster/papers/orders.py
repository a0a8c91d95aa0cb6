"""Sequences of items with one item to be predicted, and how well models predict it."""

from dataclasses import replace

import numpy as np

from recsys_dagster.data.interactions import UNKNOWN_TIME, Interactions
from recsys_dagster.evaluation.metrics.metric import MetricKey
from recsys_dagster.evaluation.ranking import lists_by_history, rank
from recsys_dagster.evaluation.relevance import RelevantPairs
from recsys_dagster.models.base import Model
from recsys_dagster.models.sequences.histories import Histories
from recsys_dagster.papers.experiment import Experiment
from recsys_dagster.papers.scores import Score, ranked

LIST_LENGTH = 20
"""Length of the lists of paper 002."""
METRICS = (MetricKey("ndcg", 5), MetricKey("recall", LIST_LENGTH), MetricKey("mrr", LIST_LENGTH))
"""What paper 002 reports of its lists."""


def all_timed(experiment: Experiment) -> Interactions | None:
    """Return the pairs of all folds that have a time; None if none has one."""
    pairs = Interactions.concatenate(experiment.data.train, experiment.data.validation, experiment.test)
    return None if pairs.times is None else pairs.where(pairs.times > UNKNOWN_TIME)


def last_items(experiment: Experiment, *, ties_by_index: bool = False) -> Experiment | None:
    """Return the experiment with each user's last item as the test fold and the one before it as validation.

    Args:
        experiment: its folds are put together and split anew.
        ties_by_index: order items of one moment by their index, not at random.

    Returns:
        The experiment without the pairs that have no time; None if no pair has one.
    """
    pairs = all_timed(experiment)
    if pairs is None or pairs.times is None:
        return None
    if ties_by_index:
        pairs = replace(pairs, times=pairs.times * experiment.data.n_items + pairs.items)
    histories = Histories.of(pairs, experiment.n_users)
    from_end = np.empty(len(pairs), dtype=np.int64)
    from_end[histories.order] = histories.places_from_end
    held_out = from_end + 3 * (np.diff(histories.offsets)[pairs.users] < 3)
    test, validation = (pairs.where(held_out == place) for place in (0, 1))
    return experiment.on(test, train=pairs.where(held_out > 1), validation=validation)


def next_items(experiment: Experiment) -> Experiment | None:
    """Return the experiment with only the first item of each user in the test fold, in order of time.

    Returns:
        None if the test fold is not later than the training fold: its first item would not be the next one.
    """
    train, test = experiment.data.train.times, experiment.test.times
    if train is None or test is None or test.min() <= train.max():
        return None
    histories = Histories.of(experiment.test, experiment.n_users)
    first = np.zeros(len(experiment.test), dtype=bool)
    first[histories.order[histories.places == 0]] = True
    return experiment.on(experiment.test.where(first))


def upcoming_items(experiment: Experiment) -> Experiment | None:
    """Return the experiment with only the next item of each user in the test fold; None if no pair has a time.

    Where the folds are cut by time, that is the first item of the test fold. Else it is the last item of each user,
    after all others of that user.
    """
    return next_items(experiment) or last_items(experiment)


def sequences(experiment: Experiment, share: float, length: int) -> Experiment | None:
    """Return the experiment as paper 002 makes it: all histories cut into sequences, some with the last item held out.

    A history is cut into pieces of `length` items from its end backwards; a piece of fewer than two items is
    dropped. Each piece counts as a user. A share of the pieces, drawn by the seed, is held out: their last item is the
    test fold, their other items stay in the training fold as history. So models learn from the future of a user, in
    pieces that are not held out.

    Returns:
        None if no times are known.
    """
    pairs = all_timed(experiment)
    if pairs is None:
        return None
    histories = Histories.of(pairs, experiment.n_users)
    piece = histories.places_from_end // length
    _, sequence = np.unique(histories.users * (piece.max(initial=0) + 1) + piece, return_inverse=True)
    last = histories.places_from_end % length == 0
    counts = np.bincount(sequence)
    held_out = np.random.default_rng(experiment.seed).random(len(counts)) < share
    cut = Interactions(
        sequence.astype(np.int32),
        histories.items,
        np.full(len(pairs), np.nan, dtype=np.float32),
        None if pairs.times is None else pairs.times[histories.order],
    )
    long_enough = counts[sequence] > 1
    tested = last & held_out[sequence] & long_enough
    train = cut.where(long_enough & ~tested)
    return experiment.on(cut.where(tested), train=train, validation=Interactions.empty(), n_users=len(counts))


def next_item_scores(experiment: Experiment, model: Model) -> dict[MetricKey, Score]:
    """Return how well the model finds the one item that each user of the test fold has next, by `METRICS`.

    The lists are made for new users whose histories are the training and validation folds, without their items.
    """
    history = Interactions.concatenate(experiment.data.train, experiment.data.validation)
    test = experiment.test
    users = np.unique(test.users)
    relevant = RelevantPairs.of(np.searchsorted(users, test.users), test.items, experiment.data.n_items)
    blocks = lists_by_history(model, history, users, LIST_LENGTH)
    per_user = rank(blocks, users, relevant, METRICS).per_user
    return {key: ranked(per_user, key, experiment.n_users) for key in METRICS}
