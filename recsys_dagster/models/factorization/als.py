"""Factorise ratings with biases, by alternating least squares."""

from collections.abc import Mapping
from typing import ClassVar, Literal, Self

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from pydantic import Field, model_validator

from recsys_dagster.data.interactions import Interactions
from recsys_dagster.data.training_data import TrainingData
from recsys_dagster.errors import RecsysError
from recsys_dagster.models.budget import FLOPS, Estimate, Size
from recsys_dagster.models.capabilities import EarlyStopping, FactoredScores, ScoreFactors
from recsys_dagster.models.factorization.factors import pair_products, rating_factors
from recsys_dagster.models.factorization.on_spark import factorise_on_spark
from recsys_dagster.models.params import Params
from recsys_dagster.models.rating import FoldInRatingModel, RatingParams
from recsys_dagster.models.search_space import Real, Whole

INITIAL_DEVIATION = 0.1
"""Standard deviation of the user factors before the first iteration; without biases they have length 1, as MLlib's."""
SPARK_START, SPARK_PAIR, SPARK_SQUARE = 30.0, 8e-7, 6e-10
"""Seconds of MLlib on two cores: to start, and of a pair in an iteration, also for each product of two factors."""


class AlsParams(RatingParams):
    """Parameters of ALS; Spark's spelling `maxIter` and `regParam` is accepted as well."""

    engine: Literal["numba", "spark"] = Field(
        "numba", description="Which code solves; spark: MLlib's ALS, which has the objective of the preset als_wr."
    )
    rank: int = Field(64, ge=1, description="Number of factors of a user and of an item.")
    max_iter: int = Field(20, ge=1, description="Largest number of iterations; each solves all items, then all users.")
    reg_param: float = Field(
        1.1, gt=0, description="L2 penalty λ of the factors, for ratings with a variance of 1; see reg_power."
    )
    reg_power: float = Field(
        0.5,
        ge=0,
        le=1,
        description="The penalty of a user or item with n ratings is λ times n to this power; Spark's is 1.",
    )
    biases: bool = Field(
        True, description="Whether users and items have biases; without them factors explain the ratings as they are."
    )
    bias_damping: float = Field(3.0, gt=0, description="Number of average ratings by which a bias is damped.")
    implicit_weight: float = Field(
        2.0, ge=0, description="Weight of the implicit part of the loss, which users have which items; 0 disables it."
    )
    implicit_reg: float = Field(300.0, gt=0, description="L2 penalty of the implicit factors.")
    patience: int | None = Field(
        2, ge=1, description="Iterations without a better validation RMSE after which it stops; None: it makes all."
    )

    aliases: ClassVar = {"maxIter": "max_iter", "regParam": "reg_param"}
    searched: ClassVar = {
        "rank": Whole(8, 128, log=True),
        "reg_param": Real(0.05, 20, log=True),
        "reg_power": Real(0, 1),
        "bias_damping": Real(0.5, 20, log=True),
        "implicit_weight": Real(0, 10),
        "implicit_reg": Real(1, 3000, log=True),
    }

    @model_validator(mode="after")
    def _require_one_objective(self) -> Self:
        if not self.biases and self.implicit_weight:
            raise ValueError("without biases there is no implicit part: set implicit_weight to 0")
        if self.engine == "spark" and (self.biases or self.reg_power != 1 or self.patience is not None):
            raise ValueError("MLlib's ALS has no biases, reg_power 1 and no patience: start from the preset spark")
        return self


ALS_WR = AlsParams(rank=10, max_iter=10, reg_param=0.1, reg_power=1, biases=False, implicit_weight=0, patience=None)
"""The objective and the default parameters of Spark's ALS."""


class Als(FactoredScores, EarlyStopping, FoldInRatingModel):
    """Explicit matrix factorisation with biases and implicit features, by alternating least squares.

    r̂_ui = μ + b_u + b_i + ⟨p_u, q_i⟩, where the factors p and q also explain which users have which items.

    Let r be the ratings, standardised to mean 0 and variance 1, and M the matrix that is 1 where a user has an item and
    0 elsewhere. The model minimises

        Σ_rated (r_ui − b_u − b_i − ⟨p_u, q_i⟩)² + λ (Σ n_u^α ‖p_u‖² + Σ n_i^α ‖q_i‖²) + damping (Σ b_u² + Σ b_i²)
        + w (‖M − P Yᵀ‖² + ‖M − X Qᵀ‖² + κ (‖X‖² + ‖Y‖²))

    by solving exactly for the items, then for the users, in turn. Here λ is `reg_param`, α `reg_power`, w
    `implicit_weight` and κ `implicit_reg`. The implicit factors X (n_users, rank) and Y (n_items, rank) are those of
    Cortes 2018, "Cold-start recommendations in Collective Matrix Factorization". Through them the
    model also learns from interactions without a rating.

    Without biases, with w = 0 and α = 1, r are the ratings as they are, and this is ALS-WR (Zhou et al. 2008,
    "Large-scale Parallel Collaborative Filtering for the Netflix Prize"), which Spark has: the preset `als_wr` solves
    it here, `spark` by MLlib. MLlib's predictions are NaN for a user or an item without a training rating, and not
    within the scale. Here such a user gets the factors of one who gave all ratings, so that each item has about its
    mean rating, and such an item those of one that got them all.

    Attributes:
        mean_, deviation_: of the training ratings; 0 and 1 without biases.
        users_, items_: (n_users, 1 + rank) and (n_items, 1 + rank) float32, bias first, of standardised ratings.
        implicit_items_: (n_items, rank) float32, Y.
        typical_user_: (1 + rank,) float32, the user who gave all ratings; zeros with biases.
        iterations_: the number of iterations after which `users_` and `items_` were taken.
        history_: `rmse` on the validation fold after each iteration, if there is one.
    """

    name = "als"
    kinds = ("numba",)
    params_type = AlsParams
    params: AlsParams
    presets: ClassVar[Mapping[str, Params]] = {
        "als_wr": ALS_WR,
        "spark": ALS_WR.model_copy(update={"engine": "spark"}),
    }

    mean_: float
    deviation_: float
    users_: NDArray[np.float32]
    items_: NDArray[np.float32]
    implicit_items_: NDArray[np.float32]
    typical_user_: NDArray[np.float32]
    iterations_: int

    def estimate(self, size: Size) -> Estimate:
        """Estimate a fit and an evaluation: the work is in two factorisations, and in compiling or starting Spark.

        The memory is that of this process; Spark's own is RECSYS_SPARK_MEMORY.
        """
        rank = self.params.rank
        sweep = 4 * size.pairs * rank**2 + 2 * (size.users + size.items) * rank**3 / 3
        fit = 10 + 2 * self.params.max_iter * sweep / FLOPS
        if self.params.engine == "spark":
            fit = SPARK_START + self.params.max_iter * size.pairs * (SPARK_PAIR + SPARK_SQUARE * rank**2)
        return Estimate.of_work(
            size,
            fit=fit,
            score=2 * rank / FLOPS,
            memory=4 * 4 * rank * (size.users + size.items),
        )

    def _fit(self, data: TrainingData) -> None:
        rated, held_out = data.train.rated, data.validation.rated
        if len(rated) == 0:
            raise RecsysError(f"{self.name}: the training fold has interactions, but no ratings")
        self.mean_, self.deviation_ = 0.0, 1.0
        if self.params.biases:
            self.mean_ = float(rated.ratings.mean(dtype=np.float64))
            self.deviation_ = float(rated.ratings.std(dtype=np.float64)) or 1.0
        by_user = self._standardised(data.train, self.n_users_)
        if self.params.engine == "spark":
            self._factorise_on_spark(rated, by_user)
        else:
            self._alternate(by_user, held_out)
        self.typical_user_ = self._typical(by_user, self.items_)

    def _factorise_on_spark(self, rated: Interactions, by_user: sp.csr_array) -> None:
        params = self.params
        names = {"rank": params.rank, "maxIter": params.max_iter, "regParam": params.reg_param, "seed": self.seed}
        users, items = factorise_on_spark(rated, self.n_users_, self.n_items_, names)
        users, items = (np.insert(factors, 0, 0, axis=1) for factors in (users, items))
        by_item = by_user.T.tocsr()
        self.items_ = self._completed(items, by_item, self._typical(by_item, users))
        self.users_ = self._completed(users, by_user, self._typical(by_user, items))
        self.implicit_items_ = np.zeros((self.n_items_, params.rank), dtype=np.float32)
        self.iterations_ = params.max_iter

    def _alternate(self, by_user: sp.csr_array, held_out: Interactions) -> None:
        """Solve for the items, then for the users, in turn; keep those of the best iteration."""
        by_item = by_user.T.tocsr()
        width = 1 + self.params.rank
        random = np.random.default_rng(self.seed)
        deviation = INITIAL_DEVIATION if self.params.biases else self.params.rank**-0.5
        users = random.normal(0, deviation, (self.n_users_, width)).astype(np.float32)
        users[:, 0] = 0
        implicit_users = np.zeros((self.n_users_, self.params.rank), dtype=np.float32)
        best, patience = np.inf, self.params.patience
        self.history_ = {"rmse": []} if len(held_out) else {}
        for iteration in range(1, self.params.max_iter + 1):
            items = self._solve(by_item, users, implicit_users)
            items = self._completed(items, by_item, self._typical(by_item, users))
            implicit_items = self._solve_implicit(by_item, users)
            users = self._solve(by_user, items, implicit_items)
            users = self._completed(users, by_user, self._typical(by_user, items))
            implicit_users = self._solve_implicit(by_user, items)
            error = 0.0
            if len(held_out):
                missed = self._pair_ratings(users, items, held_out.users, held_out.items) - held_out.ratings
                error = float(np.sqrt(np.mean(missed**2, dtype=np.float64)))
                self.history_["rmse"].append(error)
            if error < best or not len(held_out) or patience is None:
                best = error
                self.users_, self.items_, self.implicit_items_ = users, items, implicit_items
                self.iterations_ = iteration
            elif iteration - self.iterations_ >= patience:
                break

    def refit_params(self) -> AlsParams:
        """Return the parameters with the number of iterations that was best on the validation fold."""
        refit: AlsParams = self.params.model_copy(update={"max_iter": self.iterations_})
        return refit

    def _standardised(self, pairs: Interactions, n_users: int) -> sp.csr_array:
        """Return the (n_users, n_items) CSR of standardised ratings, NaN for a pair without a rating."""
        ratings = (pairs.ratings - np.float32(self.mean_)) / np.float32(self.deviation_)
        return sp.coo_array((ratings, (pairs.users, pairs.items)), shape=(n_users, self.n_items_)).tocsr()

    def _solve(
        self, pairs: sp.csr_array, other: NDArray[np.float32], implicit: NDArray[np.float32]
    ) -> NDArray[np.float32]:
        """Return the (n_rows, 1 + rank) biases and factors of the rows of `pairs`, given those of its columns.

        Args:
            pairs: (n_rows, n_columns) CSR of standardised ratings, NaN for a pair without a rating.
            other: (n_columns, 1 + rank), biases and factors of the columns.
            implicit: (n_columns, rank), implicit factors of the columns.
        """
        from recsys_dagster.models.kernels.als import solve_rows, sum_rows

        params = self.params
        features = other.copy()
        features[:, 0] = float(params.biases)
        gram = np.zeros((1 + params.rank, 1 + params.rank), dtype=np.float32)
        sums = np.zeros((pairs.shape[0], 1 + params.rank), dtype=np.float32)
        if params.implicit_weight:
            gram[1:, 1:] = params.implicit_weight * (implicit.T @ implicit)
            sums[:, 1:] = sum_rows(pairs.indptr, pairs.indices, longest_first(pairs), implicit)
            sums[:, 1:] *= params.implicit_weight
        solved: NDArray[np.float32] = solve_rows(
            pairs.indptr,
            pairs.indices,
            pairs.data,
            longest_first(pairs),
            other[:, 0].copy(),
            features,
            gram,
            sums,
            params.reg_param,
            params.reg_power,
            params.bias_damping,
        )
        return solved

    def _completed(
        self, factors: NDArray[np.float32], pairs: sp.csr_array, typical: NDArray[np.float32]
    ) -> NDArray[np.float32]:
        """Return the factors of the rows of `pairs`; without biases, a row without a rating gets the typical ones."""
        if not self.params.biases:
            factors[rated_entries(pairs).sum(axis=1) == 0] = typical
        return factors

    def _typical(self, pairs: sp.csr_array, other: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the (1 + rank,) factors of a row that has all ratings of `pairs`; zeros with biases.

        Args:
            pairs: (n_rows, n_columns) CSR of ratings, NaN for a pair without a rating.
            other: (n_columns, 1 + rank), factors of the columns.
        """
        typical = np.zeros(1 + self.params.rank, dtype=np.float32)
        if not self.params.biases:
            factors, counts = other[:, 1:].astype(np.float64), rated_entries(pairs).sum(axis=0)
            sums = np.bincount(pairs.indices, np.nan_to_num(pairs.data), len(other))
            penalty = self.params.reg_param * counts.sum() ** self.params.reg_power
            normal = (factors.T * counts) @ factors + penalty * np.eye(self.params.rank)
            typical[1:] = np.linalg.solve(normal, sums @ factors)
        return typical

    def _solve_implicit(self, pairs: sp.csr_array, other: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the (n_rows, rank) implicit factors of the rows: F (FᵀF + κI)⁻¹ summed over each row's columns."""
        if not self.params.implicit_weight:
            return np.zeros((pairs.shape[0], self.params.rank), dtype=np.float32)
        from recsys_dagster.models.kernels.als import sum_rows

        factors = np.ascontiguousarray(other[:, 1:])
        gram = (factors.T @ factors).astype(np.float64)
        gram += self.params.implicit_reg * np.eye(len(gram))
        solved: NDArray[np.float32] = np.linalg.solve(gram, factors.T).T.astype(np.float32)
        sums: NDArray[np.float32] = sum_rows(
            pairs.indptr, pairs.indices, longest_first(pairs), np.ascontiguousarray(solved)
        )
        return sums

    def _pair_ratings(
        self,
        users: NDArray[np.float32],
        items: NDArray[np.float32],
        user_positions: NDArray[np.int32],
        item_positions: NDArray[np.int32],
    ) -> NDArray[np.float32]:
        """Return the (n,) predicted ratings, within the scale, of pairs of rows of `users` and `items`."""
        scores = pair_products(users[:, 1:], items[:, 1:], user_positions, item_positions)
        scores += users[user_positions, 0] + items[item_positions, 0]
        ratings: NDArray[np.float32] = np.clip(self.mean_ + self.deviation_ * scores, *self.scale_)
        return ratings

    def _predict(self, users: NDArray[np.int32], items: NDArray[np.int32]) -> NDArray[np.float32]:
        return self._pair_ratings(self.users_, self.items_, users, items)

    def factored_scores(self) -> ScoreFactors:
        """Return the factors with biases and popularity; see `FactoredScores`."""
        return rating_factors(self, self.mean_, self.deviation_, self.users_, self.items_)

    def _ratings(self, users: NDArray[np.int32]) -> NDArray[np.float32]:
        return self._ratings_of(self.users_[users])

    def _ratings_for(self, history: Interactions, n_users: int) -> NDArray[np.float32]:
        pairs = self._standardised(history, n_users)
        users = self._solve(pairs, self.items_, self.implicit_items_)
        return self._ratings_of(self._completed(users, pairs, self.typical_user_))

    def _ratings_of(self, users: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the (n, n_items) predictions for users with these (n, 1 + rank) biases and factors."""
        scores = users[:, 1:] @ self.items_[:, 1:].T
        scores += users[:, :1] + self.items_[:, 0]
        ratings: NDArray[np.float32] = np.float32(self.mean_) + np.float32(self.deviation_) * scores
        return ratings


def rated_entries(pairs: sp.csr_array) -> sp.csr_array:
    """Return a CSR of the same shape, 1.0 where a pair has a rating."""
    return sp.csr_array(((~np.isnan(pairs.data)).astype(np.float64), pairs.indices, pairs.indptr), shape=pairs.shape)


def longest_first(pairs: sp.csr_array) -> NDArray[np.int64]:
    """Return the (n_rows,) positions of the rows, sorted by their number of entries, largest first."""
    return np.argsort(-np.diff(pairs.indptr), kind="stable")
