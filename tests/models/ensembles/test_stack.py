"""Stacks against the regressions that they are made of."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from sklearn.linear_model import LinearRegression

from recsys_dagster.data.interactions import Interactions
from recsys_dagster.data.training_data import TrainingData
from recsys_dagster.errors import RecsysError, UsageError
from recsys_dagster.models.ensembles.stack import RidgeStackParams, StackLinear, StackParams, StackRidge
from recsys_dagster.models.refit import hold_out
from recsys_dagster.models.registry import get_model_class
from recsys_dagster.runtime.resource_usage import track_resources

MEMBERS = ["user_item_bias", "als"]


def fit(data: TrainingData) -> StackLinear:
    return StackLinear(StackParams(members=MEMBERS, folds=3)).fit(data)


def test_a_prediction_is_the_weighted_sum_of_the_members(data: TrainingData) -> None:
    stack = fit(data)
    pairs = data.validation.users, data.validation.items
    parts = [member.predict(*pairs) for member in stack._members]
    expected = stack.intercept_ + stack.weights_[0] * parts[0] + stack.weights_[1] * parts[1]
    np.testing.assert_allclose(stack.predict(*pairs), np.clip(expected, *data.scale), rtol=1e-5)


def test_the_weights_are_fitted_on_predictions_of_ratings_that_members_did_not_see(data: TrainingData) -> None:
    stack = fit(data)
    rated = np.flatnonzero(~np.isnan(data.train.ratings))
    fold_of = np.full(len(data.train), -1)
    fold_of[rated] = np.random.default_rng(42).permutation(np.arange(len(rated)) % 3)
    inputs = np.empty((len(data.train), 2))
    for fold in range(3):
        part, rest = fold_of == fold, replace(data, train=data.train.where(fold_of != fold))
        for column, name in enumerate(MEMBERS):
            member = get_model_class(name)().fit(rest)
            inputs[part, column] = member.predict(data.train.users[part], data.train.items[part])
    peer = LinearRegression().fit(inputs[rated], data.train.ratings[rated])
    np.testing.assert_allclose(stack.weights_, peer.coef_, rtol=1e-3, atol=1e-4)
    assert stack.intercept_ == pytest.approx(peer.intercept_, abs=1e-3)


def test_without_a_validation_fold_a_tenth_stands_in_for_it_and_the_kept_members_learn_from_all(
    data: TrainingData,
) -> None:
    alone = replace(data, validation=Interactions.empty())
    parts = hold_out(alone, seed=42)
    stack, peer = fit(alone), fit(parts)
    np.testing.assert_array_equal(stack.weights_, peer.weights_)
    for member in stack._members:
        np.testing.assert_array_equal(member.popularity_, stack.popularity_)
    assert stack._members[1].params == peer._members[1].params


def test_a_second_stack_of_the_same_takes_what_the_first_learnt_and_bears_its_cost(data: TrainingData) -> None:
    with track_resources() as first:
        linear = StackLinear(StackParams(members=MEMBERS, folds=4)).fit(data)
    with track_resources() as second:
        ridge = StackRidge(RidgeStackParams(members=MEMBERS, folds=4, alpha=0)).fit(data)
    assert ridge._members[1] is linear._members[1]
    np.testing.assert_allclose(ridge.weights_, linear.weights_, rtol=1e-3)
    assert second.cpu_seconds > 0.5 * first.cpu_seconds
    assert StackRidge(RidgeStackParams(members=MEMBERS, folds=4)).fit(data)._members[1] is not linear._members[1]


def test_a_heavy_penalty_leaves_only_the_mean(data: TrainingData) -> None:
    stack = StackRidge(RidgeStackParams(members=MEMBERS, folds=3, alpha=1e12)).fit(data)
    np.testing.assert_allclose(stack.weights_, 0, atol=1e-6)
    assert stack.intercept_ == pytest.approx(data.train.rated.ratings.mean(), rel=1e-4)


def test_members_are_saved_with_the_stack(data: TrainingData, tmp_path: Path) -> None:
    stack = fit(data)
    stack.save(tmp_path)
    again = StackLinear.load(tmp_path)
    assert [member.name for member in again._members] == MEMBERS
    users = np.arange(data.n_users, dtype=np.int32)
    np.testing.assert_array_equal(again.recommend(users, 5).items, stack.recommend(users, 5).items)


def test_a_member_that_only_ranks_is_refused(data: TrainingData) -> None:
    with pytest.raises(UsageError, match="popularity predicts no ratings"):
        StackLinear(StackParams(members=["popularity"])).fit(data)


def test_fewer_ratings_than_folds_are_refused(data: TrainingData) -> None:
    few = replace(data, train=data.train.rated.where(np.arange(len(data.train.rated)) < 1))
    with pytest.raises(RecsysError, match="1 ratings cannot be split into 2 folds"):
        StackLinear(StackParams(members=MEMBERS)).fit(few)
