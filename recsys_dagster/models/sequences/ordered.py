"""What closed-form models of order share: windows of the last items, and counts of what followed what."""

from abc import abstractmethod
from typing import ClassVar

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from pydantic import Field

from recsys_dagster.data.interactions import Interactions
from recsys_dagster.data.training_data import TrainingData
from recsys_dagster.errors import RecsysError
from recsys_dagster.models.base import Model
from recsys_dagster.models.capabilities import FoldIn
from recsys_dagster.models.params import Params
from recsys_dagster.models.sequences.histories import PADDING, Histories


class OrderedParams(Params):
    """Parameters of every closed-form model of order."""

    window: int = Field(20, ge=1, description="Number of last items of a history that the next one is predicted from.")
    decay: float = Field(
        0.85, gt=0, le=1, description="Weight of an item of the window relative to that of the item after it."
    )


class OrderedModel(FoldIn, Model):
    """A linear model of what follows the last items of a history; all interactions count, whatever their rating.

    A subclass implements `_learn` and `_item_scores`. Interactions of the same time are in the order of a hash, and so
    is the history of a new user if it has no times.

    Attributes:
        latest_: (n_users, window) int32, the last items of each history, the latest last; item i is written as i + 1,
            and 0 fills a window that is longer than the history.
    """

    params_type = OrderedParams
    params: OrderedParams
    needs_times: ClassVar[bool] = True

    latest_: NDArray[np.int32]

    def _fit(self, data: TrainingData) -> None:
        histories = Histories.of(data.train, data.n_users)
        if not histories.places.any():
            raise RecsysError(
                f"{self.name}: no user has two items in the training fold, so that there is no next item to learn"
            )
        self.latest_ = histories.latest(self.params.window)
        self._learn(histories)

    @abstractmethod
    def _learn(self, histories: Histories) -> None:
        """Learn from what follows what."""

    @abstractmethod
    def _item_scores(self, windows: sp.csr_array) -> NDArray[np.float32]:
        """Return (n, n_items) float32 scores, given the (n, n_items) CSR of the weights of the items of each window."""

    def _scores(self, users: NDArray[np.int32]) -> NDArray[np.float32]:
        return self._item_scores(self._weighted(self.latest_[users]))

    def _scores_for(self, history: Interactions, n_users: int) -> NDArray[np.float32]:
        return self._item_scores(self._weighted(Histories.of(history, n_users).latest(self.params.window)))

    def _weighted(self, windows: NDArray[np.int32]) -> sp.csr_array:
        """Return the (n, n_items) CSR of the weights of the items of each window: `decay` to the power of their age."""
        rows, places = np.nonzero(windows != PADDING)
        weights = np.power(self.params.decay, np.arange(windows.shape[1])[::-1])
        return sp.csr_array(
            (weights[places].astype(np.float32), (rows, windows[rows, places] - 1)), shape=(len(windows), self.n_items_)
        )

    def _popularity_below_zero(self) -> NDArray[np.float32]:
        """Return (n_items,) values from −1 to 0 that rise with popularity, for items that a model cannot tell apart."""
        values: NDArray[np.float32] = self.popularity_ / self.popularity_.max() - np.float32(1)
        return values


def places_of(columns: NDArray[np.int32], n_columns: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return indptr and indices of the ascending places at which each column stands; −1 stands for no column."""
    order = np.argsort(columns, kind="stable")
    counts = np.bincount(columns + 1, minlength=n_columns + 1)
    return np.cumsum(counts) - counts[0], order[counts[0] :]
