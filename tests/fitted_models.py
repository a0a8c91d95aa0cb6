"""Fixtures: a small world to train on, and each model trained once on it."""

from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse as sp

from recsys_dagster.data.interactions import Interactions
from recsys_dagster.data.items import ItemFeatures
from recsys_dagster.data.training_data import TrainingData
from recsys_dagster.models.base import Model
from recsys_dagster.models.registry import get_model_class

N_USERS, N_ITEMS, N_GENRES = 120, 60, 6
COLD_USERS = np.array([118, 119], dtype=np.int32)
COLD_ITEMS = np.array([58, 59], dtype=np.int32)
WATCHES_ONLY = 117

QUICK_PARAMS: dict[str, dict[str, object]] = {
    "two_tower": {"learning_rate": 0.003, "batch_size": 50, "epochs": 12, "patience": 4},
    "like_classifier": {"batch_size": 100, "epochs": 6, "patience": 2},
    "embedding_mlp": {"batch_size": 100, "epochs": 6, "patience": 2},
    "beta_network_100": {"batch_size": 100, "epochs": 6, "patience": 2},
    "beta_network_128": {"batch_size": 100, "epochs": 6, "patience": 2},
    "beta_network_150": {"batch_size": 100, "epochs": 6, "patience": 2},
    "dropout_mlp": {"batch_size": 100, "epochs": 6, "patience": 2},
    "rating_blend": {"members": ["user_item_bias", "rating_knn", "als"]},
    "stack_linear": {"members": ["user_item_bias", "als"], "folds": 3},
    "stack_ridge": {"members": ["user_item_bias", "als"], "folds": 3},
    "bilstm": {"units": 16, "max_sequences": 500, "epochs": 3, "patience": 2},
}
"""Parameters that make a slow model train in a second or two; the others train with their defaults."""


@pytest.fixture(scope="session")
def data() -> TrainingData:
    """Users who like two of six genres each, a popularity tail, unrated watches, cold users and cold items."""
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
    ratings[(random.random(len(users)) < 0.15) | (users == WATCHES_ONLY)] = np.nan
    times = np.sort(random.integers(1_400_000_000, 1_600_000_000, len(users)))
    pairs = Interactions(users.astype(np.int32), items.astype(np.int32), ratings, random.permutation(times))
    held_out = (random.random(len(users)) < 0.15) & (users != WATCHES_ONLY)
    cold = np.isin(users, COLD_USERS) | np.isin(items, COLD_ITEMS)
    years = random.integers(1980, 2020, N_ITEMS).astype(np.float32)
    years[::9] = np.nan
    site_scores = (7 + quality).astype(np.float32)
    site_scores[::11] = np.nan
    titles = ItemFeatures(
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
        item_features=titles,
        scale=(1, 10),
        like_threshold=8,
    )


def new_model(name: str, seed: int = 42) -> Model:
    """An unfitted model with parameters that train quickly."""
    kind = get_model_class(name)
    return kind(kind.params_type(**QUICK_PARAMS.get(name, {})), seed=seed)


@pytest.fixture(scope="session")
def fitted(data: TrainingData) -> Callable[[str], Model]:
    """`fitted(name)`: the model trained on `data`, once for all tests, so no test may change it."""
    return cache(lambda name: new_model(name).fit(data))


@pytest.fixture(scope="session")
def reloaded(
    fitted: Callable[[str], Model], tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str], tuple[Model, Path]]:
    """`reloaded(name)`: the trained model, saved and loaded again, and the folder between."""

    @cache
    def reload(name: str) -> tuple[Model, Path]:
        folder = tmp_path_factory.mktemp(name)
        fitted(name).save(folder)
        return get_model_class(name).load(folder), folder

    return reload
