"""The list of all metrics. Adding one is its function and one entry here.

The evaluation, the tables, the labels and the direction of each column on pages and in the terminal, and the list of
metrics in the documentation derive from it.
"""

from collections.abc import Sequence

from recsys_dagster.data.list_lengths import LONG_LIST, SHORT_LIST
from recsys_dagster.evaluation.metrics.beyond_accuracy import (
    coverage,
    debiased_ndcg,
    genre_diversity,
    gini,
    item_age,
    list_popularity,
    long_tail_share,
    miscalibration,
    novelty,
    overlap,
    popularity_lift,
    serendipity,
)
from recsys_dagster.evaluation.metrics.classification import like_auc, like_majority
from recsys_dagster.evaluation.metrics.metric import (
    CatalogueMetric,
    Family,
    ListMetric,
    Metric,
    MetricKey,
    OverlapMetric,
    PairMetric,
    PairRatioMetric,
    RankingMetric,
    UserRatio,
)
from recsys_dagster.evaluation.metrics.ranking import (
    average_precision,
    capped_recall,
    hit_rate,
    mrr,
    ndcg,
    precision,
    recall,
)
from recsys_dagster.evaluation.metrics.rating_errors import prediction_std
from recsys_dagster.evaluation.metrics.ratios import root_mean
from recsys_dagster.models.prediction_intervals import INTERVAL_LEVEL

LIST_LENGTHS = (5, SHORT_LIST, 20, 50, LONG_LIST)
"""Lengths of lists at which the folds of the lineage are evaluated."""

RANKING_METRICS = (
    RankingMetric(
        "ndcg", "NDCG", Family.RANKING, True, "", "DCG@k / DCG@k of a perfect list", ndcg, on_leaderboard=True
    ),
    RankingMetric(
        "recall", "Recall", Family.RANKING, True, "", "hits@k / relevant items of the user", recall, on_leaderboard=True
    ),
    RankingMetric(
        "capped_recall",
        "Capped recall",
        Family.RANKING,
        True,
        "",
        "hits@k / min(k, relevant items of the user)",
        capped_recall,
    ),
    RankingMetric("precision", "Precision", Family.RANKING, True, "", "hits@k / k", precision),
    RankingMetric("mrr", "MRR", Family.RANKING, True, "", "1 / rank of the first hit", mrr, on_leaderboard=True),
    RankingMetric(
        "map",
        "MAP",
        Family.RANKING,
        True,
        "",
        "precision at each hit, summed / relevant items of the user",
        average_precision,
    ),
    RankingMetric(
        "hit_rate", "Hit rate", Family.RANKING, True, "", "share of users with a hit", hit_rate, on_leaderboard=True
    ),
)
LIST_METRICS = (
    ListMetric(
        "debiased_ndcg",
        "Debiased NDCG",
        Family.BEYOND_ACCURACY,
        True,
        "",
        "NDCG, each relevant item weighted by (users who have it)^(−½)",
        debiased_ndcg,
    ),
    ListMetric(
        "long_tail_share",
        "Long-tail share",
        Family.BEYOND_ACCURACY,
        True,
        "",
        "share of the list outside the fewest items with 80 % of the interactions",
        long_tail_share,
    ),
    ListMetric(
        "serendipity",
        "Serendipity",
        Family.BEYOND_ACCURACY,
        True,
        "",
        "hits@k that a list of the most popular items would not hold / k",
        serendipity,
    ),
    ListMetric(
        "novelty",
        "Novelty",
        Family.BEYOND_ACCURACY,
        True,
        "bits",
        "mean over the list of −log2(share of users who have the item)",
        novelty,
    ),
    ListMetric(
        "item_age",
        "Age of the items",
        Family.BEYOND_ACCURACY,
        None,
        "years",
        "mean over the list of the time since the item's first interaction: novelty by time",
        item_age,
    ),
    ListMetric(
        "genre_diversity",
        "Genre diversity",
        Family.BEYOND_ACCURACY,
        True,
        "",
        "1 − mean cosine similarity of the genres of two items of a list",
        genre_diversity,
    ),
    ListMetric(
        "miscalibration",
        "Miscalibration",
        Family.BEYOND_ACCURACY,
        False,
        "nats",
        "divergence of the genres of a list from those of the user's history",
        miscalibration,
    ),
    ListMetric(
        "popularity_lift",
        "Popularity lift",
        Family.BEYOND_ACCURACY,
        None,
        "",
        "popularity of the lists / popularity of the histories − 1",
        list_popularity,
        total="list_popularity",
        weight="history_popularity",
        statistic=popularity_lift,
    ),
)
CATALOGUE_METRICS = (
    CatalogueMetric(
        "coverage",
        "Coverage",
        Family.BEYOND_ACCURACY,
        True,
        "",
        "share of the items that are in at least one list",
        coverage,
        on_leaderboard=True,
    ),
    CatalogueMetric(
        "gini",
        "Gini",
        Family.BEYOND_ACCURACY,
        False,
        "",
        "inequality of how often items are recommended: 0 for equally often",
        gini,
    ),
)
OVERLAP_METRICS = (
    OverlapMetric(
        "overlap",
        "Overlap of lists",
        Family.BEYOND_ACCURACY,
        False,
        "",
        "share of items that the lists of two users have in common, nothing excluded",
        overlap,
    ),
)
PAIR_RATIO_METRICS = (
    PairRatioMetric(
        "rmse",
        "RMSE",
        Family.RATING,
        False,
        "",
        "√(mean squared error of the predicted ratings)",
        "squared_error",
        "pairs",
        root_mean,
        on_leaderboard=True,
    ),
    PairRatioMetric(
        "mae",
        "MAE",
        Family.RATING,
        False,
        "",
        "mean absolute error of the predicted ratings",
        "absolute_error",
        "pairs",
        on_leaderboard=True,
    ),
    PairRatioMetric(
        "mse", "MSE", Family.RATING, False, "", "mean squared error of the predicted ratings", "squared_error", "pairs"
    ),
    PairRatioMetric(
        "interval_coverage",
        "Interval coverage",
        Family.RATING,
        None,
        "",
        f"share of the ratings that lie in their prediction interval; {INTERVAL_LEVEL:.0%} are meant to",
        "covered",
        "pairs",
        on_leaderboard=True,
    ),
    PairRatioMetric(
        "interval_width",
        "Interval width",
        Family.RATING,
        False,
        "",
        "mean width of the prediction intervals, on the scale of the ratings",
        "interval_widths",
        "pairs",
        on_leaderboard=True,
    ),
    PairRatioMetric(
        "like_accuracy", "Like accuracy", Family.LIKES, True, "", "share of right answers", "correct", "answers"
    ),
    PairRatioMetric(
        "like_precision",
        "Like precision",
        Family.LIKES,
        True,
        "",
        "share of likes among the predicted ones",
        "true_likes",
        "predicted_likes",
    ),
    PairRatioMetric(
        "like_recall",
        "Like recall",
        Family.LIKES,
        True,
        "",
        "share of the likes that are predicted",
        "true_likes",
        "likes",
    ),
    PairRatioMetric(
        "like_f1",
        "Like F1",
        Family.LIKES,
        True,
        "",
        "harmonic mean of like precision and like recall",
        "twice_true_likes",
        "likes_and_predicted",
    ),
    PairRatioMetric(
        "like_log_loss",
        "Like log loss",
        Family.LIKES,
        False,
        "nats",
        "mean of −ln(predicted probability of the true answer)",
        "log_loss",
        "answers",
    ),
)
PAIR_METRICS = (
    PairMetric(
        "prediction_std",
        "Spread of predictions",
        Family.RATING,
        None,
        "",
        "standard deviation of the predicted ratings",
        prediction_std,
    ),
    PairMetric(
        "like_auc",
        "Like AUC",
        Family.LIKES,
        True,
        "",
        "probability that a like is scored higher than a dislike",
        like_auc,
    ),
    PairMetric(
        "like_majority",
        "Majority accuracy",
        Family.LIKES,
        None,
        "",
        "accuracy of always giving the more frequent answer of the training fold",
        like_majority,
    ),
)
FOLDED_IN = Metric(
    "folded_in",
    "Folded in",
    Family.OTHER,
    None,
    "",
    "share of the users whose list is made of what they had done",
)
MEASURED_ELSEWHERE = (
    FOLDED_IN,
    Metric("accuracy", "Accuracy", Family.OTHER, True, "", "share of right answers, as a paper computes it"),
    Metric("mse_scaled", "MSE on [-1, 1]", Family.OTHER, False, "", "MSE of ratings mapped from the scale to [-1, 1]"),
    Metric("cross_entropy", "Cross-entropy", Family.OTHER, False, "nats", "of the next item of a sequence"),
    Metric("log_loss", "Log loss", Family.OTHER, False, "nats", "of likes, for the importance of inputs"),
    Metric("ndcg_loss", "NDCG loss", Family.OTHER, False, "", "1 − NDCG@100, for the importance of features"),
)
"""Metrics of papers and of the importance of inputs: labelled here, computed there."""

METRICS: tuple[Metric, ...] = (
    *RANKING_METRICS,
    *LIST_METRICS,
    *CATALOGUE_METRICS,
    *OVERLAP_METRICS,
    *PAIR_RATIO_METRICS,
    *PAIR_METRICS,
    *MEASURED_ELSEWHERE,
)
"""All metrics, in the order in which they are shown."""
_BY_NAME = {metric.name: metric for metric in METRICS}

CHOOSING_METRIC = MetricKey("ndcg", SHORT_LIST)
"""The metric by which the champion is chosen, on the validation fold."""
RATING_METRIC = MetricKey("rmse")
"""The metric by which models that predict ratings are compared."""
LEADERBOARD_METRICS = tuple(
    MetricKey(metric.name, SHORT_LIST if isinstance(metric, RankingMetric | ListMetric | CatalogueMetric) else None)
    for metric in METRICS
    if metric.on_leaderboard
)
"""The columns of the leaderboard."""


def find_metric(name: str) -> Metric | None:
    """Return the metric of that name; None if there is none."""
    return _BY_NAME.get(name)


def label_of(key: MetricKey) -> str:
    """Return what pages call a metric: `NDCG@10`, `RMSE`, `Novelty@10, bits`; an unknown name as it is, in words."""
    metric = find_metric(key.name)
    if metric is None:
        return str(MetricKey(key.name.replace("_", " "), key.k))
    unit = f", {metric.unit}" if metric.unit else ""
    return f"{MetricKey(metric.label, key.k)}{unit}"


def higher_is_better(key: MetricKey) -> bool:
    """Return whether the highest value of a column comes first; so it does where no direction is better."""
    metric = find_metric(key.name)
    return metric is None or metric.higher_is_better is not False


def user_ratios(ks: Sequence[int]) -> list[UserRatio]:
    """Return all metrics that have an interval over users, those of lists at each length."""
    ratios = [ratio for metric in (*RANKING_METRICS, *LIST_METRICS) for ratio in metric.ratios(ks)]
    return ratios + rating_ratios()


def user_ratio(key: MetricKey) -> UserRatio:
    """Return the metric as a ratio over users; raise KeyError if it is not one."""
    ratios = {ratio.key: ratio for ratio in user_ratios([] if key.k is None else [key.k])}
    return ratios[key]


def rating_ratios() -> list[UserRatio]:
    """Return the metrics of rated pairs that have an interval over users."""
    return [ratio for metric in PAIR_RATIO_METRICS for ratio in metric.ratios()]
