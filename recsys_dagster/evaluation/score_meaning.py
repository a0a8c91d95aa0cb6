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


def meaning_of(model: Model | type[Model]) -> Meaning | None:
    """Return what a model can say of a pair beside its score; None if it only ranks."""
    model_class = model if isinstance(model, type) else type(model)
    for capability, meaning in (
        (RatingPredictor, Meaning.RATING),
        (LikeModel, Meaning.PROBABILITY),
        (GenreSimilarity, Meaning.SIMILARITY),
    ):
        if issubclass(model_class, capability):
            return meaning
    return None


def meaningful_values(model: Model, users: NDArray[np.int32], items: NDArray[np.int32]) -> NDArray[np.float32] | None:
    """Return the (n,) ratings, probabilities or similarities of the pairs (users[i], items[i]), as `meaning_of` says.

    Returns:
        (n,) float32; None if the model only ranks.
    """
    if isinstance(model, RatingPredictor):
        return model.predict(users, items)
    if isinstance(model, LikeModel):
        return model.like_probabilities(users, items)
    if isinstance(model, GenreSimilarity):
        return _cosines(model, users, items)
    return None


def _cosines(model: GenreSimilarity, users: NDArray[np.int32], items: NDArray[np.int32]) -> NDArray[np.float32]:
    features, profiles = sp.csr_array(model.features_[items]), model.profiles_[users]
    products = np.asarray(features.multiply(profiles).sum(axis=1)).ravel()
    lengths = sp.linalg.norm(features, axis=1) * np.linalg.norm(profiles, axis=1)
    cosines: NDArray[np.float32] = np.clip(products / np.maximum(lengths, 1e-12), 0, 1).astype(np.float32)
    return cosines
