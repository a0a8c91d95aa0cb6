"""Features of the items in memory, as arrays in index space."""

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

YEARS_OF_A_PERIOD = 5
"""Items that were released in the same five years are alike in that."""


@dataclass(frozen=True)
class ItemFeatures:
    """Features of every item, in the order of the item indices.

    Attributes:
        genres: (n_items, n_genres) CSR matrix of float32 ones.
        genre_names: name of each column of `genres`.
        kinds: (n_items,) int16 position in `kind_names`; -1 where unknown.
        kind_names: names of the kinds, such as TV or Movie.
        years: (n_items,) float32 year of release; NaN where unknown.
        site_scores: (n_items,) float32 mean rating on the publisher's site; NaN where unknown.
        tags: (n_items, n_tags) CSR matrix of float32 ones, of the tags that several items have; None where none has
            any.
    """

    genres: sp.csr_array
    genre_names: tuple[str, ...]
    kinds: NDArray[np.int16]
    kind_names: tuple[str, ...]
    years: NDArray[np.float32]
    site_scores: NDArray[np.float32]
    tags: sp.csr_array | None = None


def release_periods(years: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Return which items, of the (n_items,) years of release, were released in each period that has any.

    Returns:
        (n_items, n_periods); an item without a year is in none.
    """
    periods = np.floor(years / YEARS_OF_A_PERIOD)
    released: NDArray[np.bool_] = periods[:, None] == np.unique(periods[~np.isnan(periods)])
    return released
