"""What the base class of all models does by itself."""

import re

import numpy as np
import pytest
from pydantic import ValidationError

from recsys_dagster.data.training_data import TrainingData
from recsys_dagster.errors import RecsysError, UsageError
from recsys_dagster.models.registry import get_model_class, model_names


def test_predictions_that_are_not_numbers_are_refused(data: TrainingData, monkeypatch: pytest.MonkeyPatch) -> None:
    model = get_model_class("user_item_bias")().fit(data)
    monkeypatch.setattr(model, "_predict", lambda users, _items: np.full(len(users), np.nan, np.float32))
    with pytest.raises(RecsysError, match="user_item_bias: predictions are not numbers"):
        model.predict(np.arange(3, dtype=np.int32), np.arange(3, dtype=np.int32))


def test_another_spelling_of_a_parameter_is_accepted_and_counts_as_set() -> None:
    params_type = get_model_class("als").params_type
    spelt = params_type(maxIter=3, regParam=0.5)
    assert spelt == params_type(max_iter=3, reg_param=0.5)
    assert spelt.model_fields_set == {"max_iter", "reg_param"}
    assert get_model_class("like_logistic").params_type(C=2).inverse_penalty == 2
    with pytest.raises(ValidationError, match="maxIter is another spelling of max_iter: give one of them"):
        params_type(maxIter=3, max_iter=4)


def test_a_parameter_that_is_set_to_its_default_differs_from_one_that_is_not_set() -> None:
    params_type = get_model_class("ease").params_type
    default = params_type().dropout
    assert params_type(dropout=default).model_fields_set == {"dropout"}
    assert params_type().model_fields_set == set()


@pytest.mark.parametrize("name", model_names())
def test_the_parameters_of_all_models_are_named_in_one_style(name: str) -> None:
    for parameter in get_model_class(name).params_type.model_fields:
        assert re.fullmatch(r"[a-z][a-z0-9]*(_[a-z0-9]+)*", parameter)


def test_a_preset_is_found_by_name_and_an_unknown_one_is_answered_with_the_known() -> None:
    model_class = get_model_class("embedding_mlp")
    assert model_class.preset("default") == model_class.params_type()
    assert model_class.preset("paper_anime").epochs == model_class.preset("paper-anime").epochs == 100
    with pytest.raises(UsageError, match="embedding_mlp has no preset 'plain'; known: default, paper_anime, "):
        model_class.preset("plain")
