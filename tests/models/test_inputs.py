"""Models whose inputs can each be taken from another pair."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from recsys_dagster.data.training_data import TrainingData
from recsys_dagster.models.base import Model
from recsys_dagster.models.capabilities import RatingPredictor, SeparableInputs
from recsys_dagster.models.contract_data import N_ITEMS, N_USERS
from recsys_dagster.models.registry import get_model_class, model_names

SEPARABLE = [name for name in model_names() if issubclass(get_model_class(name), SeparableInputs)]
RANDOM = np.random.default_rng(1)
USERS = RANDOM.integers(N_USERS, size=300).astype(np.int32)
ITEMS = RANDOM.integers(N_ITEMS, size=300).astype(np.int32)


def predicted(model: Model) -> np.ndarray:
    return model.predict(USERS, ITEMS) if isinstance(model, RatingPredictor) else model.like_probabilities(USERS, ITEMS)


def in_place(model: Model) -> dict[str, np.ndarray]:
    return {name: USERS if name == "user" else ITEMS for name in model.inputs}


def test_the_models_of_papers_001_and_003_are_among_them() -> None:
    assert {"like_classifier", "like_forest", "like_logistic", "like_naive_bayes", "two_tower"} <= set(SEPARABLE)


@pytest.mark.parametrize("name", SEPARABLE)
def test_with_the_inputs_of_the_pair_itself_the_prediction_is_unchanged(
    name: str, reloaded: Callable[[str], tuple[Model, Path]]
) -> None:
    model, _ = reloaded(name)
    np.testing.assert_allclose(model.predict_from(in_place(model)), predicted(model), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", SEPARABLE)
def test_items_with_the_same_input_are_interchangeable(
    name: str, fitted: Callable[[str], Model], data: TrainingData
) -> None:
    model = fitted(name)
    unknown = np.flatnonzero(np.isnan(data.item_features.years)).astype(np.int32)
    sources = in_place(model)
    sources = {source: np.full(300, unknown[0]) if source != "user" else USERS for source in sources}
    other = {**sources, "year": np.full(300, unknown[1])}
    np.testing.assert_array_equal(model.predict_from(sources), model.predict_from(other))


@pytest.mark.parametrize("name", SEPARABLE)
def test_each_input_changes_some_prediction(name: str, fitted: Callable[[str], Model]) -> None:
    model = fitted(name)
    sources = in_place(model)
    for source, places in sources.items():
        moved = model.predict_from({**sources, source: places[::-1]})
        assert np.abs(moved - predicted(model)).max() > 1e-4, source
