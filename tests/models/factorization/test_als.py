"""ALS against the formulas written out in NumPy."""

from dataclasses import replace
from pathlib import Path

import numba
import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from spark_environment import needs_spark, small_spark

from recsys_dagster.data.interactions import Interactions
from recsys_dagster.data.items import ItemFeatures
from recsys_dagster.data.training_data import TrainingData
from recsys_dagster.errors import RecsysError
from recsys_dagster.models.contract import check_contract
from recsys_dagster.models.contract_data import COLD_ITEMS, COLD_USERS, UNRATED_USER
from recsys_dagster.models.factorization.als import ALS_WR, Als, AlsParams, longest_first
from recsys_dagster.models.kernels.als import solve_rows, sum_rows

__all__ = ["small_spark"]

QUICK = AlsParams(rank=4, max_iter=5)


def random_pairs(n_rows: int, n_columns: int, share: float, seed: int) -> sp.csr_array:
    """Standardised ratings of a share of all pairs; every fifth pair has none, and row 0 has no pair."""
    random = np.random.default_rng(seed)
    there = random.random((n_rows, n_columns)) < share
    there[0] = False
    rows, columns = (positions.astype(np.int32) for positions in np.nonzero(there))
    ratings = random.normal(size=len(rows)).astype(np.float32)
    ratings[::5] = np.nan
    return sp.coo_array((ratings, (rows, columns)), shape=there.shape).tocsr()


def test_a_bias_alone_is_the_damped_mean_of_what_the_other_side_leaves() -> None:
    ones, nothing = np.ones((3, 1), np.float32), np.zeros((1, 1), np.float32)
    ratings = np.array([1.0, np.nan, 3.0], np.float32)
    offsets = np.array([0.5, 9.0, -0.5], np.float32)
    indptr, indices = np.array([0, 3], np.int32), np.arange(3, dtype=np.int32)
    solved = solve_rows(indptr, indices, ratings, np.zeros(1, np.int64), offsets, ones, nothing, nothing, 1.0, 1.0, 2.0)
    assert solved[0, 0] == pytest.approx((0.5 + 3.5) / (2 + 2))


@settings(max_examples=15)
@given(
    seed=st.integers(0, 999),
    share=st.floats(0.02, 1),
    reg_power=st.sampled_from([0.0, 0.5, 1.0]),
    rank=st.integers(1, 9),
)
def test_each_row_solves_its_normal_equations(seed: int, share: float, reg_power: float, rank: int) -> None:
    pairs = random_pairs(7, 40, share, seed)
    random = np.random.default_rng(seed + 1)
    features = random.normal(size=(40, 1 + rank)).astype(np.float32)
    features[:, 0] = 1
    offsets = random.normal(size=40).astype(np.float32)
    implicit = random.normal(size=(40, 1 + rank)).astype(np.float32)
    gram = implicit.T @ implicit
    sums = random.normal(size=(7, 1 + rank)).astype(np.float32)
    solved = solve_rows(
        pairs.indptr,
        pairs.indices,
        pairs.data,
        longest_first(pairs),
        offsets,
        features,
        gram,
        sums,
        0.7,
        reg_power,
        3.0,
    )
    for row in range(7):
        entries = slice(*pairs.indptr[row : row + 2])
        columns, ratings = pairs.indices[entries], pairs.data[entries]
        columns, ratings = columns[~np.isnan(ratings)], ratings[~np.isnan(ratings)]
        x = features[columns].astype(np.float64)
        penalty = np.full(1 + rank, 0.7 * max(len(x), 1) ** reg_power)
        penalty[0] = 3.0
        expected = np.linalg.solve(x.T @ x + gram + np.diag(penalty), x.T @ (ratings - offsets[columns]) + sums[row])
        np.testing.assert_allclose(solved[row], expected, rtol=2e-3, atol=2e-4)


def test_sums_of_rows_are_the_product_with_a_matrix_of_ones() -> None:
    pairs = random_pairs(9, 30, 0.4, 1)
    matrix = np.random.default_rng(2).normal(size=(30, 5)).astype(np.float32)
    ones = sp.csr_array((np.ones_like(pairs.data), pairs.indices, pairs.indptr), shape=pairs.shape)
    np.testing.assert_allclose(
        sum_rows(pairs.indptr, pairs.indices, longest_first(pairs), matrix), ones @ matrix, rtol=1e-5, atol=1e-5
    )


def objective(model: Als, data: TrainingData, implicit_users: np.ndarray) -> float:
    """The objective of the class's docstring, written out over dense matrices."""
    params, train = model.params, data.train
    ratings = np.full((data.n_users, data.n_items), np.nan)
    ratings[train.users, train.items] = (train.ratings - model.mean_) / model.deviation_
    has = np.zeros_like(ratings)
    has[train.users, train.items] = 1
    users, items, implicit_items = (a.astype(float) for a in (model.users_, model.items_, model.implicit_items_))
    missed = ratings - users[:, :1] - items[:, 0] - users[:, 1:] @ items[:, 1:].T
    rated = ~np.isnan(ratings)
    n_users, n_items = (np.maximum(rated.sum(axis), 1) ** params.reg_power for axis in (1, 0))
    return float(
        np.nansum(missed**2)
        + params.reg_param * (n_users @ (users[:, 1:] ** 2).sum(1) + n_items @ (items[:, 1:] ** 2).sum(1))
        + params.bias_damping * ((users[:, 0] ** 2).sum() + (items[:, 0] ** 2).sum())
        + params.implicit_weight
        * (
            ((has - users[:, 1:] @ implicit_items.T) ** 2).sum()
            + ((has - implicit_users @ items[:, 1:].T) ** 2).sum()
            + params.implicit_reg * ((implicit_items**2).sum() + (implicit_users**2).sum())
        )
    )


@pytest.mark.parametrize("params", [QUICK, ALS_WR])
def test_the_users_minimise_the_objective_given_the_items(params: AlsParams, data: TrainingData) -> None:
    model = Als(params).fit(data)
    by_user = model._standardised(data.train, data.n_users)
    implicit_users = model._solve_implicit(by_user, model.items_)
    least = objective(model, data, implicit_users)
    best = model.users_
    for size in (1e-3, 1e-2):
        model.users_ = best + size * np.random.default_rng(0).normal(size=best.shape).astype(np.float32)
        assert objective(model, data, implicit_users) > least
    model.users_ = best
    if params.implicit_weight:
        assert objective(model, data, implicit_users * 1.01) > least
        assert objective(model, data, implicit_users * 0.99) > least


def test_the_objective_falls_with_every_iteration(data: TrainingData) -> None:
    alone = replace(data, validation=Interactions.empty())
    values = []
    for iterations in (1, 2, 4, 8):
        model = Als(AlsParams(rank=4, max_iter=iterations)).fit(alone)
        implicit_users = model._solve_implicit(model._standardised(alone.train, alone.n_users), model.items_)
        values.append(objective(model, alone, implicit_users))
    assert (np.diff(values) < 0).all()


def test_the_number_of_threads_changes_nothing(data: TrainingData) -> None:
    many = Als(QUICK).fit(data)
    threads = numba.get_num_threads()
    try:
        numba.set_num_threads(1)
        one = Als(QUICK).fit(data)
    finally:
        numba.set_num_threads(threads)
    np.testing.assert_array_equal(one.users_, many.users_)
    np.testing.assert_array_equal(one.items_, many.items_)


def test_a_new_user_with_a_users_history_gets_what_the_user_gets(data: TrainingData) -> None:
    model = Als(QUICK).fit(data)
    known = data.train.where(data.train.users == 10)
    history = Interactions(np.zeros_like(known.users), known.items, known.ratings)
    np.testing.assert_array_equal(
        model.recommend_for(10, history=history).items[0], model.recommend(np.array([10], np.int32), 10).items[0]
    )


def test_doubled_ratings_give_doubled_predictions(data: TrainingData) -> None:
    train, held_out = (Interactions(f.users, f.items, f.ratings * 2) for f in (data.train, data.validation))
    doubled = replace(data, train=train, validation=held_out, scale=(2, 20))
    pairs = data.validation.users, data.validation.items
    first, second = Als(QUICK).fit(data).predict(*pairs), Als(QUICK).fit(doubled).predict(*pairs)
    np.testing.assert_allclose(second, 2 * first, rtol=1e-3)


def test_it_stops_early_and_keeps_the_best_iteration(data: TrainingData) -> None:
    model = Als(AlsParams(rank=16, max_iter=50, reg_param=0.3)).fit(data)
    errors = model.history_["rmse"]
    assert len(errors) < 50
    assert model.iterations_ == np.argmin(errors) + 1 == len(errors) - model.params.patience
    assert model.refit_params().max_iter == model.iterations_
    held_out = data.validation.rated
    missed = model.predict(held_out.users, held_out.items) - held_out.ratings
    assert np.sqrt(np.mean(missed**2)) == pytest.approx(min(errors), rel=1e-5)


def test_interactions_without_a_rating_count_only_through_the_implicit_factors(data: TrainingData) -> None:
    all_users, first = np.arange(data.n_users, dtype=np.int32), np.zeros(data.n_users, np.int32)
    without = replace(data, train=data.train.rated)
    for weight, differs in ((0.0, False), (1.0, True)):
        params = AlsParams(rank=4, max_iter=2, implicit_weight=weight)
        predictions = [Als(params).fit(fold).predict(all_users, first) for fold in (data, without)]
        assert np.array_equal(*predictions) != differs


def test_ratings_made_of_few_factors_are_recovered() -> None:
    random = np.random.default_rng(5)
    users, items = np.nonzero(random.random((300, 200)) < 0.3)
    truth = 3 + 0.6 * random.normal(size=(300, 3)) @ random.normal(size=(3, 200))
    ratings = (truth[users, items] + random.normal(0, 0.2, len(users))).astype(np.float32)
    pairs = Interactions(users.astype(np.int32), items.astype(np.int32), ratings)
    inside = random.random(len(users)) < 0.9
    unknown = np.full(200, np.nan, np.float32)
    features = ItemFeatures(
        sp.csr_array((200, 0), dtype=np.float32), (), np.full(200, -1, np.int16), (), unknown, unknown
    )
    data = TrainingData(pairs.where(inside), Interactions.empty(), 300, 200, features, (-10, 16), 4)
    model = Als(AlsParams(rank=3, max_iter=15, implicit_weight=0, reg_param=0.1)).fit(data)
    held_out = pairs.where(~inside)
    missed = model.predict(held_out.users, held_out.items) - held_out.ratings
    assert np.sqrt(np.mean(missed**2)) < 0.3


def test_interactions_without_any_rating_are_refused(data: TrainingData) -> None:
    unrated = data.train.where(np.isnan(data.train.ratings))
    with pytest.raises(RecsysError, match="no ratings"):
        Als(QUICK).fit(replace(data, train=unrated))


def test_an_unknown_user_and_item_get_the_mean(data: TrainingData) -> None:
    model = Als(QUICK).fit(data)
    cold = np.array([119], np.int32), np.array([59], np.int32)
    np.testing.assert_allclose(model.predict(*cold), data.train.rated.ratings.mean(), rtol=1e-5)


def test_without_biases_it_keeps_the_contract() -> None:
    check_contract(Als, ALS_WR)


def test_without_biases_an_unknown_user_is_one_who_gave_all_ratings(data: TrainingData) -> None:
    model = Als(ALS_WR).fit(data)
    rated = data.train.rated
    everybody = replace(rated, users=np.zeros_like(rated.users))
    summed = sp.csr_array(
        (everybody.ratings, everybody.items, np.array([0, len(rated)], np.int32)), shape=(1, data.n_items)
    )
    expected = model._solve(summed, model.items_, model.implicit_items_)[0]
    np.testing.assert_allclose(model.typical_user_, expected, rtol=1e-3, atol=1e-4)
    for user in (UNRATED_USER, *COLD_USERS):
        np.testing.assert_array_equal(model.users_[user], model.typical_user_)


@pytest.mark.parametrize("change", [{"biases": True}, {"reg_power": 0.5}, {"patience": 3}])
def test_what_mllib_cannot_do_is_refused(change: dict[str, object]) -> None:
    with pytest.raises(ValidationError, match="start from the preset spark"):
        AlsParams(**{**Als.presets["spark"].model_dump(), **change})


@needs_spark
@pytest.mark.usefixtures("small_spark")
def test_mllib_comes_back_as_the_same_model(
    data: TrainingData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RECSYS_HOME", str(tmp_path))
    model, ours = Als(Als.preset("spark")).fit(data), Als(ALS_WR).fit(data)
    rated, held_out = data.train.rated, data.validation.rated
    # MLlib ends with the users: they are what ours would solve, given its items.
    solved = model._solve(model._standardised(data.train, data.n_users), model.items_, model.implicit_items_)
    known = np.unique(rated.users)
    np.testing.assert_allclose(model.users_[known], solved[known], rtol=1e-2, atol=1e-3)
    errors = [np.sqrt(np.mean((one.predict(*pairs_of(held_out)) - held_out.ratings) ** 2)) for one in (model, ours)]
    assert errors[0] == pytest.approx(errors[1], abs=0.05)
    assert abs(model.predict(COLD_USERS, COLD_ITEMS) - rated.ratings.mean()).max() < 1
    model.save(tmp_path)
    np.testing.assert_array_equal(Als.load(tmp_path).recommend(known, 5).items, model.recommend(known, 5).items)
    assert not list((tmp_path / "cache" / "spark").iterdir()), "files that went to Spark are left"


def pairs_of(pairs: Interactions) -> tuple[np.ndarray, np.ndarray]:
    return pairs.users, pairs.items
