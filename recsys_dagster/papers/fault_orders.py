"""Faults in the order of histories (paper 002): does the order matter, and what becomes of items of one moment?"""

import numpy as np
from numpy.typing import NDArray

from recsys_dagster.evaluation.metrics.metric import MetricKey
from recsys_dagster.evaluation.metrics.ratios import mean
from recsys_dagster.papers.experiment import Experiment, parameters
from recsys_dagster.papers.orders import LIST_LENGTH, METRICS, last_items, next_item_scores
from recsys_dagster.papers.records import FaultRow
from recsys_dagster.papers.scores import per_pair

SMALL = {"units": 32, "max_sequences": 20_000, "epochs": 10}
"""Parameters of a BiLSTM that trains in a minute: only the difference that the order makes to it is measured."""


def shuffled_order(experiment: Experiment) -> list[FaultRow]:
    """Every history is put into random order before training, which shows what the order is worth."""
    lasts = last_items(experiment)
    if lasts is None:
        return []
    honest, faulty = (
        next_item_scores(lasts, lasts.fitted("bilstm", parameters("bilstm", **SMALL, shuffle_order=shuffled)))
        for shuffled in (False, True)
    )
    return [experiment.row("shuffled-order", "002", "bilstm", str(key), honest[key], faulty[key]) for key in METRICS]


def ties_by_index(experiment: Experiment) -> list[FaultRow]:
    """Items of one moment are ordered by their index: guessing the next higher indices is often right."""
    lasts, tied = last_items(experiment), last_items(experiment, ties_by_index=True)
    if lasts is None or tied is None:
        return []
    guesses = [per_pair(is_next_index(one), one.test.users, one.n_users, mean) for one in (lasts, tied)]
    honest, faulty = (
        next_item_scores(one, one.fitted("bilstm", parameters("bilstm", **SMALL))) for one in (lasts, tied)
    )
    fault, recall = ("ties-by-index", "002"), MetricKey("recall", LIST_LENGTH)
    return [
        experiment.row(*fault, "the next 20 indices", str(recall), *guesses),
        experiment.row(*fault, "bilstm", str(recall), honest[recall], faulty[recall]),
    ]


def is_next_index(experiment: Experiment) -> NDArray[np.bool_]:
    """Return (n,) whether the index of the last item is one of the 20 that follow the index of the item before it."""
    before = np.empty(experiment.n_users, dtype=np.int64)
    before[experiment.data.validation.users] = experiment.data.validation.items
    steps = experiment.test.items - before[experiment.test.users]
    return (steps > 0) & (steps <= LIST_LENGTH)
