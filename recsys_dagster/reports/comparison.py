"""The domains side by side: is a model good, or only good at one kind of title?

Ratings are on other scales and lists over other catalogues, so a figure of one domain cannot be held against that of
another. What can be is how far a model gets beyond what costs nothing: its NDCG over that of popularity, and its RMSE
over that of the constant.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from recsys_dagster.evaluation.leaderboard import CONSTANT
from recsys_dagster.evaluation.store import MetricRow
from recsys_dagster.reports.figures import ACCENT, INK, MUTED, SECOND, draw_rows, new_rows, to_svg
from recsys_dagster.reports.model_plots import metric_label
from recsys_dagster.reports.page import render
from recsys_dagster.runtime.layout import Layout
from recsys_dagster.runtime.storage import replacing
from recsys_dagster.serving.lookup import Provenance, Published

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FOLD = "test"
DOMAIN_COLORS = (ACCENT, SECOND, INK, MUTED)


@dataclass(frozen=True)
class Yardstick:
    """A metric, and the model that it is divided by."""

    title: str
    metric: str
    k: int | None
    baseline: str
    label: str


YARDSTICKS = (
    Yardstick("Lists", "ndcg", 10, "popularity", "NDCG@10, times that of popularity"),
    Yardstick("Ratings", "rmse", None, CONSTANT, "RMSE, times that of the constant"),
)


@dataclass(frozen=True)
class DomainResults:
    """What one domain has published.

    Attributes:
        provenance: of its lists.
        sizes: its numbers of users and titles.
        metrics: of all its models on the test fold.
    """

    provenance: Provenance
    sizes: Mapping[str, int]
    metrics: Sequence[MetricRow]

    def relative(self, yardstick: Yardstick) -> dict[str, MetricRow]:
        """Return by model the metric divided by the baseline's value; none where the baseline has none or zero."""
        found = {row.model: row for row in self.metrics if (row.metric, row.k) == (yardstick.metric, yardstick.k)}
        base = found[yardstick.baseline].value if yardstick.baseline in found else 0
        if not base:
            return {}

        def divided(value: float | None) -> float | None:
            return None if value is None else value / base

        return {
            model: replace(row, value=row.value / base, low=divided(row.low), high=divided(row.high))
            for model, row in found.items()
        }


def published_results(layout: Layout, domains: Sequence[str]) -> dict[str, DomainResults]:
    """Return what is published, by domain; a domain without a publication is left out."""
    results = {}
    for domain in domains:
        if layout.published(domain).exists():
            with Published(layout.published(domain)) as published:
                results[domain] = DomainResults(published.provenance(), published.sizes(), published.metrics(FOLD))
    return results


def comparison_records(results: Mapping[str, DomainResults]) -> list[dict[str, object]]:
    """Return a row a model: for each yardstick and domain the metric and its quotient, None where there is none.

    Models that are good in every domain come first, by the mean of their quotients of lists.
    """
    rows: dict[str, dict[str, object]] = {}
    order: dict[str, list[float]] = {}
    for yardstick in YARDSTICKS:
        for domain, found in results.items():
            values = {r.model: r.value for r in found.metrics if (r.metric, r.k) == (yardstick.metric, yardstick.k)}
            for model, row in found.relative(yardstick).items():
                cells = rows.setdefault(model, {"model": model})
                label = f"{domain} {metric_label((yardstick.metric, yardstick.k))}"
                cells[label] = values[model]
                cells[f"{label} ÷ {yardstick.baseline}"] = row.value
                if yardstick is YARDSTICKS[0]:
                    order.setdefault(model, []).append(row.value)
    columns = list(dict.fromkeys(column for cells in rows.values() for column in cells))
    ranked = sorted(rows, key=lambda model: (-sum(order.get(model, [0])) / len(order.get(model, [0])), model))
    return [{column: rows[model].get(column) for column in columns} for model in ranked]


def plot_yardstick(results: Mapping[str, DomainResults], yardstick: Yardstick) -> "Figure | None":
    """Draw each model's quotient in each domain with its interval; None where no domain has any."""
    relative = {domain: found.relative(yardstick) for domain, found in results.items()}
    models = [
        str(record["model"])
        for record in comparison_records(results)
        if any(record["model"] in rows for rows in relative.values())
    ]
    if not models:
        return None
    figure, axes = new_rows(models, 0.3, top=0.35)
    axes.axvline(1, color=MUTED, linewidth=0.8)
    for turn, (domain, rows) in enumerate(relative.items()):
        color, shift = DOMAIN_COLORS[turn % len(DOMAIN_COLORS)], 0.24 * (turn - (len(relative) - 1) / 2)
        known = [(place + shift, rows[model]) for place, model in enumerate(models) if model in rows]
        draw_rows(axes, [place for place, _ in known], [row for _, row in known], color, size=4, thickness=4)
        axes.plot([], [], marker="o", markersize=4, linestyle="", color=color, label=domain)
    axes.set_xlabel(yardstick.label)
    figure.legend(loc="upper right", ncols=len(relative), labelcolor=INK, frameon=False)
    return figure


def comparison_figures(results: Mapping[str, DomainResults]) -> "list[tuple[str, Figure]]":
    """Return titled plots of what can be compared."""
    drawn = [(yardstick.title, plot_yardstick(results, yardstick)) for yardstick in YARDSTICKS]
    return [(title, figure) for title, figure in drawn if figure is not None]


def write_comparison(path: Path, results: Mapping[str, DomainResults]) -> list[tuple[str, str]]:
    """Write the page to `path`, replacing what is there in one step; return the titled SVGs of its plots.

    Raises:
        RecsysError: the disk is full.
    """
    figures = [(title, to_svg(figure)) for title, figure in comparison_figures(results)]
    html = render(
        "comparison.html",
        results=results,
        records=comparison_records(results),
        figures=figures,
    )
    with replacing(path) as beside:
        beside.write_text(html, encoding="utf-8")
    return figures
