"""Predict a rating from the user's ratings of the most similar items."""

from typing import Any, ClassVar

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from pydantic import Field

from recsys_dagster.data.interactions import Interactions
from recsys_dagster.data.training_data import TrainingData
from recsys_dagster.models.baselines.user_item_bias import UserItemBias, UserItemBiasParams, damped_mean
from recsys_dagster.models.kernels.neighbours import nearest_items, nearest_rated, neighbour_means
from recsys_dagster.models.search_space import Real, Whole

VARIANCE_DAMPING = 10.0
"""Residuals of the mean variance that each item's variance is damped by."""


class RatingKnnParams(UserItemBiasParams):
    """Parameters of the neighbourhood; those of the biases are the baseline's."""

    neighbours: int = Field(60, ge=1, description="Number of most similar items that are kept for each item.")
    shrinkage: float = Field(
        200.0, ge=0, description="Number of common raters without correlation that are added to those of two items."
    )
    damping: float = Field(
        0.01, gt=0, description="Weight of the baseline, next to the similarities of the neighbours."
    )
    amplification: float = Field(
        3.0, gt=0, description="Power of the correlations; higher gives the closest neighbours more weight."
    )

    searched: ClassVar = {
        "neighbours": Whole(5, 300, log=True),
        "shrinkage": Real(1, 1000, log=True),
        "damping": Real(0.0003, 3, log=True),
        "amplification": Real(0.5, 5),
    }


class RatingKnn(UserItemBias):
    """Damped biases, corrected by the user's ratings of the most similar items (Koren 2010).

    r̂_ui = b_ui + Σ w_ij·e_uj / (damping + Σ |w_ij|) over the neighbours j of i that the user has rated.

    b_ui is the damped bias, and e = r − b. The similarity s_ij = Σ_u e_ui·e_uj / (σ_i·σ_j·(n_ij + shrinkage)) is the
    correlation over the n_ij users who rated both, shrunk towards 0 where they are few (Koren 2010, "Factor in the
    Neighbors", §2.2). σ_i² is the damped variance of e of an item. The neighbours of an item have the largest |s_ij|.
    w_ij has the sign of s_ij and the magnitude |s_ij|^amplification (Breese et al. 1998, "Empirical Analysis of
    Predictive Algorithms for Collaborative Filtering", §2.3), so that a few close neighbours outweigh many distant
    ones.

    Users rate the seasons of a series, or the parts of a franchise, more alike than a few factors can express. This is
    what the model adds to a factorisation.

    Attributes:
        residuals_: (n_users, n_items) CSR of e, columns sorted in each row.
        similarities_: (n_items, n_items) CSR of w, the neighbours of an item in its row.
    """

    name = "rating_knn"
    kinds = ("numba",)
    params_type = RatingKnnParams
    params: RatingKnnParams

    residuals_: sp.csr_array
    similarities_: sp.csr_array

    def _fit(self, data: TrainingData) -> None:
        super()._fit(data)
        self.residuals_ = self._residuals(data.train.rated, self.user_bias_)
        self.similarities_ = similar_items(self.residuals_, self.params)

    def _residuals(self, rated: Interactions, user_bias: NDArray[np.float32]) -> sp.csr_array:
        """Return the (len(user_bias), n_items) CSR of ratings minus the baseline."""
        residuals = rated.ratings - np.float32(self.mean_) - self.item_bias_[rated.items] - user_bias[rated.users]
        matrix = sp.csr_array((residuals, (rated.users, rated.items)), shape=(len(user_bias), self.n_items_))
        matrix.sort_indices()
        return matrix

    def _predict(self, users: NDArray[np.int32], items: NDArray[np.int32]) -> NDArray[np.float32]:
        residuals, similarities = parts(self.residuals_), parts(self.similarities_)
        means: NDArray[np.float32] = neighbour_means(residuals, similarities, users, items, self.params.damping)
        return super()._predict(users, items) + means

    def nearest_rated(self, users: NDArray[np.int32], items: NDArray[np.int32]) -> NDArray[np.float32]:
        """Return |w| of, and e of the user for, the two closest neighbours that the user has rated, of (n,) pairs.

        Returns:
            (n, 6) float32: |w| and e of the closest, of the second closest, number of rated neighbours, sum of |w|; 0
            where there is none.
        """
        facts: NDArray[np.float32] = nearest_rated(parts(self.residuals_), parts(self.similarities_), users, items)
        return facts

    def _ratings(self, users: NDArray[np.int32]) -> NDArray[np.float32]:
        return super()._ratings(users) + self._means(self.residuals_[users])

    def _ratings_for(self, history: Interactions, n_users: int) -> NDArray[np.float32]:
        residuals = self._residuals(history.rated, self._user_bias(history.rated, n_users))
        return super()._ratings_for(history, n_users) + self._means(residuals)

    def _means(self, residuals: sp.csr_array) -> NDArray[np.float32]:
        """Return the (n, n_items) weighted means over each item's neighbours of (n, n_items) residuals."""
        of_neighbours = self.similarities_.T.tocsr()
        means: NDArray[np.float32] = (residuals @ of_neighbours).toarray()
        rated = sp.csr_array((np.ones_like(residuals.data), residuals.indices, residuals.indptr), residuals.shape)
        weights = (rated @ abs(of_neighbours)).toarray()
        weights += self.params.damping
        means /= weights
        return means


def similar_items(residuals: sp.csr_array, params: RatingKnnParams) -> sp.csr_array:
    """Return the (n_items, n_items) float32 CSR of amplified similarities; a row holds those of an item's neighbours.

    Args:
        residuals: (n_users, n_items) CSR of ratings minus the baseline.
        params: number of neighbours, shrinkage and amplification.
    """
    n_items = residuals.shape[1]
    deviations = np.sqrt(item_variances(residuals))
    neighbours, similarities = nearest_items(
        parts(residuals.T.tocsr()), parts(residuals), deviations, min(params.neighbours, n_items), params.shrinkage
    )
    rows, places = np.nonzero(neighbours >= 0)
    values = similarities[rows, places]
    values = np.sign(values) * np.abs(values) ** np.float32(params.amplification)
    return sp.csr_array((values, (rows, neighbours[rows, places])), shape=(n_items, n_items))


def item_variances(residuals: sp.csr_array) -> NDArray[np.float32]:
    """Return the (n_items,) mean square of each column's entries, damped towards that of all; 1 if all are 0."""
    squares = residuals.data**2
    mean = float(squares.sum() / max(len(squares), 1)) or 1.0
    return np.float32(mean) + damped_mean(
        residuals.indices, squares - np.float32(mean), residuals.shape[1], VARIANCE_DAMPING
    )


def parts(matrix: sp.csr_array) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    """Return indptr, indices and data, the form in which compiled loops take a CSR matrix."""
    return matrix.indptr, matrix.indices, matrix.data
