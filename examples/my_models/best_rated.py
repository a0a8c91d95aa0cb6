"""Rank items by their damped mean rating: a model outside the package recsys_dagster."""

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from recsys_dagster.data.training_data import TrainingData
from recsys_dagster.models.base import Model
from recsys_dagster.models.params import Params


class BestRatedParams(Params):
    """Parameters of the damped mean; they appear in the Launchpad."""

    damping: float = Field(10.0, ge=1, description="Average ratings that are added to those of each item.")


class BestRated(Model):
    """Rank items by their damped mean rating, the same for all users.

    The score of an item is Σ (r − μ) / (n + λ) over its n training ratings r, where μ is the global mean and λ the
    damping.
    """

    name = "best_rated"
    params_type = BestRatedParams
    needs_ratings = True

    scores_: NDArray[np.float32]

    def _fit(self, data: TrainingData) -> None:
        rated = data.train.rated
        residuals = rated.ratings - rated.ratings.mean()
        totals = np.bincount(rated.items, weights=residuals, minlength=data.n_items)
        counts = np.bincount(rated.items, minlength=data.n_items)
        self.scores_ = (totals / (counts + self.params.damping)).astype(np.float32)

    def _scores(self, users: NDArray[np.int32]) -> NDArray[np.float32]:
        return np.broadcast_to(self.scores_, (len(users), self.n_items_))
