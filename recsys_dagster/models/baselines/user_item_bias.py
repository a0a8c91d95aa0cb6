"""Predict ratings by damped means of items and users: the baseline of every rating model."""

from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from recsys_dagster.data.interactions import Interactions
from recsys_dagster.data.training_data import TrainingData
from recsys_dagster.models.rating import FoldInRatingModel, RatingParams
from recsys_dagster.models.search_space import Real


class UserItemBiasParams(RatingParams):
    """Parameters of the damped biases."""

    item_damping: float = Field(
        3.0, ge=0, description="Number of average ratings that are added to those of each item."
    )
    user_damping: float = Field(
        4.0, ge=0, description="Number of average ratings that are added to those of each user."
    )
    sweeps: int = Field(10, ge=1, description="Number of times that the biases of items, then of users, are updated.")

    searched: ClassVar = {"item_damping": Real(0.1, 50, log=True), "user_damping": Real(0.1, 50, log=True)}


class UserItemBias(FoldInRatingModel):
    """Global mean plus damped means of the item and of the user: the baseline of every rating model.

    r̂ = μ + b_i + b_u, where b_i is the damped mean of r − μ − b_u, and b_u that of r − μ − b_i. Damping by λ divides a
    sum of n residuals by n + λ (Funk 2006; Ekstrand, Riedl and Konstan 2011, §2.1). One sweep from b_u = 0 gives the
    usual baseline. Further sweeps approach the least-squares solution with the penalty λ b² (Koren 2010, §2.1).

    Attributes:
        mean_: μ, the mean training rating.
        item_bias_, user_bias_: (n_items,) and (n_users,) float32.
    """

    name = "user_item_bias"
    params_type = UserItemBiasParams
    params: UserItemBiasParams

    mean_: float
    item_bias_: NDArray[np.float32]
    user_bias_: NDArray[np.float32]

    def _fit(self, data: TrainingData) -> None:
        rated = data.train.rated
        self.mean_ = float(rated.ratings.mean(dtype=np.float64)) if len(rated) else sum(self.scale_) / 2
        self.user_bias_ = np.zeros(self.n_users_, dtype=np.float32)
        for _ in range(self.params.sweeps):
            residuals = rated.ratings - np.float32(self.mean_) - self.user_bias_[rated.users]
            self.item_bias_ = damped_mean(rated.items, residuals, self.n_items_, self.params.item_damping)
            self.user_bias_ = self._user_bias(rated, self.n_users_)

    def _user_bias(self, rated: Interactions, n_users: int) -> NDArray[np.float32]:
        residuals = rated.ratings - np.float32(self.mean_) - self.item_bias_[rated.items]
        return damped_mean(rated.users, residuals, n_users, self.params.user_damping)

    def _predict(self, users: NDArray[np.int32], items: NDArray[np.int32]) -> NDArray[np.float32]:
        return np.float32(self.mean_) + self.item_bias_[items] + self.user_bias_[users]

    def _ratings(self, users: NDArray[np.int32]) -> NDArray[np.float32]:
        return np.float32(self.mean_) + self.item_bias_ + self.user_bias_[users, None]

    def _ratings_for(self, history: Interactions, n_users: int) -> NDArray[np.float32]:
        return np.float32(self.mean_) + self.item_bias_ + self._user_bias(history.rated, n_users)[:, None]


def damped_mean(
    groups: NDArray[np.int32], values: NDArray[np.float32], n_groups: int, damping: float
) -> NDArray[np.float32]:
    """Return the damped mean of each group: the sum of its values divided by its size plus `damping`.

    Args:
        groups: (n,) the group of each value.
        values: (n,).
        n_groups: number of groups.
        damping: number of zeros that are added to each group.

    Returns:
        (n_groups,) float32; 0 for an empty group.
    """
    total = np.bincount(groups, weights=values, minlength=n_groups)
    weight = np.bincount(groups, minlength=n_groups) + damping
    means: NDArray[np.float32] = np.divide(total, weight, out=np.zeros(n_groups), where=weight > 0).astype(np.float32)
    return means
