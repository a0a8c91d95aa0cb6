"""Predict ratings by the three beta networks, which the stacks combine.

They are from Yung 2022, "Survey of Deep Learning Techniques for Recommendation Systems", chapter 5.1.
"""

from collections.abc import Mapping
from typing import ClassVar

from pydantic import Field

from recsys_dagster.models.networks.rating_network import RatingNetwork, RatingNetworkParams
from recsys_dagster.models.params import Params


class BetaNetworkParams(RatingNetworkParams):
    """Parameters of a beta network; its architecture is the paper's."""

    dropout: float = Field(
        0.5, ge=0, lt=1, description="Share of the inputs of each dense layer that is dropped in training."
    )


class BetaNetwork(RatingNetwork):
    """Embeddings of user and item through a dense layer with dropout, by absolute error.

    Embedding(n) of user and of item → concatenate 2n → Dense n, ReLU → 1, with dropout before each dense layer; MAE.
    The paper prints n, the dropout, the loss, a learning rate of 0.001 and a patience of 3. It shows the widths of the
    dense layers only in a figure; here they are one layer of n units. The batch size is the default.
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
    """Embeddings of 100 features through a dense layer with dropout, by absolute error (Yung 2022)."""

    name = "beta_network_100"
    embedding_size = 100
    hidden_units = (100,)


class BetaNetwork128(BetaNetwork):
    """Embeddings of 128 features through a dense layer with dropout, by absolute error (Yung 2022)."""

    name = "beta_network_128"
    embedding_size = 128
    hidden_units = (128,)


class BetaNetwork150(BetaNetwork):
    """Embeddings of 150 features through a dense layer with dropout, by absolute error (Yung 2022)."""

    name = "beta_network_150"
    embedding_size = 150
    hidden_units = (150,)
