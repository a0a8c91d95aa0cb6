"""Fit a model on all pairs, also a model that needs held-out pairs to stop early."""

import contextlib
from dataclasses import replace

import numpy as np

from recsys_dagster.data.interactions import Interactions
from recsys_dagster.data.training_data import TrainingData
from recsys_dagster.errors import RecsysError
from recsys_dagster.models.base import Model
from recsys_dagster.models.capabilities import EarlyStopping, RatingPredictor
from recsys_dagster.models.ensembles.ensemble import REHEARSAL
from recsys_dagster.models.params import Params

VALIDATION_SHARE = 0.1


def fit_on_all(model_class: type[Model], data: TrainingData, *, seed: int, params: Params | None = None) -> Model:
    """Return a model fitted on all of `data.train`.

    An `EarlyStopping` model is fitted twice: first without a random tenth of the pairs, on which it stops early, then
    on all pairs for as long as the first fit found best. If its parameters have no patience, it is fitted once.

    Args:
        model_class: the model.
        data: the training data; its validation fold is not used.
        seed: seed of the model and of the held-out tenth.
        params: parameters of the model; None: its defaults.
    """
    first, model = None, model_class(params, seed=seed)
    if isinstance(model, EarlyStopping) and getattr(model.params, "patience", 0) is not None:
        first = model.fit(hold_out(data, seed=seed))
        model = model_class(first.refit_params(), seed=seed)
    model.fit(replace(data, validation=Interactions.empty()))
    if isinstance(first, RatingPredictor) and isinstance(model, RatingPredictor):
        model.calibrate_like(first, data)
    return model


def calibrate_on_hold_out(model: Model, data: TrainingData) -> None:
    """Give a rating model that was fitted on all of `data.train` an interval, by a second fit without a tenth of it.

    Where the model has the preset `rehearsal`, the second fit is by that, which is faster and errs little more. A model
    that has an interval already keeps it; one that cannot be fitted without that tenth has none.
    """
    if isinstance(model, RatingPredictor) and not model.has_interval:
        params = model.presets.get(REHEARSAL, model.refit_params())
        with contextlib.suppress(RecsysError):
            first = type(model)(params, seed=model.seed).fit(hold_out(data, seed=model.seed))
            model.calibrate_like(first, data)


def hold_out(data: TrainingData, *, seed: int, part: int = 0) -> TrainingData:
    """Return the data with a random tenth of the training pairs in place of the validation fold.

    Args:
        data: the training data; its validation fold is not used.
        seed: of the draw.
        part: which tenth, from 0 to 9; no two have a pair in common.
    """
    draws = np.random.default_rng(seed).random(len(data.train))
    held_out = (part * VALIDATION_SHARE <= draws) & (draws < (part + 1) * VALIDATION_SHARE)
    return replace(data, train=data.train.where(~held_out), validation=data.train.where(held_out))
