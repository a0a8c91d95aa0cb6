"""Recommend what followed the last items of a history in the histories of others."""

from typing import ClassVar

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from pydantic import Field

from recsys_dagster.models.base import top_k
from recsys_dagster.models.budget import Estimate, Size
from recsys_dagster.models.search_space import Real, Whole
from recsys_dagster.models.sequences.histories import Histories
from recsys_dagster.models.sequences.ordered import OrderedModel, OrderedParams, places_of
from recsys_dagster.runtime.blocks import SCORE_BYTES


class ItemTransitionsParams(OrderedParams):
    """Parameters of the transitions."""

    source_power: float = Field(
        0.7, ge=0, le=1, description="Transitions from an item are divided by its popularity to this power."
    )
    target_power: float = Field(
        0.15, ge=0, le=1, description="Transitions to an item are divided by its popularity to this power."
    )
    followers: int = Field(500, ge=1, description="Number of most frequent followers that are kept for each item.")

    searched: ClassVar = {
        "window": Whole(1, 50, log=True),
        "decay": Real(0.5, 1),
        "source_power": Real(0, 1),
        "target_power": Real(0, 0.5),
    }


class ItemTransitions(OrderedModel):
    """What followed the last items of a history, counted up to `window` steps ahead and weighted by the distance.

    The weight of j after i is t_ij = Σ decay^(d − 1) / (n_i^source_power · n_j^target_power) over all places of i and,
    d ≤ `window` places later in the same history, of j; n counts the pairs of an item. The score of j is
    Σ decay^a · t_ij over the last `window` items i of a history, a being 0 for the last one. With a window of 1 it is a
    first-order Markov chain (Rendle, Freudenthaler and Schmidt-Thieme 2010, "Factorizing Personalized Markov Chains",
    §4), which is not personalised beyond the last item.

    Only the `followers` largest t of each item are kept, and they are counted for one block of items at a time, so that
    the memory grows with the number of items and not with its square.

    Attributes:
        transitions_: (n_items, n_items) CSR float32 of the t_ij that are kept.
    """

    name = "item_transitions"
    kinds = ("scipy", "numba")
    params_type = ItemTransitionsParams
    params: ItemTransitionsParams

    transitions_: sp.csr_array

    def estimate(self, size: Size) -> Estimate:
        """Estimate a fit and an evaluation: the work is in the pairs of places within a window."""
        window, followers = self.params.window, min(self.params.followers, size.items)
        return Estimate.of_work(
            size,
            fit=3e-9 * size.pairs * window + 1e-6 * size.pairs + 5e-9 * size.items**2,
            score=3e-9 * window * followers / size.items + 3e-9,
            memory=60 * size.pairs + 24 * followers * size.items,
        )

    def _learn(self, histories: Histories) -> None:
        from recsys_dagster.models.kernels.followers import follower_sums

        window, n = self.params.window, self.n_items_
        of_distance = np.zeros((window + 1, window + 1), np.float32)
        of_distance[1:] = np.power(self.params.decay, np.arange(window))[:, None]
        stops = histories.offsets[histories.users + 1]
        places = places_of(histories.items, n)
        popularity = np.maximum(self.popularity_, 1)
        sources, targets = popularity**-self.params.source_power, popularity**-self.params.target_power
        rows = max(1, SCORE_BYTES // (4 * n))
        blocks = []
        for start in range(0, n, rows):
            block = slice(start, min(n, start + rows))
            sums = follower_sums(histories.items, stops, places, of_distance, np.ones(len(stops), np.float32), block)
            sums *= sources[block, None] * targets
            sums[sums == 0] = -np.inf
            blocks.append(_sparse(*top_k(sums, min(self.params.followers, n)), n))
        self.transitions_ = sp.csr_array(sp.vstack(blocks, format="csr"))

    def _item_scores(self, windows: sp.csr_array) -> NDArray[np.float32]:
        scores: NDArray[np.float32] = (windows @ self.transitions_).toarray()
        return np.where(scores > 0, scores, self._popularity_below_zero())


def _sparse(columns: NDArray[np.int32], values: NDArray[np.float32], n: int) -> sp.csr_array:
    """Return the (len(columns), n) CSR of the listed values; a column of −1 stands for no value."""
    listed = columns >= 0
    indptr = np.concatenate([[0], listed.sum(axis=1).cumsum()])
    return sp.csr_array((values[listed], columns[listed], indptr), shape=(len(columns), n))
