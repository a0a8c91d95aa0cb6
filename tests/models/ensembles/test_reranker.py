"""The re-ranker against ranks, weights and gains worked out by hand."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse as sp
from numpy.testing import assert_allclose, assert_array_equal

from recsys_dagster.data.interactions import Interactions
from recsys_dagster.data.training_data import TrainingData
from recsys_dagster.errors import RecsysError, UsageError
from recsys_dagster.evaluation.importance import permutation_importance
from recsys_dagster.models.base import Model
from recsys_dagster.models.ensembles import reranker as module
from recsys_dagster.models.ensembles.boosted_trees import boost_trees, tree_scores
from recsys_dagster.models.ensembles.candidates import (
    CONTENT,
    FURTHEST,
    HISTORY,
    LIKENESS,
    POPULARITY,
    ItemVectors,
    ItemWeights,
    candidates_of,
    closeness_of,
    features_of,
    standardised,
)
from recsys_dagster.models.ensembles.conditional_logit import Examples, logit_scores, logit_weights, user_ndcg
from recsys_dagster.models.ensembles.reranker import Reranker, RerankerParams, parse_member
from recsys_dagster.models.ensembles.second_stage import Learnt, SecondStage, learn
from recsys_dagster.models.ensembles.traits import Trait, likeness_vectors, traits_of
from recsys_dagster.models.registry import get_model_class

MEMBERS = ["ease", "item_knn", "popularity"]


def fit(data: TrainingData, members: list[str] = MEMBERS, **params: object) -> Reranker:
    return Reranker(RerankerParams(members=members, **params)).fit(data)


def choose(monkeypatch: pytest.MonkeyPatch, chosen: str, weights: np.ndarray, trees: str = "") -> None:
    """Let the second stage be this one, whatever the examples are."""
    learnt = Learnt(SecondStage(weights.astype(np.float32), trees), chosen, ("all",), np.ones((2, 2)))
    monkeypatch.setattr(module, "learn", lambda *_: learnt)


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
    genre = sp.csr_array(np.array([[1, 0], [1, 0], [0, 1], [0, 0]], dtype=np.float32))
    weights = np.zeros((4, 4), np.float32)
    weights[0, 1] = 0.09
    candidates = candidates_of(
        [scores],
        history,
        np.array([9, 5, 2, 0], dtype=np.float32),
        [Trait(genre, genre)] * 3,
        [ItemWeights(weights, np.arange(4, dtype=np.int32), power=0.5)],
    )
    activity, five, two = -4, np.log(5) - 4, np.log(2) - 4
    # 7/8 of the interactions are with the genre of items 0 and 1, which are (1 + 5 · 7/8) / (1 + 5) of the history.
    same, other = np.log((1 + 5 * 7 / 8) / (6 * 7 / 8)), np.log(5 / 6)
    expected = [
        [-np.log2(3), -1, 0.3, np.sqrt(0.03), same, same, same, activity, five],
        [-1, 1, 0, 0, other, other, other, activity, two],
    ]
    assert_array_equal(candidates.rows, [0, 0])
    assert_array_equal(candidates.items, [1, 2])
    assert_allclose(candidates.features, expected, rtol=1e-5)
    assert_allclose(candidates.conditions, [[1, activity, five], [1, activity, two]], rtol=1e-6)
    assert_allclose(candidates.nearest, [[FURTHEST, -np.log2(3), -1, FURTHEST]], rtol=1e-6)


def test_each_column_has_a_name_and_a_group() -> None:
    features = features_of(["ease", "item_knn"], ["ease"])
    assert [feature.name for feature in features] == [
        *("rank by ease", "score by ease", "rank by item_knn", "score by item_knn"),
        *("strongest weight of ease", "three strongest weights of ease"),
        *("genres", "kind", "year", "activity", "popularity"),
    ]
    assert [feature.group for feature in features] == [
        *("ease", "ease", "item_knn", "item_knn", HISTORY, HISTORY, CONTENT, CONTENT, CONTENT, POPULARITY, POPULARITY)
    ]


def test_the_strongest_weights_from_the_history_worked_out_by_hand() -> None:
    # Item 4 has no column. Candidate 1 has the weights .5, .1, -.2 and .3 from the first history, of which three count;
    # the second history has one item with a column, and its weight -.2 counts as zero.
    weights = np.zeros((6, 6), dtype=np.float32)
    weights[[0, 2, 3, 5], 1] = [0.5, 0.1, -0.2, 0.3]
    kept = np.array([0, 1, 2, 3, 5], dtype=np.int32)
    history = sp.csr_array(np.array([[1, 0, 1, 1, 1, 1], [0, 0, 0, 1, 1, 0]], dtype=np.float32))
    rows, items = np.array([0, 0, 1]), np.array([1, 4, 1])
    dense = weights[np.ix_(kept, kept)]
    for form in (dense, sp.csr_array(dense)):
        maximum, mean = ItemWeights(form, kept, power=1).features(history, rows, items)
        assert_allclose(maximum, [0.5, 0, 0], rtol=1e-6)
        assert_allclose(mean, [0.3, 0, 0], rtol=1e-6)
        roots = ItemWeights(form, kept, power=0.5).features(history, rows, items)
        assert_allclose(roots, np.sqrt([maximum, mean]), rtol=1e-6)


def test_the_strongest_cosines_from_the_history_worked_out_by_hand() -> None:
    # Items 0 and 3 are alike in one of two values, 1 and 3 in both; item 2 has none, and so no likeness to any.
    vectors = ItemVectors.of(np.array([[1, 0], [1, 1], [0, 0], [2, 2]], np.float32), np.arange(4, dtype=np.int32))
    history = sp.csr_array(np.array([[1, 1, 1, 0], [0, 0, 1, 0]], dtype=np.float32))
    maximum, mean = vectors.features(history, np.array([0, 0, 1]), np.array([2, 3, 3]))
    assert_allclose(maximum, [0, 1, 0], atol=1e-6)
    assert_allclose(mean, [0, (1 + np.sqrt(0.5)) / 3, 0], atol=1e-6)


def test_items_are_alike_in_genres_kind_and_five_years() -> None:
    genres = sp.csr_array(np.array([[1, 1], [0, 1], [0, 0]], np.float32))
    years = np.array([1984, 1985, np.nan], np.float32)
    vectors = likeness_vectors(genres, np.array([0, 1, -1], np.int16), years)
    assert_array_equal(vectors, [[1, 1, 1, 0, 1, 0], [0, 1, 0, 1, 0, 1], [0] * 6])


def test_candidates_score_above_all_other_items_in_the_order_of_the_second_stage(
    data: TrainingData, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("recsys_dagster.models.ensembles.candidates.CANDIDATES", 9)
    weights = np.random.default_rng(3).normal(size=(15, 3))
    choose(monkeypatch, "logit", weights)
    reranker = fit(data, ["ease", "item_knn"])
    users = all_users(data)[:50]
    members = [get_model_class(name)(seed=42).fit(data) for name in ("ease", "item_knn")]
    candidates = candidates_of(
        [member._scores(users) for member in members],
        reranker.seen_[users],
        reranker.popularity_,
        traits_of_data(data),
        reranker._relations(members),
    )
    expected = logit_scores(candidates.features, candidates.conditions, weights.astype(np.float32))
    scores = reranker._scores(users)
    mine = candidates.rows == 7
    assert 9 <= mine.sum() < 19
    assert_array_equal(np.argsort(scores[7, candidates.items[mine]]), np.argsort(expected[mine]))
    others = np.ones_like(scores, dtype=bool)
    others[candidates.rows, candidates.items] = False
    assert scores[~others].min() >= 0
    assert scores[others].max() <= -1


def test_a_gain_is_discounted_by_rank_and_held_against_the_best_list() -> None:
    relevant = np.array([False, True, False, True, False, True])
    rows = np.array([0, 0, 0, 1, 1, 1])
    nothing = np.empty((6, 0), np.float32)
    examples = Examples(rows, nothing, nothing, relevant, np.array([1, 3]))
    first = 1 / np.log2(3)
    second = (1 + 1 / np.log2(4)) / (1 + 1 / np.log2(3) + 1 / np.log2(4))
    scores = np.array([3, 2, 1, 1, 2, 3], dtype=np.float32)
    assert_allclose(user_ndcg(scores, examples), [first, second])


def test_users_are_chosen_with_their_candidates() -> None:
    rows = np.array([0, 0, 1, 2, 2])
    column = np.arange(5, dtype=np.float32)[:, None]
    examples = Examples(rows, column, column, rows > 0, np.array([7, 8, 9]))
    chosen = examples.of_users(np.array([True, False, True]))
    assert_array_equal(chosen.rows, [0, 0, 1, 1])
    assert_array_equal(chosen.features.ravel(), [0, 1, 3, 4])
    assert_array_equal(chosen.n_relevant, [7, 9])


def drawn_examples(weights: np.ndarray, n_users: int) -> Examples:
    """Ten candidates a user, of which one is drawn by the softmax of the weighted features and conditions."""
    random = np.random.default_rng(0)
    n = 10 * n_users
    features = random.normal(size=(n, len(weights))).astype(np.float32)
    conditions = np.stack([np.ones(n), random.normal(size=n)], axis=1).astype(np.float32)
    scores = logit_scores(features, conditions, weights.astype(np.float32)).reshape(n_users, 10)
    chosen = (scores + random.gumbel(size=(n_users, 10))).argmax(axis=1)
    relevant = np.arange(10) == chosen[:, None]
    return Examples(
        np.repeat(np.arange(n_users), 10), features, conditions, relevant.ravel(), np.ones(n_users, dtype=int)
    )


def test_the_logit_finds_the_weights_that_the_positives_were_drawn_by() -> None:
    weights = np.array([[1.5, 0], [0, 0.5], [-0.5, 0.3], [0.8, 0]])
    assert_allclose(logit_weights(drawn_examples(weights, 6000)), weights, atol=0.12)


def examples_of(relevance: np.ndarray, features: np.ndarray) -> Examples:
    """Candidates of users in rows: `relevance` is (n_users, n), `features` (n_users, n, n_features)."""
    n_users, n = relevance.shape
    rows = np.repeat(np.arange(n_users), n)
    conditions = np.ones((len(rows), 3), np.float32)
    flat = features.reshape(len(rows), -1).astype(np.float32)
    return Examples(rows, flat, conditions, relevance.ravel() > 0, np.maximum(relevance.sum(axis=1), 1))


def named(n_members: int) -> list:
    return list(features_of([f"m{member}" for member in range(n_members)], []))


def test_trees_are_used_where_what_is_relevant_is_not_linear() -> None:
    random = np.random.default_rng(1)
    features = random.normal(size=(300, 40, len(named(1))))
    # Relevant are the candidates whose score is nearest to zero.
    relevance = np.abs(features[:, :, 1]).argsort(axis=1).argsort(axis=1) < 3
    learnt = learn(examples_of(relevance, features), named(1), ["m0"], seed=0)
    assert learnt.chosen == "logit and trees"
    assert learnt.ndcg[:, 0].mean() > 0.8
    assert learnt.groups == ("m0", CONTENT, POPULARITY)
    lost = learnt.ndcg[:, :1] - learnt.ndcg[:, 1:]
    assert lost.mean(axis=0)[0] > 0.3
    assert np.abs(lost.mean(axis=0)[1:]).max() < 0.02
    assert_array_equal(tree_scores(learnt.stage.trees, np.empty((0, len(named(1))), np.float32)), [])


def test_the_logit_is_used_without_trees_where_these_find_nothing_more() -> None:
    random = np.random.default_rng(2)
    features = random.normal(size=(60, 30, len(named(2))))
    scores = features[:, :, 1] + features[:, :, 3] + random.gumbel(size=(60, 30))
    relevance = (-scores).argsort(axis=1).argsort(axis=1) < 4
    learnt = learn(examples_of(relevance, features), named(2), ["m0", "m1"], seed=0)
    assert learnt.chosen == "logit"
    assert learnt.stage.trees == ""


def test_a_member_that_ranks_best_is_used_alone() -> None:
    # The second of two members puts the one positive of four users first, and the 25 of two others last: the logit, for
    # which a user with n positives counts √n, does not follow it.
    features = np.random.default_rng(6).normal(size=(6, 60, len(named(2))))
    features[:, :, 2] = -np.arange(60)
    relevance = np.zeros((6, 60), dtype=int)
    relevance[:4, 0] = 1
    relevance[4:, 35:] = 1
    learnt = learn(examples_of(relevance, features), named(2), ["m0", "m1"], seed=0)
    assert learnt.chosen == "m1"
    assert_array_equal(np.flatnonzero(learnt.stage.weights), [2 * 3])


def test_with_hardly_any_user_the_first_member_is_used() -> None:
    features = np.random.default_rng(0).normal(size=(2, 5, len(named(1))))
    assert learn(examples_of(np.eye(2, 5, dtype=int), features), named(1), ["m0"], seed=0).chosen == "m0"


def test_trees_start_from_the_scores_that_they_correct() -> None:
    random = np.random.default_rng(4)
    features = random.normal(size=(200, 40, len(named(1))))
    relevance = (-features[:, :, 1]).argsort(axis=1).argsort(axis=1) < 3
    examples = examples_of(relevance, features)
    right = 20 * examples.features[:, 1]
    names = [feature.name for feature in named(1)]
    nothing = np.zeros_like(right)
    assert np.std(tree_scores(boost_trees(examples, right, names, 0), examples.features)) < 0.2
    assert np.std(tree_scores(boost_trees(examples, nothing, names, 0), examples.features)) > 1


@pytest.mark.parametrize("max_users", [1, 30, 2000])
def test_its_examples_are_users_whom_the_members_have_not_seen(data: TrainingData, max_users: int) -> None:
    """118 users have pairs. Held out, each once, are 1 user, twice 24 users, or at most five times 24 users."""
    reranker = fit(data, ["popularity"], max_users=max_users)
    fitted: list[TrainingData] = []

    def remembering(members: list, known: TrainingData) -> list[Model]:
        fitted.append(known)
        return Reranker._fit_members(reranker, members, known)

    reranker._fit_members = remembering  # type: ignore[method-assign]
    examples = reranker._examples([parse_member("popularity")], data)
    known = [np.unique(one.train.users) for one in fitted]
    held_out = np.concatenate([np.setdiff1d(data.train.users, users) for users in known])
    assert len(held_out) == len(np.unique(held_out)) == {1: 1, 30: 48, 2000: 118}[max_users]
    assert 0 < len(examples.n_relevant) <= len(held_out)
    assert_array_equal(np.unique(examples.rows), np.arange(len(examples.n_relevant)))


def test_on_the_held_out_users_it_is_never_worse_than_a_member(data: TrainingData) -> None:
    reranker = fit(data)
    examples = reranker._examples([parse_member(name) for name in MEMBERS], data)
    alone = [user_ndcg(examples.features[:, 2 * member], examples).mean() for member in range(len(MEMBERS))]
    assert reranker.group_ndcg_[:, 0].mean() >= max(alone)


def test_what_each_group_of_features_is_worth_is_shown_as_importance(data: TrainingData) -> None:
    reranker = fit(data)
    importances = permutation_importance(reranker, data.validation, data.like_threshold, seed=1)
    assert {importance.input for importance in importances} == {*MEMBERS, HISTORY, CONTENT, POPULARITY}
    assert {importance.metric for importance in importances} == {"ndcg_loss"}
    ndcg = reranker.group_ndcg_.mean(axis=0)
    for importance in importances:
        assert importance.whole == pytest.approx(1 - ndcg[0])
        column = 1 + reranker.groups_.index(importance.input)
        assert importance.value == pytest.approx(ndcg[0] - ndcg[column])
        assert importance.low <= importance.value <= importance.high


def test_the_validation_fold_is_never_looked_at(data: TrainingData) -> None:
    rerankers = [fit(data), fit(replace(data, validation=Interactions.empty()))]
    assert_array_equal(*(reranker.weights_ for reranker in rerankers))
    assert_array_equal(*(reranker.recommend(all_users(data), 5).items for reranker in rerankers))


def test_its_members_learn_from_all_users(data: TrainingData) -> None:
    reranker = fit(data)
    for member in reranker._members:
        assert_array_equal(member.popularity_, reranker.popularity_)


def test_a_member_may_be_a_preset(data: TrainingData) -> None:
    model_class, params = parse_member("implicit_als:small")
    assert (model_class.name, params) == ("implicit_als", model_class.presets["small"])
    with pytest.raises(UsageError, match="ease has no preset 'rough'; known: default, steck_2019, denoised"):
        fit(data, ["ease:rough"])


def test_a_member_that_is_used_alone_is_all_that_is_kept(
    data: TrainingData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    choose(monkeypatch, "item_knn", np.zeros((17, 3)))
    reranker = fit(data)
    reranker.save(tmp_path)
    again = Reranker.load(tmp_path)
    alone = get_model_class("item_knn")(seed=42).fit(data)
    assert [member.name for member in again._members] == ["item_knn"]
    assert_array_equal(again.recommend(all_users(data), 5).items, alone.recommend(all_users(data), 5).items)


def test_trees_are_saved_as_text(data: TrainingData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    random = np.random.default_rng(5)
    features = random.normal(size=(100, 40, 17))
    examples = examples_of(features[:, :, 0] > 1, features)
    names = [feature.name for feature in features_of(MEMBERS, ["ease", "item_knn", LIKENESS])]
    trees = boost_trees(examples, np.zeros(len(examples.rows), np.float32), names, 0)
    choose(monkeypatch, "logit and trees", random.normal(size=(17, 3)), trees)
    reranker = fit(data)
    reranker.save(tmp_path)
    again = Reranker.load(tmp_path)
    assert again.trees_.startswith("tree\n")
    assert "rank_by_ease" in again.trees_
    assert_array_equal(again._scores(all_users(data)), reranker._scores(all_users(data)))
    reranker.trees_ = ""
    assert np.abs(again._scores(all_users(data)) - reranker._scores(all_users(data))).max() > 0.01


def test_a_new_user_is_ranked_like_a_user_with_the_same_history(data: TrainingData) -> None:
    reranker = fit(data, ["ease", "item_knn"])
    known = data.train.where(data.train.users == 10)
    history = Interactions(known.users - np.int32(10), known.items, known.ratings, known.times)
    assert_array_equal(reranker.recommend_for(10, history=history).items, reranker.recommend(np.array([10]), 10).items)


def test_a_member_that_cannot_fold_in_is_refused(data: TrainingData) -> None:
    with pytest.raises(UsageError, match="bpr cannot be ranked again"):
        fit(data, ["bpr"])


def test_a_reranker_is_no_member_of_a_reranker(data: TrainingData) -> None:
    with pytest.raises(UsageError, match="reranker cannot be ranked again"):
        fit(data, ["reranker"])


def test_training_pairs_without_a_positive_are_refused(data: TrainingData) -> None:
    disliked = replace(data.train, ratings=np.ones_like(data.train.ratings))
    with pytest.raises(RecsysError, match="no user has both a positive to learn from"):
        fit(replace(data, train=disliked), ["popularity"])


def test_a_refit_keeps_the_second_stage_and_fits_the_members_on_the_new_pairs(data: TrainingData) -> None:
    first = fit(data, max_users=len(np.unique(data.train.users)))
    same = first.for_refit().fit(data)
    users = all_users(data)
    assert_array_equal(same.recommend(users, 10).items, first.recommend(users, 10).items)
    on_all = first.for_refit().fit(data.with_all(Interactions.empty()))
    assert_array_equal(on_all.weights_, first.weights_)
    assert (on_all._members[0].popularity_ > first._members[0].popularity_).any()


def test_a_refit_learns_the_second_stage_anew_where_there_are_fewer_users_than_it_can_use(data: TrainingData) -> None:
    first = fit(data, max_users=len(np.unique(data.train.users)) + 1)
    on_all = first.for_refit().fit(data.with_all(Interactions.empty()))
    assert (on_all.weights_ != first.weights_).any()


def test_a_version_with_other_features_is_refused(data: TrainingData, tmp_path: Path) -> None:
    model = fit(data)
    model.features_ = model.features_[1:]
    model.save(tmp_path)
    with pytest.raises(RecsysError, match="learnt with other features; fit it again"):
        Reranker.load(tmp_path)
