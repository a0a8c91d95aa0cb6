"""Logistic regression on the like classifier's five inputs, one-hot."""

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
"""Of log-odds; keeps Newton's method from leaving the region where the curvature that it saw holds."""


class LikeLogisticParams(LikeParams):
    """Parameters of the logistic regression."""

    C: float = Field(1.0, gt=0, description="Weight of the data beside half the squared weights; small is smooth.")
    max_ratings: int = Field(
        10_000_000,
        ge=1,
        description="Ratings that the titles' weights are learnt from, at 60 bytes each; else a sample.",
    )

    searched: ClassVar = {"C": Real(0.01, 100, log=True), "popularity_weight": Real(0, 8)}


class LikeLogistic(AdditiveLikeModel):
    """Malik et al. 2021's comparison: logistic regression on user, title, two genres and year.

    log-odds = b + w_user + w_title + w_genre1 + w_genre2 + w_year, with an L2 penalty (scikit-learn's L-BFGS).

    Every input is a constant of the user or of the title, so all users get nearly the same order.
    Where there are more ratings than `max_ratings`, b and the titles' weights are learnt from a sample; the users'
    weights are always refitted to all their ratings by Newton's method, as a stranger's are to theirs.
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
        fitted = LogisticRegression(C=self.params.C, max_iter=1000).fit(one_hot, self._liked(rated)[sample])
        weights = np.split(fitted.coef_[0].astype(np.float32), offsets[1:-1])[1:]
        self._set_title_parts(weights, inputs, fitted.intercept_.item())
        self.user_log_odds_ = self._user_parts(rated, self.n_users_)

    def _user_parts(self, rated: Interactions, n_users: int) -> NDArray[np.float32]:
        """Minimise w²/2 − C Σ log p(liked or not) for each user, everything else held; 0 without a rating."""
        of_titles = self.title_log_odds_[rated.items]
        liked = self._liked(rated)
        weights = np.zeros(n_users, dtype=np.float32)
        for _ in range(NEWTON_STEPS):
            p = sigmoid(weights[rated.users] + of_titles)
            slope = weights + self.params.C * np.bincount(rated.users, p - liked, minlength=n_users)
            curvature = 1 + self.params.C * np.bincount(rated.users, p * (1 - p), minlength=n_users)
            step = np.clip(slope / curvature, -LONGEST_STEP, LONGEST_STEP).astype(np.float32)
            weights -= step
            if np.abs(step).max(initial=0) < 1e-5:
                break
        return weights
