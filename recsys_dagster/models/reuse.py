"""Fit a model once where several steps of a run need it: on its own, and as a member of ensembles."""

from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import joblib

from recsys_dagster.data.training_data import TrainingData
from recsys_dagster.models.base import STATE_FILE, Model
from recsys_dagster.runtime.resource_usage import ResourceUsage, charge

AnyModel = TypeVar("AnyModel", bound=Model)


@dataclass(frozen=True)
class _StoredFit:
    """A fitted model on disk.

    Attributes:
        folder: where `Model.save` wrote it.
        usage: resource usage of the fit.
    """

    folder: Path
    usage: ResourceUsage


_STORED: dict[str, _StoredFit] = {}
"""The fits of this process by model, parameters, seed and data."""


def remember(model: Model, data: TrainingData, folder: Path, usage: ResourceUsage) -> None:
    """Let `fit_or_load` load this fitted model instead of fitting an equal one.

    Args:
        model: fitted on the data.
        data: what it was fitted on.
        folder: where it was saved.
        usage: resource usage of the fit.
    """
    _STORED[_key(model, data)] = _StoredFit(folder, usage)


def fit_or_load(model: AnyModel, data: TrainingData) -> AnyModel:
    """Return the model fitted on the data.

    It is loaded if one with the same parameters, seed and data was remembered in this process and is still on disk; the
    usage of its fit is charged again, so that a model costs the same whether it is fitted first or last.
    """
    stored = _STORED.get(_key(model, data))
    if stored is None or not (stored.folder / STATE_FILE).exists():
        return model.fit(data)
    charge(stored.usage)
    return type(model).load(stored.folder)


def _key(model: Model, data: TrainingData) -> str:
    """Return a hash of all that a fit depends on."""
    key: str = joblib.hash([model.name, model.params.model_dump(), model.seed, *data.contents], hash_name="sha1")
    return key
