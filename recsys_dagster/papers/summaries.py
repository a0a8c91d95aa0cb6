"""Summarise the network of a fitted model layer by layer, as the readers of the papers saw it."""

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from recsys_dagster.models.base import Model
from recsys_dagster.models.classifiers.like_classifier import LikeClassifier
from recsys_dagster.models.classifiers.like_classifier import build_network as build_like_network
from recsys_dagster.models.classifiers.likes import ItemInputs
from recsys_dagster.models.networks.rating_network import RatingNetwork
from recsys_dagster.models.networks.two_tower import TwoTower, build_tower
from recsys_dagster.models.sequences.bilstm import BiLstm
from recsys_dagster.models.sequences.bilstm import build_network as build_sequence_network

if TYPE_CHECKING:
    from recsys_dagster.data.training_data import TrainingData

PRINTED_PARAMETERS = {
    "embedding_mlp": 1_637_129,
    "like_classifier": 1_061_021,
    "two_tower": 48_288,
    "dropout_mlp": 10_822_249,
}
"""By model, the number of parameters that its paper prints: for its own numbers of users and items; of one tower."""


class Layer(NamedTuple):
    """A layer of a network.

    Attributes:
        name: what it does and, where it has one, its width, such as `dense 100`.
        parameters: number of trained numbers.
    """

    name: str
    parameters: int


def network_layers(model: Model, data: "TrainingData") -> list[Layer]:
    """Return the layers of a fitted model with parameters, first to last; none for a model without a network.

    Args:
        model: a fitted model.
        data: what it was fitted on.
    """
    return [
        Layer(f"{prefix}{_kind(layer)}{_width(layer)}", int(layer.count_params()))
        for prefix, network in _networks(model, data)
        for layer in network.layers
        if layer.count_params()
    ]


def _networks(model: Model, data: "TrainingData") -> list[tuple[str, Any]]:
    """Return the networks of a model as it builds them, each with what to put before the names of its layers."""
    if isinstance(model, RatingNetwork):
        return [("", model.build_network(data.n_users, data.n_items))]
    if isinstance(model, LikeClassifier):
        sizes = (data.n_users, *ItemInputs.of(data.item_features).sizes)
        return [("", build_like_network(sizes, model.params.input_dropout, model.params.hidden_dropout))]
    if isinstance(model, TwoTower):
        towers = (("user: ", model.user_tower_), ("item: ", model.item_tower_))
        return [(prefix, build_tower(len(weights[0]))) for prefix, weights in towers]
    if isinstance(model, BiLstm):
        return [("", build_sequence_network(model.params, np.zeros(data.n_items + 1, np.float32), seed=0)[0])]
    return []


def _kind(layer: Any) -> str:
    return type(layer).__name__.lower()


def _width(layer: Any) -> str:
    shape = layer.output.shape
    return f" {shape[-1]}" if len(shape) > 1 and shape[-1] is not None else ""
