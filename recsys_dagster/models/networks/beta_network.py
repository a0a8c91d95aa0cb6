"""The three networks whose ratings are stacked (Yung 2022, "Survey of Deep Learning Techniques for Recommendation
Systems", chapter 5.1, there called beta neural networks).
"""

from collections.abc import Mapping
from typing import ClassVar

from pydantic import Field

from recsys_dagster.models.base import Params
from recsys_dagster.models.networks.rating_network import RatingNetwork, RatingNetworkParams


class BetaNetworkParams(RatingNetworkParams):
    """Parameters of a beta network; its architecture is the paper's."""

    dropout: float = Field(0.5, ge=0, lt=1, description="Share of each dense layer's inputs left out in training.")


class BetaNetwork(RatingNetwork):
    """Embedding(n) of user and of item → concatenate 2n → Dense n, ReLU → 1, dropout before each; MAE.

    The paper prints n, the dropout, the loss, Adam's 0.001 and the patience of 3; the widths of its dense layers are
    only in a picture, so one of n units stands for them here, and the batch size is the default.
    """

    params_type = BetaNetworkParams
    params: BetaNetworkParams
    loss = "mean_absolute_error"
    presets: ClassVar[Mapping[str, Params]] = {
        "default": BetaNetworkParams(),
        "paper": BetaNetworkParams(
            dropout=0.5, learning_rate=0.001, patience=3, start_at_mean=False, popularity_weight=0.0
        ),
    }


class BetaNetwork100(BetaNetwork):
    """Yung 2022: embeddings of 100 features through dense layers with dropout, by absolute error.

    The first network, with 100 features.
    """

    name = "beta_network_100"
    embedding_size = 100
    hidden_units = (100,)


class BetaNetwork128(BetaNetwork):
    """Yung 2022: embeddings of 128 features through dense layers with dropout, by absolute error.

    The second network, with 128 features.
    """

    name = "beta_network_128"
    embedding_size = 128
    hidden_units = (128,)


class BetaNetwork150(BetaNetwork):
    """Yung 2022: embeddings of 150 features through dense layers with dropout, by absolute error.

    The third network, with 150 features.
    """

    name = "beta_network_150"
    embedding_size = 150
    hidden_units = (150,)
