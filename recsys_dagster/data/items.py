"""What is known of the items, in index space."""

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray


@dataclass(frozen=True)
class ItemFeatures:
    """What is known of each item, in item order.

    Attributes:
        genres: (n_items, n_genres) CSR of float32 ones.
        genre_names: the columns of `genres`.
        kinds: (n_items,) int16 position in `kind_names`; -1 unknown.
        kind_names: TV, Movie, OVA, …
        years: (n_items,) float32 year of release; NaN unknown.
        site_scores: (n_items,) float32 mean score on the publisher's site; NaN unknown.
    """

    genres: sp.csr_array
    genre_names: tuple[str, ...]
    kinds: NDArray[np.int16]
    kind_names: tuple[str, ...]
    years: NDArray[np.float32]
    site_scores: NDArray[np.float32]
