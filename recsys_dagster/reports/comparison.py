"""Compare the domains: is a model good in general, or only for one kind of item?

Domains have different rating scales and catalogues, so their metrics cannot be compared directly. What can be compared
is the improvement over a trivial baseline: NDCG divided by that of popularity, RMSE divided by that of the constant.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from recsys_dagster.evaluation.metrics.metric import MetricKey
from recsys_dagster.evaluation.metrics.registry import CHOOSING_METRIC, RATING_METRIC, label_of
from recsys_dagster.evaluation.store import CONSTANT, MetricRow
from recsys_dagster.models.registry import RANKING_BASELINE
from recsys_dagster.reports.figures import ACCENT, INK, MUTED, SECOND, draw_estimates, new_row_plot, to_svg
from recsys_dagster.reports.page import render
from recsys_dagster.runtime.layout import Layout
from recsys_dagster.runtime.storage import replacing
from recsys_dagster.serving.lookup import open_without_lock
from recsys_dagster.serving.provenance import Provenance

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FOLD = "test"
DOMAIN_COLORS = (ACCENT, SECOND, INK, MUTED)


@dataclass(frozen=True)
class RelativeMetric:
    """A metric that is divided by its value for a baseline model."""

    caption: str
    metric: MetricKey
    baseline: str
    label: str


RELATIVE_METRICS = (
    RelativeMetric("Lists", CHOOSING_METRIC, RANKING_BASELINE, "NDCG@10 ÷ NDCG@10 of popularity"),
    RelativeMetric("Ratings", RATING_METRIC, CONSTANT, "RMSE ÷ RMSE of the constant"),
)


@dataclass(frozen=True)
class DomainResults:
    """Published results of one domain.

    Attributes:
        provenance: origin of the published lists.
        sizes: number of users and of items.
        metrics: metrics of all models on the test fold.
    """

    provenance: Provenance
    sizes: Mapping[str, int]
    metrics: Sequence[MetricRow]

    def relative(self, relative: RelativeMetric) -> dict[str, MetricRow]:
        """Return the metric of each model divided by that of the baseline; empty if the baseline has none or zero."""
        rows = {row.model: row for row in self.metrics if row.key == relative.metric}
        base = rows[relative.baseline].value if relative.baseline in rows else 0
        if not base:
            return {}

        def divided(value: float | None) -> float | None:
            return None if value is None else value / base

        return {
            model: replace(row, value=row.value / base, low=divided(row.low), high=divided(row.high))
            for model, row in rows.items()
        }


def published_results(layout: Layout, domains: Sequence[str]) -> dict[str, DomainResults]:
    """Return the published results of each domain that has any, by domain."""
    results = {}
    for domain in domains:
        if layout.published(domain).exists():
            with open_without_lock(layout.published(domain)) as published:
                results[domain] = DomainResults(published.provenance(), published.sizes(), published.metrics(FOLD))
    return results


def comparison_records(results: Mapping[str, DomainResults]) -> list[dict[str, str | float | None]]:
    """Return one record for each model: each metric of each domain, and the metric divided by that of the baseline.

    Records are sorted by the mean of the relative NDCG over domains, highest first. A missing value is None.
    """
    rows: dict[str, dict[str, str | float | None]] = {}
    list_quotients: dict[str, list[float]] = {}
    for metric in RELATIVE_METRICS:
        for domain, result in results.items():
            values = {r.model: r.value for r in result.metrics if r.key == metric.metric}
            for model, row in result.relative(metric).items():
                cells = rows.setdefault(model, {"model": model})
                label = f"{domain} {label_of(metric.metric)}"
                cells[label] = values[model]
                cells[f"{label} ÷ {metric.baseline}"] = row.value
                if metric is RELATIVE_METRICS[0]:
                    list_quotients.setdefault(model, []).append(row.value)
    columns = list(dict.fromkeys(column for cells in rows.values() for column in cells))

    def mean_quotient(model: str) -> float:
        quotients = list_quotients.get(model, [0])
        return sum(quotients) / len(quotients)

    ranked = sorted(rows, key=lambda model: (-mean_quotient(model), model))
    return [{column: rows[model].get(column) for column in columns} for model in ranked]


def plot_relative_metric(results: Mapping[str, DomainResults], metric: RelativeMetric) -> "Figure | None":
    """Draw the relative metric of each model in each domain with its interval; None if no domain has any."""
    relative = {domain: result.relative(metric) for domain, result in results.items()}
    models = [
        str(record["model"])
        for record in comparison_records(results)
        if any(record["model"] in rows for rows in relative.values())
    ]
    if not models:
        return None
    figure, axes = new_row_plot(models, 0.3, top=0.35)
    axes.axvline(1, color=MUTED, linewidth=0.8)
    for number, (domain, rows) in enumerate(relative.items()):
        color, shift = DOMAIN_COLORS[number % len(DOMAIN_COLORS)], 0.24 * (number - (len(relative) - 1) / 2)
        known = [(place + shift, rows[model]) for place, model in enumerate(models) if model in rows]
        draw_estimates(axes, [place for place, _ in known], [row for _, row in known], color, size=4, thickness=4)
        axes.plot([], [], marker="o", markersize=4, linestyle="", color=color, label=domain)
    axes.set_xlabel(metric.label)
    figure.legend(loc="upper right", ncols=len(relative), labelcolor=INK, frameon=False)
    return figure


def comparison_figures(results: Mapping[str, DomainResults]) -> "list[tuple[str, Figure]]":
    """Return (caption, plot) of each relative metric that any domain has."""
    figures = [(metric.caption, plot_relative_metric(results, metric)) for metric in RELATIVE_METRICS]
    return [(caption, figure) for caption, figure in figures if figure is not None]


def write_comparison(path: Path, results: Mapping[str, DomainResults]) -> list[tuple[str, str]]:
    """Write the page to `path`, replacing the previous one atomically, and return (caption, SVG) of its plots.

    Raises:
        RecsysError: the disk is full.
    """
    figures = [(caption, to_svg(figure)) for caption, figure in comparison_figures(results)]
    html = render(
        "comparison.html",
        results=results,
        records=comparison_records(results),
        figures=figures,
    )
    with replacing(path) as unfinished:
        unfinished.write_text(html, encoding="utf-8")
    return figures
