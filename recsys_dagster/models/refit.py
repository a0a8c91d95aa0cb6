"""Learning from every pair there is, also where it is to be found out when to stop."""

from dataclasses import replace

import numpy as np

from recsys_dagster.data.interactions import Interactions
from recsys_dagster.data.training_data import TrainingData
from recsys_dagster.models.base import Model, Params
from recsys_dagster.models.capabilities import EarlyStopping

VALIDATION_SHARE = 0.1


def fit_on_all(kind: type[Model], data: TrainingData, *, seed: int, params: Params | None = None) -> Model:
    """Return a model fitted on all of `data.train`.

    A model that learns from a validation fold how long to train is fitted twice: without a random tenth of the pairs,
    drawn by the seed, on which it stops early; then on all of them, for as long as that was best. One whose parameters
    have no patience never stops early, and is fitted once.

    Args:
        kind: the model.
        data: its validation fold is not looked at.
        seed: of the model and of the tenth that is held out.
        params: of the model; None: its defaults.
    """
    model = kind(params, seed=seed)
    if issubclass(kind, EarlyStopping) and getattr(model.params, "patience", 0) is not None:
        model = kind(model.fit(hold_out(data, seed=seed)).refit_params(), seed=seed)
    return model.fit(replace(data, validation=Interactions.empty()))


def hold_out(data: TrainingData, *, seed: int) -> TrainingData:
    """Return the data with a random tenth of the training pairs, drawn by the seed, in place of the validation fold."""
    held_out = np.random.default_rng(seed).random(len(data.train)) < VALIDATION_SHARE
    return replace(data, train=data.train.where(~held_out), validation=data.train.where(held_out))
