"""The blend against ranks, weights and gains worked out by hand."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse as sp
from numpy.testing import assert_allclose, assert_array_equal

from recsys_dagster.data.interactions import Interactions
from recsys_dagster.data.training_data import TrainingData
from recsys_dagster.errors import RecsysError, UsageError
from recsys_dagster.models.base import Model
from recsys_dagster.models.ensembles.blend import Blend, BlendParams, best_weights, item_weights_of, parse_member
from recsys_dagster.models.ensembles.candidates import (
    FURTHEST,
    ITEM_FEATURES,
    MEMBER_FEATURES,
    ItemWeights,
    Weights,
    candidates_of,
    closeness_of,
    standardised,
)
from recsys_dagster.models.ensembles.conditional_logit import Examples, logit_weights, mean_ndcg
from recsys_dagster.models.ensembles.traits import Trait, traits_of
from recsys_dagster.models.registry import get_model_class

MEMBERS = ["ease", "item_knn", "popularity"]


def weights_of(blend: Blend) -> Weights:
    return Weights(blend.member_weights_, blend.item_weights_)


def all_users(data: TrainingData) -> np.ndarray:
    return np.arange(data.n_users, dtype=np.int32)


def traits_of_data(data: TrainingData) -> tuple[Trait, ...]:
    return traits_of(data.item_features.genres, data.item_features.kinds, data.item_features.years)


def test_ranks_are_counted_among_the_trained_items_that_the_user_lacks() -> None:
    scores = np.array([[9, 5, 7, 5, 8]], dtype=np.float32)
    history = sp.csr_array(np.array([[1, 0, 0, 0, 0]]))
    trained = np.array([True, True, True, True, False])
    expected = [FURTHEST, -np.log2(3), -1, -2, FURTHEST]
    assert_allclose(closeness_of(scores, history, trained), [expected], rtol=1e-6)


def test_scores_are_standardised_over_the_ranked_items() -> None:
    scores = np.array([[1, 3, 100], [2, 2, 2]], dtype=np.float32)
    ranked = np.array([[True, True, False], [True, True, True]])
    assert_allclose(standardised(scores, ranked)[:, :2], [[-1, 1], [0, 0]], rtol=1e-6)


def test_the_features_of_a_candidate_worked_out_by_hand() -> None:
    scores = np.array([[9, 1, 3, 0]], dtype=np.float32)
    history = sp.csr_array(np.array([[1, 0, 0, 0]]))
    genre = sp.csr_array(np.array([[1], [1], [0], [0]], dtype=np.float32))
    candidates = candidates_of([scores], history, np.array([9, 5, 2, 0], dtype=np.float32), [Trait(genre, genre)], None)
    activity, five, two = -4, np.log(5) - 4, np.log(2) - 4
    far = -np.log2(3)
    expected = [
        [far, far * activity, far * five, -1, -activity, -five, five, five * activity, 0, 0, 0, 0],
        [-1, -activity, -two, 1, activity, two, two, two * activity, 0, 0, 0, 0],
    ]
    assert_array_equal(candidates.rows, [0, 0])
    assert_array_equal(candidates.items, [1, 2])
    assert_allclose(candidates.features, expected, rtol=1e-5)
    assert_allclose(candidates.nearest, [[FURTHEST, far, -1, FURTHEST]], rtol=1e-6)


def test_the_strongest_weights_from_the_history_worked_out_by_hand() -> None:
    # Item 4 has no column. Candidate 1 has the weights .5, .1, -.2 and .3 from the first history, of which three count;
    # the second history has one item with a column, and its weight -.2 counts as zero.
    weights = np.zeros((6, 6), dtype=np.float32)
    weights[[0, 2, 3, 5], 1] = [0.5, 0.1, -0.2, 0.3]
    kept = np.array([0, 1, 2, 3, 5], dtype=np.int32)
    history = sp.csr_array(np.array([[1, 0, 1, 1, 1, 1], [0, 0, 0, 1, 1, 0]], dtype=np.float32))
    rows, items = np.array([0, 0, 1]), np.array([1, 4, 1])
    maximum, mean = ItemWeights(weights[np.ix_(kept, kept)], kept).features(history, rows, items)
    assert_allclose(maximum, np.sqrt([0.5, 0, 0]), rtol=1e-6)
    assert_allclose(mean, np.sqrt([0.3, 0, 0]), rtol=1e-6)


def test_ease_is_kept_for_its_weights_between_items(data: TrainingData, monkeypatch: pytest.MonkeyPatch) -> None:
    weights = Weights.from_columns(np.array([0] * 6 + [1] * 6 + [0] * 8 + [1, 1], dtype=np.float32))
    monkeypatch.setattr("recsys_dagster.models.ensembles.blend.best_weights", lambda _: weights)
    blend = Blend(BlendParams(members=["ease", "popularity"])).fit(data)
    assert [member.name for member in blend._members] == ["ease", "popularity"]
    users = all_users(data)[:9]
    scores = [member._scores(users) for member in blend._members]
    candidates = candidates_of(
        scores, blend.seen_[users], blend.popularity_, traits_of_data(data), item_weights_of(blend._members)
    )
    logits, mine = candidates.features @ weights.columns, candidates.rows == 3
    assert_array_equal(np.argsort(blend._scores(users)[3, candidates.items[mine]]), np.argsort(logits[mine]))


def test_each_weight_belongs_to_a_named_feature() -> None:
    weights = Weights.from_columns(np.arange(2 * 6 + 10, dtype=np.float32))
    assert dict(zip(MEMBER_FEATURES, weights.members[1], strict=True))["score × activity"] == 10
    assert dict(zip(ITEM_FEATURES, weights.item, strict=True))["year × activity"] == 19
    assert_array_equal(weights.columns, np.arange(22))
    assert_array_equal(Weights.of_rank(1, 2).columns, np.eye(22)[6])


def test_candidates_score_above_all_other_items_in_the_order_of_the_logit(data: TrainingData) -> None:
    blend = Blend(BlendParams(members=["ease", "item_knn"])).fit(data)
    users = all_users(data)[:50]
    scores = [get_model_class(name)(seed=42).fit(data)._scores(users) for name in ("ease", "item_knn")]
    candidates = candidates_of(
        scores, blend.seen_[users], blend.popularity_, traits_of_data(data), item_weights_of(blend._members)
    )
    logits = candidates.features @ weights_of(blend).columns
    scores = blend._scores(users)
    mine = candidates.rows == 7
    assert_array_equal(np.argsort(scores[7, candidates.items[mine]]), np.argsort(logits[mine]))
    others = np.ones_like(scores, dtype=bool)
    others[candidates.rows, candidates.items] = False
    assert scores[~others].min() >= 0
    assert scores[others].max() <= -1


def test_a_gain_is_discounted_by_rank_and_held_against_the_best_list() -> None:
    relevant = np.array([False, True, False, True, False, True])
    rows = np.array([0, 0, 0, 1, 1, 1])
    examples = Examples(rows, np.empty((6, 0), np.float32), relevant, np.array([1, 3]))
    first = 1 / np.log2(3)
    second = (1 + 1 / np.log2(4)) / (1 + 1 / np.log2(3) + 1 / np.log2(4))
    scores = np.array([3, 2, 1, 1, 2, 3], dtype=np.float32)
    assert mean_ndcg(scores, examples) == pytest.approx((first + second) / 2)


def drawn_examples(weights: np.ndarray, n_users: int) -> Examples:
    """Ten candidates a user, of which one is drawn by the softmax of the weighted features."""
    random = np.random.default_rng(0)
    features = random.normal(size=(n_users, 10, len(weights))).astype(np.float32)
    chosen = (features @ weights + random.gumbel(size=(n_users, 10))).argmax(axis=1)
    relevant = np.arange(10) == chosen[:, None]
    rows = np.repeat(np.arange(n_users), 10)
    return Examples(rows, features.reshape(-1, len(weights)), relevant.ravel(), np.ones(n_users, dtype=int))


def test_the_logit_finds_the_weights_that_the_positives_were_drawn_by() -> None:
    weights = np.array([1.5, 0, -0.5, 0.8, 0, 0, 0.3, 0], dtype=np.float32)
    assert_allclose(logit_weights(drawn_examples(weights, 4000)), weights, atol=0.1)


def test_a_logit_that_ranks_worse_than_the_best_member_is_dropped_for_it() -> None:
    # The member puts the one positive of two users first, and the 25 of a third, who weighs five, last.
    rows = np.repeat([0, 1, 2], [10, 10, 50])
    features = np.zeros((70, 16), dtype=np.float32)
    features[:, 0] = np.concatenate([-np.arange(10), -np.arange(10), -np.arange(50)])
    relevant = np.isin(np.arange(70), [0, 10, *range(45, 70)])
    examples = Examples(rows, features, relevant, np.array([1, 1, 25]))
    assert logit_weights(examples)[0] < 0
    assert_array_equal(best_weights(examples).columns, [1] + [0] * 15)


@pytest.mark.parametrize("max_users", [1, 30, 2000])
def test_its_examples_are_users_whom_the_members_have_not_seen(data: TrainingData, max_users: int) -> None:
    """118 users have pairs. Held out, each once, are 1 user, twice 24 users, or at most five times 24 users."""
    blend = Blend(BlendParams(members=["popularity"], max_users=max_users)).fit(data)
    fitted: list[TrainingData] = []

    def remembering(members: list, known: TrainingData) -> list[Model]:
        fitted.append(known)
        return Blend._fit_members(blend, members, known)

    blend._fit_members = remembering  # type: ignore[method-assign]
    examples = blend._examples([parse_member("popularity")], data)
    known = [np.unique(one.train.users) for one in fitted]
    held_out = np.concatenate([np.setdiff1d(data.train.users, users) for users in known])
    assert len(held_out) == len(np.unique(held_out)) == {1: 1, 30: 48, 2000: 118}[max_users]
    assert 0 < len(examples.n_relevant) <= len(held_out)
    assert_array_equal(np.unique(examples.rows), np.arange(len(examples.n_relevant)))


def test_on_the_held_out_users_it_is_never_worse_than_a_member(data: TrainingData) -> None:
    blend = Blend(BlendParams(members=MEMBERS)).fit(data)
    examples = blend._examples([parse_member(name) for name in MEMBERS], data)
    alone = [mean_ndcg(examples.features[:, 6 * member], examples) for member in range(len(MEMBERS))]
    assert mean_ndcg(examples.features @ weights_of(blend).columns, examples) >= max(alone)


def test_the_validation_fold_is_never_looked_at(data: TrainingData) -> None:
    blends = [Blend(BlendParams(members=MEMBERS)).fit(data)]
    blends.append(Blend(BlendParams(members=MEMBERS)).fit(replace(data, validation=Interactions.empty())))
    assert_array_equal(weights_of(blends[0]).columns, weights_of(blends[1]).columns)
    assert_array_equal(*(blend.recommend(all_users(data), 5).items for blend in blends))


def test_its_members_learn_from_all_users(data: TrainingData) -> None:
    blend = Blend(BlendParams(members=MEMBERS)).fit(data)
    for member in blend._members:
        assert_array_equal(member.popularity_, blend.popularity_)


def test_a_member_may_be_a_preset(data: TrainingData) -> None:
    model_class, params = parse_member("ease:smooth")
    assert (model_class.name, params) == ("ease", model_class.presets["smooth"])
    with pytest.raises(UsageError, match="ease has no preset 'rough'; known: default, steck_2019, smooth"):
        Blend(BlendParams(members=["ease:rough"])).fit(data)


def test_members_without_weight_are_not_kept(
    data: TrainingData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    weights = Weights.from_columns(np.array([1] * 6 + [0] * 6 + [1] * 6 + [0] * 10, dtype=np.float32))
    monkeypatch.setattr("recsys_dagster.models.ensembles.blend.best_weights", lambda _: weights)
    blend = Blend(BlendParams(members=MEMBERS)).fit(data)
    blend.save(tmp_path)
    again = Blend.load(tmp_path)
    assert [member.name for member in again._members] == ["ease", "popularity"]
    assert_array_equal(again.recommend(all_users(data), 5).items, blend.recommend(all_users(data), 5).items)


def test_a_new_user_is_ranked_like_a_user_with_the_same_history(data: TrainingData) -> None:
    blend = Blend(BlendParams(members=["ease", "item_knn"])).fit(data)
    known = data.train.where(data.train.users == 10)
    history = Interactions(known.users - np.int32(10), known.items, known.ratings, known.times)
    assert_array_equal(blend.recommend_for(10, history=history).items, blend.recommend(np.array([10]), 10).items)


def test_a_member_that_cannot_fold_in_is_refused(data: TrainingData) -> None:
    with pytest.raises(UsageError, match="bpr cannot be blended"):
        Blend(BlendParams(members=["bpr"])).fit(data)


def test_a_blend_is_no_member_of_a_blend(data: TrainingData) -> None:
    with pytest.raises(UsageError, match="blend cannot be blended"):
        Blend(BlendParams(members=["blend"])).fit(data)


def test_training_pairs_without_a_positive_are_refused(data: TrainingData) -> None:
    disliked = replace(data.train, ratings=np.ones_like(data.train.ratings))
    with pytest.raises(RecsysError, match="no user has both a positive to learn the weights on"):
        Blend(BlendParams(members=["popularity"])).fit(replace(data, train=disliked))
