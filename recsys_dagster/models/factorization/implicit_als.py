"""Factorise implicit feedback by alternating least squares, with the library `implicit`."""

from functools import cached_property
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from pydantic import Field
from threadpoolctl import threadpool_limits

from recsys_dagster.models.budget import FLOPS, Estimate, Size
from recsys_dagster.models.capabilities import FactoredScores, ScoreFactors
from recsys_dagster.models.positives import FoldInPositivesModel, PositivesParams
from recsys_dagster.models.search_space import Real, Whole

if TYPE_CHECKING:
    from implicit.cpu.als import AlternatingLeastSquares


class ImplicitAlsParams(PositivesParams):
    """Parameters of the factorisation."""

    factors: int = Field(256, ge=1, description="Number of factors of a user and of an item.")
    regularisation: float = Field(
        1.0, ge=0, description="L2 penalty of the factors, before it is scaled by `penalty_scale`."
    )
    alpha: float = Field(5.0, gt=1, description="Confidence in a positive; that in an absent pair is 1.")
    iterations: int = Field(16, ge=1, description="Number of iterations; each solves all users, then all items.")

    searched: ClassVar = {
        "factors": Whole(16, 512, log=True),
        "regularisation": Real(0.05, 20, log=True),
        "alpha": Real(1.1, 100, log=True),
        "iterations": Whole(4, 32, log=True),
    }


class ImplicitAls(FactoredScores, FoldInPositivesModel):
    """Implicit-feedback matrix factorisation, least squares weighted by confidence (Hu 2008; Rendle 2022).

    Minimises Σ c_ui (p_ui − x_u·y_i)² + λ (Σ ||x_u||² + Σ ||y_i||²) over all pairs.

    At a positive, p is 1 and c is 1 + (alpha − 1) s, with s its strength, which is 1 without weights (see `positives`);
    elsewhere p is 0 and c is 1 (Hu, Koren and Volinsky 2008, "Collaborative Filtering for Implicit Feedback Datasets",
    §4). λ is `regularisation` times `penalty_scale`. Each row is solved on its
    own by three steps of conjugate gradients, so that the number of threads does not change the result. A new user is
    solved exactly, given the factors of the items.

    Attributes:
        penalty_: λ.
        user_factors_: (n_users, factors) float32.
        item_factors_: (n_columns, factors) float32.
    """

    name = "implicit_als"
    kinds = ("implicit",)
    params_type = ImplicitAlsParams
    params: ImplicitAlsParams
    presets: ClassVar = {"small": ImplicitAlsParams(factors=64)}

    penalty_: float
    user_factors_: NDArray[np.float32]
    item_factors_: NDArray[np.float32]

    def estimate(self, size: Size) -> Estimate:
        """Estimate a fit and an evaluation: the work is in conjugate gradients for each user and item."""
        factors = self.params.factors
        sweep = 16 * size.pairs * factors + 8 * (size.users + size.items) * factors**2
        return Estimate.of_work(
            size,
            fit=self.params.iterations * sweep / FLOPS,
            score=2 * factors / FLOPS,
            memory=8 * factors * (size.users + size.items),
        )

    def _learn(self, positives: sp.csr_array) -> None:
        for of_another_fit in ("_gram", "_inverse_gram"):
            vars(self).pop(of_another_fit, None)
        self.penalty_ = self.params.regularisation * penalty_scale(positives, self.params.alpha)
        solver = self._solver()
        with threadpool_limits(1, "blas"):
            solver.fit(self._confidences(positives), show_progress=False)
        self.user_factors_, self.item_factors_ = solver.user_factors, solver.item_factors

    def factored_scores(self) -> ScoreFactors:
        """Return the factors; see `FactoredScores`."""
        return ScoreFactors(self.user_factors_, self.item_factors_.T, self.columns_, self.known_)

    def _column_scores(self, users: NDArray[np.int32]) -> NDArray[np.float32]:
        scores: NDArray[np.float32] = self.user_factors_[users] @ self.item_factors_.T
        return scores

    def _column_scores_for(self, positives: sp.csr_array) -> NDArray[np.float32]:
        if positives.shape[0] == 1:
            return self._user_factors(positives) @ self.item_factors_.T
        solver = self._solver()
        solver.item_factors = self.item_factors_
        with threadpool_limits(1, "blas"):
            factors = solver.recalculate_user(np.arange(positives.shape[0]), self._confidences(positives))
        scores: NDArray[np.float32] = factors @ self.item_factors_.T
        return scores

    def _user_factors(self, positives: sp.csr_array) -> NDArray[np.float32]:
        """Return the (1, factors) factors of one user as the library does, which takes longer to import than to solve.

        They solve (YᵀY + Y_hᵀ(C − I)Y_h + λI) x = Y_hᵀ c over the history h (Hu, Koren and Volinsky 2008, eq. 4).
        """
        history = self.item_factors_[positives.indices].astype(np.float64)
        confidences = self.params.alpha * self._confidences(positives).data
        normal = self._gram + (history.T * (confidences - 1)) @ history
        factors: NDArray[np.float32] = np.linalg.solve(normal, confidences @ history)[None].astype(np.float32)
        return factors

    def _divide(self, positives: sp.csr_array, targets: NDArray[np.int32]) -> NDArray[np.float32]:
        """Divide the scores as in Hu, Koren and Volinsky 2008, §5.

        With A = YᵀY + λI + Y_hᵀ(C − I)Y_h over the history h, the score of i is Σ_j c_j y_iᵀA⁻¹y_j. The matrix
        A⁻¹Y_hᵀ is P Y_hᵀ (I + (C − I) Y_h P Y_hᵀ)⁻¹, where P = (YᵀY + λI)⁻¹ is the same for all users.
        """
        history, chosen = self.item_factors_[positives.indices], self.item_factors_[targets]
        confidences = self.params.alpha * self._confidences(positives).data
        projected = self._inverse_gram @ history.T
        inner = np.eye(len(history)) + (confidences - 1)[:, None] * (history @ projected)
        products = np.linalg.solve(inner.T, (chosen @ projected).T)
        shares: NDArray[np.float32] = (confidences[:, None] * products).astype(np.float32)
        return shares

    def _similarities(self, columns: NDArray[np.int32]) -> NDArray[np.float32]:
        norms = np.maximum(np.linalg.norm(self.item_factors_, axis=1), np.finfo(np.float32).tiny)
        cosines: NDArray[np.float32] = (self.item_factors_[columns] @ self.item_factors_.T) / norms
        cosines /= norms[columns][:, None]
        return cosines

    @cached_property
    def _inverse_gram(self) -> NDArray[np.float64]:
        """(factors, factors) inverse of YᵀY + λI."""
        return np.linalg.inv(self._gram).astype(np.float64)

    @cached_property
    def _gram(self) -> NDArray[np.float64]:
        """(factors, factors) YᵀY + λI."""
        factors = self.item_factors_.astype(np.float64)
        gram: NDArray[np.float64] = factors.T @ factors + self.penalty_ * np.eye(factors.shape[1])
        return gram

    def _confidences(self, strengths: sp.csr_array) -> sp.csr_matrix:
        """Return the confidence in each positive divided by alpha, by which the library multiplies it."""
        alpha = np.float32(self.params.alpha)
        confidences = sp.csr_matrix(strengths, copy=True)
        confidences.data = (1 + (alpha - 1) * confidences.data) / alpha
        return confidences

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
    """Return the factor by which the penalty grows with the size of the data.

    It is √√((n̄_u + α₀·n_items) (n̄_i + α₀·n_users)), where n̄_u and n̄_i are the mean numbers of positives of a user
    and of an item. Rendle et al. 2022, "Revisiting the Performance of iALS on Item Recommendation Benchmarks", §3.2:
    the best penalty of a vector grows with the number of pairs that it explains, to a power ν, where an absent pair
    counts α₀ = 1 / (alpha − 1). The library takes one penalty for all vectors, of which only the geometric mean over
    users and items matters. With ν = ½ the same default suits data with 4 and with 43 positives per item.

    Args:
        positives: (n_users, n_items) CSR of which only the number of entries counts.
        alpha: as in the model's parameters.
    """
    n_users, n_items = positives.shape
    absent = 1 / (alpha - 1)
    users = positives.nnz / n_users + absent * n_items
    items = positives.nnz / n_items + absent * n_users
    return float((users * items) ** 0.25)
