"""Predict the next item of a history by a ridge regression on the last ones, in closed form."""

from typing import ClassVar

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from pydantic import Field
from scipy.linalg import blas, lapack

from recsys_dagster.errors import RecsysError
from recsys_dagster.models.budget import FLOPS, Estimate, Size
from recsys_dagster.models.search_space import Real, Whole
from recsys_dagster.models.sequences.histories import Histories
from recsys_dagster.models.sequences.ordered import OrderedModel, OrderedParams, places_of
from recsys_dagster.runtime.memory import require_memory

BLOCK_ROWS = 1024
"""Rows of a block when one triangle is added to the other: small enough for the processor's cache."""


class NextItemRidgeParams(OrderedParams):
    """Parameters of the regression."""

    regularisation: float = Field(100.0, gt=0, description="L2 penalty λ, in pairs of an item.")
    dropout: float = Field(
        0.5, ge=0, lt=1, description="Share p of a window that is dropped; p/(1-p) of the diagonal is added to it."
    )
    target_power: float = Field(
        0.1, ge=0, le=1, description="The scores of an item are divided by its popularity to this power."
    )
    min_pairs: int = Field(3, ge=1, description="Items with fewer pairs are ranked last.")
    max_items: int = Field(
        20_000, ge=1, description="Largest number of items; beyond it the least popular ones are ranked last."
    )

    searched: ClassVar = {
        "window": Whole(1, 50, log=True),
        "decay": Real(0.5, 0.99),
        "regularisation": Real(1, 3000, log=True),
        "dropout": Real(0, 0.9),
        "target_power": Real(0, 0.5),
    }


class NextItemRidge(OrderedModel):
    """A ridge regression from the last items of a history to the next one, in closed form (idea: Choi et al. 2021).

    Each place of a history, except the last, is an example: x holds decay^a for the item a places back, a < `window`,
    and y is one for the item at the next place. B minimises Σ ||y − xB||² + ||Λ^½ B||², so B = (XᵀX + Λ)⁻¹ XᵀY with
    Λ = λ·I + p/(1−p)·diag(XᵀX), the expected effect of dropping each entry of x with probability p (Steck 2020).
    Column j of B is divided by the popularity of the item to the power `target_power`. The scores are x·B for the last
    window of a history. The idea is that of SLIST and SLIT (Choi, Kim, Lee, Shim and Lee 2021, "Session-aware Linear
    Item-Item Models for Session-based Recommendation", §3); here a window replaces the session.

    XᵀX is summed over pairs of places and not over examples: places p ≤ q with d = q − p share the m examples that
    begin with the one at q and hold both, which add decay^d · Σ decay^(2k), k < m. The work is `window` additions per
    place instead of its square.

    Memory: two matrices of items × items. `max_items` bounds them, at 20,000 to 3.2 GB.

    Attributes:
        columns_: (n_columns,) int32, the item of each column, ascending.
        weights_: (n_columns, n_columns) float32, B.
    """

    name = "next_item_ridge"
    kinds = ("scipy", "numba")
    params_type = NextItemRidgeParams
    params: NextItemRidgeParams

    columns_: NDArray[np.int32]
    weights_: NDArray[np.float32]

    def estimate(self, size: Size) -> Estimate:
        """Estimate a fit and an evaluation: the work is in solving for items × items unknowns."""
        window, items = self.params.window, min(self.params.max_items, size.items)
        return Estimate.of_work(
            size,
            fit=2.4 * items**3 / (2.5 * FLOPS) + 6e-9 * size.pairs * window + 1e-6 * size.pairs,
            score=0.2e-9 * window,
            memory=8 * items**2 + 60 * size.pairs,
        )

    def _learn(self, histories: Histories) -> None:
        often = int(np.count_nonzero(self.popularity_ >= self.params.min_pairs))
        n = min(self.params.max_items, often)
        if not n:
            raise RecsysError(
                f"{self.name}: no item has {self.params.min_pairs} pairs in the training fold; lower min_pairs"
            )
        require_memory(
            8 * n * n, f"{self.name}: two matrices of {n} × {n} items", "lower max_items, or use item_transitions"
        )
        # Of equally popular items the lower index is kept.
        self.columns_ = np.sort(np.argsort(-self.popularity_, kind="stable")[:n]).astype(np.int32)
        column_of = np.full(self.n_items_, -1, dtype=np.int32)
        column_of[self.columns_] = np.arange(n, dtype=np.int32)
        gram, weights = self._products(histories, column_of[histories.items])
        dropout = self.params.dropout
        np.fill_diagonal(gram, gram.diagonal() / np.float32(1 - dropout) + np.float32(self.params.regularisation))
        solve_in_place(gram, weights)
        weights /= self.popularity_[self.columns_] ** np.float32(self.params.target_power)
        self.weights_ = weights

    def _products(
        self, histories: Histories, columns: NDArray[np.int32]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return XᵀX, of which only the upper triangle is filled in, and XᵀY; (n_columns, n_columns) float32."""
        from recsys_dagster.models.kernels.followers import follower_sums

        n, window, decay = len(self.columns_), self.params.window, self.params.decay
        places = places_of(columns, n)
        stops = histories.offsets[histories.users + 1]
        ones = np.ones(len(columns), np.float32)
        distance, left = np.ogrid[: window + 1, : window + 1]
        examples = np.minimum(window - distance, np.maximum(left - 1, 0))
        shared = (decay**distance * _geometric(decay**2, examples)).astype(np.float32)
        gram = follower_sums(columns, stops, places, shared, ones, slice(None))
        add_transpose(gram)
        own = _geometric(decay**2, np.minimum(window, histories.places_from_end))
        counted = columns >= 0
        np.fill_diagonal(gram, np.bincount(columns[counted], own[counted], n))
        next_after = np.zeros_like(shared)
        next_after[1:] = np.power(decay, np.arange(window))[:, None]
        return gram, follower_sums(columns, stops, places, next_after, ones, slice(None))

    def _item_scores(self, windows: sp.csr_array) -> NDArray[np.float32]:
        from recsys_dagster.models.kernels.columns import scores_of_all, sparse_by_dense

        scores = scores_of_all(sparse_by_dense(windows[:, self.columns_], self.weights_), self.columns_, self.n_items_)
        rest = np.setdiff1d(np.arange(self.n_items_), self.columns_)
        scores[:, rest] += self._popularity_below_zero()[rest]
        return scores


def _geometric(ratio: float, terms: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return Σ ratio^k over k < each number of terms."""
    if ratio == 1:
        return terms.astype(np.float64)
    sums: NDArray[np.float64] = (1 - np.power(ratio, terms)) / (1 - ratio)
    return sums


def add_transpose(matrix: NDArray[np.float32]) -> None:
    """Add the transpose to a square matrix, in place and in its upper triangle only."""
    for start in range(0, len(matrix), BLOCK_ROWS):
        stop = start + BLOCK_ROWS
        corner = matrix[start:stop, start:stop]
        corner += corner.T.copy()
        matrix[start:stop, stop:] += matrix[stop:, start:stop].T


def solve_in_place(gram: NDArray[np.float32], right: NDArray[np.float32]) -> None:
    """Replace `right` by gram⁻¹ · right, and overwrite `gram`; neither is copied.

    Args:
        gram: (n, n) float32, C-ordered, symmetric positive definite; only its upper triangle is read.
        right: (n, m) float32, C-ordered.

    Raises:
        RecsysError: the matrix is not positive definite in float32.
    """
    # BLAS reads the same memory in Fortran order, that is transposed: rightᵀ := rightᵀ · L⁻ᵀ · L⁻¹ with gram = L·Lᵀ.
    lower, failed = lapack.spotrf(gram.T, lower=1, clean=0, overwrite_a=1)
    if failed:
        raise RecsysError(
            f"next_item_ridge: the matrix cannot be inverted in float32 (row {failed}); raise regularisation"
        )
    for transposed in (1, 0):
        solved = blas.strsm(1.0, lower, right.T, side=1, lower=1, trans_a=transposed, overwrite_b=1)
    if not np.shares_memory(solved, right):
        raise AssertionError("BLAS worked on a copy, because the matrix is not C-ordered float32")
