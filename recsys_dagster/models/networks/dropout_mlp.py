"""Predict ratings by wide embeddings and two dense layers with dropout.

The network is from Hahn 2024, "Recommender Systems Project".
"""

from collections.abc import Mapping
from typing import ClassVar

import numpy as np
from pydantic import Field

from recsys_dagster.data.interactions import Interactions
from recsys_dagster.models.networks.rating_network import RatingNetwork, RatingNetworkParams
from recsys_dagster.models.params import Params


class DropoutMlpParams(RatingNetworkParams):
    """Parameters of the MLP with dropout; its architecture is the paper's."""

    dropout: float = Field(
        0.1, ge=0, lt=1, description="Share of the inputs of each dense layer that is dropped in training."
    )
    equal_frequencies: bool = Field(
        False,
        description="Sample the ratings so that all values are equally frequent (second training set of the paper).",
    )


class DropoutMlp(RatingNetwork):
    """Embeddings of 100 features through two dense layers with dropout to a rating (Hahn 2024).

    Embedding(100) of user and of item → concatenate 200 → Dense 128 → 64 → 1, with ReLU and dropout between.

    The paper minimises the root mean squared error; here it is the mean squared error, which has the same minimum. The
    paper sizes its embeddings by the largest id: 73,515 users and 34,367 items give its 10,822,249 parameters, of which
    those of unused ids are never trained. Here indices are contiguous. The paper does not print how it trained. The
    preset `paper` has the default optimiser and batch size, ten epochs and no early stopping; `paper_balanced` learns
    from equally frequent ratings.
    """

    name = "dropout_mlp"
    params_type = DropoutMlpParams
    params: DropoutMlpParams
    presets: ClassVar[Mapping[str, Params]] = {
        "default": DropoutMlpParams(),
        "paper": DropoutMlpParams(dropout=0.1, epochs=10, patience=None, start_at_mean=False, popularity_weight=0.0),
        "paper_balanced": DropoutMlpParams(
            dropout=0.1, epochs=10, patience=None, start_at_mean=False, popularity_weight=0.0, equal_frequencies=True
        ),
    }
    embedding_size = 100
    hidden_units = (128, 64)

    def _examples(self, rated: Interactions) -> Interactions:
        return equally_frequent(rated, self.seed) if self.params.equal_frequencies else rated


def equally_frequent(rated: Interactions, seed: int) -> Interactions:
    """Return a random sample of the pairs, in order, in which each rating is as frequent as the rarest one."""
    values, value_of, counts = np.unique(rated.ratings, return_inverse=True, return_counts=True)
    shuffled = np.random.default_rng(seed).permutation(len(rated))
    by_value = shuffled[np.argsort(value_of[shuffled], kind="stable")]
    first = np.repeat(np.cumsum(counts) - counts, counts.min())
    chosen = by_value[first + np.tile(np.arange(counts.min()), len(values))]
    mask = np.zeros(len(rated), dtype=bool)
    mask[chosen] = True
    return rated.where(mask)
