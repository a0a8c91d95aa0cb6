"""Training speed of `embedding_mlp`, compared with plain `model.fit` over the same NumPy arrays."""

import os
from dataclasses import replace
from typing import Any

import numpy as np

from benchmarks import samples
from benchmarks.measurement import Measurement, measure
from benchmarks.result import Result, at_least, at_most, without_target
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
    """Fit our model; what the first fit compiles is compiled beforehand."""
    model, data = _model_and_data(backend, ratings)
    with track_resources() as usage:
        model.fit(data)
    return usage, {"loss": model.history_["loss"][0], "examples": EPOCHS * len(data.train.rated)}


def plain(backend: str, ratings: int) -> tuple[ResourceUsage, dict[str, Any]]:
    """Fit the same network by Keras's own loop, with the same optimiser, batches and epochs."""
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


def results(size: Size) -> list[Result]:
    """Return the speed of both on each backend, and the difference of their losses after one epoch."""
    rows = []
    for backend in BACKENDS:
        mine, theirs = (measure(function, backend=backend, ratings=size.training) for function in (ours, plain))
        description = f"embedding_mlp on {backend}, batch {BATCH:,}, {mine.facts['examples'] // EPOCHS:,} ratings"
        speed = f"{description}: ratings per second"
        difference = abs(mine.facts["loss"] / theirs.facts["loss"] - 1)
        rows += [
            at_least(speed, _speed(mine) / _speed(theirs), 1.5, "× model.fit", mine, theirs),
            without_target(speed, f"{_speed(mine) / 1e6:.2f} M/s", mine, theirs),
            at_most(
                f"{description}: relative difference of the first epoch's loss", difference, 0.02, "", mine, theirs
            ),
        ]
    return rows


def _speed(measurement: Measurement) -> float:
    return measurement.facts["examples"] / measurement.usage.wall_seconds


def _model_and_data(backend: str, ratings: int) -> tuple[Any, TrainingData]:
    """Return the model, and data without a validation fold, after the backend was loaded and has compiled the model."""
    os.environ["KERAS_BACKEND"] = backend
    data = load_training_data(samples.featured(ANIME_2020[0], ratings)).with_all(Interactions.empty())
    model_class = get_model_class("embedding_mlp")
    params = {"batch_size": BATCH, "patience": None}
    few = data.train.where(np.arange(len(data.train)) < BATCH)
    model_class(model_class.params_type(**params, epochs=1)).fit(replace(data, train=few))
    return model_class(model_class.params_type(**params, epochs=EPOCHS)), data
