"""Predict ratings by small embeddings and three dense layers.

The network is from Ramu 2022, "Deep Learning-Based Anime and Movie Recommendation System".
"""

from collections.abc import Mapping
from typing import Any, ClassVar

from pydantic import Field

from recsys_dagster.models.networks.rating_network import RatingNetwork, RatingNetworkParams

AS_PUBLISHED: dict[str, Any] = {
    "learning_rate": 5e-5,
    "batch_size": 10_000,
    "patience": None,
    "dropout": 0.0,
    "start_at_mean": False,
    "popularity_weight": 0.0,
}


class EmbeddingMlpParams(RatingNetworkParams):
    """Parameters of the embedding MLP; its architecture is the paper's."""

    learning_rate: float = Field(0.003, gt=0, description="Step size of Adam.")


class EmbeddingMlp(RatingNetwork):
    """Embeddings of user and item through three dense layers to a rating (Ramu 2022).

    Embedding(5) of user and of item → concatenate 10 → Dense 100 → 32 → 4 → 1, with ReLU between; HeNormal, MSE.

    As published, it trains with Adam at 5e-5 in batches of 10,000, for 100 epochs on anime (preset `paper_anime`) and
    30 on movies (`paper_movie`), without early stopping. The defaults stop early on the validation fold.
    """

    name = "embedding_mlp"
    params_type = EmbeddingMlpParams
    params: EmbeddingMlpParams
    presets: ClassVar[Mapping[str, EmbeddingMlpParams]] = {
        "default": EmbeddingMlpParams(),
        "paper_anime": EmbeddingMlpParams(epochs=100, **AS_PUBLISHED),
        "paper_movie": EmbeddingMlpParams(epochs=30, **AS_PUBLISHED),
    }
    embedding_size = 5
    hidden_units = (100, 32, 4)
    initializer = "he_normal"
