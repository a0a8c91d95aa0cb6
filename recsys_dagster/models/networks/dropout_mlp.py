"""Wide embeddings through two dense layers with dropout (Hahn 2024, "Recommender Systems Project")."""

from collections.abc import Mapping
from typing import ClassVar

import numpy as np
from pydantic import Field

from recsys_dagster.data.interactions import Interactions
from recsys_dagster.models.base import Params
from recsys_dagster.models.networks.rating_network import RatingNetwork, RatingNetworkParams


class DropoutMlpParams(RatingNetworkParams):
    """Parameters of the MLP with dropout; its architecture is the paper's."""

    dropout: float = Field(0.1, ge=0, lt=1, description="Share of each dense layer's inputs left out in training.")
    equal_frequencies: bool = Field(
        False, description="Train on as many ratings of each value as the rarest has, the paper's second training set."
    )


class DropoutMlp(RatingNetwork):
    """Hahn 2024: embeddings of 100 features through two dense layers with dropout to a rating.

    Embedding(100) of user and of item → concatenate 200 → Dense 128 → 64 → 1, ReLU and dropout between.

    The paper's loss, the root mean squared error, is least where the squared error is, which is what is minimised. It
    sizes its embeddings by the largest id: 73,515 users and 34,367 titles make its 10,822,249 parameters, of which
    those of ids that nobody has are never trained. Here indices are contiguous.
    How it was trained is not printed: the preset `paper` has the default optimiser and batches, ten epochs and no early
    stopping; `paper-balanced` learns from equally frequent ratings.
    """

    name = "dropout_mlp"
    params_type = DropoutMlpParams
    params: DropoutMlpParams
    presets: ClassVar[Mapping[str, Params]] = {
        "default": DropoutMlpParams(),
        "paper": DropoutMlpParams(dropout=0.1, epochs=10, patience=None, start_at_mean=False, popularity_weight=0.0),
        "paper-balanced": DropoutMlpParams(
            dropout=0.1, epochs=10, patience=None, start_at_mean=False, popularity_weight=0.0, equal_frequencies=True
        ),
    }
    embedding_size = 100
    hidden_units = (128, 64)

    def _examples(self, rated: Interactions) -> Interactions:
        return equally_frequent(rated, self.seed) if self.params.equal_frequencies else rated


def equally_frequent(rated: Interactions, seed: int) -> Interactions:
    """Return, in order, a random choice of the pairs in which each rating is as frequent as the rarest one is."""
    values, value_of, counts = np.unique(rated.ratings, return_inverse=True, return_counts=True)
    shuffled = np.random.default_rng(seed).permutation(len(rated))
    by_value = shuffled[np.argsort(value_of[shuffled], kind="stable")]
    first = np.repeat(np.cumsum(counts) - counts, counts.min())
    chosen = by_value[first + np.tile(np.arange(counts.min()), len(values))]
    mask = np.zeros(len(rated), dtype=bool)
    mask[chosen] = True
    return rated.where(mask)
