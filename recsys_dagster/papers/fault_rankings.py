"""Faults in what is recommended (papers 000, 004), and in the size of a network (paper 004)."""

import numpy as np

from recsys_dagster.data.list_lengths import SHORT_LIST
from recsys_dagster.evaluation.metrics.ratios import mean
from recsys_dagster.evaluation.metrics.registry import CHOOSING_METRIC
from recsys_dagster.models.base import Model
from recsys_dagster.papers.experiment import Experiment, parameters
from recsys_dagster.papers.records import FaultRow
from recsys_dagster.papers.scores import Score, per_pair

EMBEDDING_SIZE = 100


def rating_alone(experiment: Experiment) -> list[FaultRow]:
    """Items are ranked by predicted rating alone, however few ratings an item has."""
    fault = "rating-alone", "000, 004"
    popular = experiment.ranking(experiment.fitted("popularity"))
    rows = [experiment.count(*fault, "popularity", str(CHOOSING_METRIC), popular.value, popular.value)]
    for name in ("embedding_mlp", "als"):
        models = [experiment.fitted(name), experiment.fitted(name, parameters(name, popularity_weight=0.0))]
        honest, faulty = (experiment.ranking(model) for model in models)
        rows += [
            experiment.row(*fault, name, str(CHOOSING_METRIC), honest, faulty),
            experiment.row(*fault, name, "ratings of a listed item", *(support(experiment, model) for model in models)),
        ]
    return rows


def ids_by_largest(experiment: Experiment) -> list[FaultRow]:
    """An embedding has a row for each number up to the largest id; those of ids that no item has are never trained."""
    contiguous, largest = len(experiment.item_ids), int(experiment.item_ids.max()) + 1
    fault = "ids-by-largest", "004", "dropout_mlp"
    return [
        experiment.count(*fault, "rows of the item embedding", contiguous, largest),
        experiment.count(
            *fault, "MB of the item embedding", *(rows * EMBEDDING_SIZE * 4 / 1e6 for rows in (contiguous, largest))
        ),
    ]


def support(experiment: Experiment, model: Model) -> Score:
    """Return the mean number of training pairs of the items in the lists of all users of the test fold."""
    users = np.unique(experiment.test.users)
    items = model.recommend(users, SHORT_LIST).items
    is_item = items >= 0
    users_of_items = np.repeat(users, is_item.sum(axis=1))
    return per_pair(model.popularity_[items[is_item]], users_of_items, experiment.n_users, mean)
