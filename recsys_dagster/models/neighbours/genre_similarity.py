"""Recommend items whose genres and kind resemble those of the items that a user rated."""

from typing import Any, ClassVar, Literal

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from pydantic import Field

from recsys_dagster.data.interactions import Interactions
from recsys_dagster.data.items import ItemFeatures
from recsys_dagster.data.training_data import TrainingData
from recsys_dagster.models.base import Model
from recsys_dagster.models.capabilities import FoldIn, StatedTastes
from recsys_dagster.models.params import Params
from recsys_dagster.models.search_space import Real


class GenreSimilarityParams(Params):
    """Parameters of the content model."""

    similarity: Literal["dot", "cosine"] = Field(
        "cosine",
        description="'dot' sums the profile over an item's features; 'cosine' also divides by the item's length.",
    )
    rarity: bool = Field(
        True, description="Weight each feature by ln(items / items that have it), so that rare ones count more."
    )
    popularity_power: float = Field(
        0.75,
        ge=0,
        description="Power of an item's popularity by which its similarity is multiplied; 0: content alone.",
    )

    searched: ClassVar = {"popularity_power": Real(0, 2)}


class GenreSimilarity(StatedTastes, FoldIn, Model):
    """Items whose genres and kind resemble those of what the user rated; needs no other users.

    The score is the similarity of an item's one-hot genres and kind to the user's profile, times a power of the item's
    popularity. The profile is the sum of the features of the user's items, weighted by their ratings and scaled to sum
    to one (published as "content-based recommendations" for the Cooper Union data, with the dot product: preset
    `paper_004`). An item without a rating counts as the user's mean rating; without any rating, all count alike. A
    stated taste weights its genre by the distance of the rating from the middle of the scale, so that a disliked genre
    lowers the score.

    Attributes:
        features_: (n_items, n_genres + n_kinds) CSR float32, one-hot, weighted by rarity if `rarity` is set.
        profiles_: (n_users, n_genres + n_kinds) float32.
    """

    name = "genre_similarity"
    kinds = ("scipy",)
    params_type = GenreSimilarityParams
    params: GenreSimilarityParams
    presets: ClassVar = {"paper_004": GenreSimilarityParams(similarity="dot", rarity=False, popularity_power=0)}
    needs_item_features = True

    features_: sp.csr_array
    profiles_: NDArray[np.float32]

    def _fit(self, data: TrainingData) -> None:
        features = one_hot(data.item_features)
        if self.params.rarity:
            having = np.maximum(features.sum(axis=0), 1)
            features = sp.csr_array(features @ sp.diags_array(np.log(self.n_items_ / having).astype(np.float32)))
        self.features_ = features
        self.profiles_ = self._profiles(data.train, self.n_users_)

    def _profiles(self, history: Interactions, n_users: int) -> NDArray[np.float32]:
        """Return the (n_users, n_features) sums of the features of each history, weighted by rating."""
        rated = ~np.isnan(history.ratings)
        totals = np.bincount(history.users[rated], weights=history.ratings[rated], minlength=n_users)
        counts = np.bincount(history.users[rated], minlength=n_users)
        means = np.divide(totals, counts, out=np.ones(n_users), where=counts > 0)
        weights = np.where(rated, history.ratings, means[history.users]).astype(np.float32)
        matrix = sp.csr_array((weights, (history.users, history.items)), shape=(n_users, self.n_items_))
        profiles: NDArray[np.float32] = (matrix @ self.features_).toarray()
        return profiles

    def _scores(self, users: NDArray[np.int32]) -> NDArray[np.float32]:
        return self._similarities(self.profiles_[users])

    def _scores_for(self, history: Interactions, n_users: int) -> NDArray[np.float32]:
        return self._similarities(self._profiles(history, n_users))

    def _scores_by_taste(self, tastes: NDArray[np.float32]) -> NDArray[np.float32]:
        low, high = self.scale_
        lean = np.nan_to_num((2 * tastes - low - high) / (high - low))
        n_kinds = self.features_.shape[1] - lean.shape[1]
        return self._similarities(np.pad(lean, ((0, 0), (0, n_kinds))))

    def _similarities(self, profiles: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the (n, n_items) scores of (n, n_features) profiles; popularity where a profile is empty."""
        mass = np.abs(profiles).sum(axis=1)
        if self.params.similarity == "cosine":
            lengths = np.linalg.norm(profiles, axis=1)
            item_lengths = sp.linalg.norm(self.features_, axis=1)
        else:
            lengths, item_lengths = mass, np.ones(self.n_items_)
        factors: Any = self.popularity_**self.params.popularity_power / np.maximum(item_lengths, 1e-12)
        scaled = profiles / np.maximum(lengths, 1e-12)[:, None]
        scores: NDArray[np.float32] = (self.features_ @ scaled.T).T * factors.astype(np.float32)
        scores[mass == 0] = self.popularity_
        return scores


def one_hot(features: ItemFeatures) -> sp.csr_array:
    """Return (n_items, n_genres + n_kinds) CSR of float32 ones: each item's genres, then its kind if it is known."""
    known = np.flatnonzero(features.kinds >= 0)
    ones = np.ones(len(known), dtype=np.float32)
    shape = (len(features.kinds), len(features.kind_names))
    kinds = sp.csr_array((ones, (known, features.kinds[known])), shape=shape)
    return sp.csr_array(sp.hstack([features.genres, kinds], format="csr"))
