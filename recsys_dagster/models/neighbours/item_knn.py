"""Recommend items that are similar to the user's, by the users that they have in common."""

from typing import ClassVar, Literal

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from pydantic import Field

from recsys_dagster.models.base import top_k
from recsys_dagster.models.budget import Estimate, Size
from recsys_dagster.models.positives import FoldInPositivesModel, PositivesParams, activity_weights
from recsys_dagster.models.search_space import Real, Whole
from recsys_dagster.runtime.blocks import SCORE_BYTES


class ItemKnnParams(PositivesParams):
    """Parameters of the item-based neighbour model."""

    similarity: Literal["cosine", "conditional"] = Field(
        "cosine",
        description="Cosine of the columns of two items, or the conditional probability of one given the other.",
    )
    neighbours: int = Field(100, ge=1, description="Number of most similar items that are kept for each item.")
    shrinkage: float = Field(
        10.0,
        ge=0,
        description="Added to the denominator of a similarity, so that items with few positives are less similar.",
    )
    popularity_power: float = Field(
        0.5, ge=0, le=1, description="Only for 'conditional': power of the scored item's popularity in the denominator."
    )
    activity_power: float = Field(
        0.5, ge=0, le=1, description="A user's row is divided by their number of positives to this power."
    )

    searched: ClassVar = {
        "neighbours": Whole(10, 1000, log=True),
        "shrinkage": Real(0.1, 1000, log=True),
        "activity_power": Real(0, 1),
    }


class ItemKnn(FoldInPositivesModel):
    """Items that the same users like, by cosine or conditional probability (Deshpande and Karypis 2004).

    The score of an item is the sum of its similarities to those of the user's items that have it among their
    neighbours, each times the strength of the positive.

    Let c_ij be the number of users who have both i and j, where each user counts n_u^(−2·`activity_power`) times
    (scaled so that the c_ii sum to the number of positives), and let c_i = c_ii. The similarity of j to i is the cosine
    c_ij / (√(c_i c_j) + shrinkage), or c_ij / (c_i · c_j^`popularity_power` + shrinkage), the conditional probability
    of j given i, corrected for popularity (Deshpande and Karypis 2004, "Item-based top-N recommendation algorithms",
    eqs. 1 and 3).

    Attributes:
        positives_: (n_users, n_columns) CSR of the strengths of the positives.
        similarities_: (n_columns, n_columns) CSR; row i holds the similarities to i, each column at most `neighbours`.
    """

    name = "item_knn"
    kinds = ("scipy", "numba")
    params_type = ItemKnnParams
    params: ItemKnnParams

    positives_: sp.csr_array
    similarities_: sp.csr_array

    def estimate(self, size: Size) -> Estimate:
        """Estimate a fit and an evaluation: the work is in the pairs of items that a user has both of."""
        return Estimate.of_work(
            size,
            fit=1e-8 * size.pairs * size.pairs / size.users,
            score=20e-9,
            memory=12 * self.params.neighbours * size.items,
        )

    def _learn(self, positives: sp.csr_array) -> None:
        self.positives_ = positives
        self.similarities_ = neighbour_matrix(positives, self.params)

    def _column_scores(self, users: NDArray[np.int32]) -> NDArray[np.float32]:
        return self._column_scores_for(self.positives_[users])

    def _column_scores_for(self, positives: sp.csr_array) -> NDArray[np.float32]:
        scores: NDArray[np.float32] = (positives @ self.similarities_).toarray()
        return scores

    def _divide(self, positives: sp.csr_array, targets: NDArray[np.int32]) -> NDArray[np.float32]:
        similarities: NDArray[np.float32] = self.similarities_[positives.indices][:, targets].toarray()
        shares: NDArray[np.float32] = positives.data[:, None] * similarities
        return shares

    def _similarities(self, columns: NDArray[np.int32]) -> NDArray[np.float32]:
        similarities: NDArray[np.float32] = self.similarities_[columns].toarray()
        return similarities


def neighbour_matrix(positives: sp.csr_array, params: ItemKnnParams) -> sp.csr_array:
    """Return the (n, n) float32 CSR of similarities: column j holds those of the items most similar to j.

    Co-occurrences are counted and ranked for one block of items at a time, so that no dense n × n matrix is needed.

    Args:
        positives: (n_users, n) CSR whose entries count as ones.
        params: the similarity and the number of neighbours.
    """
    from recsys_dagster.models.kernels.columns import cooccurrences

    n = positives.shape[1]
    weights = activity_weights(positives, params.activity_power)
    left = positives.T.tocsr()
    left.data[:] = 1
    totals: NDArray[np.float32] = left @ weights
    rows = max(1, SCORE_BYTES // (4 * n))
    blocks = []
    for start in range(0, n, rows):
        stop = min(n, start + rows)
        together = cooccurrences(left, positives, weights, slice(start, stop))
        values = together / (_denominators(totals, slice(start, stop), params) + params.shrinkage)
        values[values == 0] = -np.inf
        values[np.arange(stop - start), np.arange(start, stop)] = -np.inf
        blocks.append(_sparse(*top_k(values, min(params.neighbours, n)), n))
    return sp.csr_array(sp.vstack(blocks, format="csr").T.tocsr())


def _denominators(totals: NDArray[np.float32], targets: slice, params: ItemKnnParams) -> NDArray[np.float32]:
    """Return the (len(targets), n) denominators of the similarities between the targets and all items."""
    if params.similarity == "cosine":
        roots = np.sqrt(totals)
        return np.outer(roots[targets], roots)
    return np.outer(totals[targets] ** np.float32(params.popularity_power), totals)


def _sparse(columns: NDArray[np.int32], values: NDArray[np.float32], n: int) -> sp.csr_array:
    """Return the (len(columns), n) CSR of the listed values; a column of −1 stands for no value."""
    listed = columns >= 0
    indptr = np.concatenate([[0], listed.sum(axis=1).cumsum()])
    return sp.csr_array((values[listed], columns[listed], indptr), shape=(len(columns), n))
