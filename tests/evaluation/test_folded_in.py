"""Evaluation in the middle of what users did in a fold: by hand, and on MovieLens cut by time."""

import os
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse as sp
from handmade import build
from known_scores import RankingTable, pairs, training
from numpy.testing import assert_array_equal

from recsys_dagster.data.fold_in import FoldedIn
from recsys_dagster.data.interactions import Interactions
from recsys_dagster.errors import RecsysError
from recsys_dagster.evaluation.evaluate import Evaluation, evaluate, evaluate_frozen
from recsys_dagster.evaluation.leaderboard import COMPARED_COLUMNS, build_leaderboard
from recsys_dagster.evaluation.metrics.metric import MetricKey
from recsys_dagster.evaluation.store import CHOOSING_FOLD, FROZEN, HOLDOUT, REPORTED_FOLD
from recsys_dagster.evaluation.verdicts import verdicts
from recsys_dagster.models.base import Model
from recsys_dagster.models.capabilities import FoldIn
from recsys_dagster.models.registry import get_model_class
from recsys_dagster.warehouse.arrays import Holdout, load_holdout

ARCHIVE = Path(os.environ.get("RECSYS_MIRROR", "")) / "ml-latest-small.zip"
NDCG = MetricKey("ndcg", 10)


class NextItem(FoldIn, RankingTable):
    """Ranks the item after the last one of a history first, then the others by their table."""

    def _scores_for(self, history: Interactions, n_users: int) -> np.ndarray:
        scores = np.tile(self.table_[0], (n_users, 1))
        last = {int(user): int(item) for user, item in zip(history.users, history.items, strict=True)}
        for user, item in last.items():
            scores[user, (item + 1) % scores.shape[1]] = 100
        return scores


# Seven items, scored by their falling number; item 6 is in no training pair. User 3 has nothing before the fold.
TRAIN = replace(pairs((0, 0, 5), (1, 1, 3), (1, 2, 4), (2, 3, 2), (2, 4, 2), (2, 5, 4)), times=np.arange(6))
FOLD = replace(
    pairs((0, 2, 1), (0, 3, 5), (0, 4, 5), (1, 4, 5), (1, 5, 5), (3, 1, 4)),
    times=np.array([10, 20, 30, 10, 30, 25]),
)
MOMENTS = np.array([20, 30, 0, 25])
FOLDED_IN = FoldedIn.at(MOMENTS, FOLD, [TRAIN])


def by_hand(model_class: type[RankingTable], folded_in: FoldedIn = FOLDED_IN) -> Evaluation:
    data = training(TRAIN, 4, 7)
    model = model_class(np.tile(np.arange(7, 0, -1), (4, 1))).fit(data)
    return evaluate(
        model, FOLD, None, like_threshold=4, folded_in=folded_in, data=data, ks=(1, 2, 10), seed=1, resamples=50
    )


def test_a_history_of_the_fold_is_folded_in_and_only_what_is_later_is_relevant() -> None:
    per_user = by_hand(NextItem).per_user
    assert_array_equal(per_user["user_idx"], [0, 1, 3])
    assert_array_equal(per_user["relevant"], [2, 1, 1])  # user 1 likes 4 before the moment
    assert_array_equal(per_user["known"], [2, 3, 0])
    # User 0 had item 2 last, so 3 is first and then, without 0 and 2, 1. User 1 had 4 last, so 5 is first. User 3 had
    # nothing, so of items that one user has each, the first two come first.
    assert_array_equal(per_user["recall_1"], [0.5, 1, 0])
    assert_array_equal(per_user["recall_2"], [0.5, 1, 1])


def test_a_model_that_cannot_fold_in_ranks_by_its_training_fold_without_what_users_had_by_then() -> None:
    evaluation = by_hand(RankingTable)
    # User 0 gets 1 and 3, user 1 gets 0 and 3, user 3, who is in no training pair, 0 and 1.
    assert_array_equal(evaluation.per_user["recall_2"], [0.5, 0, 1])
    share = MetricKey("folded_in")
    assert (evaluation.value(share).value, by_hand(NextItem).value(share).value) == (0, pytest.approx(2 / 3))


def test_parts_of_users_and_popularity_lifts_are_by_what_was_known_at_the_moment() -> None:
    evaluation = by_hand(NextItem)
    parts = {one.part: one.users for one in evaluation.slices if one.dimension == "activity" and one.metric == "ndcg"}
    assert parts == {"none": 1, "up to 2": 1, "over 2": 1}
    assert np.isnan(evaluation.per_user["history_popularity"]).tolist() == [False, False, True]


def test_frozen_lists_are_of_the_beginning_of_the_fold() -> None:
    model = NextItem(np.tile(np.arange(7, 0, -1), (4, 1))).fit(training(TRAIN, 4, 7))
    exclude = sp.csr_array(([1.0], ([1], [0])), shape=(4, 7))
    frozen = evaluate_frozen(model, FOLD, exclude, like_threshold=4, ks=(2,), seed=1, resamples=50)
    assert_array_equal(frozen.per_user["relevant"], [2, 2, 1])
    assert_array_equal(frozen.per_user["recall_2"], [0, 0.5, 1])  # 1 and 2; 3 and 4; 0 and 1
    assert {metric.metric for metric in frozen.metrics} == {
        *("precision", "recall", "ndcg", "mrr", "map", "hit_rate", "capped_recall")
    }


def test_a_history_with_a_pair_of_the_moment_itself_is_refused() -> None:
    early, late = FOLD.where(FOLD.times <= MOMENTS[FOLD.users]), FOLD.where(FOLD.times >= MOMENTS[FOLD.users])
    with pytest.raises(RecsysError, match="the split leaks: 3 pairs that are folded in are no earlier"):
        by_hand(NextItem, FoldedIn(Interactions.concatenate(TRAIN, early), late))


@pytest.fixture(scope="module")
def movies(tmp_path_factory: pytest.TempPathFactory) -> Holdout:
    if not ARCHIVE.is_file():
        pytest.skip("RECSYS_MIRROR names no folder that holds ml-latest-small.zip")
    with zipfile.ZipFile(ARCHIVE) as archive:
        files = {name: archive.read(f"ml-latest-small/{name}") for name in ("movies.csv", "ratings.csv")}
    return load_holdout(build(tmp_path_factory.mktemp("movies"), "movielens", files, features=True))


@pytest.fixture(scope="module")
def ease(movies: Holdout) -> Model:
    return get_model_class("ease")().fit(movies.data)


def folds_of(movies: Holdout) -> dict[str, Interactions]:
    return {CHOOSING_FOLD: movies.data.validation, REPORTED_FOLD: movies.test}


def on_movies(model: Model, movies: Holdout, fold: str, folded_in: FoldedIn | None = None) -> Evaluation:
    data, pairs_of_fold = movies.data, folds_of(movies)[fold]
    known = movies.folded_in(fold, pairs_of_fold) if folded_in is None else folded_in
    exclude = data.validation.matrix(data.n_users, data.n_items) if fold == REPORTED_FOLD else None
    return evaluate(model, pairs_of_fold, exclude, like_threshold=4, folded_in=known, ks=(10,), seed=3, resamples=200)


def test_on_movies_cut_by_time_ease_and_popularity_can_be_told_apart(movies: Holdout, ease: Model) -> None:
    baselines = [get_model_class(name)().fit(movies.data) for name in ("popularity", "user_item_bias")]
    rows, per_user = [], {}
    for model in (*baselines, ease):
        for fold, pairs_of_fold in folds_of(movies).items():
            evaluation = on_movies(model, movies, fold)
            per_user[model.name] = {name: evaluation.per_user.get(name) for name in COMPARED_COLUMNS[:2]}
            frozen = evaluate_frozen(model, pairs_of_fold, None, like_threshold=4, ks=(10,), seed=3, resamples=50)
            rows += evaluation.rows(model.name, "v1", HOLDOUT, fold) + frozen.rows(model.name, "v1", FROZEN, fold)
    board = build_leaderboard(rows, per_user, seed=3)
    (compared,) = [one for one in board.comparisons if one.model.model == "ease" and one.model.key == NDCG]
    assert compared.model.users == 71
    assert 0.04 < compared.difference.low < compared.difference.value < 0.09
    assert compared.p < 0.01
    assert board.is_folded_in
    assert "71 users of test decide" in " ".join(verdicts(board))


def test_on_movies_a_history_that_reaches_to_the_moment_itself_is_caught(movies: Holdout, ease: Model) -> None:
    data, folded_in = movies.data, movies.folded_in(CHOOSING_FOLD, movies.data.validation)
    moments = movies.moments[CHOOSING_FOLD]
    as_late = data.validation.where(data.validation.times <= moments[data.validation.users])
    leaky = FoldedIn(Interactions.concatenate(data.train, as_late), folded_in.later)
    with pytest.raises(RecsysError, match="the split leaks"):
        on_movies(ease, movies, CHOOSING_FOLD, leaky)


def test_on_movies_a_model_that_learnt_what_is_folded_in_is_caught(movies: Holdout) -> None:
    """What the users of the fold did before their moment came after the moments of others."""
    data, folded_in = movies.data, movies.folded_in(CHOOSING_FOLD, movies.data.validation)
    in_fold = folded_in.history.where(folded_in.history.times >= data.validation.times.min())
    peeking = replace(data, train=Interactions.concatenate(data.train, in_fold))
    with pytest.raises(RecsysError, match="pairs to be evaluated are in the training fold of the model"):
        on_movies(get_model_class("item_knn")().fit(peeking), movies, CHOOSING_FOLD)
