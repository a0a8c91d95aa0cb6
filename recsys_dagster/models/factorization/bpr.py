"""Factorise implicit feedback by Bayesian personalised ranking, with the library `implicit`."""

from typing import ClassVar

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from pydantic import Field
from threadpoolctl import threadpool_limits

from recsys_dagster.models.budget import FLOPS, Estimate, Size
from recsys_dagster.models.capabilities import FactoredScores, ScoreFactors
from recsys_dagster.models.positives import PositivesModel, PositivesParams
from recsys_dagster.models.search_space import Real, Whole


class BprParams(PositivesParams):
    """Parameters of the stochastic gradient descent."""

    factors: int = Field(
        64, ge=1, description="Number of factors of a user and of an item, in addition to the bias of the item."
    )
    learning_rate: float = Field(0.02, gt=0, description="Step size of the gradient descent.")
    regularisation: float = Field(0.02, ge=0, description="L2 penalty of the vectors that a step updates.")
    iterations: int = Field(200, ge=1, description="Number of passes; each takes as many steps as there are positives.")
    num_threads: int = Field(1, ge=0, description="Number of threads, 0 for all; with more than one, two fits differ.")

    searched: ClassVar = {
        "factors": Whole(16, 256, log=True),
        "learning_rate": Real(0.002, 0.2, log=True),
        "regularisation": Real(0.001, 0.2, log=True),
        "iterations": Whole(50, 400, log=True),
    }


class Bpr(FactoredScores, PositivesModel):
    """Matrix factorisation trained to rank each positive above an item that the user lacks (Rendle 2009).

    It maximises Σ ln σ(x̂_ui − x̂_uj), where i is a positive of user u and j is not, and x̂_ui = x_u·y_i + b_i, by
    gradient ascent on random triples (Rendle et al. 2009, "BPR: Bayesian Personalized Ranking from Implicit Feedback",
    §4). The library draws j in proportion to its popularity and skips it if the user has it.
    The strengths of positives are ignored.

    Attributes:
        user_factors_: (n_users, factors + 1) float32; the last column is one.
        item_factors_: (n_columns, factors + 1) float32; the last column is the bias.
    """

    name = "bpr"
    kinds = ("implicit",)
    params_type = BprParams
    params: BprParams

    user_factors_: NDArray[np.float32]
    item_factors_: NDArray[np.float32]

    def estimate(self, size: Size) -> Estimate:
        """Estimate a fit and an evaluation: a pass takes as many steps as there are positives."""
        factors = self.params.factors
        return Estimate.of_work(
            size,
            fit=8e-9 * factors * self.params.iterations * size.pairs,
            score=2 * factors / FLOPS,
            memory=8 * factors * (size.users + size.items),
        )

    def _learn(self, positives: sp.csr_array) -> None:
        from implicit.cpu.bpr import BayesianPersonalizedRanking

        with threadpool_limits(1, "blas"):
            solver = BayesianPersonalizedRanking(
                factors=self.params.factors,
                learning_rate=self.params.learning_rate,
                regularization=self.params.regularisation,
                iterations=self.params.iterations,
                num_threads=self.params.num_threads,
                random_state=self.seed,
            )
            solver.fit(sp.csr_matrix(positives), show_progress=False)
        self.user_factors_, self.item_factors_ = solver.user_factors, solver.item_factors

    def factored_scores(self) -> ScoreFactors:
        """Return the factors; see `FactoredScores`."""
        return ScoreFactors(self.user_factors_, self.item_factors_.T, self.columns_, self.known_)

    def _column_scores(self, users: NDArray[np.int32]) -> NDArray[np.float32]:
        scores: NDArray[np.float32] = self.user_factors_[users] @ self.item_factors_.T
        return scores
