"""Recommenders under one contract: fitted on arrays in index space, saved and loaded without pickles.

Importing this package imports no library that trains; `model_class` imports the one model that is asked for.
"""

from recsys_dagster.models.base import Model, Params, TopN
from recsys_dagster.models.budget import Budget, Estimate, Size
from recsys_dagster.models.decisions import Decision
from recsys_dagster.models.likes import LikeModel
from recsys_dagster.models.outcomes import (
    LeftOutError,
    Outcome,
    State,
    attempt,
    read_outcome,
    read_outcomes,
    write_outcome,
)
from recsys_dagster.models.refit import fit_on_all
from recsys_dagster.models.registry import REGISTRY, model_class, model_names
from recsys_dagster.models.sequences import Histories
from recsys_dagster.models.store import ModelRecord, ModelStore
from recsys_dagster.models.tuned import Tuned, read_tuned, tuned_path, write_tuned

__all__ = [
    "REGISTRY",
    "Budget",
    "Decision",
    "Estimate",
    "Histories",
    "LeftOutError",
    "LikeModel",
    "Model",
    "ModelRecord",
    "ModelStore",
    "Outcome",
    "Params",
    "Size",
    "State",
    "TopN",
    "Tuned",
    "attempt",
    "fit_on_all",
    "model_class",
    "model_names",
    "read_outcome",
    "read_outcomes",
    "read_tuned",
    "tuned_path",
    "write_outcome",
    "write_tuned",
]
