"""Tables of the command line, for a terminal and for a pipe."""

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table
from rich.text import Text

from recsys_dagster.runtime.text import printable

if TYPE_CHECKING:
    from recsys_dagster.evaluation.custom_split import ModelResult
    from recsys_dagster.evaluation.leaderboard import Leaderboard
    from recsys_dagster.experiments.replication import Comparison, Replication
    from recsys_dagster.model_store.decisions import Decision
    from recsys_dagster.serving.recommendation import Recommendation
    from recsys_dagster.serving.user_history import HistoryEntry

_PIPE_WIDTH = 200


def console() -> Console:
    """Return the console for tables: as wide as the terminal, or wide enough for one line per row in a pipe.

    Text is printed literally, without markup, emoji names and highlighting.
    """
    width = None if sys.stdout.isatty() else _PIPE_WIDTH
    return Console(width=width, markup=False, emoji=False, highlight=False)


def numbers_table(first: str, *numbers: str) -> Table:
    """Return an empty table: a column of texts, then columns of numbers."""
    table = Table(first, box=None, pad_edge=False)
    for heading in numbers:
        table.add_column(heading, justify="right")
    return table


def results_table(results: "Sequence[ModelResult]") -> Table:
    """Return a table with one row for each model and the best value of each metric that has a direction in bold.

    A value that was measured with several seeds is followed by ± its standard deviation.
    """
    from recsys_dagster.evaluation.metrics.metric import MetricKey
    from recsys_dagster.evaluation.metrics.registry import find_metric

    measured = dict.fromkeys(metric.key for result in results for metric in result.metrics)
    keys = sorted((key for key in measured if key != MetricKey("mse")), key=lambda key: key.k is not None)
    columns = {str(key): [result.values.get(str(key)) for result in results] for key in keys}
    directions = [(str(key), metric.higher_is_better) for key in keys if (metric := find_metric(key.name))]
    best = {
        label: (max if is_higher else min)(value for value in columns[label] if value is not None)
        for label, is_higher in directions
        if is_higher is not None
    }
    table = numbers_table("model", *columns, "fit s", "peak MB")
    for row, result in enumerate(results):
        cells = [
            Text(
                "" if value is None else _with_spread(value, result.spread.get(label)),
                style="bold" if value == best.get(label) else "",
            )
            for label, value in ((label, values[row]) for label, values in columns.items())
        ]
        table.add_row(result.model, *cells, f"{result.fit.wall_seconds:.1f}", f"{result.peak_megabytes:,.0f}")
    return table


def published_table(replication: "Replication", comparisons: "Sequence[Comparison]") -> Table:
    """Return a table with one row for each published result, ours, and the difference in per cent."""
    from recsys_dagster.evaluation.metrics.registry import label_of

    metric = label_of(replication.metric)
    table = Table("published", "by", box=None, pad_edge=False)
    table.add_column(metric, justify="right")
    table.add_column("our model")
    table.add_column(metric, justify="right")
    table.add_column("difference", justify="right")
    for one in comparisons:
        figure = one.figure
        table.add_row(
            figure.system, figure.source, f"{figure.value:.4g}", one.model, f"{one.value:.4f}", f"{one.percent:+.1f} %"
        )
    return table


def history_table(decisions: "Sequence[Decision]") -> Table:
    """Return a table with one row for each decision about the champion, the latest first."""
    from recsys_dagster.evaluation.metrics.registry import CHOOSING_METRIC, label_of
    from recsys_dagster.evaluation.store import CHOOSING_COLUMN

    columns = ("at (UTC)", "from", "to", "version", "by", label_of(CHOOSING_METRIC))
    table = Table(*columns, box=None, pad_edge=False)
    table.add_column("reason", overflow="fold", ratio=1)
    for row in reversed(decisions):
        value = row.metrics.get(CHOOSING_COLUMN)
        value_text = "" if value is None else f"{value:.4f}"
        at = row.at.partition("+")[0].replace("T", " ")
        table.add_row(at, row.previous_model or "", row.model, row.version, row.by, value_text, printable(row.reason))
    return table


def leaderboard_table(board: "Leaderboard", champion: str, n: int) -> Table:
    """Return a table with one row for each of the n best models, and for the champion if it is not among them.

    Columns without any value, such as those of ratings where there are none, are left out.
    """
    from recsys_dagster.evaluation.metrics.registry import CHOOSING_METRIC, RATING_METRIC, label_of
    from recsys_dagster.evaluation.store import CHOOSING_COLUMN, CHOOSING_FOLD, REPORTED_FOLD

    records = [record for record in board.records() if record["rank"] is not None]
    shown = [record for place, record in enumerate(records) if place < n or record["model"] == champion]
    table = Table("", "model", box=None, pad_edge=False)
    columns = {
        CHOOSING_COLUMN: f"{label_of(CHOOSING_METRIC)}, {CHOOSING_FOLD}",
        CHOOSING_METRIC.column: f"{label_of(CHOOSING_METRIC)}, {REPORTED_FOLD}",
        RATING_METRIC.column: f"{label_of(RATING_METRIC)}, {REPORTED_FOLD}",
    }
    columns = {name: heading for name, heading in columns.items() if any(row.get(name) is not None for row in shown)}
    for heading in columns.values():
        table.add_column(heading, justify="right")
    for record in shown:
        values = (record.get(name) for name in columns)
        cells = ["" if value is None else f"{value:.4f}" for value in values]
        is_champion = record["model"] == champion
        table.add_row(str(record["rank"]), str(record["model"]), *cells, "champion" if is_champion else "")
    return table


def _with_spread(value: float, spread: float | None) -> str:
    return f"{value:.4f}" if spread is None else f"{value:.4f} ± {spread:.4f}"


def recommendations_table(
    recommendations: "Sequence[Recommendation]", *, wide: bool = False, why: bool = False
) -> Table:
    """Return a table with one row for each item, best first; columns without any value are left out.

    Args:
        recommendations: the list.
        wide: also show episodes, members, site score and, below each item, its synopsis.
        why: also show, below each item, the titles of the user that it is recommended for.
    """
    from recsys_dagster.serving.recommendation import format_score

    table = Table(box=None, pad_edge=False)
    table.add_column("rank", justify="right")
    table.add_column("title", overflow="fold", ratio=3)
    has_english = any(item.title_english not in (None, item.title) for item in recommendations)
    if has_english:
        table.add_column("English title", overflow="fold", ratio=3)
    table.add_column("kind")
    table.add_column("year", justify="right")
    table.add_column("genres", overflow="fold", ratio=2)
    numbers = [*(_WIDE_COLUMNS if wide else ()), *_MEANINGS]
    shown = [one for one in numbers if any(getattr(item, one[0]) is not None for item in recommendations)]
    for _, heading, _ in shown:
        table.add_column(heading, justify="right")
    table.add_column("score", justify="right")
    for item in recommendations:
        table.add_row(
            str(item.rank),
            printable(item.title),
            *([printable(item.title_english or "")] if has_english else []),
            printable(item.kind or ""),
            str(item.year or ""),
            printable(", ".join(item.genres)),
            *("" if getattr(item, name) is None else text.format(item) for name, _, text in shown),
            format_score(item.score),
        )
        if why and item.because:
            titles = ", ".join(printable(reason.title) for reason in item.because)
            table.add_row("", Text(f"because of {titles}", style="dim"))
        if wide and item.synopsis:
            # Below the title, as wide as that column: a column of its own would be a few letters wide.
            table.add_row("", Text(printable(item.synopsis), style="dim"))
    return table


_WIDE_COLUMNS = (
    ("episodes", "episodes", "{0.episodes:,}"),
    ("members", "members", "{0.members:,}"),
    ("site_score", "site", "{0.site_score:.2f}"),
)
_MEANINGS = (
    ("rating", "rating", "{0.rating:.2f}"),
    ("rating_low", "interval", "{0.rating_low:.1f} – {0.rating_high:.1f}"),
    ("probability", "like", "{0.probability:.0%}"),
    ("similarity", "similarity", "{0.similarity:.3f}"),
)
"""Field without which the cell is empty, heading, and how an item is written."""


def history_of_user_table(history: "Sequence[HistoryEntry]") -> Table:
    """Return a table with one row for each title of a user's history: its rating, and the time to the minute."""
    table = Table("title", "kind", box=None, pad_edge=False)
    table.add_column("rating", justify="right")
    table.add_column("at (UTC)")
    table.add_column("genres", overflow="fold")
    for entry in history:
        table.add_row(
            printable(entry.title),
            printable(entry.kind or ""),
            "" if entry.rating is None else f"{entry.rating:g}",
            "" if entry.at is None else f"{entry.at:%Y-%m-%d %H:%M}",
            printable(", ".join(entry.genres)),
        )
    return table
