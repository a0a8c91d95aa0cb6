"""Write the page of a backtest: each model over past windows, and the gain of retraining."""

import math
from pathlib import Path
from typing import TYPE_CHECKING

from recsys_dagster.evaluation.metrics.registry import CHOOSING_METRIC, RATING_METRIC, label_of
from recsys_dagster.reports.figures import MUTED, new_figure, to_png, to_svg
from recsys_dagster.reports.page import render
from recsys_dagster.runtime.storage import replacing
from recsys_dagster.runtime.units import DAY_SECONDS

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from recsys_dagster.experiments.backtest import Backtest

LABELS = {"ndcg": label_of(CHOOSING_METRIC), "rmse": label_of(RATING_METRIC)}


def backtest_figures(backtest: "Backtest") -> "dict[str, Figure]":
    """Draw NDCG@10 and RMSE over the first day of each window, one line for each model, by label."""
    from matplotlib import colormaps

    models = list(dict.fromkeys(row.model for row in backtest.windows))
    colors = dict(zip(models, colormaps["tab20"].colors, strict=False))  # type: ignore[attr-defined]
    figures = {}
    for metric, label in LABELS.items():
        legend = 0.15 + 0.15 * math.ceil(len(models) / 3)
        figure, axes = new_figure(2.4 + legend, bottom=0.6, top=legend)
        for model in models:
            rows = [row for row in backtest.windows if row.model == model and getattr(row, metric) is not None]
            if rows:
                values = [getattr(row, metric) for row in rows]
                days = [row.start.timestamp() / DAY_SECONDS for row in rows]
                axes.plot(days, values, marker="o", markersize=3, label=model, color=colors.get(model, MUTED))
        axes.xaxis_date()
        axes.set_ylabel(label)
        axes.tick_params(axis="x", rotation=30)
        axes.legend(fontsize=7, ncols=3, loc="lower left", bbox_to_anchor=(0, 1))
        figures[label] = figure
    return figures


def write_backtest(path: Path, domain: str, backtest: "Backtest") -> None:
    """Write the page to `path` and each plot next to it as `<page>-<metric>.png`, replacing each file atomically.

    Raises:
        RecsysError: the disk is full.
    """
    figures = backtest_figures(backtest)
    for metric, label in LABELS.items():
        with replacing(path.with_name(f"{path.stem}-{metric}.png")) as unfinished:
            unfinished.write_bytes(to_png(figures[label]))
    html = render(
        "backtest.html",
        domain=domain,
        backtest=backtest,
        figures=[(label, to_svg(figure)) for label, figure in figures.items()],
    )
    with replacing(path) as unfinished:
        unfinished.write_text(html, encoding="utf-8")
