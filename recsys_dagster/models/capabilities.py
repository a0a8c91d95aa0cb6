"""What a model may be able to do beyond ranking items for the users it was fitted on.

Each capability is a base class that declares the methods it needs. Inherit it next to `Model`, before it in the list of
bases. Callers ask `isinstance(model, RatingPredictor)` or `issubclass(model_class, FoldIn)`.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from recsys_dagster.data.interactions import Interactions
from recsys_dagster.data.training_data import TrainingData
from recsys_dagster.errors import RecsysError
from recsys_dagster.models.params import Params


class RatingPredictor(ABC):
    """A model that predicts ratings."""

    name: ClassVar[str]
    needs_ratings: ClassVar[bool] = True
    scale_: tuple[float, float]

    def predict(self, users: NDArray[np.int32], items: NDArray[np.int32]) -> NDArray[np.float32]:
        """Predict the ratings of the pairs (users[i], items[i]).

        Args:
            users, items: (n,) indices.

        Returns:
            (n,) float32, clipped to the domain's scale.

        Raises:
            RecsysError: a prediction is NaN.
        """
        ratings = np.clip(self._predict(users, items), *self.scale_).astype(np.float32)
        if np.isnan(ratings).any():
            raise RecsysError(f"{self.name}: predictions are not numbers; the model did not converge")
        return ratings

    @abstractmethod
    def _predict(self, users: NDArray[np.int32], items: NDArray[np.int32]) -> NDArray[np.float32]:
        """Return the (n,) predictions before they are clipped."""


class FoldIn(ABC):
    """A model that scores items for new users by their history, without being fitted again."""

    @abstractmethod
    def _scores_for(self, history: Interactions, n_users: int) -> NDArray[np.float32]:
        """Score all items for new users.

        Args:
            history: their interactions; `users` holds numbers from 0 to `n_users` - 1.
            n_users: number of new users; one without interactions gets any finite scores.

        Returns:
            (n_users, n_items) float32.
        """


class ItemContributions(ABC):
    """A model whose score of an item is a sum over the items of the user's history."""

    @abstractmethod
    def contributions(
        self, history: Interactions, items: NDArray[np.int32]
    ) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
        """Divide the scores of some items among the items of one user's history.

        Args:
            history: interactions of one user.
            items: (k,) indices of the items.

        Returns:
            (h,) int32 indices of the items of the history that count, and (h, k) float32: what each of them contributes
            to the score of each item. The columns sum to the scores; an item that the model cannot score has zeros.
        """

    @abstractmethod
    def similar_items(self, items: NDArray[np.int32], k: int) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
        """Return the items that most resemble each of some items.

        Args:
            items: (n,) indices of the items.
            k: length of the lists.

        Returns:
            (n, k) int32 items, the most similar first, -1 where there are fewer; and (n, k) float32 similarities above
            zero, -inf where there are fewer.
        """


@dataclass(frozen=True)
class ScoreFactors:
    """The scores of all users as a product, users · items.

    Attributes:
        users: (n_users, width) float32, dense or CSR.
        items: (width, n_columns) float32.
        columns: (n_columns,) int32 item of each column, ascending; other items score one less than the lowest column.
        known: (n_users,) bool, whether the product holds for the user; the others get popularity.
    """

    users: NDArray[np.float32] | sp.csr_array
    items: NDArray[np.float32]
    columns: NDArray[np.int32]
    known: NDArray[np.bool_]


class FactoredScores(ABC):
    """A model whose scores are a product of a row of the user and a matrix of the items, which any machine can do."""

    @abstractmethod
    def factored_scores(self) -> ScoreFactors:
        """Return the two factors of the scores by which `Model.recommend` ranks."""


class StatedTastes(ABC):
    """A model with its own way to score items by the genres that a new user says they like.

    Any other model answers with popularity, adjusted by the stated genres.
    """

    @abstractmethod
    def _scores_by_taste(self, tastes: NDArray[np.float32]) -> NDArray[np.float32]:
        """Score all items for users who rate genres.

        Args:
            tastes: (n_users, n_genres), as for `Model.recommend_for`.

        Returns:
            (n_users, n_items) float32.
        """


class SeparableInputs(ABC):
    """A model whose inputs can be taken from different pairs, which permutation importance needs.

    Attributes:
        inputs: names of the inputs: `user`, and those that describe the item.
    """

    inputs: ClassVar[tuple[str, ...]]

    @abstractmethod
    def predict_from(self, sources: Mapping[str, NDArray[np.int32]]) -> NDArray[np.float32]:
        """Predict pairs whose inputs come from several users and items.

        Args:
            sources: for each input the (n,) indices of the users, or items, whose value the pairs get.

        Returns:
            (n,) ratings on the domain's scale if the model is a RatingPredictor, else probabilities of a like.
        """


class FeatureGroups:
    """A model that measures, on users whom it was not learnt on, what each group of its features is worth.

    Attributes:
        groups_: names of the groups.
        group_ndcg_: (n_users, 1 + n_groups) NDCG@100 of these users: as it is, then without what each group says, its
            values permuted.
    """

    groups_: list[str]
    group_ndcg_: NDArray[np.float64]


class EarlyStopping(ABC):
    """A model that learns from the validation fold for how long to train."""

    @abstractmethod
    def refit_params(self) -> Params:
        """Return the parameters for a fit without a validation fold, for as long as the last fit found best."""


class ScaledInputs(ABC):
    """A model that standardises its inputs by statistics of the training fold."""

    @abstractmethod
    def scalers(self, data: TrainingData) -> Mapping[str, tuple[NDArray[np.float32], NDArray[np.float32]]]:
        """Return each statistic by name: the one that the model uses, and the same recomputed from `data.train`."""
