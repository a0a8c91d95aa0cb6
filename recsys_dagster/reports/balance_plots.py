"""Plots of what diversity and calibration cost."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from recsys_dagster.evaluation.metrics.registry import CHOOSING_METRIC, label_of
from recsys_dagster.reports.figures import ACCENT, INK, INTERVAL, SECOND, new_figure, to_svg

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from recsys_dagster.serving.tradeoff import Tradeoff, TradeoffPoint

_AXES = (("genre_diversity", "genre diversity"), ("miscalibration", "miscalibration (nats)"))


def balance_figures(tradeoff: "Tradeoff") -> list[tuple[str, str]]:
    """Return (caption, SVG) of accuracy over diversity and over miscalibration."""
    points = tradeoff.points
    return [
        (f"Accuracy and {name.replace('_', ' ')}", to_svg(plot_balance(points, name, label)))
        for name, label in _AXES
        if all(getattr(point, name) is not None for point in points)
    ]


def plot_balance(points: "Sequence[TradeoffPoint]", name: str, label: str) -> "Figure":
    """Draw NDCG@10 over another metric, one line for diversity and one for calibration, the weight next to each point.

    A bar is the 95 % interval of the difference from the lists without weights.

    Args:
        points: the first one without weights.
        name: attribute of the points on the x axis.
        label: of that axis.
    """
    figure, axes = new_figure(3.4)
    start = points[0]
    for weight, color in (("diversity", ACCENT), ("calibration", SECOND)):
        line = [start, *(point for point in points if getattr(point, weight) > 0)]
        xs, ys = [getattr(point, name) for point in line], [point.ndcg for point in line]
        axes.plot(xs, ys, color=color, marker="o", markersize=4, label=weight)
        for x, point in zip(xs, line, strict=True):
            interval = (start.ndcg + point.low, start.ndcg + point.high)
            axes.plot((x, x), interval, color=color, alpha=INTERVAL, linewidth=3, solid_capstyle="butt")
            value = f"{getattr(point, weight):g}"
            axes.annotate(value, (x, point.ndcg), xytext=(4, 5), textcoords="offset points", color=INK, fontsize=8)
    axes.margins(x=0.12, y=0.12)
    axes.legend(labelcolor=INK, frameon=False)
    axes.set_xlabel(label)
    axes.set_ylabel(label_of(CHOOSING_METRIC))
    return figure
