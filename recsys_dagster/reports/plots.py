"""Plots of plain data, as matplotlib figures; one width, so that the same figure suits a phone and a wide page.

`to_png` gives a figure its light colours (for the Dagster UI); `to_svg` leaves the colours to the page that it is put
into, so that it follows light and dark. No pyplot: nothing global is touched, and no display is needed.
"""

import importlib
import io
import re
from collections.abc import Mapping, Sequence
from datetime import date
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from recsys_dagster.evaluation import Leaderboard

WIDTH = 4.3
"""Inches; at the 72 points of an SVG that is 310 units, about what a phone shows one to one."""

INK, MUTED, GRID = "#1c2128", "#66707c", "#e1e5ea"
ACCENT, SECOND = "#2f6db5", "#d07a1f"
METRICS = {
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

_THEME = {INK: "ink", MUTED: "muted", GRID: "line", ACCENT: "accent", SECOND: "second"}

_STYLE: dict[str, Any] = {
    "font.size": 10,
    "text.parse_math": False,
    "text.color": INK,
    "axes.edgecolor": GRID,
    "axes.labelcolor": MUTED,
    "axes.titlesize": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": GRID,
    "grid.linewidth": 0.7,
    "xtick.color": GRID,
    "xtick.labelcolor": MUTED,
    "ytick.color": GRID,
    "ytick.labelcolor": MUTED,
    "legend.frameon": False,
    "svg.fonttype": "none",
    "svg.hashsalt": "recsys",
}


def metric_label(column: tuple[str, int | None]) -> str:
    """Return what a person calls a metric and its k: `NDCG@10`, `RMSE`."""
    metric, k = column
    return METRICS[metric] if k is None else f"{METRICS[metric]}@{k}"


def plot_leaderboard(leaderboard: "Leaderboard", column: tuple[str, int | None] = ("ndcg", 10)) -> "Figure":
    """Draw one metric of all models that have it, best by the leaderboard on top.

    A dot is the value, the bar its 95 % interval; the champion is the coloured one.
    """
    rows = [row.shown[column] for row in leaderboard.rows if column in row.shown]
    figure, axes = _figure(0.7 + 0.3 * len(rows))
    for place, row in enumerate(rows):
        color = ACCENT if row.model == leaderboard.champion else MUTED
        if row.low is not None and row.high is not None:
            axes.barh(place, row.high - row.low, left=row.low, height=0.45, color=color, alpha=0.35)
        axes.plot([row.value], [place], marker="o", markersize=5, color=color)
        edge = row.value if row.high is None else row.high
        axes.annotate(
            f"{row.value:.3f}", (edge, place), xytext=(6, 0), textcoords="offset points", va="center", color=INK
        )
    axes.set_yticks(range(len(rows)), [row.model for row in rows])
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.tick_params(axis="y", labelcolor=INK, length=0)
    axes.use_sticky_edges = False
    axes.margins(x=0.2)
    axes.grid(visible=False, axis="y")
    axes.locator_params(axis="x", nbins=5)
    axes.set_xlabel(metric_label(column))
    return figure


def plot_learning_curves(curves: Mapping[str, Sequence[float]]) -> "Figure":
    """Draw a model's training: one plot for each quantity, its validation curve (`val_…`) beside it.

    Args:
        curves: values by epoch, as Keras names them: `loss`, `val_loss`, `mae`, …
    """
    quantities = list(dict.fromkeys(name.removeprefix("val_") for name in curves))
    with _styled():
        from matplotlib.figure import Figure
        from matplotlib.ticker import MaxNLocator

        figure = Figure(figsize=(WIDTH, 0.4 + 2.0 * len(quantities)), layout="constrained")
        grid = figure.subplots(len(quantities), 1, sharex=True, squeeze=False)
        for axes, quantity in zip(grid[:, 0], quantities, strict=True):
            for name, label, color in ((quantity, "training", ACCENT), (f"val_{quantity}", "validation", SECOND)):
                if name in curves:
                    epochs = range(1, len(curves[name]) + 1)
                    axes.plot(epochs, curves[name], color=color, label=label, marker=".", markersize=4)
            axes.set_ylabel(quantity.replace("_", " "))
            axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
            axes.legend(labelcolor=INK)
        grid[-1, 0].set_xlabel("epoch")
    return figure


def plot_ratings(counts: Sequence[tuple[float, int]]) -> "Figure":
    """Draw how often each rating was given; `counts` are (rating, how many) in rising order."""
    return _columns([f"{rating:g}" for rating, _ in counts], [n for _, n in counts], "rating", "ratings")


def plot_activity(counts: Sequence[tuple[int, int]], *, of: str) -> "Figure":
    """Draw how many users (or titles) have how many interactions, in bins that double.

    Args:
        counts: (b, how many have 2^b … 2^(b+1) - 1 interactions).
        of: `users` or `titles`.
    """
    found = dict(counts)
    bins = range(min(found), max(found) + 1)
    labels = ["1" if b == 0 else f"{_short(2**b, 2)}–{_short(2 ** (b + 1) - 1, 2)}" for b in bins]
    figure = _columns(labels, [found.get(b, 0) for b in bins], f"interactions of one of the {of}", of)
    if sum(map(len, labels)) > 30:
        figure.axes[0].tick_params(axis="x", labelrotation=40)
    return figure


def plot_years(counts: Sequence[tuple[int, int]]) -> "Figure":
    """Draw the titles of each year; `counts` are (year, how many) in rising order."""
    figure, axes = _figure(2.5)
    axes.bar([year for year, _ in counts], [n for _, n in counts], width=0.9, color=ACCENT, alpha=0.85)
    _tidy_columns(axes, "year of release", "titles")
    _whole_numbers(axes)
    return figure


def plot_over_time(counts: Sequence[tuple[date, int]]) -> "Figure":
    """Draw the interactions of each month; `counts` are (first day, how many) in rising order."""
    figure, axes = _figure(2.5)
    days: Any = [day for day, _ in counts]
    axes.fill_between(days, [n for _, n in counts], color=ACCENT, alpha=0.85, step="post", linewidth=0)
    dates: Any = importlib.import_module("matplotlib.dates")
    locator = dates.AutoDateLocator(maxticks=6)
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(dates.ConciseDateFormatter(locator, show_offset=False))
    _tidy_columns(axes, "month", "interactions")
    axes.set_ylim(bottom=0)
    return figure


def plot_counts(counts: Sequence[tuple[str, int]], *, label: str) -> "Figure":
    """Draw named counts as horizontal bars in the order given, the first on top."""
    figure, axes = _figure(0.6 + 0.21 * max(3, len(counts)))
    places = range(len(counts))
    axes.barh(places, [n for _, n in counts], height=0.7, color=ACCENT, alpha=0.85)
    for place, (_, n) in enumerate(counts):
        axes.annotate(_short(n), (n, place), xytext=(4, 0), textcoords="offset points", va="center", color=INK)
    axes.set_yticks(places, [name for name, _ in counts])
    axes.tick_params(axis="y", labelcolor=INK, length=0)
    axes.invert_yaxis()
    axes.margins(x=0.14, y=0.02)
    axes.grid(visible=False, axis="y")
    axes.set_xlabel(label)
    axes.xaxis.set_major_formatter(lambda value, _: _short(value))
    return figure


def to_png(figure: "Figure") -> bytes:
    """Return the figure as a PNG on white, at twice the resolution of a screen."""
    buffer = io.BytesIO()
    with _styled():
        figure.savefig(buffer, format="png", dpi=160, facecolor="white")
    return buffer.getvalue()


def to_svg(figure: "Figure") -> str:
    """Return the figure as an `<svg>` element to put into a page.

    It is as wide as its container, its text is text, and its colours are the page's CSS variables --ink, --muted,
    --line, --accent and --second.
    """
    buffer = io.StringIO()
    with _styled():
        nothing = dict.fromkeys(("Creator", "Date", "Format", "Type"))
        figure.savefig(buffer, format="svg", transparent=True, metadata=nothing)
    svg = buffer.getvalue()
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r'(<svg[^>]*?) width="[^"]*"', r"\1", svg, count=1)
    svg = re.sub(r'(<svg[^>]*?) height="[^"]*"', r"\1", svg, count=1)
    svg = re.sub(r' id="[A-Za-z.]+_\d+"', "", svg)  # the same in every figure; nothing refers to them
    svg = re.sub(r" xmlns(:\w+)?=\"[^\"]*\"", "", svg).replace("xlink:href", "href")
    svg = re.sub(r"font: ([^;\"]*?)([\d.]+)px [^;\"]*", r"font-size: \2px", svg)
    for color, name in _THEME.items():
        svg = svg.replace(color, f"var(--{name})")
    return svg


def _styled() -> Any:
    import matplotlib

    style: Any = _STYLE
    return matplotlib.rc_context(style)


def _figure(height: float) -> "tuple[Figure, Axes]":
    with _styled():
        from matplotlib.figure import Figure

        figure = Figure(figsize=(WIDTH, height), layout="constrained")
        return figure, figure.subplots()


def _columns(labels: Sequence[str], counts: Sequence[int], xlabel: str, ylabel: str) -> "Figure":
    figure, axes = _figure(2.5)
    axes.bar(range(len(labels)), counts, width=0.8, color=ACCENT, alpha=0.85)
    axes.set_xticks(range(len(labels)), labels)
    _tidy_columns(axes, xlabel, ylabel)
    return figure


def _tidy_columns(axes: "Axes", xlabel: str, ylabel: str) -> None:
    axes.grid(visible=False, axis="x")
    axes.set_xlabel(xlabel)
    axes.set_ylabel(ylabel)
    axes.yaxis.set_major_formatter(lambda value, _: _short(value))


def _whole_numbers(axes: "Axes") -> None:
    from matplotlib.ticker import MaxNLocator

    axes.xaxis.set_major_locator(MaxNLocator(nbins=6, integer=True))


def _short(n: float, digits: int = 3) -> str:
    """A count in few characters, of so many significant digits: 950, 1.25k, 35k, 1.5M."""
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if n >= size:
            return f"{n / size:.{digits}g}{letter}" if n < 99.5 * size else f"{n / size:.0f}{letter}"
    return f"{n:g}"
