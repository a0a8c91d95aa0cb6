"""The blend against ranks, weights and gains worked out by hand."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse as sp
from numpy.testing import assert_allclose, assert_array_equal
from pydantic import ValidationError
from small_world import random_likes, world_of

from recsys_dagster.errors import RecsysError, UsageError
from recsys_dagster.interactions import Interactions, TrainingData
from recsys_dagster.models import fit_on_all, model_class
from recsys_dagster.models.blend import (
    FURTHEST,
    Blend,
    BlendParams,
    best_weights,
    candidates_of,
    closeness_of,
    mean_ndcg,
)

MEMBERS = ["ease", "item_knn", "popularity"]


def everybody(data: TrainingData) -> np.ndarray:
    return np.arange(data.n_users, dtype=np.int32)


def test_ranks_are_counted_among_the_titles_that_are_lacking_and_trained() -> None:
    scores = np.array([[9, 5, 7, 5, 8]], dtype=np.float32)
    owned = sp.csr_array(np.array([[1, 0, 0, 0, 0]]))
    trained = np.array([True, True, True, True, False])
    expected = [FURTHEST, -np.log2(3), -1, -2, FURTHEST]
    assert_allclose(closeness_of(scores, owned, trained), [expected], rtol=1e-6)


def test_a_score_is_the_weighted_closeness_to_the_top_of_each_member(data: TrainingData) -> None:
    blend = Blend(BlendParams(members=["ease", "popularity"], weights=[3, 1])).fit(data)
    users = everybody(data)
    parts = [
        closeness_of(model_class(name)(seed=42).fit(data)._scores(users), blend.seen_[users], blend.popularity_ > 0)
        for name in ("ease", "popularity")
    ]
    assert_array_equal(blend.weights_, np.array([0.75, 0.25], dtype=np.float32))
    assert_allclose(blend._scores(users), 0.75 * parts[0] + 0.25 * parts[1], rtol=1e-6)


def test_a_gain_is_discounted_by_rank_and_held_against_the_best_list() -> None:
    scores = np.array([[3, 2, 1], [1, 2, 3]], dtype=np.float32)
    relevant = np.array([[False, True, False], [True, False, True]])
    first = (1 / np.log2(3)) / 1
    second = (1 + 1 / np.log2(4)) / (1 + 1 / np.log2(3) + 1 / np.log2(4))
    assert mean_ndcg(scores, relevant, np.array([1, 3])) == pytest.approx((first + second) / 2)


def test_a_member_that_does_not_help_has_no_weight() -> None:
    closeness = -np.log2(np.array([[[2, 4], [3, 3], [4, 2]]] * 5, dtype=np.float32))
    relevant = np.array([[True, False, False]] * 5)
    assert_array_equal(best_weights(closeness, relevant, np.ones(5, dtype=int)), [1, 0])


def test_two_members_of_which_each_knows_a_half_are_better_together() -> None:
    # Each member has its user's title first for one half of the users and second, after a different one, for the other.
    ranks = np.array([[[1, 2], [2, 9], [9, 1]], [[2, 1], [9, 2], [1, 9]]] * 4, dtype=np.float32)
    closeness = -np.log2(1 + ranks)
    relevant = np.array([[True, False, False]] * 8)
    wanted = np.ones(8, dtype=int)
    weights = best_weights(closeness, relevant, wanted)
    assert (weights > 0).all()
    assert weights.sum() == pytest.approx(1)
    assert mean_ndcg(closeness @ weights, relevant, wanted) == pytest.approx(1)
    for member in range(2):
        assert mean_ndcg(closeness[:, :, member], relevant, wanted) < 1


def test_on_the_validation_fold_it_is_never_worse_than_a_member(data: TrainingData) -> None:
    blend = Blend(BlendParams(members=MEMBERS)).fit(data)
    seen = data.train.matrix(data.n_users, data.n_items)
    positives = data.validation.positive(data.like_threshold).matrix(data.n_users, data.n_items)
    users = np.flatnonzero((np.diff(positives.indptr) > 0) & (np.diff(seen.indptr) > 0)).astype(np.int32)
    members = [model_class(name)(seed=42).fit(data) for name in MEMBERS]
    closeness, relevant = candidates_of(members, users, seen, positives)
    wanted = np.diff(positives.indptr)[users]
    alone = [mean_ndcg(closeness[:, :, member], relevant, wanted) for member in range(len(MEMBERS))]
    assert mean_ndcg(closeness @ blend.weights_, relevant, wanted) >= max(alone)


def test_candidates_are_what_the_user_lacks_and_know_what_is_to_be_found() -> None:
    data = world_of([[10, 10, 0, 0, 0], [10, 10, 10, 0, 0], [0, 10, 10, 10, 0]])
    popularity = model_class("popularity")().fit(data)
    positives = sp.csr_array(np.array([[0, 0, 0, 1, 0], [0, 0, 0, 0, 0], [1, 0, 0, 0, 0]]))
    seen = data.train.matrix(3, 5)
    closeness, relevant = candidates_of([popularity], np.array([0, 2], dtype=np.int32), seen, positives)
    assert_allclose(closeness[:, :2, 0], [[-1, -np.log2(3)], [-1, FURTHEST]], rtol=1e-6)
    assert_array_equal(relevant[:, :2], [[False, True], [True, False]])


def test_a_refit_keeps_the_weights_and_learns_from_everything(data: TrainingData) -> None:
    blend = Blend(BlendParams(members=MEMBERS)).fit(data)
    everything = data.with_all(Interactions.empty())
    again = Blend(blend.refit_params()).fit(everything)
    assert_allclose(again.weights_, blend.weights_, rtol=1e-6)
    assert [member.name for member in again._members] == [member.name for member in blend._members]
    for member in again._members:
        assert_array_equal(member.popularity_, again.popularity_)


def test_without_a_validation_fold_the_weights_are_learnt_on_pairs_held_out_and_the_members_on_all() -> None:
    data = world_of(random_likes(80, 12))
    blend = Blend(BlendParams(members=["item_knn", "popularity"])).fit(data)
    held_out = np.random.default_rng(42).random(len(data.train)) < 0.1
    parts = replace(data, train=data.train.where(~held_out), validation=data.train.where(held_out))
    assert_array_equal(blend.weights_, Blend(blend.params).fit(parts).weights_)
    for member in blend._members:
        assert_array_equal(member.popularity_, np.bincount(data.train.items, minlength=12))


def test_it_is_fitted_on_everything_with_weights_learnt_on_a_tenth(data: TrainingData) -> None:
    blend = fit_on_all(Blend, data, seed=42)
    assert blend.params.weights is not None
    assert_array_equal(blend.popularity_, np.bincount(data.train.items, minlength=data.n_items))


def test_members_without_weight_are_not_saved(data: TrainingData, tmp_path: Path) -> None:
    blend = Blend(BlendParams(members=MEMBERS, weights=[1, 0, 1])).fit(data)
    blend.save(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir() if path.is_dir()) == ["ease", "popularity"]
    again = Blend.load(tmp_path)
    assert_array_equal(again.recommend(everybody(data), 5).items, blend.recommend(everybody(data), 5).items)


def test_a_stranger_is_ranked_like_a_user_of_the_same_history(data: TrainingData) -> None:
    blend = Blend(BlendParams(members=["ease", "item_knn"], weights=[0.6, 0.4])).fit(data)
    known = data.train.where(data.train.users == 10)
    history = Interactions(known.users - np.int32(10), known.items, known.ratings, known.times)
    assert_array_equal(blend.recommend_for(10, history=history).items, blend.recommend(np.array([10]), 10).items)


def test_a_member_that_cannot_fold_in_is_refused(data: TrainingData) -> None:
    with pytest.raises(UsageError, match="bpr cannot be blended"):
        Blend(BlendParams(members=["bpr"])).fit(data)


def test_a_blend_is_no_member_of_a_blend(data: TrainingData) -> None:
    with pytest.raises(UsageError, match="blend cannot be blended"):
        Blend(BlendParams(members=["blend"])).fit(data)


def test_weights_are_as_many_as_members(data: TrainingData) -> None:
    with pytest.raises(UsageError, match="1 weights for 3 members"):
        Blend(BlendParams(members=MEMBERS, weights=[1])).fit(data)


@pytest.mark.parametrize("weights", [[], [0, 0], [1, -0.1]])
def test_weights_that_weigh_nothing_or_less_are_refused(weights: list[float]) -> None:
    with pytest.raises(ValidationError, match="no weight may be negative, and one must be positive"):
        BlendParams(weights=weights)


def test_a_validation_fold_without_positives_is_refused(data: TrainingData) -> None:
    disliked = replace(data.validation, ratings=np.ones_like(data.validation.ratings))
    with pytest.raises(RecsysError, match="nobody has a positive to learn the weights on"):
        Blend(BlendParams(members=MEMBERS)).fit(replace(data, validation=disliked))
