"""Faults in the order of what people watched (002): does it matter, and what is made of titles of one moment?"""

import numpy as np
from numpy.typing import NDArray

from recsys_dagster.evaluation.metrics.metric import MetricKey
from recsys_dagster.evaluation.metrics.ratios import mean
from recsys_dagster.papers.experiment import Experiment, parameters
from recsys_dagster.papers.orders import LIST_LENGTH, METRICS, last_titles, next_item_scores
from recsys_dagster.papers.records import FaultRow
from recsys_dagster.papers.scores import per_pair

SMALL = {"units": 32, "max_sequences": 5_000, "epochs": 15}
"""A BiLSTM that trains in a minute: what counts is the difference that the order makes to it."""


def shuffled_order(experiment: Experiment) -> list[FaultRow]:
    """Every history is put into a random order before anything is learnt from it: what was order worth?"""
    lasts = last_titles(experiment)
    if lasts is None:
        return []
    models = [
        lasts.fitted("bilstm", parameters("bilstm", **SMALL, shuffle_order=shuffled)) for shuffled in (False, True)
    ]
    honest, faulty = (next_item_scores(lasts, model) for model in models)
    return [experiment.row("shuffled-order", "002", "bilstm", str(key), honest[key], faulty[key]) for key in METRICS]


def ties_by_index(experiment: Experiment) -> list[FaultRow]:
    """Items of one moment stand in the order of their index: who guesses the next higher indices is often right."""
    lasts, tied = last_titles(experiment), last_titles(experiment, ties_by_index=True)
    if lasts is None or tied is None:
        return []
    guesses = [per_pair(next_indices(one), one.test.users, one.n_users, mean) for one in (lasts, tied)]
    honest, faulty = (
        next_item_scores(one, one.fitted("bilstm", parameters("bilstm", **SMALL))) for one in (lasts, tied)
    )
    recall = MetricKey("recall", LIST_LENGTH)
    fault = "ties-by-index", "002"
    return [
        experiment.row(*fault, "the next 20 indices", str(recall), *guesses),
        experiment.row(*fault, "bilstm", str(recall), honest[recall], faulty[recall]),
    ]


def next_indices(experiment: Experiment) -> NDArray[np.bool_]:
    """Return (n,) whether the last title's index is one of the 20 that follow the index of the title before it."""
    before = np.empty(experiment.n_users, dtype=np.int64)
    before[experiment.data.validation.users] = experiment.data.validation.items
    steps = experiment.test.items - before[experiment.test.users]
    return (steps > 0) & (steps <= LIST_LENGTH)
