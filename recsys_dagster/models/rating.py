"""What all models that predict ratings share: how they rank.

Ranking by predicted rating alone puts titles that one person rated at the top. Here the prediction is weighed against
the number of people behind the title.
"""

from abc import abstractmethod

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from recsys_dagster.data.interactions import Interactions
from recsys_dagster.models.base import Model, Params
from recsys_dagster.models.capabilities import FoldIn, RatingPredictor


class RatingParams(Params):
    """Parameters of every rating model."""

    popularity_weight: float = Field(
        2.0,
        ge=0,
        description="Weight of a title's support beside its predicted rating in the ranking; 0 ranks by rating alone.",
    )


class RatingModel(RatingPredictor, Model):
    """A model that predicts ratings and ranks by them with support in mind.

    The score of item i for user u is r̂ + w · log(1 + n_i) / log(1 + n_max), where r̂ is the predicted rating mapped
    from the scale to [0, 1], n_i the training pairs of the item and w the parameter `popularity_weight`.
    A subclass implements `_predict` and `_ratings`, and `_ratings_for` if it folds a history in.
    """

    params_type = RatingParams
    params: RatingParams

    @abstractmethod
    def _predict(self, users: NDArray[np.int32], items: NDArray[np.int32]) -> NDArray[np.float32]:
        """Return (n,) raw predictions; `predict` clips them to the scale."""

    @abstractmethod
    def _ratings(self, users: NDArray[np.int32]) -> NDArray[np.float32]:
        """Return (len(users), n_items) float32 raw predictions."""

    def _scores(self, users: NDArray[np.int32]) -> NDArray[np.float32]:
        return self._weighed(self._ratings(users))

    def _weighed(self, ratings: NDArray[np.float32]) -> NDArray[np.float32]:
        low, high = self.scale_
        scores: NDArray[np.float32] = (ratings - low) / (high - low)
        scores += self.params.popularity_weight * support(self.popularity_)
        return scores


class FoldInRatingModel(FoldIn, RatingModel):
    """A rating model that also predicts the ratings of new users from their history; a subclass adds `_ratings_for`."""

    @abstractmethod
    def _ratings_for(self, history: Interactions, n_users: int) -> NDArray[np.float32]:
        """Return the (n_users, n_items) float32 predictions for users known only by `history`, before clipping."""

    def _scores_for(self, history: Interactions, n_users: int) -> NDArray[np.float32]:
        return self._weighed(self._ratings_for(history, n_users))


def support(popularity: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return (n_items,) float32 log(1 + n_i) / log(1 + n_max): 1 for the most popular item, 0 without pairs."""
    shares: NDArray[np.float32] = np.log1p(popularity) / np.log1p(popularity.max())
    return shares
