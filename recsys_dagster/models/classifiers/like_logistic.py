"""Predict likes by logistic regression on the five inputs of the like classifier, one-hot encoded."""

from typing import ClassVar

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from pydantic import Field

from recsys_dagster.data.interactions import Interactions
from recsys_dagster.data.training_data import TrainingData
from recsys_dagster.models.classifiers.likes import AdditiveLikeModel, ItemInputs, LikeParams, sample_of, sigmoid
from recsys_dagster.models.search_space import Real

NEWTON_STEPS = 25
LONGEST_STEP = 2.0
"""Largest step of Newton's method, in log-odds; the curvature does not hold much further away."""


class LikeLogisticParams(LikeParams):
    """Parameters of the logistic regression."""

    inverse_penalty: float = Field(
        1.0, gt=0, description="Inverse of the L2 penalty, scikit-learn's C; smaller means more regularisation."
    )
    max_ratings: int = Field(
        10_000_000,
        ge=1,
        description="Largest number of ratings to learn the items' weights from, at 60 bytes each; else a sample.",
    )

    aliases: ClassVar = {"C": "inverse_penalty"}
    searched: ClassVar = {"inverse_penalty": Real(0.01, 100, log=True), "popularity_weight": Real(0, 8)}


class LikeLogistic(AdditiveLikeModel):
    """Logistic regression on user, item, two genres and year, as compared by Malik et al. 2021.

    log-odds = b + w_user + w_item + w_genre1 + w_genre2 + w_year, with an L2 penalty (scikit-learn's L-BFGS).
    Every input is constant for a user or for an item, so that all users get nearly the same order.

    If there are more than `max_ratings` ratings, b and the weights of the items are learnt from a sample. The weight of
    a user, old or new, is always fitted to all their ratings by Newton's method.
    """

    name = "like_logistic"
    kinds = ("scikitlearn",)
    params_type = LikeLogisticParams
    params: LikeLogisticParams

    def _learn(self, rated: Interactions, data: TrainingData) -> None:
        from sklearn.linear_model import LogisticRegression

        inputs = ItemInputs.of(data.item_features)
        sample = sample_of(len(rated), self.params.max_ratings, self.seed, self.name)
        users, items = rated.users[sample], rated.items[sample]
        offsets = np.cumsum([0, self.n_users_, *inputs.sizes], dtype=np.int32)
        columns = [
            users,
            *(column[items] + offset for column, offset in zip(inputs.columns, offsets[1:], strict=False)),
        ]
        one_hot = sp.csr_array(
            (
                np.ones(len(columns) * len(sample), dtype=np.float32),
                np.column_stack(columns).ravel(),
                np.arange(0, len(columns) * len(sample) + 1, len(columns), dtype=np.int32),
            ),
            shape=(len(sample), offsets[-1]),
        )
        fitted = LogisticRegression(C=self.params.inverse_penalty, max_iter=1000).fit(
            one_hot, self._liked(rated)[sample]
        )
        weights = np.split(fitted.coef_[0].astype(np.float32), offsets[1:-1])[1:]
        self._set_item_parts(weights, inputs, fitted.intercept_.item())
        self.user_log_odds_ = self._user_parts(rated, self.n_users_)

    def _user_parts(self, rated: Interactions, n_users: int) -> NDArray[np.float32]:
        """Minimise w²/2 − C Σ log p over the ratings of each user, all else fixed; 0 for a user without a rating."""
        item_parts = self.item_log_odds_[rated.items]
        liked = self._liked(rated)
        weights = np.zeros(n_users, dtype=np.float32)
        for _ in range(NEWTON_STEPS):
            p = sigmoid(weights[rated.users] + item_parts)
            slope = weights + self.params.inverse_penalty * np.bincount(rated.users, p - liked, minlength=n_users)
            curvature = 1 + self.params.inverse_penalty * np.bincount(rated.users, p * (1 - p), minlength=n_users)
            step = np.clip(slope / curvature, -LONGEST_STEP, LONGEST_STEP).astype(np.float32)
            weights -= step
            if np.abs(step).max(initial=0) < 1e-5:
                break
        return weights
