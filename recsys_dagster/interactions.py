"""The arrays that models are trained on: index space only, smallest types, no DataFrame."""

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray


@dataclass(frozen=True)
class Interactions:
    """(user, item) pairs as columns of equal length n.

    Attributes:
        users: (n,) int32, index of the user.
        items: (n,) int32, index of the item.
        ratings: (n,) float32 on the domain's scale; NaN where the user watched without rating.
        times: (n,) int64 seconds since 1970 in UTC, or None where the source has no times; a single unknown
            time among known ones is the smallest int64.
    """

    users: NDArray[np.int32]
    items: NDArray[np.int32]
    ratings: NDArray[np.float32]
    times: NDArray[np.int64] | None = None

    def __len__(self) -> int:
        return len(self.users)

    @cached_property
    def rated(self) -> "Interactions":
        """The pairs that have a rating."""
        return self.where(~np.isnan(self.ratings))

    def where(self, mask: NDArray[np.bool_]) -> "Interactions":
        """Return the pairs at which the (n,) mask is true, in order."""
        if mask.all():
            return self
        times = None if self.times is None else self.times[mask]
        return Interactions(self.users[mask], self.items[mask], self.ratings[mask], times)

    def positive(self, like_threshold: float) -> "Interactions":
        """The pairs that speak for the item: rated at or above the threshold, or watched without a rating."""
        return self.where(~(self.ratings < like_threshold))

    def liked(self, like_threshold: float) -> "Interactions":
        """The pairs rated at or above the threshold."""
        return self.where(self.ratings >= like_threshold)

    def matrix(self, n_users: int, n_items: int) -> sp.csr_array:
        """Return the pairs as a (n_users, n_items) CSR matrix of float32 ones, columns sorted in each row."""
        ones = np.ones(len(self), dtype=np.float32)
        matrix = sp.csr_array((ones, (self.users, self.items)), shape=(n_users, n_items))
        matrix.sum_duplicates()
        return matrix

    @staticmethod
    def concatenate(*parts: "Interactions") -> "Interactions":
        """Return all pairs of the parts, in order; times are kept only if every part that is not empty has them."""
        times = [part.times for part in parts if part.times is not None]
        timed = times and all(part.times is not None for part in parts if len(part))
        return Interactions(
            np.concatenate([part.users for part in parts]),
            np.concatenate([part.items for part in parts]),
            np.concatenate([part.ratings for part in parts]),
            np.concatenate(times) if timed else None,
        )

    @staticmethod
    def empty() -> "Interactions":
        """No pairs at all."""
        return Interactions(np.empty(0, np.int32), np.empty(0, np.int32), np.empty(0, np.float32))


@dataclass(frozen=True)
class Titles:
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


@dataclass(frozen=True)
class TrainingData:
    """All that a model may look at when it is fitted.

    Attributes:
        train: what it learns from.
        validation: what it may stop early on and choose parameters by; empty when refitting on everything.
        n_users, n_items: sizes of the index spaces; some users and items may have no training pair.
        titles: features of the items.
        scale: lowest and highest rating.
        like_threshold: a rating at or above it counts as liked.
    """

    train: Interactions
    validation: Interactions
    n_users: int
    n_items: int
    titles: Titles
    scale: tuple[float, float]
    like_threshold: float

    @property
    def contents(self) -> list[object]:
        """All of it in arrays and numbers: equal contents have equal hashes."""
        folds = [(fold.users, fold.items, fold.ratings, fold.times) for fold in (self.train, self.validation)]
        return [*folds, self.n_users, self.n_items, vars(self.titles), self.scale, self.like_threshold]

    def with_all(self, test: Interactions) -> "TrainingData":
        """The same data with every fold in `train` and nothing to validate on: what published lists are made from."""
        train = Interactions.concatenate(self.train, self.validation, test)
        return replace(self, train=train, validation=Interactions.empty())


@dataclass(frozen=True)
class Split:
    """Pairs to learn from and pairs to be judged by, divided by somebody else.

    Attributes:
        data: what a model may look at; its validation fold is empty.
        test: the pairs to predict and to find; `users` are positions in `people`, `items` are those of `data`.
        fold_in: all that is known of the people of the test, where these are new to the model; None where they are the
            users of `data`.
        people: (n_people,) int64 ids: the users of `data` by index or, with `fold_in`, the new ones.
        item_ids: (n_items,) int64 ids, by index.
    """

    data: TrainingData
    test: Interactions
    fold_in: Interactions | None
    people: NDArray[np.int64]
    item_ids: NDArray[np.int64]
