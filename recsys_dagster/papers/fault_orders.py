"""Faults in the order of what people watched (002): does it matter, and what is made of titles of one moment?"""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from recsys_dagster.evaluation import mean
from recsys_dagster.interactions import Interactions
from recsys_dagster.models import Histories, Model
from recsys_dagster.papers.experiment import Experiment, parameters
from recsys_dagster.papers.records import FaultRow
from recsys_dagster.papers.scores import Score, per_pair

LIST_LENGTH = 20


def shuffled_order(experiment: Experiment) -> list[FaultRow]:
    """Every history is put into a random order before anything is learnt from it: what was order worth?"""
    lasts = last_titles(experiment)
    if lasts is None:
        return []
    honest, faulty = (
        lasts.fitted("bilstm", parameters("bilstm", shuffle_order=shuffled)) for shuffled in (False, True)
    )
    return [
        experiment.row("shuffled-order", "002", "bilstm", metric, of(lasts, honest), of(lasts, faulty))
        for metric, of in (("recall@20", recall), ("mrr@20", reciprocal_rank))
    ]


def ties_by_index(experiment: Experiment) -> list[FaultRow]:
    """Titles of one moment stand in the order of their index: who guesses the next higher indices is often right."""
    if experiment.test.times is None:
        return []
    lasts = last_titles(experiment)
    tied = last_titles(experiment, ties_by_index=True)
    if lasts is None or tied is None:
        return []
    guesses = [per_pair(next_indices(one), one.test.users, one.n_users, mean) for one in (lasts, tied)]
    return [
        experiment.row("ties-by-index", "002", "the next 20 indices", "recall@20", *guesses),
        experiment.row(
            "ties-by-index", "002", "bilstm", "recall@20", *(recall(one, one.fitted("bilstm")) for one in (lasts, tied))
        ),
    ]


def last_titles(experiment: Experiment, *, ties_by_index: bool = False) -> Experiment | None:
    """Return the experiment with each user's last title as the test fold and the one before it as validation.

    Args:
        experiment: whose folds are put together and divided anew.
        ties_by_index: order titles of one moment by their index, not by chance.

    Returns:
        None where no times are known; pairs without a time are left out.
    """
    pairs = Interactions.concatenate(experiment.data.train, experiment.data.validation, experiment.test)
    if pairs.times is None:
        return None
    pairs = pairs.where(pairs.times > np.iinfo(np.int64).min)
    if ties_by_index and pairs.times is not None:
        pairs = replace(pairs, times=pairs.times * experiment.data.n_items + pairs.items)
    histories = Histories.of(pairs, experiment.n_users)
    from_end = np.empty(len(pairs), dtype=np.int64)
    from_end[histories.order] = histories.places_from_end
    lengths = np.diff(histories.offsets)[pairs.users]
    test, validation = (pairs.where((from_end == place) & (lengths > 2)) for place in (0, 1))
    return experiment.on(test, train=pairs.where((from_end > 1) | (lengths <= 2)), validation=validation)


def places(experiment: Experiment, model: Model) -> NDArray[np.int64]:
    """Return (n,) the place, from 0, of each pair of the test fold in its user's list; `LIST_LENGTH` if it is not there."""
    history = Interactions.concatenate(experiment.data.train, experiment.data.validation)
    unstated = np.full((experiment.n_users, experiment.data.titles.genres.shape[1]), np.nan, dtype=np.float32)
    lists = model.recommend_for(LIST_LENGTH, history, unstated).items[experiment.test.users]
    hits = lists == experiment.test.items[:, None]
    return np.where(hits.any(axis=1), hits.argmax(axis=1), LIST_LENGTH)


def recall(experiment: Experiment, model: Model) -> Score:
    """Return how often the last title is in the list of 20 made of what came before it."""
    found = places(experiment, model) < LIST_LENGTH
    return per_pair(found, experiment.test.users, experiment.n_users, mean)


def reciprocal_rank(experiment: Experiment, model: Model) -> Score:
    """Return the mean of 1 / rank of the last title in the list of 20 made of what came before it, 0 if it is not there."""
    place = places(experiment, model)
    ranks = np.where(place < LIST_LENGTH, 1 / (place + 1.0), 0.0)
    return per_pair(ranks, experiment.test.users, experiment.n_users, mean)


def next_indices(experiment: Experiment) -> NDArray[np.bool_]:
    """Return (n,) whether the last title's index is one of the 20 that follow the index of the title before it."""
    before = np.empty(experiment.n_users, dtype=np.int64)
    before[experiment.data.validation.users] = experiment.data.validation.items
    steps = experiment.test.items - before[experiment.test.users]
    return (steps > 0) & (steps <= LIST_LENGTH)
