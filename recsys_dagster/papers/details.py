"""Give what the readers of the papers saw beside the figures: learning curves, layers, weights, ratings learnt from."""

from collections.abc import Iterator, Mapping

import numpy as np

from recsys_dagster.data.interactions import Interactions
from recsys_dagster.models.params import Params
from recsys_dagster.papers.experiment import Experiment
from recsys_dagster.papers.records import DetailKind, PaperDetail
from recsys_dagster.papers.summaries import network_layers


def fit_details(
    paper: str, system: str, experiment: Experiment, name: str, params: Params | None
) -> Iterator[PaperDetail]:
    """Give the learning curves and the layers of a model that the experiment has fitted; nothing without a network."""
    model = experiment.fitted(name, params)
    for curve, values in model.history_.items():
        for epoch, value in enumerate(values, start=1):
            yield PaperDetail(paper, system, experiment.dataset, DetailKind.CURVE, curve, epoch, value)
    for place, layer in enumerate(network_layers(model, experiment.data), start=1):
        yield PaperDetail(paper, system, experiment.dataset, DetailKind.LAYER, layer.name, place, layer.parameters)


def rating_counts(paper: str, system: str, dataset: str, learnt: Interactions) -> Iterator[PaperDetail]:
    """Give how often each rating is in what a system learnt from."""
    for rating, count in zip(*np.unique(learnt.ratings, return_counts=True), strict=True):
        yield PaperDetail(paper, system, dataset, DetailKind.RATINGS, "training", float(rating), float(count))


def stack_weights(
    paper: str, system: str, dataset: str, protocol: str, weights: Mapping[str, float]
) -> Iterator[PaperDetail]:
    """Give the weights of a stack under a protocol, `published` or `honest`, by member, and its intercept."""
    for place, (member, weight) in enumerate(weights.items(), start=1):
        yield PaperDetail(paper, system, dataset, DetailKind.WEIGHT, f"{member}, {protocol}", place, weight)
