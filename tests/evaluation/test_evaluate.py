from dataclasses import replace

import numpy as np
import pytest
import scipy.sparse as sp
from known_scores import RankingTable, Table, pairs, training
from numpy.testing import assert_array_equal

from recsys_dagster.data.interactions import Interactions
from recsys_dagster.errors import RecsysError
from recsys_dagster.evaluation.evaluate import constant_rating_metrics, evaluate, predictions
from recsys_dagster.evaluation.metrics.metric import MetricKey
from recsys_dagster.evaluation.relevance import Relevance
from recsys_dagster.models.registry import get_model_class

# Six items; item 5 is in no training pair. All users' scores fall from item 0 to item 5.
TRAIN = pairs((0, 0, 5), (1, 1, 3), (2, 2, 4), (3, 3, 2), (3, 4, 2))
SCORES = np.tile(np.arange(6, 0, -1) * 0.5, (4, 1))  # 3.0, 2.5, 2.0, 1.5, 1.0, 0.5
# User 0 likes 2 and 4; user 1 likes nothing; user 2 likes 5, which no list can hold; user 3 has item 0 unrated.
FOLD = pairs((0, 2, 4), (0, 4, 5), (0, 3, 1), (1, 0, 2), (2, 5, 4), (3, 0, np.nan))


def metric_of(evaluation, metric, k=None):
    (one,) = [m for m in evaluation.metrics if (m.metric, m.k) == (metric, k)]
    return one


def fitted(kind=Table, scores=SCORES):
    return kind(scores).fit(training(TRAIN, *np.shape(scores)))


def run(model, fold=FOLD, exclude=None, **changes):
    settings = {"like_threshold": 4, "ks": (1, 2, 4), "seed": 1, "resamples": 200} | changes
    return evaluate(model, fold, exclude, **settings)


def test_a_small_evaluation_matches_values_computed_by_hand():
    evaluation = run(fitted())
    # User 0 has item 0, so the list is 1, 2, 3, 4: hits at ranks 2 and 4. User 2: no hit.
    expected = {
        ("recall", 1): 0,
        ("recall", 2): 0.25,
        ("recall", 4): 0.5,
        ("precision", 2): 0.25,
        ("mrr", 4): 0.25,
        ("map", 4): 0.25,
        ("hit_rate", 1): 0,
        ("hit_rate", 2): 0.5,
        ("coverage", 1): 2 / 5,  # user 0 gets item 1, user 2 item 0, of five items in the training fold
        ("coverage", 4): 5 / 5,
        ("mse", None): (2**2 + 4**2 + 0.5**2 + 1**2 + 3.5**2) / 5,
        ("mae", None): (2 + 4 + 0.5 + 1 + 3.5) / 5,
    }
    for key, value in expected.items():
        assert metric_of(evaluation, *key).value == pytest.approx(value), key
    assert metric_of(evaluation, "rmse").value == pytest.approx(metric_of(evaluation, "mse").value ** 0.5)
    assert metric_of(evaluation, "ndcg", 2).users == 2
    assert metric_of(evaluation, "rmse").users == 3


def test_per_user_results_are_nan_for_a_user_without_a_relevant_item():
    per_user = run(fitted()).per_user
    assert_array_equal(per_user["user_idx"], [0, 1, 2])
    assert_array_equal(per_user["relevant"], [2, 0, 1])
    assert_array_equal(per_user["recall_4"], [1, np.nan, 0])
    assert_array_equal(per_user["pairs"], [3, 1, 1])
    assert_array_equal(per_user["squared_error"], [4 + 16 + 0.25, 1, 12.25])


def test_pairs_of_other_folds_are_excluded_from_the_lists():
    exclude = sp.csr_array(([1.0], ([0], [1])), shape=(4, 6))
    assert metric_of(run(fitted(), exclude=exclude), "mrr", 4).value == 0.5  # item 2 moves up to rank 1


def test_every_interval_holds_its_value_and_coverage_has_none():
    for metric in run(fitted()).metrics:
        if metric.metric in ("coverage", "gini"):
            assert metric.low is None
            assert metric.high is None
        else:
            assert metric.low <= metric.value <= metric.high


def test_interval_metrics_are_the_share_inside_and_the_mean_width():
    model = fitted()
    model.spread_weights_ = np.zeros((2, 3))
    model.user_spreads_ = np.array([1, 1, 2, 1], np.float32)
    model.item_bounds_ = np.tile(np.float32([-1, 2]), (6, 1))
    evaluation = run(model)
    # Ratings 4, 5, 1, 2 and 4 in 1–4, 0–3, 0.5–3.5, 2–5 and, of user 2, 0–4.5: all but the second.
    assert metric_of(evaluation, "interval_coverage").value == pytest.approx(4 / 5)
    assert metric_of(evaluation, "interval_width").value == pytest.approx((3 + 3 + 3 + 3 + 4.5) / 5)
    assert "covered" not in run(fitted()).per_user, "without held-out ratings there is no interval"


def test_a_model_that_only_ranks_has_no_rating_errors():
    evaluation = run(fitted(RankingTable))
    assert {m.metric for m in evaluation.metrics} == {
        "precision",
        "recall",
        "ndcg",
        "mrr",
        "map",
        "hit_rate",
        "capped_recall",
        "coverage",
        "gini",
    }
    assert "pairs" not in evaluation.per_user


def test_an_oracle_gets_everything_right():
    generator = np.random.default_rng(0)
    truth = generator.integers(1, 6, (50, 30)).astype(np.float32)
    users, items = np.nonzero(np.ones_like(truth))
    held = generator.random(truth.size) < 0.3
    everything = Interactions(users.astype(np.int32), items.astype(np.int32), truth.ravel())
    model = Table(truth).fit(training(everything.where(~held), 50, 30))
    evaluation = evaluate(model, everything.where(held), None, like_threshold=4, ks=(1, 30), seed=0, resamples=50)
    for metric in ("ndcg", "mrr", "recall", "map", "hit_rate"):
        assert metric_of(evaluation, metric, 30).value == pytest.approx(1), metric
    assert metric_of(evaluation, "rmse").value == 0


def test_lists_longer_than_the_catalogue_are_scored_with_misses_at_the_end():
    evaluation = run(fitted(), ks=(100,))
    assert metric_of(evaluation, "recall", 100).value == 0.5
    assert metric_of(evaluation, "precision", 100).value == pytest.approx(0.01)


def test_the_same_seed_gives_the_same_figures_and_blocks_change_nothing(monkeypatch):
    generator = np.random.default_rng(1)
    seen = generator.random((60, 40)) < 0.2
    held = ~seen & (generator.random((60, 40)) < 0.3)
    ratings = generator.integers(1, 6, (60, 40)).astype(np.float32)

    def interactions(mask):
        users, items = np.nonzero(mask)
        return Interactions(users.astype(np.int32), items.astype(np.int32), ratings[mask])

    model = Table(generator.random((60, 40))).fit(training(interactions(seen), 60, 40))
    first = run(model, interactions(held))
    assert run(model, interactions(held)).metrics == first.metrics
    monkeypatch.setattr("recsys_dagster.evaluation.ranking.USERS_PER_BLOCK", 7)
    monkeypatch.setattr("recsys_dagster.evaluation.evaluate.PREDICTIONS_PER_BLOCK", 11)
    assert run(model, interactions(held)).metrics == first.metrics


def test_evaluating_pairs_that_the_lists_exclude_is_refused():
    with pytest.raises(RecsysError, match=r"1 of the 6 pairs to be evaluated are in the training fold"):
        run(fitted(), Interactions.concatenate(FOLD, pairs((0, 0, 5))))
    exclude = sp.csr_array(([1.0], ([0], [4])), shape=(4, 6))
    with pytest.raises(RecsysError, match=r"1 of the 5 pairs to be evaluated are in what the lists exclude"):
        run(fitted(), exclude=exclude)


@pytest.mark.parametrize(
    ("fold", "reason"),
    [
        (Interactions.empty(), "the fold is empty"),
        (pairs((0, 1, np.nan), (1, 2, np.nan)), "none of the 2 interactions of the fold has a rating"),
        (pairs((0, 1, 3), (0, 2, 3.5)), r"no rating of the fold reaches 4 \(the highest of 2 is 3.5\)"),
    ],
)
def test_a_fold_without_a_relevant_item_is_refused_with_the_reason(fold, reason):
    with pytest.raises(RecsysError, match=f"table: {reason}"):
        run(fitted(), fold)


def test_relevance_is_a_choice_of_the_protocol():
    """User 0 likes item 2; user 3 has item 0 without a rating."""
    fold = pairs((0, 2, 4), (0, 1, 2), (3, 0, np.nan))
    liked = run(fitted(), fold, ks=(1,))
    assert (liked.value(MetricKey("recall", 1)).users, list(liked.per_user["user_idx"])) == (1, [0])
    positive = run(fitted(), fold, ks=(1,), relevance=Relevance.POSITIVE)
    assert_array_equal(positive.per_user["recall_1"], [0, 1])  # item 1 is first for user 0, item 0 for user 3
    assert positive.value(MetricKey("rmse")).users == 1


class Later(Table):
    """Predicts a point more from the second 100 on."""

    name = "later"

    def _predict_at(self, users, items, times):
        return self._predict(users, items) + (0 if times is None else times >= 100)


def test_a_pair_is_predicted_at_its_time(monkeypatch):
    monkeypatch.setattr("recsys_dagster.evaluation.evaluate.PREDICTIONS_PER_BLOCK", 2)
    rated = pairs((0, 0, 3), (0, 1, 3), (1, 0, 3))
    model = Later([[1, 2], [3, 4]]).fit(training(rated, 2, 2))
    assert_array_equal(predictions(model, rated), [1, 2, 3])
    assert_array_equal(predictions(model, replace(rated, times=np.array([100, 99, 101]))), [2, 2, 4])


def test_predictions_that_are_not_numbers_are_refused():
    model = fitted()
    model.table_[1, 0] = np.nan  # user 1 likes nothing, so the ranking never asks
    with pytest.raises(RecsysError, match="predictions are not numbers"):
        run(model)


def test_the_constant_is_the_mean_of_the_training_ratings():
    evaluation = constant_rating_metrics(TRAIN, FOLD, seed=0, resamples=50)
    errors = np.array([4, 5, 1, 2, 4]) - 16 / 5
    assert metric_of(evaluation, "rmse").value == pytest.approx(np.sqrt((errors**2).mean()))
    assert metric_of(evaluation, "mae").value == pytest.approx(np.abs(errors).mean())
    assert {m.metric for m in evaluation.metrics} == {"rmse", "mae", "mse"}
    assert_array_equal(evaluation.per_user["user_idx"], [0, 1, 2])


def test_a_constant_without_ratings_is_refused():
    with pytest.raises(RecsysError, match="holds no ratings"):
        constant_rating_metrics(pairs((0, 0, np.nan)), FOLD, seed=0)


def test_with_the_training_data_there_are_metrics_beyond_accuracy():
    data = training(TRAIN, 4, 6)
    genres = sp.csr_array(np.array([[1, 0], [1, 0], [0, 1], [0, 1], [1, 1], [1, 0]], np.float32))
    data = replace(data, item_features=replace(data.item_features, genres=genres, genre_names=("Drama", "Crime")))
    evaluation = evaluate(
        Table(SCORES).fit(data), FOLD, None, like_threshold=4, data=data, ks=(2, 10), seed=1, resamples=50
    )
    # The lists of two: user 0 gets 1 and 2, user 2 gets 0 and 1. Each of the items 0 to 4 belongs to one of
    # the four users, but 3 and 4 both by user 3.
    expected = {
        ("novelty", 2): 2,  # -log2(1 / 4)
        ("popularity_lift", 2): 0,
        # User 0 has item 0, so popularity would list 1 and 2, as the model does: no hit is unexpected.
        ("serendipity", 2): 0,
        ("long_tail_share", 2): 0,  # of the five items, each of one user, only the last, 4, is in the tail
        # All items weigh alike, so that it is the NDCG.
        ("debiased_ndcg", 2): metric_of(evaluation, "ndcg", 2).value,
        ("genre_diversity", 2): 0.5,  # Drama and Crime; Drama and Drama
        ("gini", 2): (-4 * 0 - 2 * 0 + 0 * 1 + 2 * 1 + 4 * 2) / (5 * 4),
        ("overlap", 10): 1,  # the scores are the same for all users
        # Predicted 2, 1, 1.5, 3 and 0.5 for 4, 5, 1, 2 and 4: never a like.
        ("like_accuracy", None): 2 / 5,
        ("like_recall", None): 0,
        ("like_f1", None): 0,
        ("like_majority", None): 2 / 5,  # two of the five training pairs are likes
        ("like_auc", None): (1 + 0 + 0 + 0 + 0 + 0) / 6,
        ("prediction_std", None): np.std([2, 1, 1.5, 3, 0.5]),
    }
    for key, value in expected.items():
        assert metric_of(evaluation, *key).value == pytest.approx(value), key
    # User 0 has a Drama and gets a Drama and a Crime; user 2 has a Crime and gets two Dramas.
    assert metric_of(evaluation, "miscalibration", 2).value == pytest.approx((-np.log(0.505) - np.log(0.01)) / 2)
    assert not [m for m in evaluation.metrics if m.metric == "like_precision"], "no pair was predicted to be a like"
    assert sum(pairs for _, _, pairs in evaluation.confusion) == 5
    slices = {(s.dimension, s.part, s.metric): s.value for s in evaluation.slices}
    assert slices["support", "0 (cold)", "recall"] == 0
    assert slices["support", "1 to 4 (cold)", "recall"] == 1  # items 2 and 4, which user 0 likes
    assert slices["genre", "Crime", "recall"] == 1
    assert slices["genre", "Drama", "recall"] == 0.5
    assert slices["activity", "up to 1", "rmse"] == pytest.approx(metric_of(evaluation, "rmse").value)


def test_a_like_model_is_evaluated_by_its_probabilities():
    world = np.random.default_rng(0)
    users, items = np.nonzero(world.random((40, 12)) < 0.7)
    ratings = np.where(items % 3 == 0, 5, 2 + (users % 4 == 0)).astype(np.float32)
    everything = Interactions(users.astype(np.int32), items.astype(np.int32), ratings)
    held = world.random(len(users)) < 0.3
    data = training(everything.where(~held), 40, 12)
    model = get_model_class("like_naive_bayes")().fit(data)
    evaluation = evaluate(model, everything.where(held), None, like_threshold=4, data=data, seed=1, resamples=50)
    assert metric_of(evaluation, "like_auc").value > 0.9
    assert 0 < metric_of(evaluation, "like_log_loss").value < np.log(2)
    assert metric_of(evaluation, "like_accuracy").value > metric_of(evaluation, "like_majority").value
    assert evaluation.confusion == []
