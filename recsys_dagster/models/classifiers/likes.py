"""Classify pairs into liked and not liked: what all like models share.

The five inputs and the target are those of Malik et al. 2021, "Movie Recommendation System Based on Deep Learning". A
rating at or above the domain's like threshold is a like, any other rating is not. Interactions without a rating are not
used.
"""

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from recsys_dagster.data.interactions import Interactions
from recsys_dagster.data.items import ItemFeatures
from recsys_dagster.data.training_data import TrainingData
from recsys_dagster.errors import RecsysError
from recsys_dagster.models.base import Model
from recsys_dagster.models.capabilities import FoldIn, SeparableInputs
from recsys_dagster.models.params import Params
from recsys_dagster.models.rating import relative_popularity
from recsys_dagster.runtime.progress import announce


class LikeParams(Params):
    """Parameters of every like model."""

    popularity_weight: float = Field(
        2.0,
        ge=0,
        description="Weight of an item's popularity next to its probability in the ranking; 0: probability alone.",
    )


@dataclass(frozen=True)
class ItemInputs:
    """The four inputs that describe an item: its identity, its first two genres and its year of release.

    Each is a position from 0; the last position means that the item has no such value. The genres are the first two in
    the order of the genre columns.

    Attributes:
        columns: four (n_items,) int32 arrays: item, genre 1, genre 2, year.
        sizes: number of positions of each input.
    """

    columns: tuple[NDArray[np.int32], ...]
    sizes: tuple[int, ...]

    @staticmethod
    def of(features: ItemFeatures) -> "ItemInputs":
        """Return the inputs of all items."""
        n_items, n_genres = features.genres.shape
        genres = features.genres.tocsr(copy=True)
        genres.sort_indices()
        padded = np.append(genres.indices, n_genres)
        counts = np.diff(genres.indptr)
        first, second = (
            padded[np.where(counts > place, genres.indptr[:-1] + place, len(padded) - 1)].astype(np.int32)
            for place in (0, 1)
        )
        known = ~np.isnan(features.years)
        years, positions = np.unique(features.years[known], return_inverse=True)
        year = np.full(n_items, len(years), dtype=np.int32)
        year[known] = positions
        columns = (np.arange(n_items, dtype=np.int32), first, second, year)
        return ItemInputs(columns, (n_items, n_genres + 1, n_genres + 1, len(years) + 1))


class LikeModel(SeparableInputs, FoldIn, Model):
    """A model of the probability that a user likes an item.

    The score of item i for user u is p + w · log(1 + n_i) / log(1 + n_max), where p is the probability, n_i the number
    of training pairs of the item and w the parameter `popularity_weight`. An item that a single user liked is therefore
    not ranked first. A subclass implements `_learn`, `_pair_log_odds`, `_log_odds_from`, `_log_odds` and
    `_log_odds_for`.

    Attributes:
        like_threshold_: a rating at or above it is a like.
    """

    params_type = LikeParams
    params: LikeParams
    needs_ratings = True
    inputs = ("user", "item", "genre", "year")

    like_threshold_: float

    def _fit(self, data: TrainingData) -> None:
        _, self.like_threshold_ = data.require_ratings()
        rated = data.train.rated
        if len(np.unique(self._liked(rated))) < 2:
            raise RecsysError(
                f"{self.name}: the training fold needs ratings both below and from {self.like_threshold_:g} on, the "
                "like threshold; choose a model that needs no ratings"
            )
        self._learn(rated, data)

    @abstractmethod
    def _learn(self, rated: Interactions, data: TrainingData) -> None:
        """Learn from the rated pairs of the training fold; `data` holds everything else."""

    def _liked(self, rated: Interactions) -> NDArray[np.bool_]:
        """Return (n,) whether each rating is a like."""
        return rated.ratings >= self.like_threshold_

    def like_probabilities(self, users: NDArray[np.int32], items: NDArray[np.int32]) -> NDArray[np.float32]:
        """Return the (n,) probabilities that users[i] likes items[i]."""
        return sigmoid(self._pair_log_odds(users, items))

    @abstractmethod
    def _pair_log_odds(self, users: NDArray[np.int32], items: NDArray[np.int32]) -> NDArray[np.float32]:
        """Return (n,) float32 log(p / (1 − p)) of the pairs."""

    def predict_from(self, sources: Mapping[str, NDArray[np.int32]]) -> NDArray[np.float32]:
        """Return the (n,) probabilities of a like of pairs whose inputs come from several users and items."""
        return sigmoid(self._log_odds_from(*(sources[name] for name in self.inputs)))

    @abstractmethod
    def _log_odds_from(
        self, users: NDArray[np.int32], items: NDArray[np.int32], genres: NDArray[np.int32], years: NDArray[np.int32]
    ) -> NDArray[np.float32]:
        """Return the (n,) log-odds of users[i] and items[i], with genres of items genres[i] and year of years[i]."""

    @abstractmethod
    def _log_odds(self, users: NDArray[np.int32]) -> NDArray[np.float32]:
        """Return (len(users), n_items) float32 log(p / (1 − p))."""

    @abstractmethod
    def _log_odds_for(self, rated: Interactions, n_users: int) -> NDArray[np.float32]:
        """Return (n_users, n_items) float32 log(p / (1 − p)) for new users with these ratings."""

    def _scores(self, users: NDArray[np.int32]) -> NDArray[np.float32]:
        return self._add_popularity(self._log_odds(users))

    def _scores_for(self, history: Interactions, n_users: int) -> NDArray[np.float32]:
        return self._add_popularity(self._log_odds_for(history.rated, n_users))

    def _add_popularity(self, log_odds: NDArray[np.float32]) -> NDArray[np.float32]:
        scores = sigmoid(log_odds)
        scores += self.params.popularity_weight * relative_popularity(self.popularity_)
        return scores


class AdditiveLikeModel(LikeModel):
    """A like model whose log-odds are the sum of a user's part and an item's part.

    It ranks items in nearly the same order for all users. A subclass implements `_learn`, which sets the parts, and
    `_user_parts`.

    Attributes:
        user_log_odds_: (n_users,) float32.
        item_log_odds_: (n_items,) float32, including the constant.
        genre_log_odds_, year_log_odds_: (n_items,) float32, the contributions of genres and year to the item's part.
    """

    user_log_odds_: NDArray[np.float32]
    item_log_odds_: NDArray[np.float32]
    genre_log_odds_: NDArray[np.float32]
    year_log_odds_: NDArray[np.float32]

    @abstractmethod
    def _user_parts(self, rated: Interactions, n_users: int) -> NDArray[np.float32]:
        """Return the (n_users,) parts of users with these ratings."""

    def _pair_log_odds(self, users: NDArray[np.int32], items: NDArray[np.int32]) -> NDArray[np.float32]:
        return self.user_log_odds_[users] + self.item_log_odds_[items]

    def _log_odds_from(
        self, users: NDArray[np.int32], items: NDArray[np.int32], genres: NDArray[np.int32], years: NDArray[np.int32]
    ) -> NDArray[np.float32]:
        log_odds = self._pair_log_odds(users, items)
        log_odds += self.genre_log_odds_[genres] - self.genre_log_odds_[items]
        log_odds += self.year_log_odds_[years] - self.year_log_odds_[items]
        return log_odds

    def _set_item_parts(self, weights: Sequence[NDArray[np.float32]], inputs: ItemInputs, constant: float) -> None:
        """Set the items' parts from the weights of the positions of each of the four inputs, and a constant."""
        item, first, second, year = (weight[column] for weight, column in zip(weights, inputs.columns, strict=True))
        self.genre_log_odds_, self.year_log_odds_ = first + second, year
        self.item_log_odds_ = (item + self.genre_log_odds_ + year + np.float32(constant)).astype(np.float32)

    def _log_odds(self, users: NDArray[np.int32]) -> NDArray[np.float32]:
        return self.user_log_odds_[users, None] + self.item_log_odds_

    def _log_odds_for(self, rated: Interactions, n_users: int) -> NDArray[np.float32]:
        return self._user_parts(rated, n_users)[:, None] + self.item_log_odds_


def sigmoid(log_odds: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return 1 / (1 + exp(−x)) without overflow."""
    values: NDArray[np.float32] = np.tanh(log_odds * np.float32(0.5))
    values *= np.float32(0.5)
    values += np.float32(0.5)
    return values


def sample_of(n_rows: int, size: int, seed: int, name: str) -> NDArray[np.int64]:
    """Draw a random sample of ratings without replacement, and announce it.

    Args:
        n_rows: number of ratings.
        size: number of ratings to draw; if there are no more than that, all are returned.
        seed: seed of the sample.
        name: name of the model, for the announcement.

    Returns:
        (min(n_rows, size),) int64 positions, ascending.
    """
    if n_rows <= size:
        return np.arange(n_rows)
    announce(f"{name}: learns from {size:,} of {n_rows:,} ratings, drawn at random to bound its memory (max_ratings)")
    return np.sort(np.random.default_rng(seed).choice(n_rows, size, replace=False, shuffle=False))
