"""Faults in the inputs of the two towers of paper 003, each switched on alone."""

from dataclasses import replace

import numpy as np

from recsys_dagster.data.items import ItemFeatures
from recsys_dagster.evaluation.metrics.ratios import mean
from recsys_dagster.models.base import Model
from recsys_dagster.models.registry import get_model_class
from recsys_dagster.papers.experiment import Experiment, parameters
from recsys_dagster.papers.records import FaultRow
from recsys_dagster.papers.scores import Score

MODEL = "two_tower_as_published"
HONEST = {"leaky_tastes": False, "leaky_scalers": False, "unrated_as_zero": False}
EPOCHS = 10


def leaky_tastes(experiment: Experiment) -> list[FaultRow]:
    """A user's mean rating of each genre is computed from all ratings, including those to be predicted."""
    return _switched(experiment, "leaky-tastes", leaky_tastes=True)


def leaky_scalers(experiment: Experiment) -> list[FaultRow]:
    """The scalers of the inputs are fitted to all ratings, including those to be predicted."""
    return _switched(experiment, "leaky-scalers", leaky_scalers=True)


def unrated_as_zero(experiment: Experiment) -> list[FaultRow]:
    """A genre that a user never rated counts as rated 0, which is below the scale."""
    return _switched(experiment, "unrated-as-zero", unrated_as_zero=True)


def genre_by_substring(experiment: Experiment) -> list[FaultRow]:
    """An item has every genre whose name is part of its genres' text: "Shounen Ai" makes it "Shounen" too."""
    items = experiment.data.item_features
    wrong = substring_genres(items)
    if wrong.genres.nnz == items.genres.nnz:
        return []
    n_wrong = int(np.count_nonzero(np.diff(wrong.genres.indptr) > np.diff(items.genres.tocsr().indptr)))
    honest = two_towers(experiment)
    faulty = two_towers(experiment.on(item_features=wrong))
    return [
        experiment.count("genre-by-substring", "003", "items", "with a wrong genre", 0, n_wrong),
        experiment.row(
            "genre-by-substring",
            "003",
            "two_tower",
            "mse_scaled",
            scaled_mse(experiment, honest),
            scaled_mse(experiment, faulty),
        ),
    ]


def _switched(experiment: Experiment, fault: str, **on: bool) -> list[FaultRow]:
    honest, faulty = two_towers(experiment), two_towers(experiment, **on)
    return [
        experiment.row(fault, "003", "two_tower", "rmse", experiment.errors(honest), experiment.errors(faulty)),
        experiment.row(
            fault, "003", "two_tower", "mse_scaled", scaled_mse(experiment, honest), scaled_mse(experiment, faulty)
        ),
    ]


def two_towers(experiment: Experiment, **on: bool) -> Model:
    """Return the two towers after `EPOCHS` epochs on the training fold, with the faults of these names switched on.

    The test fold is given as validation fold, for the faults to leak from.
    """
    params = parameters(MODEL, epochs=EPOCHS, patience=None, **{**HONEST, **on})
    data = replace(experiment.data, validation=experiment.test)
    return experiment.once(f"{MODEL} {on}", lambda: get_model_class(MODEL)(params, seed=experiment.seed).fit(data))


def scaled_mse(experiment: Experiment, model: Model) -> Score:
    """Return the MSE of ratings mapped from the scale to [-1, 1], as the paper prints it."""
    return scaled(experiment.errors(model, mean), experiment.scale)


def scaled(squared: Score, scale: tuple[float, float]) -> Score:
    """Map squared errors of ratings on the scale to those of ratings on [-1, 1]."""
    low, high = scale
    return replace(squared, totals=squared.totals * (2 / (high - low)) ** 2)


def substring_genres(items: ItemFeatures) -> ItemFeatures:
    """Add to each item every genre whose name is part of the name of one of its genres."""
    names = items.genre_names
    part_of = np.array([[name in whole for name in names] for whole in names], dtype=np.float32)
    genres = (items.genres @ part_of > 0).astype(np.float32)
    return replace(items, genres=type(items.genres)(genres))
