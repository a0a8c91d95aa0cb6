"""Plots of models: metrics, trade-offs, learning curves, importance of inputs, errors and slices."""

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from recsys_dagster.data.list_lengths import SHORT_LIST
from recsys_dagster.evaluation.metrics.metric import MetricKey
from recsys_dagster.evaluation.metrics.registry import CHOOSING_METRIC, RATING_METRIC, label_of
from recsys_dagster.evaluation.slices import RELIABILITY, TENTHS
from recsys_dagster.reports.figures import (
    ACCENT,
    INK,
    INTERVAL,
    MUTED,
    PAPER,
    SECOND,
    WIDTH,
    cached_svg,
    draw_estimates,
    format_count,
    new_figure,
    new_row_plot,
    plot_style,
    set_margins,
)
from recsys_dagster.runtime.text import printable

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from recsys_dagster.evaluation.importance import Importance
    from recsys_dagster.evaluation.leaderboard import Leaderboard
    from recsys_dagster.evaluation.store import ConfusionRow, SliceRow
    from recsys_dagster.papers.records import FaultRow


def plot_leaderboard(
    leaderboard: "Leaderboard", column: MetricKey = CHOOSING_METRIC, *, highlighted: str | None = None
) -> "Figure":
    """Draw one metric of all models that have it, in the order of the leaderboard.

    A dot is the value and a bar its 95 % interval.

    Args:
        leaderboard: the results.
        column: the metric.
        highlighted: name of the model to highlight; default: the leader of the leaderboard.
    """
    highlighted = highlighted or leaderboard.leader
    rows = [row.shown[column] for row in leaderboard.rows if column in row.shown]
    names = [row.model for row in rows]
    figure, axes = new_row_plot(names, 0.3)
    draw_estimates(axes, range(len(rows)), rows, [ACCENT if name == highlighted else MUTED for name in names])
    for place, row in enumerate(rows):
        edge = row.value if row.high is None else row.high
        axes.annotate(
            f"{row.value:.3f}", (edge, place), xytext=(6, 0), textcoords="offset points", va="center", color=INK
        )
    axes.margins(x=0.2)
    axes.set_xlabel(label_of(column))
    return figure


def learning_curves(curves: Mapping[str, Sequence[float]]) -> str:
    """Return the SVG of `plot_learning_curves`."""
    return cached_svg(plot_learning_curves, tuple((name, tuple(values)) for name, values in curves.items()))


def plot_learning_curves(curves: Mapping[str, Sequence[float]] | Iterable[tuple[str, Sequence[float]]]) -> "Figure":
    """Draw the training of a model: one plot for each quantity, with its training and validation curves.

    Args:
        curves: values by epoch under the names of Keras: `loss`, `val_loss`, `mae`, …
    """
    values = dict(curves)
    quantities = list(dict.fromkeys(name.removeprefix("val_") for name in values))
    with plot_style():
        from matplotlib.figure import Figure
        from matplotlib.ticker import MaxNLocator

        figure = Figure(figsize=(WIDTH, 0.4 + 2.0 * len(quantities)))
        set_margins(figure)
        grid = figure.subplots(len(quantities), 1, sharex=True, squeeze=False)
        for axes, quantity in zip(grid[:, 0], quantities, strict=True):
            for name, label, color in ((quantity, "training", ACCENT), (f"val_{quantity}", "validation", SECOND)):
                if name in values:
                    epochs = range(1, len(values[name]) + 1)
                    axes.plot(epochs, values[name], color=color, label=label, marker=".", markersize=4)
            axes.set_ylabel(quantity.replace("_", " "))
            axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
            axes.legend(labelcolor=INK)
        grid[-1, 0].set_xlabel("epoch")
    return figure


def plot_tradeoff(
    points: Mapping[str, tuple[float, float]], xlabel: str, ylabel: str, champion: str | None
) -> "Figure":
    """Draw one labelled dot for each model; x is on a log scale if it spans more than a factor of ten.

    Args:
        points: (x, y) by model.
        xlabel, ylabel: labels of the axes.
        champion: the model to highlight, if any.
    """
    from matplotlib.ticker import LogLocator

    figure, axes = new_figure(3.4)
    xs = [x for x, _ in points.values()]
    if min(xs) > 0 and max(xs) > 10 * min(xs):
        axes.set_xscale("log")
        axes.xaxis.set_major_formatter(lambda value, _: format_count(value))
        axes.xaxis.set_minor_formatter(lambda *_: "")
        if max(xs) < 100 * min(xs):
            axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    colors = [ACCENT if name == champion else MUTED for name in points]
    axes.scatter(xs, [y for _, y in points.values()], s=25, c=colors, zorder=2)
    axes.margins(x=0.15, y=0.12)
    axes.set_xlabel(xlabel)
    axes.set_ylabel(ylabel)
    _label_points(figure, axes, points)
    return figure


def _label_points(figure: "Figure", axes: "Axes", points: Mapping[str, tuple[float, float]]) -> None:
    """Label each dot where the label covers nothing, with a line from the dot to a label that is not next to it."""
    import numpy as np

    figure.draw_without_rendering()
    frame, scale = axes.get_window_extent(), figure.dpi / 72
    turns = np.linspace(0, 2 * np.pi, 24, endpoint=False)
    around = np.stack([np.cos(turns), np.sin(turns)], axis=1)
    around /= np.abs(around).max(axis=1, keepdims=True)
    dots = axes.transData.transform(list(points.values()))
    low, high = dots - 3 * scale, dots + 3 * scale
    for name, dot, at in zip(points, dots, points.values(), strict=True):
        text = axes.annotate(
            printable(name), at, xytext=(0, 0), textcoords="offset points", fontsize=8, color=INK, va="center",
            ha="center", parse_math=False,
        )  # fmt: skip
        box = text.get_window_extent()
        half = np.array([box.width / 2 + scale, box.height / 2])
        nearest = half / scale + (5, 4)
        offsets = np.concatenate([(nearest + 9 * ring) * around for ring in range(6)])
        lows, highs = dot + offsets * scale - half, dot + offsets * scale + half
        common = np.minimum(highs[:, None], high) - np.maximum(lows[:, None], low)
        covered = np.clip(common, 0, None).prod(axis=2).sum(axis=1)
        outside = np.clip(frame.min - lows, 0, None).sum(axis=1) + np.clip(highs - frame.max, 0, None).sum(axis=1)
        # The offset that covers the least; among equals, the nearest.
        best = int(np.argmin(covered + 1000 * outside + np.hypot(*offsets.T) / 1000))
        offset = offsets[best]
        text.set_position(tuple(offset))
        low, high = np.vstack([low, lows[best]]), np.vstack([high, highs[best]])
        if best >= len(around):
            end = offset - np.clip(offset, -half / scale, half / scale)
            axes.annotate(
                "", at, xytext=tuple(end), textcoords="offset points",
                arrowprops={"arrowstyle": "-", "color": MUTED, "linewidth": 0.5, "shrinkA": 0, "shrinkB": 3},
            )  # fmt: skip


def plot_importance(importances: "Sequence[Importance]") -> "Figure":
    """Draw how much permuting each input adds to the loss, with its 95 % interval, in the given order."""
    names, places = [importance.input for importance in importances], range(len(importances))
    figure, axes = new_row_plot(names, 0.32)
    axes.barh(places, [importance.value for importance in importances], height=0.6, color=ACCENT, alpha=0.85)
    lows, highs = [importance.low for importance in importances], [importance.high for importance in importances]
    axes.hlines(places, lows, highs, color=INK, linewidth=1.2)
    for place, importance in enumerate(importances):
        edge = max(importance.high, 0)
        axes.annotate(
            f"{importance.value:+.3f}", (edge, place), xytext=(5, 0), textcoords="offset points", va="center", color=INK
        )
    axes.axvline(0, color=MUTED, linewidth=0.8)
    axes.margins(x=0.18)
    axes.set_xlabel(f"added {label_of(MetricKey(importances[0].metric))} (unpermuted: {importances[0].whole:.3f})")
    return figure


def plot_fault_effects(rows: "Sequence[FaultRow]") -> "Figure":
    """Draw the relative change of a score by each fault, with its 95 % interval if it has one."""
    names = [f"{row.fault.replace('-', ' ')}: {label_of(MetricKey.parse(row.metric))}\n{row.system}" for row in rows]
    figure, axes = new_row_plot(names, 0.4, size=8)
    axes.axvline(0, color=MUTED, linewidth=0.8)
    for place, row in enumerate(rows):
        scale = 100 / abs(row.honest)
        change = scale * (row.faulty - row.honest)
        if row.low is not None and row.high is not None:
            axes.hlines(place, scale * row.low, scale * row.high, color=SECOND, alpha=INTERVAL, linewidth=9)
        axes.plot([change], [place], marker="o", markersize=5, color=SECOND)
        axes.annotate(
            f"{change:+.1f} %",
            (change, place),
            xytext=(0, 7),
            textcoords="offset points",
            fontsize=8,
            color=INK,
            ha="center",
        )
    axes.set_ylim(len(rows) - 0.4, -0.7)
    axes.margins(x=0.2)
    axes.set_xlabel("change of the score, %")
    return figure


def plot_confusion(cells: "Sequence[ConfusionRow]") -> "Figure":
    """Draw the confusion matrix of predicted and given ratings; each row of given ratings adds up to 100 %.

    Args:
        cells: counts of one model and fold.
    """
    import numpy as np
    from matplotlib.collections import PolyCollection
    from matplotlib.colors import to_rgba

    given, predicted = np.array([cell.rating for cell in cells]), np.array([cell.predicted for cell in cells])
    pairs = np.array([cell.pairs for cell in cells])
    steps = np.unique([given, predicted])
    row, column = np.searchsorted(steps, given), np.searchsorted(steps, predicted)
    shares = pairs / np.bincount(row, pairs)[row]
    figure, axes = new_figure(3.6)
    corners = 0.47 * np.array([(-1, -1), (1, -1), (1, 1), (-1, 1)])
    squares: Any = np.stack([column, row], axis=1)[:, None, :] + corners
    axes.add_collection(PolyCollection(squares, facecolors=[to_rgba(ACCENT, max(share, 0.03)) for share in shares]))
    for x, y, share in zip(column, row, shares, strict=True):
        if share >= LEAST_NAMED_SHARE:
            color = PAPER if share > LARGE_SHARE else INK
            axes.text(x, y, f"{100 * share:.0f}", ha="center", va="center", fontsize=8, color=color)
    axes.plot([-0.5, len(steps) - 0.5], [-0.5, len(steps) - 0.5], color=SECOND, linewidth=0.8)
    labels = [f"{step:g}" for step in steps]
    axes.set_xticks(range(len(steps)), labels)
    axes.set_yticks(range(len(steps)), labels)
    axes.set_xlim(-0.5, len(steps) - 0.5)
    axes.set_ylim(-0.5, len(steps) - 0.5)
    axes.grid(visible=False)
    axes.set_xlabel("predicted (numbers: % of the row)")
    axes.set_ylabel("given")
    return figure


LEAST_NAMED_SHARE = 0.05
"""Smallest share whose number is written into its cell."""
LARGE_SHARE = 0.6
"""Smallest share whose cell is dark enough for light text."""


def slice_figures(slices: "Sequence[SliceRow]") -> list[tuple[str, str]]:
    """Return (caption, SVG) of recall and RMSE by groups of users and items, where there are at least two groups."""
    captions = {
        MetricKey("recall", SHORT_LIST): "Share of likes found, by group",
        RATING_METRIC: "Rating errors, by group",
    }
    figures = []
    for key, caption in captions.items():
        rows = [row for row in slices if row.key == key]
        rows.sort(
            key=lambda row: (row.dimension, row.position)
        )  # so that the cache knows evaluated and stored rows as equal
        if len({row.part for row in rows}) > 1:
            figures.append((caption, cached_svg(plot_slices, tuple(rows))))
    tenths = sorted((row for row in slices if row.dimension == RELIABILITY), key=lambda row: row.position)
    if len(tenths) > 1:
        figures.append(("Reliability of the probabilities", cached_svg(plot_reliability, tuple(tenths))))
    return figures


def plot_reliability(slices: "Sequence[SliceRow]") -> "Figure":
    """Draw the share of likes over the predicted probability of a like; a calibrated model is on the diagonal.

    Args:
        slices: rows of the dimension `RELIABILITY` of one model and fold.
    """
    figure, axes = new_figure(3.2)
    axes.plot([0, 1], [0, 1], color=MUTED, linewidth=0.8)
    for row in slices:
        x = (row.position + 0.5) / TENTHS
        axes.vlines(x, row.low or 0, row.high or 0, color=ACCENT, alpha=INTERVAL, linewidth=6)
        axes.plot(x, row.value, marker="o", markersize=5, color=ACCENT)
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1)
    axes.set_xlabel("predicted probability of a like")
    axes.set_ylabel("share of likes")
    return figure


def plot_slices(slices: "Sequence[SliceRow]") -> "Figure":
    """Draw one metric of a model for groups of users and items.

    Args:
        slices: rows of one metric; of a dimension with many groups, those with the most pairs are drawn.
    """
    by_dimension: dict[str, list[SliceRow]] = {}
    for row in slices:
        by_dimension.setdefault(row.dimension, []).append(row)
    shown: list[SliceRow | str] = []
    for dimension in sorted(by_dimension, key=lambda dimension: [*DIMENSIONS, dimension].index(dimension)):
        rows = by_dimension[dimension]
        if len(rows) < 2:
            continue
        largest = sorted(rows, key=lambda row: -row.pairs)[:GROUPS_SHOWN]
        shown += [dimension, *sorted(largest, key=lambda row: row.position)]
    names = [
        DIMENSIONS.get(line, line) if isinstance(line, str) else f"{line.part}  ({format_count(line.pairs)})"
        for line in shown
    ]
    colors = [MUTED if isinstance(line, str) else INK for line in shown]
    figure, axes = new_row_plot(names, 0.19, size=8, colors=colors)
    places = [place for place, line in enumerate(shown) if not isinstance(line, str)]
    groups = [line for line in shown if not isinstance(line, str)]
    draw_estimates(axes, places, groups, ACCENT, size=4, thickness=6.5)
    axes.margins(x=0.06)
    axes.set_xlabel(f"{label_of(slices[0].key)} (pairs in brackets)")
    return figure


GROUPS_SHOWN = 10
DIMENSIONS = {
    "activity": "Users by number of training pairs:",
    "popularity": "Titles, in thirds of all pairs:",
    "support": "Titles by number of training pairs:",
    "kind": "Kinds:",
    "genre": "Genres:",
}
"""Heading of each dimension, in plotting order."""
