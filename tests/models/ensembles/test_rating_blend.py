"""The blend of ratings against the regression that it is made of."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from sklearn.linear_model import Ridge

from recsys_dagster.data.interactions import Interactions
from recsys_dagster.data.training_data import TrainingData
from recsys_dagster.errors import RecsysError
from recsys_dagster.models.ensembles.ensemble import REHEARSAL
from recsys_dagster.models.ensembles.rating_blend import MOST_TENTHS, RatingBlend, RatingBlendParams
from recsys_dagster.models.factorization.bayesian_fm import BayesianFm, BayesianFmParams
from recsys_dagster.models.prediction_intervals import INTERVAL_LEVEL
from recsys_dagster.models.refit import hold_out
from recsys_dagster.models.registry import get_model_class

MEMBERS = ["user_item_bias", "als"]


@pytest.fixture(scope="module")
def blend(data: TrainingData) -> RatingBlend:
    return RatingBlend(RatingBlendParams(members=MEMBERS, trees=0)).fit(data)


def test_a_prediction_is_the_sum_of_weights_that_change_with_what_is_known(data: TrainingData) -> None:
    blend = RatingBlend(RatingBlendParams(members=["user_item_bias"], trees=0)).fit(data)
    blend.mean_, blend.centres_ = 6.0, np.array([2, 3], dtype=np.float32)
    blend.weights_ = np.array([[5, 0.1, 0.2], [0.5, 0.25, -0.125]], dtype=np.float32)
    user, item = data.validation.users[:1], data.validation.items[:1]
    activity = np.log1p((data.train.users == user).sum()) - 2
    liking = np.log1p((data.train.items == item).sum()) - 3
    (member,) = blend._members
    above = member.predict(user, item)[0] - 6
    expected = 5 + 0.1 * activity + 0.2 * liking + (0.5 + 0.25 * activity - 0.125 * liking) * above
    assert blend._predict(user, item)[0] == pytest.approx(expected, rel=1e-5)


def test_the_weights_are_a_ridge_on_the_validation_fold_that_no_member_saw(
    blend: RatingBlend, data: TrainingData
) -> None:
    held_out = data.validation.rated
    logs = np.stack(
        [
            np.log1p(np.bincount(data.train.users, minlength=data.n_users))[held_out.users],
            np.log1p(np.bincount(data.train.items, minlength=data.n_items))[held_out.items],
        ]
    )
    terms = np.vstack([np.ones(len(held_out)), logs - logs.mean(axis=1, keepdims=True)])
    mean = data.train.rated.ratings.mean()
    columns = list(terms[1:])
    for name in MEMBERS:
        member = get_model_class(name)().fit(data)
        columns += list(terms * (member.predict(held_out.users, held_out.items) - mean))
    features = np.stack(columns, axis=1)
    deviations = features.std(axis=0)
    peer = Ridge(alpha=10).fit(features / deviations, held_out.ratings)
    expected = np.concatenate([[peer.intercept_], peer.coef_ / deviations]).reshape(3, 3)
    np.testing.assert_allclose(blend.weights_, expected, rtol=2e-3, atol=1e-4)


def test_a_pair_is_predicted_as_in_the_users_row(blend: RatingBlend, data: TrainingData) -> None:
    all_users = np.arange(data.n_users, dtype=np.int32)
    users = np.repeat(all_users, data.n_items)
    items = np.tile(np.arange(data.n_items, dtype=np.int32), data.n_users)
    np.testing.assert_allclose(blend._predict(users, items), blend._ratings(all_users).ravel(), rtol=1e-4)


@pytest.mark.parametrize(("enough", "tenths"), [(1, 1), (10**6, 5)])
def test_without_a_validation_fold_weights_are_learnt_on_one_to_five_tenths_and_members_on_all(
    data: TrainingData, monkeypatch: pytest.MonkeyPatch, enough: int, tenths: int
) -> None:
    monkeypatch.setattr("recsys_dagster.models.ensembles.rating_blend.ENOUGH_RATINGS", enough)
    alone = replace(data, validation=Interactions.empty())
    parts = [hold_out(alone, seed=42, part=part) for part in range(tenths)]
    blend, peer = RatingBlend(RatingBlendParams(members=MEMBERS)).fit(alone), RatingBlend()
    fits = [[get_model_class(name)().fit(part) for name in MEMBERS] for part in parts]
    peer.seed, peer.scale_ = blend.seed, blend.scale_
    peer._learn([peer._examples(part, members) for part, members in zip(parts, fits, strict=True)])
    np.testing.assert_array_equal(blend.weights_, peer.weights_)
    for member in blend._members:
        np.testing.assert_array_equal(member.popularity_, np.bincount(data.train.items, minlength=data.n_items))
    assert blend._members[1].params.max_iter == fits[0][1].iterations_


def test_a_slow_member_is_fitted_with_its_rehearsal_preset_while_the_weights_are_learnt(
    data: TrainingData, monkeypatch: pytest.MonkeyPatch
) -> None:
    quick = BayesianFmParams(ranks=[2], draws=3, burn_in=2)
    monkeypatch.setattr(BayesianFm, "presets", {REHEARSAL: quick})
    alone = replace(data, validation=Interactions.empty())
    blend = RatingBlend(RatingBlendParams(members=["bayesian_fm"])).fit(alone)
    (member,) = blend._members
    assert member.params == BayesianFmParams()
    parts = [hold_out(alone, seed=42, part=part) for part in range(MOST_TENTHS)]
    peer = RatingBlend(blend.params)
    peer._learn([peer._examples(part, [BayesianFm(quick).fit(part)]) for part in parts])
    np.testing.assert_array_equal(blend.weights_, peer.weights_)


def test_on_the_validation_fold_it_is_no_worse_than_a_member(blend: RatingBlend, data: TrainingData) -> None:
    held_out = data.validation.rated
    errors = [
        np.mean((model.predict(held_out.users, held_out.items) - held_out.ratings) ** 2)
        for model in (blend, *blend._members)
    ]
    assert errors[0] < min(errors[1:])


def test_members_are_saved_with_the_blend(blend: RatingBlend, data: TrainingData, tmp_path: Path) -> None:
    blend.save(tmp_path)
    again = RatingBlend.load(tmp_path)
    assert [member.name for member in again._members] == MEMBERS
    pairs = data.validation.users, data.validation.items
    np.testing.assert_array_equal(again.predict(*pairs), blend.predict(*pairs))


def test_interactions_without_any_rating_are_refused(data: TrainingData) -> None:
    unrated = replace(data.validation, ratings=np.full(len(data.validation), np.nan, dtype=np.float32))
    with pytest.raises(RecsysError, match="rating_blend: no held-out pair has a rating"):
        RatingBlend(RatingBlendParams(members=MEMBERS)).fit(replace(data, validation=unrated))


def test_trees_correct_what_the_weighted_sum_misses_and_are_saved(data: TrainingData, tmp_path: Path) -> None:
    later = 4 * (np.nan_to_num(data.item_features.years) > 2000).astype(np.float32)
    raised = replace(data.validation, ratings=data.validation.ratings + later[data.validation.items])
    plain, corrected = (
        RatingBlend(RatingBlendParams(members=["user_item_bias", "rating_knn"], trees=trees)).fit(
            replace(data, validation=raised)
        )
        for trees in (0, 30)
    )
    held_out = raised.rated
    errors = [
        np.mean((one._predict(held_out.users, held_out.items) - held_out.ratings) ** 2) for one in (plain, corrected)
    ]
    assert corrected.trees_
    assert errors[1] < 0.7 * errors[0]
    np.testing.assert_array_equal(corrected.weights_, plain.weights_)
    corrected.save(tmp_path)
    pairs = held_out.users, held_out.items
    np.testing.assert_array_equal(RatingBlend.load(tmp_path).predict(*pairs), corrected.predict(*pairs))


def test_trees_that_do_not_help_on_left_out_ratings_are_not_used(data: TrainingData) -> None:
    noise = np.random.default_rng(0).integers(1, 11, len(data.validation)).astype(np.float32)
    blend = RatingBlend(RatingBlendParams(members=["user_item_bias"], trees=30)).fit(
        replace(data, validation=replace(data.validation, ratings=noise))
    )
    assert not blend.trees_


def test_the_interval_is_calibrated_on_errors_of_trees_that_have_not_seen_the_rating(data: TrainingData) -> None:
    noise = np.random.default_rng(0).normal(0, 1, len(data.validation)).astype(np.float32)
    later = 4 * (np.nan_to_num(data.item_features.years) > 2000).astype(np.float32)
    raised = replace(data.validation, ratings=data.validation.ratings + later[data.validation.items] + noise)
    blend = RatingBlend(RatingBlendParams(members=["user_item_bias"], trees=150)).fit(replace(data, validation=raised))
    assert blend.trees_
    held_out = raised.rated
    missed = np.abs(blend._predict(held_out.users, held_out.items) - held_out.ratings)
    spreads = blend.user_spreads_[held_out.users, None] * blend.item_bounds_[held_out.items]
    inside = (missed < -spreads[:, 0]) & (missed < spreads[:, 1])
    assert inside.mean() > INTERVAL_LEVEL + 0.02, "as narrow as the errors of ratings that the trees have learnt"


def test_without_a_validation_fold_it_has_an_interval_of_its_own(data: TrainingData) -> None:
    alone = replace(data, validation=Interactions.empty())
    blend = RatingBlend(RatingBlendParams(members=MEMBERS)).fit(alone)
    (low,), (high,) = blend.predict_interval(np.zeros(1, np.int32), np.zeros(1, np.int32))
    assert 1 <= low < high <= 10
    assert blend.user_spreads_.shape == (data.n_users,)


def test_trees_learn_what_the_users_earlier_ratings_say_of_the_moment(data: TrainingData, tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    folds, mood = {}, np.float32(2) * np.array([1, -1], np.float32)
    for name, fold in (("train", data.train), ("validation", data.validation)):
        days = random.integers(0, 2, len(fold))
        times = days * 86400 + random.integers(0, 7200, len(fold))
        folds[name] = replace(fold, ratings=np.clip(fold.ratings + mood[days], 1, 10), times=times)
    timed = replace(data, **folds)
    blend = RatingBlend(RatingBlendParams(members=["user_item_bias"])).fit(timed)
    held_out = timed.validation.rated
    pairs = held_out.users, held_out.items
    at_their_times, at_the_end = (
        np.mean((blend.predict(*pairs, times) - held_out.ratings) ** 2) for times in (held_out.times, None)
    )
    assert at_their_times < 0.8 * at_the_end
    blend.save(tmp_path)
    again = RatingBlend.load(tmp_path)
    np.testing.assert_array_equal(again.predict(*pairs, held_out.times), blend.predict(*pairs, held_out.times))


def test_trees_of_an_earlier_version_are_not_used(data: TrainingData) -> None:
    blend = RatingBlend(RatingBlendParams(members=["user_item_bias"], trees=0)).fit(data)
    users, items = data.validation.users, data.validation.items
    expected = blend.predict(users, items)
    blend.trees_, blend.facts_ = "tree", []
    np.testing.assert_array_equal(blend.predict(users, items), expected)
