"""Models whose scores the test chooses, fitted on pairs that the test chooses."""

import numpy as np
import scipy.sparse as sp

from recsys_dagster.data.interactions import Interactions
from recsys_dagster.data.items import ItemFeatures
from recsys_dagster.data.training_data import TrainingData
from recsys_dagster.models.base import Model
from recsys_dagster.models.capabilities import RatingPredictor


class RankingTable(Model):
    """Scores that the test chose, by a model that predicts no ratings."""

    name = "ranking_table"

    def __init__(self, table):
        super().__init__()
        self.table_ = np.asarray(table, dtype=np.float32)

    def _fit(self, data):
        pass

    def _scores(self, users):
        return self.table_[users]


class Table(RatingPredictor, RankingTable):
    """Scores that the test chose, which are its predicted ratings as well."""

    name = "table"

    def _predict(self, users, items):
        return self.table_[users, items]


def pairs(*triples):
    """Interactions from (user, item, rating)."""
    users, items, ratings = zip(*triples, strict=True)
    return Interactions(np.array(users, np.int32), np.array(items, np.int32), np.array(ratings, np.float32))


def training(train, n_users, n_items):
    """Training data of the given pairs, on a scale from 0 to 5."""
    items = ItemFeatures(
        genres=sp.csr_array((n_items, 1), dtype=np.float32),
        genre_names=("Drama",),
        kinds=np.zeros(n_items, np.int16),
        kind_names=("Movie",),
        years=np.full(n_items, np.nan, np.float32),
        site_scores=np.full(n_items, np.nan, np.float32),
    )
    return TrainingData(train, Interactions.empty(), n_users, n_items, items, (0, 5), 4)
