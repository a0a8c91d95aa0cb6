"""Random training data and a model with random factors, which cost no time to make."""

import numpy as np
import scipy.sparse as sp

from recsys_dagster.data.interactions import Interactions
from recsys_dagster.data.items import ItemFeatures
from recsys_dagster.data.training_data import TrainingData
from recsys_dagster.models.base import Model
from recsys_dagster.models.capabilities import RatingPredictor

GENRES = 20


class Factors(RatingPredictor, Model):
    """Score items by the inner product of random factors, and predict ratings near 3 from the same product.

    Attributes:
        factors: length of the vectors.
    """

    name = "factors"
    factors = 64

    def _fit(self, data: TrainingData) -> None:
        generator = np.random.default_rng(0)
        self.user_factors_ = generator.standard_normal((data.n_users, self.factors), dtype=np.float32)
        self.item_factors_ = generator.standard_normal((data.n_items, self.factors), dtype=np.float32)

    def _scores(self, users):
        return self.user_factors_[users] @ self.item_factors_.T

    def _predict(self, users, items):
        return 3 + np.einsum("nf,nf->n", self.user_factors_[users], self.item_factors_[items]) / 10


def random_data(n_users: int, n_items: int, train: int, test: int) -> tuple[TrainingData, Interactions]:
    """Return training data and a test fold whose items follow a Zipf distribution.

    Args:
        n_users, n_items: their numbers.
        train, test: approximate number of pairs of each user in each fold.
    """
    generator = np.random.default_rng(1)
    chances = np.cumsum(1 / np.arange(1, n_items + 1) ** 0.8)
    users = np.repeat(np.arange(n_users), train + test)
    items = np.searchsorted(chances, generator.random(len(users)) * chances[-1])
    keys = np.unique(users * np.int64(n_items) + items)
    users, items = (part.astype(np.int32) for part in np.divmod(keys, n_items))
    pairs = Interactions(users, items, generator.integers(1, 6, len(users)).astype(np.float32))
    held_out = generator.random(len(users)) < test / (train + test)
    features = ItemFeatures(
        genres=sp.csr_array(generator.random((n_items, GENRES)) < 2 / GENRES).astype(np.float32),
        genre_names=tuple(f"genre {n}" for n in range(GENRES)),
        kinds=generator.integers(0, 4, n_items).astype(np.int16),
        kind_names=("TV", "Movie", "OVA", "Special"),
        years=np.full(n_items, np.nan, np.float32),
        site_scores=np.full(n_items, np.nan, np.float32),
    )
    return TrainingData(
        pairs.where(~held_out), Interactions.empty(), n_users, n_items, features, (1, 5), 4
    ), pairs.where(held_out)
