"""Describe users, items, pairs and moments for the trees that correct blended ratings.

Residuals are ratings less the damped biases of user and item, as of `UserItemBias`.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple, Self

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from recsys_dagster.data.interactions import Interactions
from recsys_dagster.data.training_data import TrainingData
from recsys_dagster.models.baselines.user_item_bias import UserItemBias, damped_mean
from recsys_dagster.models.ensembles.earlier_ratings import EarlierRatings
from recsys_dagster.models.moments import damped_moments
from recsys_dagster.models.neighbours.rating_knn import RatingKnn
from recsys_dagster.models.rating import RatingModel

GENRE_DAMPING = 5.0
"""Residuals of zero that a user's mean residual of like genres is damped by."""
SLOPE_PENALTY = 20.0
"""L2 penalty, in ratings, of how a user's residuals change with a trait of the items."""


class RatingFacts(NamedTuple):
    """What trees know of the ratings that a model is fitted on.

    Attributes:
        of_users, of_items: (n_users, 5) and (n_items, 7) float32; see `user_facts` and `item_facts`.
        genres: (n_items, n_genres) float32, rows of length 1.
        genre_sums, genre_counts: (n_users, n_genres) float32, sums over the user's ratings of residual · genres of the
            item, and of genres of the item.
        traits: (n_items, 3) float32, popularity, site score and bias of each item; see `item_traits`.
        slopes, centres: (n_users, 3) float32, how much the user's residuals rise with each trait, and the damped mean
            trait of the items that the user rated.
        keys, sums, span: of the `EarlierRatings`; without a known time the span is empty.
    """

    of_users: NDArray[np.float32]
    of_items: NDArray[np.float32]
    genres: NDArray[np.float32]
    genre_sums: NDArray[np.float32]
    genre_counts: NDArray[np.float32]
    traits: NDArray[np.float32]
    slopes: NDArray[np.float32]
    centres: NDArray[np.float32]
    keys: NDArray[np.int64]
    sums: NDArray[np.float64]
    span: NDArray[np.int64]

    @classmethod
    def of(cls, data: TrainingData) -> Self:
        """Return the facts of the training fold, which has a rating."""
        rated = data.train.rated
        biases = UserItemBias().fit(replace(data, validation=Interactions.empty()))
        residuals = rated.ratings - biases._predict(rated.users, rated.items)
        entries = sp.csr_array((residuals, (rated.users, rated.items)), shape=(data.n_users, data.n_items))
        counts = sp.csr_array((np.ones_like(residuals), (rated.users, rated.items)), shape=entries.shape)
        genres = data.item_features.genres.toarray().astype(np.float32)
        genres /= np.maximum(np.sqrt((genres**2).sum(axis=1, keepdims=True)), 1)
        traits = item_traits(data, biases.item_bias_)
        slopes, centres = trait_slopes(rated, residuals, traits, data.n_users)
        earlier = EarlierRatings.of(rated, residuals)
        return cls(
            user_facts(data),
            item_facts(data),
            genres,
            entries @ genres,
            counts @ genres,
            traits,
            slopes,
            centres,
            *earlier,
        )

    def features(
        self,
        members: Sequence[RatingModel],
        predictions: Sequence[NDArray[np.float32]],
        users: NDArray[np.int32],
        items: NDArray[np.int32],
        times: NDArray[np.int64] | None,
    ) -> NDArray[np.float32]:
        """Return the (n, n_features) float32 features of the pairs (users[i], items[i]), NaN where unknown.

        Args:
            members: models that predict ratings.
            predictions: the (n,) predictions of each member.
            users, items: (n,) the pairs.
            times: (n,) moments of the ratings, in seconds since 1970; only ratings before them count as the user's
                latest. None: after all training ratings, as is `UNKNOWN_TIME`.
        """
        blocks = [
            *predictions,
            self.of_users[users],
            self.of_items[items],
            neighbour_facts(members, users, items),
            self._of_pairs(users, items),
        ]
        if len(self.span):
            blocks.append(EarlierRatings(self.keys, self.sums, self.span).facts(users, times))
        return np.column_stack(blocks).astype(np.float32)

    def _of_pairs(self, users: NDArray[np.int32], items: NDArray[np.int32]) -> NDArray[np.float32]:
        """Return the (n, 8) facts of pairs.

        They are the damped mean residual of the user's ratings, weighted by how like the item they are in genres, and
        the sum of these weights; for each trait the user's slope, and what it adds to the rating of the item.
        """
        genres = self.genres[items]
        sums, counts = ((of_users[users] * genres).sum(axis=1) for of_users in (self.genre_sums, self.genre_counts))
        slopes = self.slopes[users]
        added = slopes * (self.traits[items] - self.centres[users])
        return np.column_stack([sums / (counts + np.float32(GENRE_DAMPING)), counts, slopes, added])


def user_facts(data: TrainingData) -> NDArray[np.float32]:
    """Return what is known of each user as (n_users, 5) float32.

    The columns are log(1 + number of training pairs), damped mean and deviation of the ratings, the share of them that
    are the highest of the scale, and the share that are not whole numbers.
    """
    rated = data.train.rated
    scale, _ = data.require_ratings()
    counts = np.maximum(np.bincount(rated.users, minlength=data.n_users), 1)
    shares = [
        np.bincount(rated.users, weights=true, minlength=data.n_users) / counts
        for true in (rated.ratings >= scale[1], rated.ratings % 1 != 0)
    ]
    pairs = np.log1p(np.bincount(data.train.users, minlength=data.n_users))
    moments = damped_moments(rated.users, rated.ratings, data.n_users)
    return np.column_stack([pairs, *moments, *shares]).astype(np.float32)


def item_facts(data: TrainingData) -> NDArray[np.float32]:
    """Return what is known of each item as (n_items, 7) float32, NaN where unknown.

    The columns are log(1 + number of training pairs), damped mean and deviation of the ratings, the mean on the
    publisher's site, the year, the kind as a number, and the number of genres.
    """
    rated, features = data.train.rated, data.item_features
    pairs = np.log1p(np.bincount(data.train.items, minlength=data.n_items))
    moments = damped_moments(rated.items, rated.ratings, data.n_items)
    genres = np.diff(features.genres.indptr)
    stacked = np.column_stack([pairs, *moments, features.site_scores, features.years, features.kinds, genres])
    return stacked.astype(np.float32)


def neighbour_facts(
    members: Sequence[RatingModel], users: NDArray[np.int32], items: NDArray[np.int32]
) -> NDArray[np.float32]:
    """Return what the neighbourhoods among the members know of each pair, as of `RatingKnn.nearest_rated`."""
    columns = [member.nearest_rated(users, items) for member in members if isinstance(member, RatingKnn)]
    return np.hstack([np.zeros((len(users), 0), np.float32), *columns])


def item_traits(data: TrainingData, biases: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return log(1 + number of training ratings), site score and bias of each item.

    Args:
        data: the training data.
        biases: (n_items,).

    Returns:
        (n_items, 3) float32, each column with a mean of 0 and a deviation of 1 over the items; 0 where unknown.
    """
    counts = np.log1p(np.bincount(data.train.rated.items, minlength=data.n_items))
    traits = np.column_stack([counts, data.item_features.site_scores, biases]).astype(np.float64)
    known = ~np.isnan(traits)
    traits = np.where(known, traits, 0)
    means = traits.sum(axis=0) / np.maximum(known.sum(axis=0), 1)
    traits = np.where(known, traits - means, 0)
    standardised: NDArray[np.float32] = (traits / np.maximum(traits.std(axis=0), 1e-6)).astype(np.float32)
    return standardised


def trait_slopes(
    rated: Interactions, residuals: NDArray[np.float32], traits: NDArray[np.float32], n_users: int
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return how each user's residuals change with the traits of the items, each trait alone, by ridge regression.

    Args:
        rated: n ratings.
        residuals: (n,).
        traits: (n_items, n_traits).
        n_users: number of users.

    Returns:
        (n_users, n_traits) float32 slopes, 0 for a user without ratings, and damped means of the traits.
    """
    slopes, centres = np.zeros((2, n_users, traits.shape[1]), np.float32)
    for column, trait in enumerate(traits.T):
        values = trait[rated.items]
        centres[:, column] = damped_mean(rated.users, values, n_users, 1.0)
        values = values - centres[rated.users, column]
        squares = np.bincount(rated.users, values**2, n_users)
        slopes[:, column] = np.bincount(rated.users, values * residuals, n_users) / (squares + SLOPE_PENALTY)
    return slopes, centres
