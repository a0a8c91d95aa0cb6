"""Boosted trees on encodings of the like classifier's five inputs."""

from typing import Any, ClassVar

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from pydantic import Field

from recsys_dagster.data.interactions import Interactions
from recsys_dagster.data.training_data import TrainingData
from recsys_dagster.models.base import Params
from recsys_dagster.models.capabilities import EarlyStopping
from recsys_dagster.models.classifiers.likes import ItemInputs, LikeModel, LikeParams, sample_of
from recsys_dagster.models.kernels.tree_grid import MOST_LEAVES, flat_trees, grid_sums, reachable, row_sums
from recsys_dagster.models.search_space import Real, Whole

FOLDS = 5
BLOCK_PAIRS = 2**14
"""Pairs whose leaves are worked out at once: 40 MB for 300 trees."""
BLOCK_USERS = 64
"""Users whose leaves are worked out at once for all genres: 15 MB for 20 genres and 300 trees."""
OF_USER, OF_TITLE, OF_TASTE, N_FEATURES = 0, 2, 7, 9
"""Where the features of the user, of the title and of the user's taste in its genres begin, and where they end."""


class LikeForestParams(LikeParams):
    """Parameters of the boosted trees."""

    trees: int = Field(300, ge=1, description="Trees at most.")
    learning_rate: float = Field(0.1, gt=0, description="Share of each tree's correction that is taken.")
    max_leaves: int = Field(31, ge=2, le=MOST_LEAVES, description="Leaves of a tree at most.")
    min_leaf_ratings: int = Field(20, ge=1, description="Training ratings in a leaf at least.")
    damping: float = Field(5.0, ge=0, description="Ratings of the average kind that are added to each rate of likes.")
    patience: int | None = Field(
        10, ge=1, description="Trees without a better validation loss before training stops; None: it never does."
    )
    max_ratings: int = Field(
        5_000_000, ge=1, description="Ratings that the trees are learnt from, at 120 bytes each; else a sample."
    )

    searched: ClassVar = {
        "learning_rate": Real(0.01, 0.5, log=True),
        "max_leaves": Whole(4, 64, log=True),
        "min_leaf_ratings": Whole(5, 500, log=True),
        "damping": Real(0.5, 50, log=True),
        "popularity_weight": Real(0, 8),
    }


class LikeForest(EarlyStopping, LikeModel):
    """Malik et al. 2021's comparison: boosted trees on rates of likes by user, title, genres and year.

    Histogram gradient boosting (scikit-learn) on encodings of user, title, two genres and year.

    Trees cannot take thousands of users and titles as they are: each input is encoded by the damped rate of likes among
    its training ratings, user and title also by the log of their number, and the rate of the user's likes in each of
    the title's two genres makes the order personal. The encodings come from the training fold, those of a training
    rating from the other four fifths of it: else its own answer would be among its features.

    The trees are kept as plain arrays, and scored by compiled loops that give what scikit-learn's own prediction gives.

    Attributes:
        users_: (n_users, 2) float32, rate of likes and log(1 + ratings).
        titles_: (n_items, 5) float32: the same two, year, and the rates of both genres.
        tastes_: (n_users, n_genres + 1) float32, rate of likes among the titles with the genre as first or second.
        title_genres_: (n_items, 2) int32, positions of both genres.
        feature_, threshold_, tree_, kept_: (n_tests,) the trees' tests, as `flat_trees` returns them.
        values_: (n_trees, 64) float64, what each leaf adds to the log-odds.
        baseline_: log-odds before the first tree.
        like_rate_: share of likes among all training ratings.
    """

    name = "like_forest"
    kinds = ("scikitlearn", "numba")
    params_type = LikeForestParams
    params: LikeForestParams

    users_: NDArray[np.float32]
    titles_: NDArray[np.float32]
    tastes_: NDArray[np.float32]
    title_genres_: NDArray[np.int32]
    feature_: NDArray[np.int32]
    threshold_: NDArray[np.float64]
    tree_: NDArray[np.int32]
    kept_: NDArray[np.uint64]
    values_: NDArray[np.float64]
    baseline_: float
    like_rate_: float

    def refit_params(self) -> Params:
        """The same parameters with the best number of trees and no early stopping."""
        params: Params = self.params.model_copy(update={"trees": len(self.values_), "patience": None})
        return params

    def _learn(self, rated: Interactions, data: TrainingData) -> None:
        inputs = ItemInputs.of(data.item_features)
        self.title_genres_ = np.column_stack(inputs.columns[1:3])
        self.like_rate_ = float(self._liked(rated).mean())
        known = ~np.isnan(data.item_features.years)
        years = np.where(known, data.item_features.years, data.item_features.years[known].mean() if known.any() else 0)
        features = self._out_of_fold_features(rated, years)
        self._encode(rated, years)
        self._grow(*features, *self._validation_features(data.validation.rated))

    def _out_of_fold_features(
        self, rated: Interactions, years: NDArray[np.float32]
    ) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        """Return the features and likes of a sample of the ratings, each encoded by ratings of other folds."""
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
        """Set the encodings of users and titles to those of these ratings."""
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
            for genre in self.title_genres_.T
        ]
        encoded = [self._rates(likes, counts, self.like_rate_), np.log1p(counts), years, *by_genre]
        self.titles_ = np.column_stack(encoded).astype(np.float32)

    def _encode_users(self, rated: Interactions, n_users: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return (n_users, 2) rate and log number, and (n_users, n_genres + 1) rates in each genre."""
        liked = self._liked(rated)
        counts = np.bincount(rated.users, minlength=n_users)
        rates = self._rates(np.bincount(rated.users, liked, minlength=n_users), counts, self.like_rate_)
        n_genres = self.genres_.shape[1] + 1
        rows = np.arange(self.n_items_)
        flags = np.zeros((self.n_items_, n_genres), dtype=np.float32)
        flags[rows[:, None], self.title_genres_] = 1
        flags = sp.csr_array(flags)
        pairs, shape = (rated.users, rated.items), (n_users, self.n_items_)
        likes_in = (sp.csr_array((liked.astype(np.float32), pairs), shape=shape) @ flags).toarray()
        counts_in = (sp.csr_array((np.ones(len(rated), np.float32), pairs), shape=shape) @ flags).toarray()
        tastes = self._rates(likes_in, counts_in, rates[:, None])
        return np.column_stack([rates, np.log1p(counts)]).astype(np.float32), tastes.astype(np.float32)

    def _rates(self, likes: NDArray[Any], counts: NDArray[Any], expected: Any) -> NDArray[Any]:
        """Return (likes + λ · expected) / (counts + λ), λ being the damping, and `expected` where that has no value."""
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
        """Learn the trees, and keep as many as were best on the validation pairs."""
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
            # The first score is that of the baseline, before any tree.
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
        title, _, _ = np.split(self.titles_[items], (2, 3), axis=1)
        _, year, _ = np.split(self.titles_[years], (2, 3), axis=1)
        _, _, rates = np.split(self.titles_[genres], (2, 3), axis=1)
        tastes = self.tastes_[users[:, None], self.title_genres_[genres]]
        return self._log_odds_of_features(np.concatenate([self.users_[users], title, year, rates, tastes], axis=1))

    def _pair_features(self, users: NDArray[np.int32], items: NDArray[np.int32]) -> NDArray[np.float32]:
        """Return the (n, 9) features of the pairs."""
        tastes = self.tastes_[users[:, None], self.title_genres_[items]]
        return np.concatenate([self.users_[users], self.titles_[items], tastes], axis=1)

    def _pair_log_odds(self, users: NDArray[np.int32], items: NDArray[np.int32]) -> NDArray[np.float32]:
        log_odds = np.empty(len(users), dtype=np.float32)
        for start in range(0, len(users), BLOCK_PAIRS):
            block = slice(start, start + BLOCK_PAIRS)
            log_odds[block] = self._log_odds_of_features(self._pair_features(users[block], items[block]))
        return log_odds

    def _log_odds_of_features(self, features: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return (n,) log-odds of (n, 9) features."""
        log_odds: NDArray[np.float32] = self.baseline_ + row_sums(self._leaves(features, 0), self.values_)
        return log_odds

    def _log_odds(self, users: NDArray[np.int32]) -> NDArray[np.float32]:
        return self._log_odds_of(self.users_[users], self.tastes_[users])

    def _log_odds_for(self, rated: Interactions, n_users: int) -> NDArray[np.float32]:
        return self._log_odds_of(*self._encode_users(rated, n_users))

    def _log_odds_of(self, users: NDArray[np.float32], tastes: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return (len(users), n_items) log-odds of people with these encodings."""
        log_odds = np.empty((len(users), self.n_items_), dtype=np.float32)
        of_titles = self._leaves(self.titles_, OF_TITLE)
        of_users = self._leaves(users, OF_USER)
        for start in range(0, len(users), BLOCK_USERS):
            block = slice(start, start + BLOCK_USERS)
            shape = (*tastes[block].shape, -1)
            of_first, of_second = (
                self._leaves(tastes[block].reshape(-1, 1), OF_TASTE + place).reshape(shape) for place in (0, 1)
            )
            of_first &= of_users[block, None]
            sums = grid_sums(of_first, of_second, of_titles, self.title_genres_, self.values_)
            log_odds[block] = self.baseline_ + sums
        return log_odds

    def _leaves(self, rows: NDArray[np.float32], first: int) -> NDArray[np.uint64]:
        """Return (n, n_trees) leaves that are left to the rows, which hold the features from number `first` on."""
        tests = (self.feature_, self.threshold_, self.tree_, self.kept_)
        leaves: NDArray[np.uint64] = reachable(rows, first, *tests, len(self.values_))
        return leaves
