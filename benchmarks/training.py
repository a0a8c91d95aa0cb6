"""How many ratings a second `embedding_mlp` learns from, beside plain `model.fit` over the same NumPy arrays."""

import os
from dataclasses import replace
from typing import Any

import numpy as np

from benchmarks import samples
from benchmarks.figures import Figure, at_least, at_most
from benchmarks.measuring import Measurement, measure
from benchmarks.sizes import ANIME_2020, Size
from recsys_dagster.data.interactions import Interactions
from recsys_dagster.data.training_data import TrainingData
from recsys_dagster.models.registry import get_model_class
from recsys_dagster.runtime.resource_usage import ResourceUsage, track_resources
from recsys_dagster.warehouse.arrays import load_training_data

TITLE = "Training"
BATCH, EPOCHS = 10_000, 3
BACKENDS = ("tensorflow", "jax")


def ours(backend: str, ratings: int) -> tuple[ResourceUsage, dict[str, Any]]:
    """`fit`, from arrays to weights; what a first fit compiles once and for all is compiled before."""
    model, data = _model_and_data(backend, ratings)
    with track_resources() as usage:
        model.fit(data)
    return usage, {"loss": model.history_["loss"][0], "examples": EPOCHS * len(data.train.rated)}


def plain(backend: str, ratings: int) -> tuple[ResourceUsage, dict[str, Any]]:
    """The same network, optimiser, batches and epochs by Keras's own loop, nothing set but what the task asks for."""
    model, data = _model_and_data(backend, ratings)
    import keras

    keras.utils.set_random_seed(model.seed)
    rated = data.train.rated
    with track_resources() as usage:
        network = model.build_network(data.n_users, data.n_items)
        network.layers[-1].bias.assign([rated.ratings.mean()])
        network.compile(optimizer=keras.optimizers.Adam(model.params.learning_rate), loss=model.loss)
        history = network.fit(
            [rated.users, rated.items], rated.ratings, batch_size=BATCH, epochs=EPOCHS, verbose=0
        ).history
    return usage, {"loss": history["loss"][0], "examples": EPOCHS * len(rated)}


def figures(size: Size) -> list[Figure]:
    """Examples a second of both on each backend, and whether the first epoch ends at the same loss."""
    found = []
    for backend in BACKENDS:
        mine, theirs = (measure(way, backend=backend, ratings=size.training) for way in (ours, plain))
        asked = f"embedding_mlp on {backend}, batch {BATCH:,}, {mine.facts['examples'] // EPOCHS:,} ratings"
        difference = abs(mine.facts["loss"] / theirs.facts["loss"] - 1)
        found += [
            at_least(f"{asked}: ratings a second", _speed(mine) / _speed(theirs), 1.5, "× model.fit", mine, theirs),
            Figure(f"{asked}: ratings a second", f"{_speed(mine) / 1e6:.2f} M/s", "", None, (mine, theirs)),
            at_most(f"{asked}: loss of the first epoch, difference", difference, 0.02, "of it", mine, theirs),
        ]
    return found


def _speed(measurement: Measurement) -> float:
    return measurement.facts["examples"] / measurement.usage.wall_seconds


def _model_and_data(backend: str, ratings: int) -> tuple[Any, TrainingData]:
    """Return the model, and data without a validation fold, once the backend is loaded and warm."""
    os.environ["KERAS_BACKEND"] = backend
    domain = samples.domain_of(ANIME_2020[0])
    data = load_training_data(samples.featured(ANIME_2020[0], ratings), domain).with_all(Interactions.empty())
    cls = get_model_class("embedding_mlp")
    params = {"batch_size": BATCH, "patience": None}
    few = data.train.where(np.arange(len(data.train)) < BATCH)
    cls(cls.params_type(**params, epochs=1)).fit(replace(data, train=few))
    return cls(cls.params_type(**params, epochs=EPOCHS)), data
