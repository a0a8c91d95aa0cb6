import io
import os
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from small_world import UNRATED, world_of

from recsys_dagster.data.interactions import Interactions
from recsys_dagster.models.registry import get_model_class

UserItemBias = get_model_class("user_item_bias")
Params = UserItemBias.params_type


def test_one_sweep_is_the_damped_means_worked_out_by_hand() -> None:
    # μ = 6. Items: Σ(r − 6) = 4 and −4 of two ratings each, so b_i = 4/(2+2), −4/(2+2).
    # Users: residuals 9−7, 5−5 → 2/(2+1); 7−7 → 0; 3−5 → −2/(1+1).
    data = world_of([[9, 5], [7, 0], [0, 3]])
    model = UserItemBias(Params(item_damping=2, user_damping=1, sweeps=1)).fit(data)
    assert model.mean_ == 6
    np.testing.assert_allclose(model.item_bias_, [1, -1])
    np.testing.assert_allclose(model.user_bias_, [2 / 3, 0, -1], atol=1e-7)
    users, items = np.array([0, 2], dtype=np.int32), np.array([1, 0], dtype=np.int32)
    np.testing.assert_allclose(model.predict(users, items), [6 - 1 + 2 / 3, 6 + 1 - 1], rtol=1e-6)


def test_many_sweeps_solve_the_penalised_least_squares() -> None:
    data = world_of([[9, 5, 0], [7, 0, 2], [0, 3, 8]])
    model = UserItemBias(Params(item_damping=2, user_damping=1, sweeps=100)).fit(data)
    design = np.zeros((6, 6))
    design[np.arange(6), data.train.users] = 1
    design[np.arange(6), 3 + data.train.items] = 1
    penalty = np.diag([1, 1, 1, 2, 2, 2])
    solved = np.linalg.solve(design.T @ design + penalty, design.T @ (data.train.ratings - data.train.ratings.mean()))
    np.testing.assert_allclose(np.concatenate([model.user_bias_, model.item_bias_]), solved, atol=1e-5)


def test_interactions_without_a_rating_do_not_change_the_biases() -> None:
    rated, with_unrated = world_of([[9, 5], [7, 0]]), world_of([[9, 5], [7, UNRATED]])
    np.testing.assert_array_equal(UserItemBias().fit(rated).item_bias_, UserItemBias().fit(with_unrated).item_bias_)


def test_without_any_rating_everything_is_the_middle_of_the_scale() -> None:
    model = UserItemBias().fit(world_of([[UNRATED, 0], [UNRATED, UNRATED]]))
    np.testing.assert_array_equal(model.predict(np.array([0], dtype=np.int32), np.array([1], dtype=np.int32)), [5.5])


def test_an_item_that_one_user_rated_is_not_first_unless_ranked_by_rating_alone() -> None:
    ratings = np.zeros((12, 3))
    ratings[:10, 0] = 8
    ratings[10, 1] = 10
    ratings[:11, 2] = 1
    data = world_of(ratings)
    user = np.array([11], dtype=np.int32)
    new_user = Interactions(user * 0, np.array([2], dtype=np.int32), np.array([1], dtype=np.float32))
    supported = UserItemBias().fit(data)
    by_rating = UserItemBias(Params(popularity_weight=0, item_damping=0)).fit(data)
    np.testing.assert_array_equal(supported.recommend_for(2, history=new_user).items, [[0, 1]])
    np.testing.assert_array_equal(by_rating.recommend_for(2, history=new_user).items, [[1, 0]])


def test_the_score_is_the_rating_on_0_to_1_plus_the_weighted_support() -> None:
    data = world_of([[10, 10, 0], [10, 0, 0], [10, 0, 1]])
    model = UserItemBias(Params(popularity_weight=0.5, item_damping=0, user_damping=0, sweeps=1)).fit(data)
    ratings = model._ratings(np.array([0], dtype=np.int32))
    expected = (ratings - 1) / 9 + 0.5 * np.log([4, 2, 2]) / np.log(4)
    np.testing.assert_allclose(model._scores(np.array([0], dtype=np.int32)), expected, rtol=1e-5)


def test_new_users_get_the_bias_of_their_ratings() -> None:
    data = world_of([[9, 5, 6], [7, 0, 2], [0, 3, 8]])
    model = UserItemBias().fit(data)
    first = data.train.where(data.train.users == 0)
    np.testing.assert_allclose(model._ratings_for(first, 1), model._ratings(np.array([0])), rtol=1e-6)


@pytest.mark.skipif("RECSYS_MIRROR" not in os.environ, reason="RECSYS_MIRROR names no mirror of real data")
def test_on_real_ratings_it_reaches_what_libraries_reach() -> None:
    archive = Path(os.environ["RECSYS_MIRROR"]) / "ml-latest-small.zip"
    with zipfile.ZipFile(archive) as files:
        table = np.loadtxt(io.BytesIO(files.read("ml-latest-small/ratings.csv")), delimiter=",", skiprows=1)
    table = table[np.lexsort((table[:, 1], table[:, 0]))]
    _, users = np.unique(table[:, 0], return_inverse=True)
    _, items = np.unique(table[:, 1], return_inverse=True)
    pairs = Interactions(users.astype(np.int32), items.astype(np.int32), table[:, 2].astype(np.float32))
    held_out = np.zeros(len(pairs), dtype=bool)
    held_out[np.random.default_rng(0).permutation(len(pairs))[: round(0.1 * len(pairs))]] = True
    data = replace(
        world_of([[1]]),
        train=pairs.where(~held_out),
        n_users=int(users.max()) + 1,
        n_items=int(items.max()) + 1,
        scale=(0.5, 5),
    )
    test = pairs.where(held_out)
    error = UserItemBias().fit(data).predict(test.users, test.items) - test.ratings
    assert np.sqrt((error**2).mean()) == pytest.approx(0.866, abs=0.001)
