"""Matrix factorisation of implicit feedback by alternating least squares, through the `implicit` library."""

from typing import TYPE_CHECKING, ClassVar

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from pydantic import Field
from threadpoolctl import threadpool_limits

from recsys_dagster.models.budget import FLOPS, Estimate, Size
from recsys_dagster.models.positives import FoldInPositivesModel, PositivesParams
from recsys_dagster.models.search_space import Real, Whole

if TYPE_CHECKING:
    from implicit.cpu.als import AlternatingLeastSquares


class ImplicitAlsParams(PositivesParams):
    """Parameters of the factorisation."""

    factors: int = Field(256, ge=1, description="Length of a user's and of an item's vector.")
    regularisation: float = Field(1.0, ge=0, description="L2 penalty of the vectors, before it is scaled by the data.")
    alpha: float = Field(5.0, gt=1, description="Confidence in a positive; an absent pair has 1.")
    iterations: int = Field(16, ge=1, description="Rounds of solving for all users, then for all items.")

    searched: ClassVar = {
        "factors": Whole(16, 512, log=True),
        "regularisation": Real(0.05, 20, log=True),
        "alpha": Real(1.1, 100, log=True),
        "iterations": Whole(4, 32, log=True),
    }


class ImplicitAls(FoldInPositivesModel):
    """Implicit-feedback matrix factorisation, least squares weighted by confidence (Hu 2008; Rendle 2022).

    Minimises Σ c_ui (p_ui − x_u·y_i)² + λ (Σ ||x_u||² + Σ ||y_i||²) over all pairs.

    p is 1 and c is alpha at a positive; p is 0 and c is 1 elsewhere (Hu, Koren and Volinsky 2008, "Collaborative
    Filtering for Implicit Feedback Datasets"). λ is `regularisation` times `penalty_scale` of the data. Each row is
    solved by three steps of conjugate gradients, by itself: the number of threads does not change the result. Someone
    new is solved for exactly, against the items' vectors.

    Attributes:
        penalty_: λ.
        user_factors_: (n_users, factors) float32.
        item_factors_: (n_columns, factors) float32.
    """

    name = "implicit_als"
    params_type = ImplicitAlsParams
    params: ImplicitAlsParams

    penalty_: float
    user_factors_: NDArray[np.float32]
    item_factors_: NDArray[np.float32]

    def estimate(self, size: Size) -> Estimate:
        """Return what a fit and an evaluation are expected to cost: conjugate gradients for each user and title."""
        factors = self.params.factors
        sweep = 16 * size.pairs * factors + 8 * (size.users + size.items) * factors**2
        return Estimate.of_work(
            size,
            fit=self.params.iterations * sweep / FLOPS,
            score=2 * factors / FLOPS,
            memory=8 * factors * (size.users + size.items),
        )

    def _learn(self, positives: sp.csr_array) -> None:
        self.penalty_ = self.params.regularisation * penalty_scale(positives, self.params.alpha)
        solver = self._solver()
        with threadpool_limits(1, "blas"):
            solver.fit(sp.csr_matrix(positives), show_progress=False)
        self.user_factors_, self.item_factors_ = solver.user_factors, solver.item_factors

    def _column_scores(self, users: NDArray[np.int32]) -> NDArray[np.float32]:
        scores: NDArray[np.float32] = self.user_factors_[users] @ self.item_factors_.T
        return scores

    def _column_scores_for(self, positives: sp.csr_array) -> NDArray[np.float32]:
        solver = self._solver()
        solver.item_factors = self.item_factors_
        with threadpool_limits(1, "blas"):
            factors = solver.recalculate_user(np.arange(positives.shape[0]), sp.csr_matrix(positives))
        scores: NDArray[np.float32] = factors @ self.item_factors_.T
        return scores

    def _solver(self) -> "AlternatingLeastSquares":
        from implicit.cpu.als import AlternatingLeastSquares

        with threadpool_limits(1, "blas"):
            return AlternatingLeastSquares(
                factors=self.params.factors,
                regularization=self.penalty_,
                alpha=self.params.alpha,
                iterations=self.params.iterations,
                random_state=self.seed,
            )


def penalty_scale(positives: sp.csr_array, alpha: float) -> float:
    """Return √√((n̄_u + α₀·n_items) (n̄_i + α₀·n_users)), where n̄ are the mean positives of a user and of an item.

    Rendle et al. 2022, "Revisiting the Performance of iALS on Item Recommendation Benchmarks", §3.2: the best penalty
    of a vector grows with the pairs it explains, those absent counting α₀ = 1 / (alpha − 1), to a power ν. The library
    takes one penalty for all vectors, of which only the geometric mean of users' and items' matters; ν = ½ made one
    default serve data with 4 and with 43 positives an item.
    """
    n_users, n_items = positives.shape
    absent = 1 / (alpha - 1)
    users = positives.nnz / n_users + absent * n_items
    items = positives.nnz / n_items + absent * n_users
    return float((users * items) ** 0.25)
