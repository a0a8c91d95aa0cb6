"""Reproduce the two towers with the faults of their paper, to measure the effect of each on the scores.

The model is not in the registry, so that no run fits it.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from recsys_dagster.data.interactions import Interactions
from recsys_dagster.data.training_data import TrainingData
from recsys_dagster.models.networks.two_tower import TwoTower, TwoTowerParams


class TwoTowerAsPublishedParams(TwoTowerParams):
    """Parameters of the two towers, and a switch for each fault of the paper."""

    leaky_tastes: bool = Field(True, description="Compute a user's tastes from the ratings to be predicted as well.")
    leaky_scalers: bool = Field(True, description="Fit the scalers to the ratings to be predicted as well.")
    unrated_as_zero: bool = Field(True, description="Use 0 as the mean rating of a genre that a user never rated.")


class TwoTowerAsPublished(TwoTower):
    """The two towers with the faults of their paper.

    The inputs are computed as in the paper: from all ratings, before they are split. The ratings to be predicted are
    those of the validation fold. With every fault switched off, the model equals `two_tower`.
    """

    name = "two_tower_as_published"
    params_type = TwoTowerAsPublishedParams
    params: TwoTowerAsPublishedParams

    _known: Interactions | None = None

    def _fit(self, data: TrainingData) -> None:
        self._known = Interactions.concatenate(data.train, data.validation).rated
        super()._fit(data)
        self._known = None

    def _training_tastes(self, data: TrainingData) -> NDArray[np.float32]:
        return self._tastes_of(data.train.rated, self.n_users_)

    def _tastes_of(self, history: Interactions, n_users: int) -> NDArray[np.float32]:
        leaked = self._known if self.params.leaky_tastes else None
        tastes = super()._tastes_of(leaked or history, n_users)
        return np.nan_to_num(tastes, nan=0.0) if self.params.unrated_as_zero else tastes

    def _scaled_by(self, rated: Interactions) -> Interactions:
        leaked: Any = self._known if self.params.leaky_scalers else None
        return leaked or rated
