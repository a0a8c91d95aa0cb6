"""Every model of the registry keeps the contract, and the contract notices a model that does not."""

import re
from collections.abc import Callable

import numpy as np
import pytest
from fitted_models import case_of
from numpy.typing import NDArray
from pydantic import Field

from recsys_dagster.data.training_data import TrainingData
from recsys_dagster.models import contract
from recsys_dagster.models.base import Model, TopN
from recsys_dagster.models.baselines.popularity import Popularity
from recsys_dagster.models.baselines.user_item_bias import UserItemBias
from recsys_dagster.models.contract import CHECKS, Case, ContractError, check_contract
from recsys_dagster.models.params import Params
from recsys_dagster.models.registry import model_names


@pytest.mark.parametrize("name", model_names())
@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_every_model_keeps_the_contract(check: Callable[[Case], None], name: str) -> None:
    check(case_of(name))


def test_the_suite_can_be_called_for_a_model() -> None:
    check_contract(UserItemBias, UserItemBias.params_type(sweeps=2))


class Silent(Popularity):
    name = "silent"


class VagueParams(Params):
    size: int = 3
    width: int = Field(3, description="Described.")


class Vague(Popularity):
    """Has a parameter without a description."""

    name = "vague"
    params_type = VagueParams


class Repeating(Popularity):
    """Recommends its first item twice."""

    name = "repeating"

    def recommend(self, users: NDArray[np.int32], k: int, *args: object, **kwargs: object) -> TopN:
        top = super().recommend(users, k, *args, **kwargs)
        top.items[:, 1:2] = top.items[:, :1]
        return top


class Forgetful(Popularity):
    """Does not save its popularity."""

    name = "forgetful"

    def _state(self):
        return {key: value for key, value in super()._state().items() if key != "popularity_"}


class Moody(Model):
    """Draws other scores in each fit."""

    name = "moody"

    def _fit(self, data: TrainingData) -> None:
        self.table_ = np.random.default_rng().random((data.n_users, data.n_items), dtype=np.float32)

    def _scores(self, users: NDArray[np.int32]) -> NDArray[np.float32]:
        return self.table_[users]


class Divergent(Moody):
    """Has scores that are not numbers."""

    name = "divergent"

    def _fit(self, data: TrainingData) -> None:
        self.table_ = np.full((data.n_users, data.n_items), np.nan, np.float32)


class Pickled(Popularity):
    """Keeps Python objects in an array."""

    name = "pickled"

    def _fit(self, _data: TrainingData) -> None:
        self.things_ = np.array([{}, None], dtype=object)


class Grudging(UserItemBias):
    """Predicts the lowest rating for all pairs."""

    name = "grudging"

    def _predict(self, users: NDArray[np.int32], _items: NDArray[np.int32]) -> NDArray[np.float32]:
        return np.ones(len(users), np.float32)


class Tactless(Popularity):
    """Ignores stated tastes."""

    name = "tactless"

    def _scores_by_taste(self, tastes: NDArray[np.float32]) -> NDArray[np.float32]:
        return np.tile(self.popularity_, (len(tastes), 1))


class Indifferent(UserItemBias):
    """Fits on nothing."""

    name = "indifferent"

    def fit(self, data: TrainingData):
        return super().fit(data) if len(data.train) else self


@pytest.mark.parametrize(
    ("model_class", "failure"),
    [
        (Silent, "describes_itself: the first line of the class's docstring is not one sentence"),
        (Vague, "describes_itself: parameter size has no description"),
        (Repeating, "lists_are_well_formed: a list holds an item twice"),
        (Forgetful, "save_and_load_give_equal_results"),
        (Moody, "two_fits_with_one_seed_are_equal: .*the items of the lists"),
        (Divergent, "lists_are_well_formed: RecsysError: divergent: scores are not numbers"),
        (Pickled, "saved_files_hold_no_pickles: ValueError: Object arrays cannot be loaded"),
        (Grudging, "predictions_beat_the_mean: the mean rating predicts better than the model"),
        (Tactless, "new_users_are_served_by_their_tastes: stated tastes do not change the lists"),
        (Indifferent, "an_empty_training_fold_is_refused: an empty training fold is accepted"),
    ],
)
def test_a_broken_rule_of_the_contract_is_named(model_class: type[Model], failure: str) -> None:
    with pytest.raises(ContractError, match=rf"^{model_class.__name__} does not keep the contract\n(.*\n)*{failure}"):
        check_contract(model_class)


def test_each_check_says_what_it_requires() -> None:
    defined = {value for key, value in vars(contract).items() if callable(value) and re.match("[a-z]", key)}
    checks = {value for value in defined if getattr(value, "__annotations__", {}).get("case") is Case}
    assert checks == set(CHECKS), "a check that is defined but not run"
    assert all((check.__doc__ or "").endswith(".") for check in CHECKS)
