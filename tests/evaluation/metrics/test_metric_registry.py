"""What derives from the list of metrics: labels, directions, and the columns of the leaderboard."""

import pytest

from recsys_dagster.evaluation.leaderboard import COMPARED_COLUMNS
from recsys_dagster.evaluation.metrics.metric import MetricKey
from recsys_dagster.evaluation.metrics.registry import (
    LEADERBOARD_METRICS,
    METRICS,
    find_metric,
    higher_is_better,
    label_of,
    user_ratio,
)


def test_names_and_labels_are_unique():
    assert len({metric.name for metric in METRICS}) == len(METRICS)
    assert len({metric.label for metric in METRICS}) == len(METRICS)


def test_every_metric_says_what_it_is():
    for metric in METRICS:
        assert metric.definition, metric.name
        assert not metric.definition.endswith("."), metric.name


def test_a_key_is_written_as_text_and_as_a_column():
    key = MetricKey("ndcg", 10)
    assert (str(key), key.column) == ("ndcg@10", "ndcg_10")
    assert (str(MetricKey("rmse")), MetricKey("rmse").column) == ("rmse", "rmse")
    assert [MetricKey.parse(str(one)) for one in (key, MetricKey("rmse"))] == [key, MetricKey("rmse")]


@pytest.mark.parametrize(
    ("key", "label"),
    [
        (MetricKey("ndcg", 10), "NDCG@10"),
        (MetricKey("rmse"), "RMSE"),
        (MetricKey("novelty", 5), "Novelty@5, bits"),
        (MetricKey("rows_of_the_table", 3), "rows of the table@3"),
    ],
)
def test_labels_are_those_of_pages(key, label):
    assert label_of(key) == label


def test_the_two_recalls_have_two_names_and_two_definitions():
    recall, capped = find_metric("recall"), find_metric("capped_recall")
    assert (recall.label, capped.label) == ("Recall", "Capped recall")
    assert (recall.definition, capped.definition) == (
        "hits@k / relevant items of the user",
        "hits@k / min(k, relevant items of the user)",
    )


def test_errors_and_losses_are_better_when_lower():
    lower = {metric.name for metric in METRICS if not higher_is_better(MetricKey(metric.name))}
    assert lower == {
        "rmse", "mae", "mse", "mse_scaled", "like_log_loss", "log_loss", "cross_entropy", "gini", "miscalibration",
        "ndcg_loss", "overlap", "interval_width",
    }  # fmt: skip


def test_the_leaderboard_has_its_columns_in_order():
    assert [str(key) for key in LEADERBOARD_METRICS] == [
        "ndcg@10", "recall@10", "mrr@10", "hit_rate@10", "coverage@10", "rmse", "mae",
        "interval_coverage", "interval_width",
    ]  # fmt: skip


def test_models_are_compared_by_these_columns_of_their_per_user_results():
    assert COMPARED_COLUMNS == ("user_idx", "ndcg_10", "pairs", "squared_error")
    assert user_ratio(MetricKey("popularity_lift", 5)).total == "list_popularity_5"
    with pytest.raises(KeyError):
        user_ratio(MetricKey("coverage", 10))
