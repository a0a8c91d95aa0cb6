"""Fixtures: the data set of the contract, and each model fitted on it once."""

from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest

from recsys_dagster.data.training_data import TrainingData
from recsys_dagster.models.base import Model
from recsys_dagster.models.contract import Case
from recsys_dagster.models.contract_data import contract_data
from recsys_dagster.models.registry import get_model_class

QUICK_PARAMS: dict[str, dict[str, object]] = {
    "two_tower": {"learning_rate": 0.003, "batch_size": 50, "epochs": 12, "patience": 4},
    "like_classifier": {"batch_size": 100, "epochs": 6, "patience": 2},
    "embedding_mlp": {"batch_size": 100, "epochs": 6, "patience": 2},
    "beta_network_100": {"batch_size": 100, "epochs": 6, "patience": 2},
    "beta_network_128": {"batch_size": 100, "epochs": 6, "patience": 2},
    "beta_network_150": {"batch_size": 100, "epochs": 6, "patience": 2},
    "dropout_mlp": {"batch_size": 100, "epochs": 6, "patience": 2},
    "rating_blend": {"members": ["user_item_bias", "rating_knn", "als"]},
    "stack_linear": {"members": ["user_item_bias", "als"], "folds": 3},
    "stack_ridge": {"members": ["user_item_bias", "als"], "folds": 3},
    "bilstm": {"units": 16, "max_sequences": 500, "epochs": 3, "patience": 2},
    "sasrec": {"units": 16, "window": 10, "negatives": 20, "epochs": 3, "patience": 2},
}
"""Parameters with which a slow model trains in a second or two; the others train with their defaults."""


@cache
def case_of(name: str) -> Case:
    """Return the contract's case of a model, the same for all tests, so no test may change its model."""
    model_class = get_model_class(name)
    return Case(model_class, model_class.params_type(**QUICK_PARAMS.get(name, {})), contract_data())


def new_model(name: str, seed: int = 42) -> Model:
    """Return a model that is not fitted yet, with parameters that train quickly."""
    case = case_of(name)
    return case.model_class(case.params, seed=seed)


@pytest.fixture(scope="session")
def data() -> TrainingData:
    """The data set of the contract."""
    return contract_data()


@pytest.fixture(scope="session")
def fitted() -> Callable[[str], Model]:
    """`fitted(name)`: the model fitted on `data`, once for all tests, so no test may change it."""
    return lambda name: case_of(name).model


@pytest.fixture(scope="session")
def reloaded(
    fitted: Callable[[str], Model], tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str], tuple[Model, Path]]:
    """`reloaded(name)`: the fitted model after saving and loading, and the folder it was saved to."""

    @cache
    def reload(name: str) -> tuple[Model, Path]:
        folder = tmp_path_factory.mktemp(name)
        fitted(name).save(folder)
        return get_model_class(name).load(folder), folder

    return reload
