import optuna
import pytest
from pydantic import ValidationError

from recsys_dagster.models.registry import get_model_class, model_names
from recsys_dagster.models.search_space import Real, Whole

SEARCHED = [
    (name, parameter, choices)
    for name in model_names()
    for parameter, choices in get_model_class(name).params_type.searched.items()
]


@pytest.mark.parametrize(("name", "parameter", "choices"), SEARCHED)
def test_what_may_be_tried_of_a_parameter_is_valid_and_holds_its_default(name, parameter, choices):
    params_type = get_model_class(name).params_type
    assert choices.low <= getattr(params_type(), parameter) <= choices.high
    for edge in (choices.low, choices.high):
        try:
            assert getattr(params_type(**{parameter: edge}), parameter) == edge
        except ValidationError as error:
            pytest.fail(f"{name} does not take {parameter} = {edge}: {error}")


@pytest.mark.parametrize(
    ("choices", "value_type"), [(Real(0.1, 10, log=True), float), (Real(0, 1), float), (Whole(8, 128, log=True), int)]
)
def test_choices_are_drawn_from_the_range_in_its_type(choices, value_type):
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=1))
    drawn = [choices.suggest(study.ask(), "x") for _ in range(50)]
    assert all(type(value) is value_type and choices.low <= value <= choices.high for value in drawn)
    middle = (choices.low * choices.high) ** 0.5 if choices.log else (choices.low + choices.high) / 2
    assert 10 < sum(value < middle for value in drawn) < 40
