"""Predict likes by naive Bayes on the five inputs of the like classifier."""

from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from recsys_dagster.data.interactions import Interactions
from recsys_dagster.data.training_data import TrainingData
from recsys_dagster.models.classifiers.likes import AdditiveLikeModel, ItemInputs, LikeParams
from recsys_dagster.models.search_space import Real

BLOCK_RATINGS = 2**20
"""Ratings that are counted at once: 40 MB of inputs."""


class LikeNaiveBayesParams(LikeParams):
    """Parameters of naive Bayes."""

    alpha: float = Field(
        1.0, gt=0, description="Number of ratings of each class that are added to each position of an input."
    )

    searched: ClassVar = {"alpha": Real(0.01, 100, log=True), "popularity_weight": Real(0, 8)}


class LikeNaiveBayes(AdditiveLikeModel):
    """Naive Bayes on user, item, two genres and year, as compared by Malik et al. 2021.

    log-odds = log P(like) / P(no like) + Σ log P(input | like) / P(input | no like) over the five inputs.

    The inputs are assumed to be independent given the class, and are counted block by block (scikit-learn's
    CategoricalNB). Every input is constant for a user or for an item, so that all users get nearly the same order. A
    position without a training rating contributes nothing; smoothed counts alone would favour the smaller class.

    Attributes:
        class_counts_: (2,) float64, number of training ratings that are not likes, and that are.
    """

    name = "like_naive_bayes"
    kinds = ("scikitlearn",)
    params_type = LikeNaiveBayesParams
    params: LikeNaiveBayesParams

    class_counts_: NDArray[np.float64]

    def _learn(self, rated: Interactions, data: TrainingData) -> None:
        from sklearn.naive_bayes import CategoricalNB

        inputs = ItemInputs.of(data.item_features)
        bayes = CategoricalNB(alpha=self.params.alpha, min_categories=[self.n_users_, *inputs.sizes])
        liked = self._liked(rated)
        for start in range(0, len(rated), BLOCK_RATINGS):
            block = slice(start, start + BLOCK_RATINGS)
            columns = [rated.users[block], *(column[rated.items[block]] for column in inputs.columns)]
            bayes.partial_fit(np.column_stack(columns), liked[block], classes=[False, True])
        self.class_counts_ = bayes.class_count_
        user_parts, *input_parts = (
            np.where(counts.sum(axis=0) > 0, logs[1] - logs[0], 0).astype(np.float32)
            for counts, logs in zip(bayes.category_count_, bayes.feature_log_prob_, strict=True)
        )
        self.user_log_odds_ = user_parts
        self._set_item_parts(input_parts, inputs, np.diff(bayes.class_log_prior_).item())

    def _user_parts(self, rated: Interactions, n_users: int) -> NDArray[np.float32]:
        """Return log (n_1 + α)/(N_1 + α n_users) − log (n_0 + α)/(N_0 + α n_users) for n_1 likes, n_0 others."""
        liked = np.bincount(rated.users, self._liked(rated), minlength=n_users)
        counts = np.column_stack([np.bincount(rated.users, minlength=n_users) - liked, liked])
        smoothed = (counts + self.params.alpha) / (self.class_counts_ + self.params.alpha * self.n_users_)
        odds = np.log(smoothed[:, 1]) - np.log(smoothed[:, 0])
        return np.where(counts.any(axis=1), odds, 0).astype(np.float32)
