"""How the genres, the kind and the year of a title suit what a person has: all that is known without other users."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

PRIOR_TITLES = 5.0
"""Items of everybody's that are added to a history: a short one says little."""
YEARS_APART = 3.0
"""Standard deviation, in years, of the bell by which a title speaks for the years around its own."""


@dataclass(frozen=True)
class Trait:
    """A property of titles, such as their genres.

    Attributes:
        evidence: (n_items, n_values) float32, how much having the title speaks for each value, from 0 to 1.
        share: (n_items, n_values) float32, what share of the title each value is: a row sums to one, or to zero where
            nothing is known.
    """

    evidence: sp.csr_array
    share: sp.csr_array

    def affinity(self, owned: sp.csr_array, popularity: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return (n_users, n_items) float32: by how much more a user has titles like this than everybody, in logs.

        Σ_v share_iv · ln(p_uv / p_v), with p_uv = (c_uv + k · p_v) / (n_u + k): n_u the user's titles of which
        something is known, c_uv the evidence of these for the value v, p_v everybody's c_v / n and k `PRIOR_TITLES`.
        This is the log odds of naive Bayes with a Dirichlet prior (Manning et al. 2008, "Introduction to Information
        Retrieval", §13.2). It is zero for a title of which nothing is known.
        """
        known = np.diff(self.share.indptr) > 0
        everybody = (popularity @ self.evidence) / max(float(popularity @ known), 1)
        having: Any = (owned @ self.evidence).toarray()
        titles = (owned @ known.astype(np.float32))[:, None]
        expected = np.maximum(everybody, 1e-6).astype(np.float32)
        odds = np.log((having + PRIOR_TITLES * expected) / ((titles + PRIOR_TITLES) * expected))
        affinity: NDArray[np.float32] = (self.share @ odds.T.astype(np.float32)).T
        return affinity


def traits_of(genres: sp.csr_array, kinds: NDArray[np.int16], years: NDArray[np.float32]) -> tuple[Trait, Trait, Trait]:
    """Return the genres, the kind and the year as traits; `ItemFeatures` says what the arguments hold."""
    values = np.unique(years[~np.isnan(years)])
    distance = (np.nan_to_num(years, nan=np.inf)[:, None] - values) / YEARS_APART
    near = np.exp(-(distance**2) / 2).astype(np.float32)
    near[near < 0.01] = 0
    counts = np.maximum(genres.sum(axis=1), 1).astype(np.float32)
    of_kind = _ones(kinds[:, None] == np.arange(kinds.max(initial=-1) + 1))
    of_year = _ones(years[:, None] == values)
    return (
        Trait(genres, sp.csr_array(sp.diags_array(1 / counts) @ genres)),
        Trait(of_kind, of_kind),
        Trait(sp.csr_array(near), of_year),
    )


def _ones(true: NDArray[np.bool_]) -> sp.csr_array:
    return sp.csr_array(true.astype(np.float32))
