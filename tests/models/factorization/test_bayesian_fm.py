"""The Bayesian factorisation machine against its formula and against myFM's own predictions."""

from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest
import scipy.sparse as sp
from myfm import MyFMGibbsRegressor, RelationBlock

from recsys_dagster.data.interactions import Interactions
from recsys_dagster.data.items import ItemFeatures
from recsys_dagster.data.training_data import TrainingData
from recsys_dagster.errors import RecsysError
from recsys_dagster.models.factorization.bayesian_fm import (
    BayesianFm,
    BayesianFmParams,
    PosteriorMean,
    Side,
    item_feature_families,
    one_hot,
    pair_scores,
    side_of,
    unit_rows,
)

QUICK = BayesianFmParams(ranks=[3], draws=6, burn_in=4)


def test_the_two_sides_make_up_the_factorisation_machine() -> None:
    random = np.random.default_rng(0)
    users, items = (sp.csr_array(random.random((4, n)) * (random.random((4, n)) < 0.6)) for n in (5, 6))
    linear, factors = random.normal(size=11), random.normal(size=(11, 3))
    left, right = side_of(users, linear[:5], factors[:5]), side_of(items, linear[5:], factors[5:])
    for user in range(4):
        for item in range(4):
            x = np.concatenate([users.toarray()[user], items.toarray()[item]])
            pairs = sum(factors[a] @ factors[b] * x[a] * x[b] for a, b in combinations(range(11), 2))
            score = pair_scores(left, right, np.array([user], np.int32), np.array([item], np.int32))
            assert score[0] == pytest.approx(linear @ x + pairs)


def random_draws(n_draws: int, n_users: int, n_items: int, rank: int) -> list[tuple[float, Side, Side]]:
    random = np.random.default_rng(1)

    def side(n: int) -> Side:
        return Side(random.normal(size=n), random.normal(size=(n, rank)))

    return [(random.normal(), side(n_users), side(n_items)) for _ in range(n_draws)]


def scores_of(users: Side, items: Side) -> np.ndarray:
    scores: np.ndarray = users.biases[:, None] + items.biases + users.factors @ items.factors.T
    return scores


def test_the_mean_of_draws_is_exact_where_it_is_narrow_enough_to_be_kept() -> None:
    draws = random_draws(20, n_users=9, n_items=30, rank=2)
    posterior = PosteriorMean(9, 30, kept_factors=9)
    for draw in draws:
        posterior.add(*draw)
    expected = np.mean([constant + scores_of(users, items) for constant, users, items in draws], axis=0)
    np.testing.assert_allclose(scores_of(*posterior.mean()), expected, atol=1e-12)


def test_the_mean_of_draws_keeps_the_strongest_directions() -> None:
    draws = random_draws(1, n_users=40, n_items=30, rank=8)
    posterior = PosteriorMean(40, 30, kept_factors=3)
    posterior.add(*draws[0])
    users, items = posterior.mean()
    assert users.factors.shape == (40, 3)
    left, values, right = np.linalg.svd(draws[0][1].factors @ draws[0][2].factors.T)
    best = (left[:, :3] * values[:3]) @ right[:3]
    np.testing.assert_allclose(users.factors @ items.factors.T, best, atol=1e-10)


def test_predictions_are_the_mean_of_the_draws_of_myfm(data: TrainingData) -> None:
    model = BayesianFm(QUICK, seed=3).fit(data)
    rated, held_out = data.train.rated, data.validation
    interactions = data.train.matrix(data.n_users, data.n_items)
    users = sp.hstack([sp.eye_array(data.n_users), unit_rows(interactions)])
    families = [
        sp.eye_array(data.n_items),
        unit_rows(interactions.T.tocsr()),
        *item_feature_families(data.item_features),
    ]
    items = sp.hstack(families)
    sizes = [data.n_users, data.n_items, *(family.shape[1] for family in families)]

    def blocks(pairs: Interactions) -> list[RelationBlock]:
        return [
            RelationBlock(pairs.users, sp.csr_matrix(users)),
            RelationBlock(pairs.items, sp.csr_matrix(items)),
        ]

    seed = int(np.random.SeedSequence(3).generate_state(1)[0]) % 2**31
    peer = MyFMGibbsRegressor(rank=3, random_seed=seed)
    targets = (rated.ratings.astype(float) - model.mean_) / model.deviation_
    peer.fit(None, targets, X_rel=blocks(rated), n_iter=10, n_kept_samples=6, group_shapes=sizes)
    expected = model.mean_ + model.deviation_ * peer.predict(None, blocks(held_out))
    predicted = model.predict(held_out.users, held_out.items)
    np.testing.assert_allclose(predicted, np.clip(expected, *data.scale), atol=1e-4)


def test_few_kept_factors_cost_little(data: TrainingData) -> None:
    params = BayesianFmParams(ranks=[4, 4], draws=10, burn_in=5)
    pairs = data.validation.users, data.validation.items
    exact = BayesianFm(params).fit(data).predict(*pairs)
    narrow = BayesianFm(params.model_copy(update={"kept_factors": 8})).fit(data)
    assert narrow.item_factors_.shape == (data.n_items, 8)
    assert np.sqrt(np.mean((narrow.predict(*pairs) - exact) ** 2)) < 0.1


def test_an_unrated_item_is_predicted_from_its_genre() -> None:
    """All users love one genre and hate the other; the last item of each has no rating."""
    random = np.random.default_rng(2)
    genre = np.arange(40) % 2
    users, items = np.nonzero(random.random((60, 40)) < 0.5)
    pairs = Interactions(
        users.astype(np.int32), items.astype(np.int32), np.where(genre[items], 9, 2).astype(np.float32)
    )
    unknown = np.full(40, np.nan, np.float32)
    genres = sp.csr_array(one_hot(genre, 2), dtype=np.float32)
    features = ItemFeatures(genres, ("Loved", "Hated"), np.full(40, -1, np.int16), (), unknown, unknown)
    train = pairs.where(items < 38)
    data = TrainingData(train, Interactions.empty(), 60, 40, features, (1, 10), 8)
    model = BayesianFm(BayesianFmParams(ranks=[2], draws=20, burn_in=10)).fit(data)
    all_users = np.arange(60, dtype=np.int32)
    hated, loved = (model.predict(all_users, np.full(60, item, np.int32)).mean() for item in (38, 39))
    assert loved - hated > 1.5


def test_it_reports_noise_at_each_draw_and_the_error_of_the_running_mean(data: TrainingData) -> None:
    model = BayesianFm(QUICK.model_copy(update={"ranks": [2, 3]})).fit(data)
    assert len(model.history_["noise"]) == 2 * (4 + 6)
    assert len(model.history_["rmse"]) == 2 * 6
    held_out = data.validation.rated
    missed = model.predict(held_out.users, held_out.items) - held_out.ratings
    assert np.sqrt(np.mean(missed**2)) == pytest.approx(model.history_["rmse"][-1], rel=1e-4)


def test_item_feature_families_are_genres_kind_and_year_with_empty_rows_for_unknown_values() -> None:
    genres = sp.csr_array(np.array([[1, 1, 1, 1], [0, 1, 0, 0], [0, 0, 0, 0]], np.float32))
    kinds, years = np.array([1, -1, 0], np.int16), np.array([1999, np.nan, 1950], np.float32)
    features = ItemFeatures(genres, ("A", "B", "C", "D"), kinds, ("Movie", "TV"), years, years)
    expected = [
        [[0.5, 0.5, 0.5, 0.5], [0, 1, 0, 0], [0, 0, 0, 0]],
        [[0, 1], [0, 0], [1, 0]],
        [[0, 1], [0, 0], [1, 0]],
    ]
    for family, values in zip(item_feature_families(features), expected, strict=True):
        np.testing.assert_array_equal(family.toarray(), values)


def test_a_feature_that_tells_nothing_is_left_out() -> None:
    no_years = np.full(2, np.nan, np.float32)
    genres = sp.csr_array(np.ones((2, 1), np.float32))
    features = ItemFeatures(genres, ("A",), np.zeros(2, np.int16), ("Movie",), no_years, no_years)
    assert item_feature_families(features) == []


def test_interactions_without_any_rating_are_refused(data: TrainingData) -> None:
    unrated = data.train.where(np.isnan(data.train.ratings))
    with pytest.raises(RecsysError, match="no ratings"):
        BayesianFm(QUICK).fit(replace(data, train=unrated))
