"""Compute how well the genres, the kind and the year of an item match the items of a user."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from recsys_dagster.data.items import release_periods

PRIOR_ITEMS = 5.0
"""Number of average items that are added to a history, because a short one says little."""
YEARS_APART = 3.0
"""Standard deviation, in years, of the normal density by which an item counts for the years around its own."""


@dataclass(frozen=True)
class Trait:
    """A property of items, such as their genres.

    Attributes:
        evidence: (n_items, n_values) CSR float32, how much the item counts for each value, from 0 to 1.
        share: (n_items, n_values) CSR float32, the share of each value in the item; a row sums to one, or to zero if
            the property is unknown.
    """

    evidence: sp.csr_array
    share: sp.csr_array

    def affinity(self, history: sp.csr_array, popularity: NDArray[np.float32]) -> NDArray[np.float32]:
        """Compute how much more frequent the values of an item are among a user's items than among all interactions.

        It is Σ_v share_iv · ln(p_uv / p_v) with p_uv = (c_uv + k · p_v) / (n_u + k). Here n_u is the number of the
        user's items whose property is known, c_uv their evidence for the value v, p_v the ratio c_v / n over all
        interactions, and k is `PRIOR_ITEMS`. These are the log-odds of naive Bayes with a Dirichlet prior (Manning et
        al. 2008, "Introduction to Information Retrieval", §13.2).

        Args:
            history: (n_users, n_items) CSR of ones.
            popularity: (n_items,) number of interactions of each item.

        Returns:
            (n_users, n_items) float32; 0 for an item whose property is unknown.
        """
        known = np.diff(self.share.indptr) > 0
        frequency = (popularity @ self.evidence) / max(float(popularity @ known), 1)
        evidence: Any = (history @ self.evidence).toarray()
        counts = (history @ known.astype(np.float32))[:, None]
        expected = np.maximum(frequency, 1e-6).astype(np.float32)
        odds = np.log((evidence + PRIOR_ITEMS * expected) / ((counts + PRIOR_ITEMS) * expected))
        affinity: NDArray[np.float32] = (self.share @ odds.T.astype(np.float32)).T
        return affinity


def traits_of(genres: sp.csr_array, kinds: NDArray[np.int16], years: NDArray[np.float32]) -> tuple[Trait, Trait, Trait]:
    """Return genres, kind and year as traits; the arguments are as in `ItemFeatures`."""
    values = np.unique(years[~np.isnan(years)])
    distance = (np.nan_to_num(years, nan=np.inf)[:, None] - values) / YEARS_APART
    near = np.exp(-(distance**2) / 2).astype(np.float32)
    near[near < 0.01] = 0
    counts = np.maximum(genres.sum(axis=1), 1).astype(np.float32)
    kind_values = _ones(_of_kind(kinds))
    year_values = _ones(years[:, None] == values)
    return (
        Trait(genres, sp.csr_array(sp.diags_array(1 / counts) @ genres)),
        Trait(kind_values, kind_values),
        Trait(sp.csr_array(near), year_values),
    )


def likeness_vectors(genres: sp.csr_array, kinds: NDArray[np.int16], years: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return (n_items, n_values) ones for the genres, the kind and the five years of release of each item."""
    return np.hstack([genres.toarray(), _of_kind(kinds), release_periods(years)]).astype(np.float32)


def _of_kind(kinds: NDArray[np.int16]) -> NDArray[np.bool_]:
    """Return which items are of which kind, as (n_items, n_kinds)."""
    is_of_kind: NDArray[np.bool_] = kinds[:, None] == np.arange(kinds.max(initial=-1) + 1)
    return is_of_kind


def _ones(true: NDArray[np.bool_]) -> sp.csr_array:
    return sp.csr_array(true.astype(np.float32))
