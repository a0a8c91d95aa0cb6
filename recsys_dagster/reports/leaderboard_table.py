"""Lay out the leaderboard as a table: its columns, its cells, and the bars of the intervals."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from recsys_dagster.evaluation.metrics.metric import MetricKey
from recsys_dagster.evaluation.metrics.registry import CHOOSING_METRIC, METRICS, find_metric, higher_is_better, label_of

if TYPE_CHECKING:
    from recsys_dagster.evaluation.leaderboard import Leaderboard
    from recsys_dagster.evaluation.store import MetricRow
    from recsys_dagster.reports.report import ModelCard


@dataclass(frozen=True)
class Cell:
    """A cell of the table.

    Attributes:
        value: the sort key.
        text: the value as text.
        bounds: the 95 % interval as text; None if there is none.
        bar: (left edge, width, place of the value) of the bar in per cent of the cell; None if there is no interval.
    """

    value: float
    text: str
    bounds: str | None = None
    bar: tuple[float, float, float] | None = None


@dataclass(frozen=True)
class Column:
    """A column of the table.

    Attributes:
        label: the heading.
        higher_is_better: whether the highest value is the best.
        cells: the cell of each model that has such a value, by name.
        definition: what the metric is; empty where the label says it.
    """

    label: str
    higher_is_better: bool
    cells: Mapping[str, Cell]
    definition: str = ""


def leaderboard_columns(leaderboard: "Leaderboard", cards: "Sequence[ModelCard]") -> list[Column]:
    """Return a column for each metric that any model has, then the time and memory of fitting.

    Where lists are folded in, the choosing metric of the frozen lists is in the column after it.
    """
    keys = list(dict.fromkeys(key for row in leaderboard.rows for key in row.shown))
    columns = [
        _metric_column(key, {row.model: row.shown[key] for row in leaderboard.rows if key in row.shown}) for key in keys
    ]
    frozen = {row.model: row.frozen for row in leaderboard.rows if row.frozen is not None}
    if frozen:
        column = _metric_column(CHOOSING_METRIC, frozen)
        definition = f"{column.definition}, of lists made at the beginning of the fold"
        columns.insert(keys.index(CHOOSING_METRIC) + 1, replace(column, label="frozen", definition=definition))
    seconds = {card.name: Cell(card.record.fit_seconds, _format_seconds(card.record.fit_seconds)) for card in cards}
    megabytes = {card.name: Cell(card.record.peak_bytes, f"{card.record.peak_bytes / 1e6:,.0f}") for card in cards}
    return [*columns, Column("Fit, s", False, seconds), Column("Memory, MB", False, megabytes)]


def _format_seconds(seconds: float) -> str:
    return f"{seconds:,.1f}" if seconds >= 0.1 else f"{seconds:.1g}"


def _metric_column(key: MetricKey, rows: "Mapping[str, MetricRow]") -> Column:
    """Return the column of a metric; its bars share one scale, the range of all its intervals."""
    least = min(row.value if row.low is None else row.low for row in rows.values())
    most = max(row.value if row.high is None else row.high for row in rows.values())

    def place(value: float) -> float:
        return round(100 * (value - least) / ((most - least) or 1), 1)

    def cell(row: "MetricRow") -> Cell:
        if row.low is None or row.high is None:
            return Cell(row.value, f"{row.value:.4f}")
        left, right = place(row.low), place(row.high)
        bar = (left, round(right - left, 1), place(row.value))
        return Cell(row.value, f"{row.value:.4f}", f"{row.low:.3f}–{row.high:.3f}", bar)

    metric = find_metric(key.name)
    cells = {model: cell(row) for model, row in rows.items()}
    return Column(label_of(key), higher_is_better(key), cells, metric.definition if metric else "")


def metric_table(
    metrics: "Sequence[MetricRow]", fold: str = "test"
) -> "tuple[list[int], dict[str, dict[int, MetricRow]], list[MetricRow]]":
    """Return the table of one model's metrics on a fold, in the order of the registry.

    Returns:
        The list lengths k, the metrics of lists by label and k, and the metrics without a k.
    """
    order = {metric.name: place for place, metric in enumerate(METRICS)}
    rows = [row for row in metrics if row.fold == fold]
    rows.sort(key=lambda row: order.get(row.metric, len(order)))
    ranked: dict[str, dict[int, MetricRow]] = {}
    for row in rows:
        if row.k is not None:
            ranked.setdefault(label_of(MetricKey(row.metric)), {})[row.k] = row
    ks = sorted({k for cells in ranked.values() for k in cells})
    return ks, ranked, [row for row in rows if row.k is None]
