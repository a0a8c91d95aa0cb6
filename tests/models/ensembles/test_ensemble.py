"""What is kept of a model that is made of others."""

from pathlib import Path

import numpy as np

from recsys_dagster.data.training_data import TrainingData
from recsys_dagster.models.baselines.user_item_bias import UserItemBias, UserItemBiasParams
from recsys_dagster.models.ensembles.ensemble import Ensemble, load_model
from recsys_dagster.models.factorization.als import Als, AlsParams


class Eleven(Ensemble):
    """Ten baselines of rising damping, then a model of another class."""

    name = "eleven"

    def _fit(self, data: TrainingData) -> None:
        baselines = [UserItemBias(UserItemBiasParams(user_damping=damping)) for damping in range(10)]
        self._members = [member.fit(data) for member in [*baselines, Als(AlsParams(rank=2, max_iter=1))]]

    def _scores(self, users: np.ndarray) -> np.ndarray:
        return self._members[0]._scores(users)


def test_members_come_back_as_what_they_were_and_in_their_order(data: TrainingData, tmp_path: Path) -> None:
    eleven = Eleven().fit(data)
    eleven.save(tmp_path)
    again = Eleven.load(tmp_path)
    assert [type(member) for member in again._members] == [type(member) for member in eleven._members]
    assert [member.params for member in again._members] == [member.params for member in eleven._members]
    pairs = data.validation.users, data.validation.items
    for before, after in zip(eleven._members, again._members, strict=True):
        np.testing.assert_array_equal(before.predict(*pairs), after.predict(*pairs))


def test_any_model_is_loaded_by_the_name_it_was_saved_with(data: TrainingData, tmp_path: Path) -> None:
    UserItemBias(UserItemBiasParams(user_damping=7)).fit(data).save(tmp_path)
    again = load_model(tmp_path)
    assert isinstance(again, UserItemBias)
    assert again.params.user_damping == 7
