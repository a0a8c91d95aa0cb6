"""Plots of models: how good they are, what that costs, how they learnt."""

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from recsys_dagster.reports.figures import (
    ACCENT,
    INK,
    INTERVAL,
    MUTED,
    PAPER,
    SECOND,
    WIDTH,
    draw_rows,
    drawn,
    new_figure,
    new_rows,
    set_margins,
    short,
    styled,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from recsys_dagster.evaluation.importance import Importance
    from recsys_dagster.evaluation.leaderboard import Leaderboard
    from recsys_dagster.evaluation.store import ConfusionRow, SliceRow
    from recsys_dagster.papers.records import FaultRow

METRICS = {
    "accuracy": "Accuracy",
    "like_accuracy": "Like accuracy",
    "like_majority": "Majority accuracy",
    "like_precision": "Like precision",
    "like_recall": "Like recall",
    "like_auc": "Like AUC",
    "like_log_loss": "Like log loss",
    "gini": "Gini",
    "novelty": "Novelty, bits",
    "genre_diversity": "Genre diversity",
    "miscalibration": "Miscalibration",
    "popularity_lift": "Popularity lift",
    "overlap": "Overlap of lists",
    "prediction_std": "Spread of predictions",
    "auc": "AUC",
    "cross_entropy": "Cross-entropy",
    "log_loss": "Log loss",
    "mse_scaled": "MSE on [-1, 1]",
    "ndcg": "NDCG",
    "recall": "Recall",
    "precision": "Precision",
    "hit_rate": "Hit rate",
    "mrr": "MRR",
    "map": "MAP",
    "coverage": "Coverage",
    "rmse": "RMSE",
    "mae": "MAE",
    "mse": "MSE",
}
"""Names for the reader."""


def metric_label(column: tuple[str, int | None]) -> str:
    """Return what a person calls a metric and its k: `NDCG@10`, `RMSE`."""
    metric, k = column
    name = METRICS.get(metric, metric.replace("_", " "))
    return name if k is None else f"{name}@{k}"


def plot_leaderboard(leaderboard: "Leaderboard", column: tuple[str, int | None] = ("ndcg", 10)) -> "Figure":
    """Draw one metric of all models that have it, best by the leaderboard on top.

    A dot is the value, the bar its 95 % interval; the champion is the coloured one.
    """
    rows = [row.shown[column] for row in leaderboard.rows if column in row.shown]
    names = [row.model for row in rows]
    figure, axes = new_rows(names, 0.3)
    draw_rows(axes, range(len(rows)), rows, [ACCENT if name == leaderboard.champion else MUTED for name in names])
    for place, row in enumerate(rows):
        edge = row.value if row.high is None else row.high
        axes.annotate(
            f"{row.value:.3f}", (edge, place), xytext=(6, 0), textcoords="offset points", va="center", color=INK
        )
    axes.margins(x=0.2)
    axes.set_xlabel(metric_label(column))
    return figure


def named_metric(name: str) -> str:
    """Return what a person calls a metric that is written with its k: `NDCG@5` for `ndcg@5`."""
    metric, _, k = name.partition("@")
    return metric_label((metric, int(k) if k else None))


def learning_curves(curves: Mapping[str, Sequence[float]]) -> str:
    """Return the SVG of a model's training, see `plot_learning_curves`."""
    return drawn(plot_learning_curves, tuple((name, tuple(values)) for name, values in curves.items()))


def plot_learning_curves(curves: Mapping[str, Sequence[float]] | Iterable[tuple[str, Sequence[float]]]) -> "Figure":
    """Draw a model's training: one plot for each quantity, its validation curve (`val_…`) beside it.

    Args:
        curves: values by epoch, as Keras names them: `loss`, `val_loss`, `mae`, …
    """
    values = dict(curves)
    quantities = list(dict.fromkeys(name.removeprefix("val_") for name in values))
    with styled():
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


def plot_tradeoff(points: Mapping[str, tuple[float, float]], xlabel: str, ylabel: str, champion: str) -> "Figure":
    """Draw a dot a model, with its name beside it; a cost that spans more than a factor of ten is on a log scale.

    Args:
        points: (x, y) by model.
        xlabel, ylabel: of the axes.
        champion: the model drawn in colour.
    """
    from matplotlib.ticker import LogLocator

    figure, axes = new_figure(3.4)
    xs = [x for x, _ in points.values()]
    if min(xs) > 0 and max(xs) > 10 * min(xs):
        axes.set_xscale("log")
        axes.xaxis.set_major_formatter(lambda value, _: short(value))
        axes.xaxis.set_minor_formatter(lambda *_: "")
        if max(xs) < 100 * min(xs):
            axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    colors = [ACCENT if name == champion else MUTED for name in points]
    axes.scatter(xs, [y for _, y in points.values()], s=25, c=colors, zorder=2)
    axes.margins(x=0.15, y=0.12)
    axes.set_xlabel(xlabel)
    axes.set_ylabel(ylabel)
    _name_points(figure, axes, points)
    return figure


def _name_points(figure: "Figure", axes: "Axes", points: Mapping[str, tuple[float, float]]) -> None:
    """Write each name near its dot, where it covers nothing; a line leads to one that has to stand apart."""
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
            name, at, xytext=(0, 0), textcoords="offset points", fontsize=8, color=INK, va="center", ha="center"
        )
        box = text.get_window_extent()
        half = np.array([box.width / 2 + scale, box.height / 2])
        nearest = half / scale + (5, 4)
        offsets = np.concatenate([(nearest + 9 * ring) * around for ring in range(6)])
        lows, highs = dot + offsets * scale - half, dot + offsets * scale + half
        common = np.minimum(highs[:, None], high) - np.maximum(lows[:, None], low)
        covered = np.clip(common, 0, None).prod(axis=2).sum(axis=1)
        outside = np.clip(frame.min - lows, 0, None).sum(axis=1) + np.clip(highs - frame.max, 0, None).sum(axis=1)
        # What covers least; of those the nearest, as the rings go outwards.
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
    """Draw what permuting each input adds to the loss, with its 95 % interval, in the order given."""
    names, places = [importance.input for importance in importances], range(len(importances))
    figure, axes = new_rows(names, 0.32)
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
    axes.set_xlabel(f"added {metric_label((importances[0].metric, None))} (as it is: {importances[0].whole:.3f})")
    return figure


def plot_lies(rows: "Sequence[FaultRow]") -> "Figure":
    """Draw by what share each fault changes the score of a system, with its 95 % interval where there is one."""
    names = [f"{row.fault.replace('-', ' ')}: {named_metric(row.metric)}\n{row.system}" for row in rows]
    figure, axes = new_rows(names, 0.4, size=8)
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
    """Draw which ratings were predicted where which were given: the darker, the larger the share of the given ones.

    Args:
        cells: of one model and fold.
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


LEAST_NAMED_SHARE, LARGE_SHARE = 0.05, 0.6


def slice_figures(slices: "Sequence[SliceRow]") -> list[tuple[str, str]]:
    """Return the titled SVG of each metric that is known of parts in more than one division."""
    titles = {("recall", 10): "Likes found, by parts", ("rmse", None): "Rating errors, by parts"}
    figures = []
    for (metric, k), title in titles.items():
        rows = [row for row in slices if (row.metric, row.k) == (metric, k)]
        rows.sort(key=lambda row: (row.dimension, row.position))  # as evaluated or as stored, it is the same drawing
        if len({row.part for row in rows}) > 1:
            figures.append((title, drawn(plot_slices, tuple(rows))))
    return figures


def plot_slices(slices: "Sequence[SliceRow]") -> "Figure":
    """Draw one metric of a model for parts of the users and titles, one division beneath the other.

    Args:
        slices: of one metric; of a division with many parts those with most pairs are drawn.
    """
    divisions: dict[str, list[SliceRow]] = {}
    for row in slices:
        divisions.setdefault(row.dimension, []).append(row)
    shown: list[SliceRow | str] = []
    for dimension, rows in sorted(
        divisions.items(), key=lambda division: [*DIMENSIONS, division[0]].index(division[0])
    ):
        if len(rows) < 2:
            continue
        most = sorted(rows, key=lambda row: -row.pairs)[:PARTS_SHOWN]
        shown += [dimension, *sorted(most, key=lambda row: row.position)]
    names = [
        DIMENSIONS.get(line, line) if isinstance(line, str) else f"{line.part}  ({short(line.pairs)})" for line in shown
    ]
    colors = [MUTED if isinstance(line, str) else INK for line in shown]
    figure, axes = new_rows(names, 0.19, size=8, colors=colors)
    places = [place for place, line in enumerate(shown) if not isinstance(line, str)]
    parts = [line for line in shown if not isinstance(line, str)]
    draw_rows(axes, places, parts, ACCENT, size=4, thickness=6.5)
    axes.margins(x=0.06)
    axes.set_xlabel(f"{metric_label((slices[0].metric, slices[0].k))} (of so many pairs)")
    return figure


PARTS_SHOWN = 10
DIMENSIONS = {
    "activity": "Users by their training pairs:",
    "popularity": "Items, a third of all pairs each:",
    "support": "Items by training pairs:",
    "kind": "Kinds:",
    "genre": "Genres:",
}
"""What the parts of a division are, for the reader."""
