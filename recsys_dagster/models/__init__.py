"""Recommenders under one contract: fitted on arrays in index space, saved and loaded without pickles.

Importing this package imports no library that trains; `model_class` imports the one model that is asked for.
"""

from recsys_dagster.models.base import Model, Params, TopN
from recsys_dagster.models.refit import fit_on_all
from recsys_dagster.models.registry import REGISTRY, model_class, model_names
from recsys_dagster.models.store import ModelRecord, ModelStore

__all__ = [
    "REGISTRY",
    "Model",
    "ModelRecord",
    "ModelStore",
    "Params",
    "TopN",
    "fit_on_all",
    "model_class",
    "model_names",
]
