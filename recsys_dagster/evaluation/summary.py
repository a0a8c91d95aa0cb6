"""Per-user results → metrics over all users, each with its 95 % interval, all on the same resamples of users."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recsys_dagster.evaluation.intervals import RESAMPLES, interval, resampled_sums
from recsys_dagster.evaluation.metrics.accuracy import RATING_METRICS, Statistic, mean
from recsys_dagster.evaluation.metrics.beyond_accuracy import lift


@dataclass(frozen=True)
class Metric:
    """A metric over the users of a fold, with its 95 % interval over users.

    Attributes:
        metric: its name, as in `evaluation.metrics`.
        k: length of the lists; None where there are no lists to it.
        value, low, high: `low` and `high` are None for what is a property of all lists or pairs together.
        users: number of users it is over.
    """

    metric: str
    k: int | None
    value: float
    low: float | None
    high: float | None
    users: int


@dataclass(frozen=True)
class Ratio:
    """A metric as a statistic of two sums over users.

    Attributes:
        metric, k: its name.
        column: what is summed above; a user who has NaN there is left out.
        weight: what is summed below; None: the number of users who have a value.
        statistic: of the two sums.
    """

    metric: str
    k: int | None
    column: str
    weight: str | None = None
    statistic: Statistic = mean


def ranking_ratios(names: Iterable[tuple[str, int]]) -> list[Ratio]:
    """Return the means over users of the columns `<metric>_<k>`."""
    return [Ratio(name, k, f"{name}_{k}") for name, k in names]


def beyond_ratios(ks: Sequence[int]) -> list[Ratio]:
    """Return the metrics beyond accuracy that are over users."""
    means = ranking_ratios((name, k) for name in ("novelty", "genre_diversity", "miscalibration") for k in ks)
    return means + [Ratio("popularity_lift", k, f"list_popularity_{k}", "history_popularity", lift) for k in ks]


RATING_RATIOS = [Ratio(name, None, column, "pairs", statistic) for name, (column, statistic) in RATING_METRICS.items()]
CLASSIFICATION_RATIOS = [
    Ratio("like_accuracy", None, "correct", "judged"),
    Ratio("like_precision", None, "true_likes", "said_likes"),
    Ratio("like_recall", None, "true_likes", "likes"),
    Ratio("like_log_loss", None, "log_loss", "judged"),
]


def with_intervals(
    per_user: Mapping[str, NDArray[Any]], ratios: Iterable[Ratio], seed: int, resamples: int = RESAMPLES
) -> list[Metric]:
    """Return the metrics, each with its interval; those whose columns are missing or have no value are left out.

    Args:
        per_user: (n_users,) columns.
        ratios: the metrics.
        seed: of the resamples.
        resamples: their number.
    """
    summed: dict[object, NDArray[np.float64]] = {}
    chosen: list[tuple[Ratio, object]] = []
    for ratio in ratios:
        if ratio.column not in per_user:
            continue
        known = ~np.isnan(per_user[ratio.column])
        if not known.any():
            continue
        # Metrics that are over the same users share the count of them.
        weight: object = ratio.weight if ratio.weight is not None else known.tobytes()
        summed[ratio.column] = np.nan_to_num(per_user[ratio.column])
        summed.setdefault(weight, known.astype(np.float64) if ratio.weight is None else per_user[ratio.weight])
        chosen.append((ratio, weight))
    if not chosen:
        return []
    position = {name: index for index, name in enumerate(summed)}
    columns = np.column_stack([np.nan_to_num(values) for values in summed.values()])
    totals, drawn = columns.sum(axis=0), resampled_sums(columns, seed, resamples)

    def metric(ratio: Ratio, weight: object) -> Metric:
        i, j = position[ratio.column], position[weight]
        value = float(ratio.statistic(totals[i : i + 1], totals[j : j + 1])[0])
        found = interval(value, ratio.statistic(drawn[:, i], drawn[:, j]))
        users = int(np.count_nonzero(columns[:, j]))
        return Metric(ratio.metric, ratio.k, value, found.low, found.high, users)

    return [metric(*one) for one in chosen if totals[position[one[1]]] > 0]
