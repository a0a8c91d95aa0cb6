"""The data that a model is fitted on."""

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from recsys_dagster.data.interactions import Interactions
from recsys_dagster.data.items import ItemFeatures
from recsys_dagster.data.tastes import mean_genre_ratings
from recsys_dagster.errors import RecsysError


@dataclass(frozen=True)
class TrainingData:
    """The data that a model is fitted on, and nothing of the test fold.

    Attributes:
        train: pairs to learn from.
        validation: pairs for early stopping and the choice of parameters; empty in a refit on all folds.
        n_users, n_items: sizes of the index spaces; a user or item may have no training pair.
        item_features: features of the items.
        scale: lowest and highest rating; None for implicit feedback, which has no ratings.
        like_threshold: rating from which on an item counts as liked; None for implicit feedback, where every item that
            a user has counts as liked.
    """

    train: Interactions
    validation: Interactions
    n_users: int
    n_items: int
    item_features: ItemFeatures
    scale: tuple[float, float] | None
    like_threshold: float | None

    @cached_property
    def user_genre_taste(self) -> NDArray[np.float32]:
        """(n_users, n_genres) float32 mean training rating of each genre, NaN where a user rated no item of a genre.

        The feature table `features.user_genre_taste` where the data were read from the warehouse. Any other training
        part, such as that of a refit on all folds, has other tastes: they are computed from it when first needed.
        """
        return mean_genre_ratings(self.train, self.item_features.genres, self.n_users)

    def with_user_genre_taste(self, tastes: NDArray[np.float32]) -> "TrainingData":
        """Return the same data with tastes that were read from the feature table.

        `dataclasses.replace` does not copy them, so that data with another training part never have stale tastes.
        """
        data = replace(self)
        vars(data)["user_genre_taste"] = tastes
        return data

    def require_ratings(self) -> tuple[tuple[float, float], float]:
        """Return the scale and the like threshold; raise RecsysError if the feedback is implicit."""
        if self.scale is None or self.like_threshold is None:
            raise RecsysError("there are no ratings, only implicit feedback; choose a dataset with ratings")
        return self.scale, self.like_threshold

    @property
    def contents(self) -> list[object]:
        """Arrays and numbers that determine the data: equal data have equal contents."""
        folds = [
            (fold.users, fold.items, fold.ratings, fold.times, fold.weights) for fold in (self.train, self.validation)
        ]
        return [*folds, self.n_users, self.n_items, vars(self.item_features), self.scale, self.like_threshold]

    def with_all(self, test: Interactions) -> "TrainingData":
        """Return the same data with every fold in `train` and no validation fold, as for the published lists."""
        train = Interactions.concatenate(self.train, self.validation, test)
        return replace(self, train=train, validation=Interactions.empty())
