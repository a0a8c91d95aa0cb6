import numpy as np
from small_world import random_likes, world_of

from recsys_dagster.models.factorization.bpr import Bpr, BprParams


def two_camps() -> np.ndarray:
    """40 users, the first half of whom like most of items 0–9, the others most of items 10–19."""
    random = np.random.default_rng(1)
    camp = np.kron(np.eye(2), np.ones((20, 10)))
    return 10 * camp * (random.random(camp.shape) < 0.7)


def test_items_of_the_users_own_group_come_first() -> None:
    model = Bpr(BprParams(factors=4)).fit(world_of(two_camps()))
    scores = model._scores(np.arange(40, dtype=np.int32))
    assert (scores[:20, :10].min(axis=1) > scores[:20, 10:].max(axis=1)).mean() > 0.9
    assert (scores[20:, 10:].min(axis=1) > scores[20:, :10].max(axis=1)).mean() > 0.9


def test_positives_outrank_other_items_far_more_often_than_by_chance() -> None:
    likes = random_likes(80, 30)
    model = Bpr(BprParams(factors=8)).fit(world_of(likes))
    X = likes[:, model.columns_] > 0
    scores = model._scores(np.arange(80, dtype=np.int32))[:, model.columns_]
    auc = [(s[x][:, None] > s[~x][None]).mean() for s, x in zip(scores, X, strict=True) if 0 < x.sum() < len(x)]
    assert np.mean(auc) > 0.9


def test_a_score_is_the_product_of_the_vectors_plus_the_items_bias() -> None:
    model = Bpr(BprParams(factors=4, iterations=5)).fit(world_of(two_camps()))
    np.testing.assert_array_equal(model.user_factors_[:, -1], 1)
    user = np.array([3], dtype=np.int32)
    expected = model.item_factors_[:, :-1] @ model.user_factors_[3, :-1] + model.item_factors_[:, -1]
    np.testing.assert_allclose(model._scores(user)[0, model.columns_], expected, rtol=1e-4, atol=1e-6)


def test_another_seed_gives_another_model() -> None:
    data = world_of(two_camps())
    first, second = (Bpr(BprParams(factors=4), seed=seed).fit(data) for seed in (1, 2))
    assert not np.array_equal(first.item_factors_, second.item_factors_)
