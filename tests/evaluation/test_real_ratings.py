import os
import zipfile
from pathlib import Path

import duckdb
import numpy as np
import pytest
from known_scores import training
from numpy.testing import assert_allclose

from recsys_dagster.data.interactions import Interactions
from recsys_dagster.evaluation.evaluate import constant_rating_metrics, evaluate
from recsys_dagster.evaluation.leaderboard import COMPARED_COLUMNS, build_leaderboard
from recsys_dagster.evaluation.store import read_metrics, read_per_user, store_metrics
from recsys_dagster.evaluation.verdicts import verdicts
from recsys_dagster.models.registry import get_model_class

ARCHIVE = Path(os.environ.get("RECSYS_MIRROR", "")) / "ml-latest-small.zip"
SETTINGS = {"like_threshold": 4, "ks": (10, 20), "seed": 3, "resamples": 200}

pytestmark = pytest.mark.skipif(
    not ARCHIVE.is_file(), reason="RECSYS_MIRROR names no folder that holds ml-latest-small.zip"
)


@pytest.fixture(scope="module")
def folds():
    """MovieLens ratings at random: 80 % to train on, 10 % to choose by, 10 % to report."""
    with zipfile.ZipFile(ARCHIVE) as archive, archive.open("ml-latest-small/ratings.csv") as file:
        table = np.loadtxt(file, delimiter=",", skiprows=1, usecols=(0, 1, 2))
    users = np.unique(table[:, 0], return_inverse=True)[1].astype(np.int32)
    items = np.unique(table[:, 1], return_inverse=True)[1].astype(np.int32)
    everything = Interactions(users, items, table[:, 2].astype(np.float32))
    part = np.random.default_rng(0).random(len(users))
    return [everything.where((part >= low) & (part < high)) for low, high in ((0, 0.8), (0.8, 0.9), (0.9, 1))]


@pytest.fixture(scope="module")
def models(folds):
    train = folds[0]
    n_users, n_items = (1 + max(int(getattr(fold, axis).max()) for fold in folds) for axis in ("users", "items"))
    return {
        name: get_model_class(name)().fit(training(train, n_users, n_items))
        for name in ("popularity", "user_item_bias")
    }


def test_metrics_match_a_count_one_user_at_a_time(folds, models):
    _, validation, test = folds
    model = models["popularity"]
    exclude = validation.matrix(model.n_users_, model.n_items_)
    evaluation = evaluate(model, test, exclude, **SETTINGS)
    liked = {}
    for user, item, rating in zip(test.users, test.items, test.ratings, strict=True):
        if rating >= 4:
            liked.setdefault(int(user), set()).add(int(item))
    excluded_items = (model.seen_ + exclude).tolil().rows
    by_popularity = sorted(np.flatnonzero(model.popularity_), key=lambda item: (-model.popularity_[item], item))
    gains = []
    for user, relevant_items in liked.items():
        have = set(excluded_items[user])
        shown = [item for item in by_popularity if item not in have][:10]
        gain = sum(1 / np.log2(rank + 2) for rank, item in enumerate(shown) if item in relevant_items)
        gains.append(gain / sum(1 / np.log2(rank + 2) for rank in range(min(10, len(relevant_items)))))
    (ndcg,) = [m for m in evaluation.metrics if (m.metric, m.k) == ("ndcg", 10)]
    assert ndcg.users == len(liked)
    assert_allclose(ndcg.value, np.mean(gains), rtol=0, atol=1e-9)


def test_the_leaderboard_of_real_ratings_agrees_with_what_is_known(folds, models, tmp_path):
    train, validation, test = folds
    per_user = {}
    with duckdb.connect(str(tmp_path / "movie.duckdb")) as connection:
        for name, model in models.items():
            exclude = validation.matrix(model.n_users_, model.n_items_)
            reported = evaluate(model, test, exclude, **SETTINGS)
            rows = evaluate(model, validation, None, **SETTINGS).rows(name, "v1", "holdout", "validation")
            store_metrics(connection, rows + reported.rows(name, "v1", "holdout", "test"))
            reported.write_per_user(tmp_path / f"{name}.parquet")
            per_user[name] = read_per_user(tmp_path / f"{name}.parquet", COMPARED_COLUMNS)
        constant = constant_rating_metrics(train, test, seed=3, resamples=200)
        store_metrics(connection, constant.rows("constant", "v1", "holdout", "test"))
        per_user["constant"] = constant.per_user
        board = build_leaderboard(read_metrics(connection), per_user, seed=3)
    records = {record["model"]: record for record in board.records()}
    first, second, last = records.values()
    assert last["model"] == "constant"
    assert first["validation_ndcg_10"] > second["validation_ndcg_10"]
    assert 0.84 < records["user_item_bias"]["rmse"] < 0.89  # the damped bias is known to reach about 0.866
    assert 1.02 < records["constant"]["rmse"] < 1.08
    against_popularity, against_constant = board.comparisons
    difference = against_popularity.difference
    expected = records["user_item_bias"]["ndcg_10"] - records["popularity"]["ndcg_10"]
    assert_allclose(difference.value, expected, rtol=0, atol=1e-9)
    assert difference.low < difference.value < difference.high
    assert against_constant.difference.high < -0.1
    assert verdicts(board)[-1].startswith("the damped bias beats the constant: RMSE 0.8")
