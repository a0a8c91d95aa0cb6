"""Rank items by predicted ratings: what all models that predict ratings share.

Ranked by predicted rating alone, items with a single high rating come first. The prediction is therefore combined with
the number of interactions of the item.
"""

from abc import abstractmethod

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from recsys_dagster.data.interactions import Interactions
from recsys_dagster.models.base import Model
from recsys_dagster.models.capabilities import FoldIn, RatingPredictor
from recsys_dagster.models.params import Params


class RatingParams(Params):
    """Parameters of every rating model."""

    popularity_weight: float = Field(
        2.0,
        ge=0,
        description="Weight of an item's popularity next to its predicted rating in the ranking; 0: ratings alone.",
    )


class RatingModel(RatingPredictor, Model):
    """A model that predicts ratings and ranks by prediction and popularity.

    The score of item i for user u is r̂ + w · log(1 + n_i) / log(1 + n_max), where r̂ is the predicted rating mapped
    from the scale to [0, 1], n_i the number of training pairs of the item and w the parameter `popularity_weight`.
    A subclass implements `_predict` and `_ratings`.
    """

    params_type = RatingParams
    params: RatingParams

    @abstractmethod
    def _ratings(self, users: NDArray[np.int32]) -> NDArray[np.float32]:
        """Return the (len(users), n_items) float32 predictions before they are clipped."""

    def _scores(self, users: NDArray[np.int32]) -> NDArray[np.float32]:
        return self._add_popularity(self._ratings(users))

    def _add_popularity(self, ratings: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the (n, n_items) scores of predicted ratings."""
        low, high = self.scale_
        scores: NDArray[np.float32] = (ratings - low) / (high - low)
        scores += self.params.popularity_weight * relative_popularity(self.popularity_)
        return scores


class FoldInRatingModel(FoldIn, RatingModel):
    """A rating model that also predicts the ratings of new users from their history; a subclass adds `_ratings_for`."""

    @abstractmethod
    def _ratings_for(self, history: Interactions, n_users: int) -> NDArray[np.float32]:
        """Return the (n_users, n_items) float32 predictions for new users; the arguments are those of `_scores_for`."""

    def _scores_for(self, history: Interactions, n_users: int) -> NDArray[np.float32]:
        return self._add_popularity(self._ratings_for(history, n_users))


def relative_popularity(popularity: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return (n_items,) float32 log(1 + n_i) / log(1 + n_max): 1 for the most popular item, 0 without pairs."""
    shares: NDArray[np.float32] = np.log1p(popularity) / np.log1p(popularity.max())
    return shares
