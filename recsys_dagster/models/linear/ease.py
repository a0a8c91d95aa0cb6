"""Recommend by EASE, the linear item-item model with a closed-form solution."""

from typing import ClassVar

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from pydantic import Field

from recsys_dagster.data.items import ItemFeatures, release_periods
from recsys_dagster.data.training_data import TrainingData
from recsys_dagster.errors import RecsysError
from recsys_dagster.models import one_user
from recsys_dagster.models.budget import FLOPS, Estimate, Size
from recsys_dagster.models.capabilities import FactoredScores, ScoreFactors
from recsys_dagster.models.positives import FoldInPositivesModel, PositivesParams, activity_weights
from recsys_dagster.models.search_space import Real
from recsys_dagster.runtime.memory import require_memory

TAG_VALUE = 0.1
"""Value of a tag where genres, kinds and years have one: tags are many, and most are given to few items."""
COMBINATION_VALUE = 0.2
"""Value of a combination of genres, which few items share: often those of a series."""
RARE_SHARE = 0.01
"""A feature of a smaller share of the items is multiplied as a sparse column."""
MIRROR_ROWS = 1024
"""Rows of a block when one triangle is copied to the other: small enough for the processor's cache."""


class EaseParams(PositivesParams):
    """Parameters of EASE and its denoising variant."""

    regularisation: float = Field(120.0, gt=0, description="L2 penalty λ, in positives of an item.")
    dropout: float = Field(
        0.5,
        ge=0,
        lt=1,
        description="Share p of a history that denoising drops; p/(1-p) of the diagonal is added to it.",
    )
    activity_power: float = Field(
        0.25, ge=0, le=1, description="A user's row is divided by their number of positives to this power."
    )
    popularity_power: float = Field(
        0.1, ge=0, le=1, description="An item's scores are divided by its number of positives to this power."
    )
    feature_weight: float = Field(
        100.0,
        ge=0,
        description="Positives that each genre, kind and five years of release count for, as if its items were liked "
        "together; 0: the items are known by their users alone.",
    )

    searched: ClassVar = {
        "regularisation": Real(1, 3000, log=True),
        "dropout": Real(0, 0.9),
        "activity_power": Real(0, 1),
        "popularity_power": Real(0, 0.5),
        "feature_weight": Real(0, 1000),
    }


class Ease(FactoredScores, FoldInPositivesModel):
    """Linear item-item autoencoder in closed form (Steck 2019), denoising (Steck 2020).

    B minimises ||WX − WXB||² + ||Λ^½ B||² under the constraint of a zero diagonal, where X is ones. A user's scores are
    x·B, where x are the strengths of the user's positives.

    With P = (XᵀW²X + Λ)⁻¹, B_ij = −P_ij / P_jj off the diagonal (Steck 2019, "Embarrassingly Shallow Autoencoders for
    Sparse Data", eq. 8). W divides each user's row by n_u to the power `activity_power`, and scales all rows so that
    the trace of XᵀW²X stays the number of positives. Λ = λ·I + p/(1−p)·diag(XᵀW²X) is the expected effect of dropping
    each entry of the input with probability p (Steck 2020, "Autoencoders that don't overfit towards the Identity").
    Column j of B is then divided by the item's positives to the power `popularity_power`.

    What is known of the items is added to XᵀW²X as v·FFᵀ, v being `feature_weight`. F has a column for each genre, kind
    and five years of release, and a smaller one for each combination of genres. It holds √(c_i / Σ c_j) for its items
    i, c being the positives of an item and the sum over the items j of the feature. So each feature adds v to the
    trace, as if v of the positives were of users who like its items, and items with few users lean on what they are. It
    takes no further inversion (as the collective EASE of Jeunen, Van Balen and Goethals 2020, "Closed-Form Models for
    Collaborative Filtering with Side-Information", with features weighted by popularity).

    The defaults were chosen on validation users of MovieLens latest-small and of the Cooper Union data.

    Attributes:
        positives_: (n_users, n_columns) CSR of the strengths of the positives.
        weights_: (n_columns, n_columns) float32, B after its columns are scaled.
    """

    name = "ease"
    kinds = ("scipy", "numba")
    params_type = EaseParams
    params: EaseParams
    presets: ClassVar = {
        "steck_2019": EaseParams(regularisation=500, dropout=0, activity_power=0, popularity_power=0, feature_weight=0),
        "denoised": EaseParams(dropout=0.75),
    }

    positives_: sp.csr_array
    weights_: NDArray[np.float32]
    _values: sp.csr_array

    def estimate(self, size: Size) -> Estimate:
        """Estimate a fit and an evaluation: the work is in inverting an items × items matrix."""
        degree = size.pairs / size.users
        return Estimate.of_work(
            size,
            fit=1.3 * size.items**3 / (2.5 * FLOPS) + 3e-9 * size.pairs * degree,
            score=0.2e-9 * degree,
            memory=4 * size.items**2,
        )

    def _fit(self, data: TrainingData) -> None:
        self._values = feature_values(data.item_features)
        super()._fit(data)
        del self._values

    def _learn(self, positives: sp.csr_array) -> None:
        n = len(self.columns_)
        require_memory(
            4 * n * n,
            f"{self.name}: a matrix of {n} × {n} items",
            "raise min_positives, or use item_knn, which needs no such matrix",
        )
        self.positives_ = positives
        popularity = np.bincount(positives.indices, minlength=n).astype(np.float32)
        gram = gram_matrix(positives, self.params.activity_power)
        if self.params.feature_weight:
            add_features(gram, self._values[self.columns_], popularity, self.params.feature_weight)
        diagonal = gram.diagonal().copy()
        dropout = self.params.dropout
        penalty = self.params.regularisation + dropout / (1 - dropout) * diagonal
        np.fill_diagonal(gram, diagonal + penalty)
        invert_in_place(gram)
        gram *= -(popularity**-self.params.popularity_power) / gram.diagonal()
        np.fill_diagonal(gram, 0)
        self.weights_ = gram

    def factored_scores(self) -> ScoreFactors:
        """Return the positives and the weights; see `FactoredScores`."""
        return ScoreFactors(self.positives_, self.weights_, self.columns_, self.known_)

    def _column_scores(self, users: NDArray[np.int32]) -> NDArray[np.float32]:
        return self._column_scores_for(self.positives_[users])

    def _column_scores_for(self, positives: sp.csr_array) -> NDArray[np.float32]:
        if positives.shape[0] == 1:
            return one_user.sparse_by_dense(positives, self.weights_)
        from recsys_dagster.models.kernels.columns import sparse_by_dense

        return sparse_by_dense(positives, self.weights_)

    def _divide(self, positives: sp.csr_array, targets: NDArray[np.int32]) -> NDArray[np.float32]:
        weights: NDArray[np.float32] = self.weights_[np.ix_(positives.indices, targets)]
        shares: NDArray[np.float32] = positives.data[:, None] * weights
        return shares

    def _similarities(self, columns: NDArray[np.int32]) -> NDArray[np.float32]:
        weights: NDArray[np.float32] = self.weights_[columns]
        return weights


def gram_matrix(positives: sp.csr_array, activity_power: float) -> NDArray[np.float32]:
    """Return XᵀW²X, (n_columns, n_columns) float32.

    W divides each row of X by its number of entries to the power `activity_power`, and scales all rows so that the
    trace stays the number of entries.
    """
    from recsys_dagster.models.kernels.columns import cooccurrences

    weights = activity_weights(positives, activity_power)
    return cooccurrences(positives.T.tocsr(), positives, weights, slice(None))


def feature_values(features: ItemFeatures) -> sp.csr_array:
    """Return what is known of items as a (n_items, n_values) CSR.

    Its columns are the genres, the kinds, the five years of release, the combinations of genres that several items
    have, and the tags. Its values are ones, COMBINATION_VALUE for a combination and TAG_VALUE for a tag.
    """
    kinds = features.kinds[:, None] == np.arange(len(features.kind_names))
    others = [sp.csr_array(one.astype(np.float32)) for one in (kinds, release_periods(features.years))]
    others.append(genre_combinations(features.genres) * np.float32(COMBINATION_VALUE))
    if features.tags is not None:
        others.append(sp.csr_array(features.tags * np.float32(TAG_VALUE)))
    return sp.csr_array(sp.hstack([features.genres, *others], format="csr"))


def genre_combinations(genres: sp.csr_array) -> sp.csr_array:
    """Return the (n_items, n_combinations) CSR of ones of items whose genres are exactly those of another item."""
    bits = np.packbits(genres.toarray() > 0, axis=1)
    _, combination, items = np.unique(bits, axis=0, return_inverse=True, return_counts=True)
    combination = combination.ravel()
    is_shared = (items[combination] > 1) & (np.diff(genres.indptr) > 0)
    kept, columns = np.unique(combination[is_shared], return_inverse=True)
    ones = np.ones(len(columns), np.float32)
    return sp.csr_array((ones, (np.flatnonzero(is_shared), columns)), shape=(genres.shape[0], len(kept)))


def add_features(
    gram: NDArray[np.float32], values: sp.csr_array, popularity: NDArray[np.float32], weight: float
) -> None:
    """Add weight · FFᵀ to the Gram matrix in place, block by block.

    Args:
        gram: (n_columns, n_columns).
        values: (n_columns, n_values) CSR of ones.
        popularity: (n_columns,) number of positives of each item.
        weight: what each feature adds to the trace.
    """
    totals = np.maximum(values.T @ popularity, 1e-9).astype(np.float32)
    rows = sp.diags_array(np.sqrt(np.float32(weight) * popularity))
    factors = sp.csc_array(rows @ values @ sp.diags_array(1 / np.sqrt(totals)))
    is_rare = np.diff(factors.indptr) < RARE_SHARE * len(gram)
    common = np.ascontiguousarray(factors[:, ~is_rare].toarray(), np.float32)
    rare = sp.csr_array(factors[:, is_rare], dtype=np.float32)
    for start in range(0, len(gram), MIRROR_ROWS):
        block = slice(start, start + MIRROR_ROWS)
        gram[block] += common[block] @ common.T
        if rare.shape[1]:
            gram[block] += (rare[block] @ rare.T).toarray()


def invert_in_place(matrix: NDArray[np.float32]) -> None:
    """Replace a symmetric positive definite matrix by its inverse, without a copy.

    Args:
        matrix: (n, n) float32, C-ordered, of which only the upper triangle is read. LAPACK reads the same memory in
            Fortran order, in which that triangle is the lower one.

    Raises:
        RecsysError: the matrix is not positive definite in float32.
    """
    from scipy.linalg import lapack

    columns = matrix.T
    columns, failed = lapack.spotrf(columns, lower=1, clean=0, overwrite_a=1)
    if failed:
        raise RecsysError(f"ease: the Gram matrix cannot be inverted in float32 (row {failed}); raise regularisation")
    columns, _ = lapack.spotri(columns, lower=1, overwrite_c=1)
    if not np.shares_memory(columns, matrix):
        raise AssertionError("LAPACK worked on a copy, because the matrix is not C-ordered float32")
    for start in range(0, len(matrix), MIRROR_ROWS):
        stop = start + MIRROR_ROWS
        corner = matrix[start:stop, start:stop]
        corner[:] = np.triu(corner) + np.triu(corner, 1).T
        matrix[stop:, start:stop] = matrix[start:stop, stop:].T
