"""Say what a model's number for a pair means: a rating, the probability of a like, or a similarity.

The score that ranks a list also holds the support of the item, so that it is comparable within one list only. These
numbers hold no support, and can be compared between lists.
"""

from enum import StrEnum

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from recsys_dagster.models.base import Model
from recsys_dagster.models.capabilities import RatingPredictor
from recsys_dagster.models.classifiers.likes import LikeModel
from recsys_dagster.models.neighbours.genre_similarity import GenreSimilarity


class Meaning(StrEnum):
    """What a number beside the score means."""

    RATING = "rating"
    """The predicted rating, on the scale of the domain."""
    PROBABILITY = "probability"
    """The probability that the user likes the item, from 0 to 1."""
    SIMILARITY = "similarity"
    """The cosine of the user's profile and the item's features, from 0 to 1."""


def meaningful_values(
    model: Model, users: NDArray[np.int32], items: NDArray[np.int32]
) -> dict[str, NDArray[np.float32]]:
    """Return what a model says of the pairs (users[i], items[i]) beside their score, by the names that readers know.

    Returns:
        (n,) float32 columns: first the number, named as its `Meaning`; with a rating, if the model has an interval, its
        bounds `rating_low` and `rating_high`. Nothing if the model only ranks.
    """
    if isinstance(model, RatingPredictor):
        ratings = model.predict(users, items)
        low_high = model.interval_around(ratings, users, items) if model.has_interval else ()
        return dict(zip((str(Meaning.RATING), "rating_low", "rating_high"), (ratings, *low_high), strict=False))
    if isinstance(model, LikeModel):
        return {str(Meaning.PROBABILITY): model.like_probabilities(users, items)}
    if isinstance(model, GenreSimilarity):
        return {str(Meaning.SIMILARITY): _cosines(model, users, items)}
    return {}


def _cosines(model: GenreSimilarity, users: NDArray[np.int32], items: NDArray[np.int32]) -> NDArray[np.float32]:
    features, profiles = sp.csr_array(model.features_[items]), model.profiles_[users]
    products = np.asarray(features.multiply(profiles).sum(axis=1)).ravel()
    lengths = sp.linalg.norm(features, axis=1) * np.linalg.norm(profiles, axis=1)
    cosines: NDArray[np.float32] = np.clip(products / np.maximum(lengths, 1e-12), 0, 1).astype(np.float32)
    return cosines
