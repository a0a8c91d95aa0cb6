"""Generate the small data sets on which a model is held to the contract."""

from dataclasses import replace

import numpy as np
import scipy.sparse as sp

from recsys_dagster.data.interactions import Interactions
from recsys_dagster.data.items import ItemFeatures
from recsys_dagster.data.training_data import TrainingData

N_USERS, N_ITEMS, N_GENRES = 120, 60, 6
COLD_USERS = np.array([118, 119], dtype=np.int32)
"""Users without a training pair."""
COLD_ITEMS = np.array([58, 59], dtype=np.int32)
"""Items without a training pair."""
UNRATED_USER = 117
"""A user who has interactions but no rating."""


def contract_data() -> TrainingData:
    """Return a small data set with what a model must cope with.

    120 users who like some of six genres, and 60 items of unequal popularity. Some interactions have no rating, some
    items no year and no site score, two users and two items no training pair.
    """
    random = np.random.default_rng(7)
    genre_of = random.random((N_ITEMS, N_GENRES)) < 0.3
    genre_of[np.arange(N_ITEMS), np.arange(N_ITEMS) % N_GENRES] = True
    likes = random.random((N_USERS, N_GENRES)) < 0.35
    affinity = likes.astype(float) @ genre_of.T / genre_of.sum(1)
    quality = random.normal(0, 1, N_ITEMS)
    leniency = random.normal(0, 0.8, N_USERS)
    chance = 1 / (1 + np.exp(-(0.8 * quality + 2.5 * affinity - 1.6)))
    users, items = np.nonzero(random.random((N_USERS, N_ITEMS)) < chance)
    noise = random.normal(0, 0.7, len(users))
    mean = 6 + quality[items] + leniency[users] + 2.5 * affinity[users, items] + noise
    ratings = np.clip(np.round(mean), 1, 10).astype(np.float32)
    ratings[(random.random(len(users)) < 0.15) | (users == UNRATED_USER)] = np.nan
    times = np.sort(random.integers(1_400_000_000, 1_600_000_000, len(users)))
    pairs = Interactions(users.astype(np.int32), items.astype(np.int32), ratings, random.permutation(times))
    held_out = (random.random(len(users)) < 0.15) & (users != UNRATED_USER)
    cold = np.isin(users, COLD_USERS) | np.isin(items, COLD_ITEMS)
    years = random.integers(1980, 2020, N_ITEMS).astype(np.float32)
    years[::9] = np.nan
    site_scores = (7 + quality).astype(np.float32)
    site_scores[::11] = np.nan
    features = ItemFeatures(
        genres=sp.csr_array(genre_of.astype(np.float32)),
        genre_names=("Action", "Comedy", "Drama", "Horror", "Romance", "Sports"),
        kinds=random.integers(-1, 2, N_ITEMS).astype(np.int16),
        kind_names=("Movie", "TV"),
        years=years,
        site_scores=site_scores,
    )
    return TrainingData(
        train=pairs.where(~held_out & ~cold),
        validation=pairs.where(held_out | cold),
        n_users=N_USERS,
        n_items=N_ITEMS,
        item_features=features,
        scale=(1, 10),
        like_threshold=8,
    )


def implicit_contract_data() -> TrainingData:
    """Return the same data as implicit feedback: no ratings, but weights from 1 on, with a median of 3."""
    data = contract_data()

    def without_ratings(pairs: Interactions) -> Interactions:
        weights = np.random.default_rng(8).geometric(0.2, len(pairs)).astype(np.float32)
        return replace(pairs, ratings=np.full(len(pairs), np.nan, np.float32), weights=weights)

    train, validation = without_ratings(data.train), without_ratings(data.validation)
    return replace(data, train=train, validation=validation, scale=None, like_threshold=None)
