"""The effect of each fault, in numbers computed by hand."""

from dataclasses import replace

import numpy as np
import pytest
import scipy.sparse as sp
from numpy.testing import assert_allclose

from recsys_dagster.data.interactions import Interactions
from recsys_dagster.data.items import ItemFeatures
from recsys_dagster.data.training_data import TrainingData
from recsys_dagster.models.registry import get_model_class
from recsys_dagster.papers.as_published import confusion_rows, like_metrics
from recsys_dagster.papers.experiment import Experiment, parameters
from recsys_dagster.papers.fault_inputs import HONEST, MODEL, scaled, substring_genres
from recsys_dagster.papers.fault_orders import is_next_index
from recsys_dagster.papers.fault_rankings import ids_by_largest, support
from recsys_dagster.papers.fault_ratings import (
    MemberRatings,
    constant_error,
    half_is_neither,
    majority_accuracy,
    masked_below_six,
    minus_one_for_none,
    random_split,
    unrated_as_minus_one,
)
from recsys_dagster.papers.orders import METRICS, last_items, next_item_scores, next_items, sequences
from recsys_dagster.papers.scores import Score, difference, squared_errors

NAN = float("nan")


def pairs(*rows: tuple[int, int, float], times: list[int] | None = None) -> Interactions:
    users, items, ratings = zip(*rows, strict=True)
    return Interactions(
        np.array(users, dtype=np.int32),
        np.array(items, dtype=np.int32),
        np.array(ratings, dtype=np.float32),
        None if times is None else np.array(times, dtype=np.int64),
    )


def experiment(
    train: Interactions, test: Interactions, *, n_items: int = 3, scale: tuple[float, float] = (1, 10)
) -> Experiment:
    items = ItemFeatures(
        genres=sp.csr_array(np.eye(n_items, dtype=np.float32)),
        genre_names=tuple(f"genre {item}" for item in range(n_items)),
        kinds=np.full(n_items, -1, dtype=np.int16),
        kind_names=(),
        years=np.full(n_items, np.nan, dtype=np.float32),
        site_scores=np.full(n_items, 7, dtype=np.float32),
    )
    data = TrainingData(train, Interactions.empty(), 3, n_items, items, scale, like_threshold=scale[1] - 2)
    return Experiment("by hand", data, test, np.arange(n_items) * 10)


def test_shounen_ai_is_shounen_only_by_substring() -> None:
    flags = sp.csr_array(np.array([[0, 0, 1], [0, 1, 0], [1, 0, 0]], dtype=np.float32))
    one = experiment(pairs((0, 0, 5)), pairs((1, 1, 5)))
    items = replace(one.data.item_features, genres=flags, genre_names=("Action", "Shounen", "Shounen Ai"))
    assert substring_genres(items).genres.toarray().tolist() == [[0, 1, 1], [0, 1, 0], [1, 0, 0]]
    assert items.genres.toarray().tolist() == flags.toarray().tolist(), "the items themselves are unchanged"


@pytest.mark.parametrize(
    ("faults", "mean"),
    [
        # User 0 rates genre 0 with 10 and user 1 genre 1 with 4; the others are not known.
        (HONEST, [10, 4, 0]),
        # With the test's 2 user 0 rates genre 0 with 6 and, as never rated, genre 1 with 0; two of three ratings are
        # theirs: (6 + 6 + 0) / 3 and (0 + 0 + 4) / 3.
        (dict.fromkeys(HONEST, True), [4, 4 / 3, 0]),
    ],
)
def test_faults_in_the_inputs_show_in_the_means_of_the_scaler(faults: dict[str, bool], mean: list[float]) -> None:
    one = experiment(pairs((0, 0, 10), (1, 1, 4)), pairs((0, 2, 2)))
    genres = sp.csr_array(np.array([[1, 0, 0], [0, 1, 0], [1, 0, 0]], dtype=np.float32))
    data = replace(one.data, validation=one.test, item_features=replace(one.data.item_features, genres=genres))
    params = parameters(MODEL, epochs=1, patience=None, batch_size=2, **faults)
    model = get_model_class(MODEL)(params, seed=1).fit(data)
    assert_allclose(model.user_tower_[0], mean, rtol=1e-6)


def test_an_interaction_without_a_rating_becomes_a_rating_of_minus_one() -> None:
    interactions = minus_one_for_none(pairs((0, 0, 9), (0, 1, NAN)))
    assert interactions.ratings.tolist() == [9, -1]
    known = experiment(pairs((0, 0, 9)), pairs((1, 1, 5)))
    assert unrated_as_minus_one(known) == [], "all is rated: nothing to show"


def test_without_low_ratings_even_the_constant_has_a_smaller_error() -> None:
    # Mean 6 against 2 and 10: (16 + 16) / 2. Of 6 and more the mean is 8, against 10 alone: 4.
    one = experiment(pairs((0, 0, 2), (0, 1, 10), (1, 0, 6)), pairs((1, 1, 10), (2, 0, 2)))
    masked = one.where(lambda one: ~(one.ratings < 6))
    assert constant_error(one).value == 16
    assert constant_error(masked).value == 4
    assert masked_below_six(experiment(pairs((0, 0, 3)), pairs((1, 1, 5)), scale=(0.5, 5))) == []


def test_dropping_the_ratings_in_between_changes_the_accuracy_of_the_majority() -> None:
    # Liked from 3 on; the majority of 4, 4, 1 likes: right for 5, wrong for 1 and for 2.5.
    one = experiment(pairs((0, 0, 4), (0, 1, 4), (1, 0, 1)), pairs((1, 1, 5), (2, 0, 1), (2, 1, 2.5)), scale=(0.5, 5))
    assert majority_accuracy(one).value == pytest.approx(1 / 3)
    assert majority_accuracy(one.where(lambda one: one.ratings != 2.5)).value == pytest.approx(1 / 2)
    assert half_is_neither(one) == [], "nothing is rated 3.5"


def test_a_stack_trusts_a_member_that_has_memorised_its_training_ratings() -> None:
    # In sample the member repeats each rating, so that the stack copies it; out of fold it predicts 5 for every pair,
    # so that the stack predicts the mean, 2.
    member = MemberRatings(
        ratings=np.array([1, 2, 3], dtype=np.float32),
        out_of_fold=np.array([[5], [5], [5]], dtype=np.float32),
        in_sample=np.array([[1], [2], [3]], dtype=np.float32),
        test=np.array([[9], [4]], dtype=np.float32),
    )
    assert_allclose(member.stacked(member.in_sample, (1, 10)), [9, 4])
    assert_allclose(member.stacked(member.out_of_fold, (1, 10)), [2, 2])
    # Ridge: weight Σxy / (Σx² + α) of the centred 1, 2, 3 is 2 / 4, so 2 + (9 − 2) / 2 and 2 + (4 − 2) / 2.
    assert_allclose(member.stacked(member.in_sample, (1, 10), alpha=2.0), [5.5, 3])


def test_a_random_split_is_compared_only_where_there_are_times() -> None:
    assert random_split(experiment(pairs((0, 0, 3)), pairs((1, 1, 5)))) == []


def test_an_embedding_by_ids_has_a_row_for_each_number_up_to_the_largest_id() -> None:
    found = ids_by_largest(experiment(pairs((0, 0, 3)), pairs((1, 1, 5))))
    assert [(row.honest, row.faulty) for row in found] == [(3, 21), (3 * 400 / 1e6, 21 * 400 / 1e6)]


def test_support_is_the_number_of_training_pairs_of_listed_items() -> None:
    one = experiment(pairs((0, 0, 9), (1, 0, 9), (2, 1, 9)), pairs((2, 2, 9)))
    # User 2 has item 1, no user has item 2: the list is item 0 alone, which two users have.
    assert support(one, one.fitted("popularity")).value == 2


def test_items_of_one_moment_are_ordered_by_index_only_on_request() -> None:
    at_once = [(0, item, NAN) for item in (4, 1, 3, 0, 2)]
    one = experiment(pairs(*at_once, times=[5] * 5), pairs((1, 0, NAN), times=[1]), n_items=5)
    tied, by_chance = last_items(one, ties_by_index=True), last_items(one)
    assert tied is not None
    assert by_chance is not None
    assert (tied.data.validation.items.tolist(), tied.test.items.tolist()) == ([3], [4])
    assert is_next_index(tied).tolist() == [True]
    parts = (by_chance.data.train, by_chance.data.validation, by_chance.test)
    assert sorted(item for part in parts for item in part.items[part.users == 0]) == [0, 1, 2, 3, 4]
    assert tied.data.train.items[tied.data.train.users == 1].tolist() == [0], "one title has nothing before it"


def test_a_pair_without_a_time_is_in_no_sequence() -> None:
    timed = pairs(*[(0, item, NAN) for item in range(4)], times=[7, np.iinfo(np.int64).min, 9, 8])
    lasts = last_items(experiment(timed, pairs((1, 0, NAN), times=[1]), n_items=4))
    assert lasts is not None
    assert lasts.data.train.items[lasts.data.train.users == 0].tolist() == [0]
    assert (lasts.data.validation.items.tolist(), lasts.test.items.tolist()) == ([3], [2])


def test_a_history_is_cut_into_pieces_from_its_end() -> None:
    long = pairs(*[(0, item, 9) for item in range(20)], times=list(range(20)))
    one = experiment(long, pairs((1, 5, 9), times=[3]), n_items=20)
    everything = sequences(one, share=1.0, length=18)
    assert everything is not None
    # Items 2 to 19 and 0 to 1 are the pieces of user 0; user 1's one title is too short a piece.
    assert sorted(everything.test.items.tolist()) == [1, 19]
    assert sorted(everything.data.train.items.tolist()) == [0, *range(2, 19)]
    assert len(np.unique(everything.test.users)) == 2, "each piece is a user of its own"
    nothing = sequences(one, share=0.0, length=18)
    assert nothing is not None
    assert (len(nothing.test), len(nothing.data.train)) == (0, 20)
    assert sequences(experiment(pairs((0, 0, 3)), pairs((1, 1, 5))), share=0.5, length=18) is None, "no times, no order"


def test_the_next_item_is_the_first_of_the_test_fold() -> None:
    one = experiment(pairs((0, 0, 9), times=[1]), pairs((0, 2, 9), (0, 1, 9), (1, 2, 9), times=[9, 5, 7]))
    after = next_items(one)
    assert after is not None
    found = after.test
    assert (found.users.tolist(), found.items.tolist()) == ([0, 1], [1, 2])
    drawn = experiment(pairs((0, 0, 9), times=[6]), one.test)
    assert next_items(drawn) is None, "what was drawn at random is not what comes next"


def test_the_next_item_has_the_metrics_of_its_rank() -> None:
    # Of 25 items item 0 is the most popular, then item 1, and so on; users 25 to 27 have no history.
    train = pairs(*[(user, item, 9) for user in range(25) for item in range(25 - user)])
    one = experiment(train, pairs((25, 0, 9), (26, 4, 9), (27, 20, 9)), n_items=25).on(n_users=28)
    scores = next_item_scores(one, one.fitted("popularity"))
    assert [str(key) for key in METRICS] == ["ndcg@5", "recall@20", "mrr@20"]
    assert [scores[key].value for key in METRICS] == pytest.approx([(1 + 1 / np.log2(6)) / 3, 2 / 3, (1 + 1 / 5) / 3])


def test_accuracy_precision_and_recall_of_likes_match_values_computed_by_hand() -> None:
    one = experiment(pairs((0, 0, 9)), pairs((0, 1, 9), (1, 1, 8), (2, 1, 3), (2, 2, 2)))
    likes = np.array([True, False, True, False])
    assert like_metrics(likes, one) == {"accuracy": 0.5, "precision": 0.5, "recall": 0.5, "f1": 0.5, "auc": 0.5}
    assert like_metrics(np.zeros(4, dtype=bool), one) == {"accuracy": 0.5, "recall": 0.0, "f1": 0.0, "auc": 0.5}, (
        "no precision without a predicted like"
    )


def test_a_confusion_counts_rounded_predictions() -> None:
    one = experiment(pairs((0, 0, 9)), pairs((0, 1, 9), (1, 1, 9), (2, 1, 3)))
    found = list(confusion_rows("m", one, np.array([8.6, 9.4, 6.2], dtype=np.float32)))
    assert [(row.rating, row.predicted, row.pairs) for row in found] == [(3, 6, 1), (9, 9, 2)]


def test_scaling_to_minus_one_to_one_divides_a_squared_error_by_its_share_of_the_scale() -> None:
    # An error of 4.5 of 9 is one of 1 of 2.
    score = squared_errors(9.5, pairs((0, 0, 5)), 1)
    assert scaled(score, (1, 10)).totals.sum() == pytest.approx(1)


def test_equal_scores_have_no_difference_and_a_constant_difference_has_no_spread() -> None:
    honest = Score(np.array([1.0, 2, 3]), np.ones(3))
    lie = difference(replace(honest, totals=honest.totals - 0.5), honest, seed=1)
    assert (lie.value, lie.low, lie.high) == pytest.approx((-0.5, -0.5, -0.5))
    same = difference(honest, honest, seed=1)
    assert (same.value, same.low, same.high) == (0, 0, 0)
