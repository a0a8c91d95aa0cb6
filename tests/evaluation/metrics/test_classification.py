import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.testing import assert_allclose, assert_array_equal

from recsys_dagster.evaluation.metrics.classification import auc, classification_sums, confusion, majority_accuracy
from recsys_dagster.evaluation.metrics.registry import rating_ratios
from recsys_dagster.evaluation.summary import with_intervals

ROWS = np.array([0, 0, 0, 2, 2])
LIKED = np.array([True, False, True, True, False])
PROBABILITIES = np.array([0.9, 0.6, 0.4, 0.5, 0.0])


def metrics(columns):
    return {metric.metric: metric.value for metric in with_intervals(columns, rating_ratios(), seed=1)}


def test_answers_are_summed_by_user_as_computed_by_hand():
    columns = classification_sums(ROWS, LIKED, PROBABILITIES >= 0.5, PROBABILITIES, 3)
    assert_array_equal(columns["answers"], [3, 0, 2])
    assert_array_equal(columns["likes"], [2, 0, 1])
    assert_array_equal(columns["predicted_likes"], [2, 0, 1])
    assert_array_equal(columns["true_likes"], [1, 0, 1])
    assert_array_equal(columns["correct"], [1, 0, 2])
    first, second = -np.log([0.9, 0.4, 0.4]).sum(), -np.log([0.5, 1]).sum()
    assert_allclose(columns["log_loss"], [first, 0, second], atol=1e-12)
    assert metrics(columns) == {
        "like_accuracy": 3 / 5,
        "like_precision": 2 / 3,
        "like_recall": 2 / 3,
        "like_f1": pytest.approx(2 / 3),
        "like_log_loss": pytest.approx((first + second) / 5),
    }


def test_without_probabilities_there_is_no_log_loss_and_without_an_answer_no_precision():
    columns = classification_sums(ROWS, LIKED, np.zeros(5, bool), None, 3)
    assert metrics(columns) == {"like_accuracy": 2 / 5, "like_recall": 0, "like_f1": 0}


def test_a_mistaken_certainty_has_a_large_but_finite_log_loss():
    columns = classification_sums(np.array([0]), np.array([True]), np.array([False]), np.array([0.0]), 1)
    assert columns["log_loss"][0] == pytest.approx(36.04, abs=0.01)


def test_the_majority_answer_is_that_of_the_training_fold():
    train_liked = np.array([True, True, False])
    assert majority_accuracy(train_liked, LIKED) == 3 / 5
    assert majority_accuracy(~train_liked, LIKED) == 2 / 5


def test_auc_counts_pairs_and_ties_half():
    # Likes 0.9, 0.4, 0.5 against dislikes 0.6 and 0.0: right in 1 + 0 + 0 and in 1 + 1 + 1 of three each.
    assert auc(LIKED, PROBABILITIES) == pytest.approx(4 / 6)
    assert auc(np.array([True, False]), np.array([1, 1])) == 0.5
    assert np.isnan(auc(np.array([True, True]), np.array([0.1, 0.2])))


def test_the_confusion_matrix_has_the_steps_in_which_ratings_are_given():
    whole = confusion(np.array([8.0, 8, 10]), np.array([7.4, 7.5, 11]), (1, 10))
    assert whole == [(8, 7, 1), (8, 8, 1), (10, 10, 1)]
    halves = confusion(np.array([0.5, 4.0]), np.array([0.2, 3.8]), (0.5, 5))
    assert halves == [(0.5, 0.5, 1), (4.0, 4.0, 1)]


def test_classification_agrees_with_scikit_learn():
    sklearn = pytest.importorskip("sklearn.metrics")
    generator = np.random.default_rng(5)
    liked = generator.random(800) < 0.6
    probabilities = np.round(np.clip(generator.normal(0.4 + 0.2 * liked, 0.2), 0, 1), 2)  # with ties
    predicted_likes = probabilities >= 0.5
    values = metrics(classification_sums(generator.integers(0, 40, 800), liked, predicted_likes, probabilities, 40))
    expected = {
        "like_accuracy": sklearn.accuracy_score(liked, predicted_likes),
        "like_precision": sklearn.precision_score(liked, predicted_likes),
        "like_recall": sklearn.recall_score(liked, predicted_likes),
        "like_f1": sklearn.f1_score(liked, predicted_likes),
        "like_log_loss": sklearn.log_loss(liked, probabilities),
    }
    for name, value in expected.items():
        assert_allclose(values[name], value, rtol=0, atol=1e-9, err_msg=name)
    assert_allclose(auc(liked, probabilities), sklearn.roc_auc_score(liked, probabilities), rtol=0, atol=1e-9)


def test_a_confusion_matrix_agrees_with_scikit_learn():
    sklearn = pytest.importorskip("sklearn.metrics")
    generator = np.random.default_rng(6)
    ratings, predicted = generator.integers(1, 11, 500).astype(float), generator.uniform(1, 10, 500)
    matrix = np.zeros((10, 10), int)
    for rating, rounded, pairs in confusion(ratings, predicted, (1, 10)):
        matrix[int(rating) - 1, int(rounded) - 1] = pairs
    assert_array_equal(matrix, sklearn.confusion_matrix(ratings, np.round(predicted), labels=range(1, 11)))


@settings(max_examples=50)
@given(arrays(bool, 12), arrays(np.float64, 12, elements=st.floats(0, 1)), st.permutations(range(12)))
def test_the_auc_depends_neither_on_the_order_of_pairs_nor_on_which_class_is_called_a_like(liked, scores, order):
    value = auc(liked, scores)
    assert auc(liked[list(order)], scores[list(order)]) == pytest.approx(value, nan_ok=True)
    assert auc(~liked, -scores) == pytest.approx(value, nan_ok=True)
