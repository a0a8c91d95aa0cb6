"""Predict likes by boosted trees on encodings of the five inputs of the like classifier."""

from typing import Any, ClassVar

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from pydantic import Field

from recsys_dagster.data.interactions import Interactions
from recsys_dagster.data.training_data import TrainingData
from recsys_dagster.models.capabilities import EarlyStopping
from recsys_dagster.models.classifiers.likes import ItemInputs, LikeModel, LikeParams, sample_of
from recsys_dagster.models.kernels.tree_grid import MOST_LEAVES, flat_trees, grid_sums, reachable, row_sums
from recsys_dagster.models.params import Params
from recsys_dagster.models.search_space import Real, Whole

FOLDS = 5
BLOCK_PAIRS = 2**14
"""Pairs whose leaves are computed at once: 40 MB for 300 trees."""
BLOCK_USERS = 64
"""Users whose leaves are computed at once for all genres: 15 MB for 20 genres and 300 trees."""
USER_FEATURES, ITEM_FEATURES, TASTE_FEATURES, N_FEATURES = 0, 2, 7, 9
"""First column of the features of the user, of the item, and of the user's taste in its genres; number of columns."""


class LikeForestParams(LikeParams):
    """Parameters of the boosted trees."""

    trees: int = Field(300, ge=1, description="Largest number of trees.")
    learning_rate: float = Field(0.1, gt=0, description="Factor by which the correction of each tree is scaled.")
    max_leaves: int = Field(31, ge=2, le=MOST_LEAVES, description="Largest number of leaves of a tree.")
    min_leaf_ratings: int = Field(20, ge=1, description="Smallest number of training ratings in a leaf.")
    damping: float = Field(5.0, ge=0, description="Number of average ratings that are added to each rate of likes.")
    patience: int | None = Field(
        10, ge=1, description="Trees without a better validation loss after which training stops; None: never."
    )
    max_ratings: int = Field(
        5_000_000, ge=1, description="Largest number of ratings to learn from, at 120 bytes each; else a sample."
    )

    searched: ClassVar = {
        "learning_rate": Real(0.01, 0.5, log=True),
        "max_leaves": Whole(4, 64, log=True),
        "min_leaf_ratings": Whole(5, 500, log=True),
        "damping": Real(0.5, 50, log=True),
        "popularity_weight": Real(0, 8),
    }


class LikeForest(EarlyStopping, LikeModel):
    """Boosted trees on rates of likes by user, item, genres and year, as compared by Malik et al. 2021.

    Histogram gradient boosting (scikit-learn) on encodings of user, item, two genres and year. Trees cannot split
    thousands of users and items by identity. Each input is therefore encoded by the damped rate of likes among its
    training ratings, and user and item also by the logarithm of their number of ratings. The rates of the user's likes
    in the two genres of the item make the order personal. The encodings are computed from the training fold. Those of a
    training rating are computed from the other four fifths of it, so that they do not contain its own target.

    The trees are stored as plain arrays. Compiled loops score them exactly as scikit-learn does.

    Attributes:
        users_: (n_users, 2) float32, rate of likes and log(1 + ratings).
        items_: (n_items, 5) float32: the same two, year, and the rates of both genres.
        tastes_: (n_users, n_genres + 1) float32, rate of likes among the items with the genre.
        item_genres_: (n_items, 2) int32, positions of both genres.
        feature_, threshold_, tree_, kept_: (n_tests,) the tests of the trees, as `flat_trees` returns them.
        values_: (n_trees, 64) float64, the contribution of each leaf to the log-odds.
        baseline_: log-odds before the first tree.
        like_rate_: share of likes among all training ratings.
    """

    name = "like_forest"
    kinds = ("scikitlearn", "numba")
    params_type = LikeForestParams
    params: LikeForestParams

    users_: NDArray[np.float32]
    items_: NDArray[np.float32]
    tastes_: NDArray[np.float32]
    item_genres_: NDArray[np.int32]
    feature_: NDArray[np.int32]
    threshold_: NDArray[np.float64]
    tree_: NDArray[np.int32]
    kept_: NDArray[np.uint64]
    values_: NDArray[np.float64]
    baseline_: float
    like_rate_: float

    def refit_params(self) -> Params:
        """Return the parameters with the best number of trees and no early stopping."""
        params: Params = self.params.model_copy(update={"trees": len(self.values_), "patience": None})
        return params

    def _learn(self, rated: Interactions, data: TrainingData) -> None:
        inputs = ItemInputs.of(data.item_features)
        self.item_genres_ = np.column_stack(inputs.columns[1:3])
        self.like_rate_ = float(self._liked(rated).mean())
        known = ~np.isnan(data.item_features.years)
        years = np.where(known, data.item_features.years, data.item_features.years[known].mean() if known.any() else 0)
        features = self._out_of_fold_features(rated, years)
        self._encode(rated, years)
        self._grow(*features, *self._validation_features(data.validation.rated))

    def _out_of_fold_features(
        self, rated: Interactions, years: NDArray[np.float32]
    ) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        """Return features and likes of a sample of the ratings, each encoded without the ratings of its fold."""
        sample = sample_of(len(rated), self.params.max_ratings, self.seed, self.name)
        fold = np.random.default_rng(self.seed).integers(FOLDS, size=len(rated), dtype=np.int8)
        features = np.empty((len(sample), N_FEATURES), dtype=np.float32)
        for held_out in range(FOLDS):
            self._encode(rated.where(fold != held_out), years)
            inside = fold[sample] == held_out
            rows = sample[inside]
            features[inside] = self._pair_features(rated.users[rows], rated.items[rows])
        return features, self._liked(rated)[sample]

    def _validation_features(self, validation: Interactions) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        sample = sample_of(len(validation), self.params.max_ratings, self.seed, f"{self.name} (validation)")
        features = self._pair_features(validation.users[sample], validation.items[sample])
        return features, self._liked(validation)[sample]

    def _encode(self, rated: Interactions, years: NDArray[np.float32]) -> None:
        """Set the encodings of users and items to those computed from these ratings."""
        liked = self._liked(rated)
        self.users_, self.tastes_ = self._encode_users(rated, self.n_users_)
        counts = np.bincount(rated.items, minlength=self.n_items_)
        likes = np.bincount(rated.items, liked, minlength=self.n_items_)
        by_genre = [
            self._rates(
                np.bincount(genre, likes, minlength=self.tastes_.shape[1]),
                np.bincount(genre, counts, minlength=self.tastes_.shape[1]),
                self.like_rate_,
            )[genre]
            for genre in self.item_genres_.T
        ]
        encoded = [self._rates(likes, counts, self.like_rate_), np.log1p(counts), years, *by_genre]
        self.items_ = np.column_stack(encoded).astype(np.float32)

    def _encode_users(self, rated: Interactions, n_users: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return the (n_users, 2) rate and log number of ratings, and the (n_users, n_genres + 1) genre rates."""
        liked = self._liked(rated)
        counts = np.bincount(rated.users, minlength=n_users)
        rates = self._rates(np.bincount(rated.users, liked, minlength=n_users), counts, self.like_rate_)
        n_genres = self.genres_.shape[1] + 1
        rows = np.arange(self.n_items_)
        flags = np.zeros((self.n_items_, n_genres), dtype=np.float32)
        flags[rows[:, None], self.item_genres_] = 1
        flags = sp.csr_array(flags)
        pairs, shape = (rated.users, rated.items), (n_users, self.n_items_)
        likes_in = (sp.csr_array((liked.astype(np.float32), pairs), shape=shape) @ flags).toarray()
        counts_in = (sp.csr_array((np.ones(len(rated), np.float32), pairs), shape=shape) @ flags).toarray()
        tastes = self._rates(likes_in, counts_in, rates[:, None])
        return np.column_stack([rates, np.log1p(counts)]).astype(np.float32), tastes.astype(np.float32)

    def _rates(self, likes: NDArray[Any], counts: NDArray[Any], expected: Any) -> NDArray[Any]:
        """Return (likes + λ · expected) / (counts + λ) with the damping λ; `expected` where the denominator is 0."""
        damping = self.params.damping
        total = counts + damping
        rates: NDArray[Any] = np.where(
            total > 0, (likes + damping * expected) / np.where(total > 0, total, 1), expected
        )
        return rates

    def _grow(
        self,
        features: NDArray[np.float32],
        liked: NDArray[np.bool_],
        validation_features: NDArray[np.float32],
        validation_liked: NDArray[np.bool_],
    ) -> None:
        """Grow the trees, and keep the number of them that was best on the validation pairs."""
        from sklearn.ensemble import HistGradientBoostingClassifier

        stopping = len(validation_liked) > 0 and self.params.patience is not None
        boosting = HistGradientBoostingClassifier(
            learning_rate=self.params.learning_rate,
            max_iter=self.params.trees,
            max_leaf_nodes=self.params.max_leaves,
            min_samples_leaf=self.params.min_leaf_ratings,
            early_stopping=stopping,
            n_iter_no_change=self.params.patience or 1,
            random_state=self.seed,
        )
        if stopping:
            boosting.fit(features, liked, X_val=validation_features, y_val=validation_liked)
            # The first score is that of the baseline, without a tree.
            curves = {"loss": -boosting.train_score_[1:], "val_loss": -boosting.validation_score_[1:]}
            self.history_ = {curve: values.tolist() for curve, values in curves.items()}
            kept = int(np.argmin(curves["val_loss"])) + 1
        else:
            boosting.fit(features, liked)
            kept = boosting.n_iter_
        self.baseline_ = float(boosting._baseline_prediction.item())
        trees = [tree.nodes for (tree,) in boosting._predictors[:kept]]
        self.feature_, self.threshold_, self.tree_, self.kept_, self.values_ = flat_trees(trees)

    def _log_odds_from(
        self, users: NDArray[np.int32], items: NDArray[np.int32], genres: NDArray[np.int32], years: NDArray[np.int32]
    ) -> NDArray[np.float32]:
        item, _, _ = np.split(self.items_[items], (2, 3), axis=1)
        _, year, _ = np.split(self.items_[years], (2, 3), axis=1)
        _, _, rates = np.split(self.items_[genres], (2, 3), axis=1)
        tastes = self.tastes_[users[:, None], self.item_genres_[genres]]
        return self._log_odds_of_features(np.concatenate([self.users_[users], item, year, rates, tastes], axis=1))

    def _pair_features(self, users: NDArray[np.int32], items: NDArray[np.int32]) -> NDArray[np.float32]:
        """Return the (n, 9) features of the pairs."""
        tastes = self.tastes_[users[:, None], self.item_genres_[items]]
        return np.concatenate([self.users_[users], self.items_[items], tastes], axis=1)

    def _pair_log_odds(self, users: NDArray[np.int32], items: NDArray[np.int32]) -> NDArray[np.float32]:
        log_odds = np.empty(len(users), dtype=np.float32)
        for start in range(0, len(users), BLOCK_PAIRS):
            block = slice(start, start + BLOCK_PAIRS)
            log_odds[block] = self._log_odds_of_features(self._pair_features(users[block], items[block]))
        return log_odds

    def _log_odds_of_features(self, features: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the (n,) log-odds of (n, 9) features."""
        log_odds: NDArray[np.float32] = self.baseline_ + row_sums(self._leaves(features, 0), self.values_)
        return log_odds

    def _log_odds(self, users: NDArray[np.int32]) -> NDArray[np.float32]:
        return self._log_odds_of(self.users_[users], self.tastes_[users])

    def _log_odds_for(self, rated: Interactions, n_users: int) -> NDArray[np.float32]:
        return self._log_odds_of(*self._encode_users(rated, n_users))

    def _log_odds_of(self, users: NDArray[np.float32], tastes: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the (len(users), n_items) log-odds of users with these encodings."""
        log_odds = np.empty((len(users), self.n_items_), dtype=np.float32)
        item_leaves = self._leaves(self.items_, ITEM_FEATURES)
        user_leaves = self._leaves(users, USER_FEATURES)
        for start in range(0, len(users), BLOCK_USERS):
            block = slice(start, start + BLOCK_USERS)
            shape = (*tastes[block].shape, -1)
            first_leaves, second_leaves = (
                self._leaves(tastes[block].reshape(-1, 1), TASTE_FEATURES + place).reshape(shape) for place in (0, 1)
            )
            first_leaves &= user_leaves[block, None]
            sums = grid_sums(first_leaves, second_leaves, item_leaves, self.item_genres_, self.values_)
            log_odds[block] = self.baseline_ + sums
        return log_odds

    def _leaves(self, rows: NDArray[np.float32], first: int) -> NDArray[np.uint64]:
        """Return the (n, n_trees) leaves that rows can still reach, given the features from column `first` on."""
        tests = (self.feature_, self.threshold_, self.tree_, self.kept_)
        leaves: NDArray[np.uint64] = reachable(rows, first, *tests, len(self.values_))
        return leaves
