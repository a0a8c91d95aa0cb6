"""Render the HTML page of a domain as a single file that loads nothing from anywhere."""

import base64
import hashlib
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

from recsys_dagster.data.list_lengths import SHORT_LIST
from recsys_dagster.evaluation.metrics.metric import MetricKey
from recsys_dagster.evaluation.metrics.registry import CHOOSING_METRIC, METRICS, RATING_METRIC, label_of
from recsys_dagster.evaluation.score_meaning import Meaning
from recsys_dagster.papers.faults import FAULTS, describe_fault
from recsys_dagster.papers.figures import metric_label
from recsys_dagster.reports.balance_plots import balance_figures
from recsys_dagster.reports.data_plots import plot_counts, profile_figures
from recsys_dagster.reports.example_users import DESCRIPTIONS, WITHOUT_RATINGS
from recsys_dagster.reports.figures import cached_svg, to_svg
from recsys_dagster.reports.leaderboard_table import leaderboard_columns, metric_table
from recsys_dagster.reports.model_plots import (
    learning_curves,
    plot_confusion,
    plot_fault_effects,
    plot_importance,
    plot_leaderboard,
    plot_tradeoff,
    slice_figures,
)
from recsys_dagster.reports.report import ModelCard, Report
from recsys_dagster.runtime.storage import replacing
from recsys_dagster.serving.recommendation import format_score

if TYPE_CHECKING:
    from jinja2 import Environment

    from recsys_dagster.evaluation.example_lists import ListedItem
    from recsys_dagster.papers.records import FaultRow

PLOTTED_METRICS = (CHOOSING_METRIC, RATING_METRIC)
"""The columns of the leaderboard that are also plotted."""


def write_report(path: Path, report: Report) -> None:
    """Write the page to `path`, replacing the previous one atomically.

    Text from outside (titles, genres, licences) is escaped. The page forbids the browser to load anything and to run
    any script but its own.

    Raises:
        RecsysError: the disk is full.
    """
    html = render(
        "index.html",
        report=report,
        models_shown={card.name for card in report.models},
        columns=leaderboard_columns(report.leaderboard, report.models),
        score_figures=_score_figures(report),
        tradeoff_figures=_tradeoff_figures(report),
        balance_figures=[] if report.tradeoff is None else balance_figures(report.tradeoff),
        data_figures=profile_figures(report.profile),
        importance_figures={
            card.name: cached_svg(plot_importance, tuple(card.importances))
            for card in report.models
            if card.importances
        },
        diagnostics_by_model={row.model: row.diagnostics for row in report.leaderboard.rows},
        fault_figure=_fault_figure(report.faults),
        fault_explanations={row.fault: describe_fault(row.fault) for row in report.faults if row.fault in FAULTS},
        glossary=_glossary(report),
        metric_tables={card.name: metric_table(card.metrics) for card in report.models},
        user_descriptions=DESCRIPTIONS if report.provenance.scale else DESCRIPTIONS | WITHOUT_RATINGS,
        hit="rated highly" if report.provenance.scale else "has",
        genre_figures={
            user.name: to_svg(plot_counts(user.genres, label="titles")) for user in report.example_users if user.genres
        },
        model_figures={card.name: _model_figures(card) for card in report.models},
    )
    with replacing(path) as unfinished:
        unfinished.write_text(html, encoding="utf-8")


def render(template: str, **values: Any) -> str:
    """Return the HTML of a template filled in with the values.

    The templates may use the values' own types, so no narrower type than Any is possible.
    """
    script = files("recsys_dagster.reports").joinpath("templates/page.js").read_text(encoding="utf-8")
    return _environment(script).get_template(template).render(**values)


def _environment(script: str) -> "Environment":
    """Return the jinja2 environment: escaping, the filters of the templates, and the page's only script."""
    from jinja2 import Environment, PackageLoader, StrictUndefined
    from markupsafe import Markup

    environment = Environment(
        loader=PackageLoader("recsys_dagster.reports"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
    )
    environment.filters |= {
        "metric_label": label_of,
        "written_metric_label": metric_label,
        "meaning": format_meaning,
        "count": lambda n: f"{n:,}",
        "metric": lambda value: f"{value:.4f}",
        "number": lambda value: f"{value:,.0f}" if float(value).is_integer() else f"{value:.4f}",
        "signed": lambda value: f"{value:+,.0f}" if float(value).is_integer() else f"{value:+.4f}",
        "duration": _format_duration,
        "megabytes": lambda n: f"{n / 1e6:,.0f}",
        "svg": Markup,
    }
    environment.globals["script"] = Markup(script)  # noqa: S704 - the project's own
    environment.globals["script_hash"] = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return environment


def format_meaning(listed: "ListedItem") -> str:
    """Return what a model says of a listed item: `★ 7.9 (6.1 – 9.4)`, `79 %`, `similarity 0.59`, or the score."""
    if listed.value is None:
        return f"score {format_score(listed.score)}"
    if listed.meaning == Meaning.RATING:
        return f"★ {listed.value:.1f}" + ("" if listed.low is None else f" ({listed.low:.1f} – {listed.high:.1f})")
    return f"{listed.value:.0%}" if listed.meaning == Meaning.PROBABILITY else f"similarity {listed.value:.2f}"


def _format_duration(seconds: float) -> str:
    """Return a duration as text, with a decimal below a minute: `12.3 s`, `4 min 5 s`."""
    minutes, rest = divmod(round(seconds), 60)
    return f"{seconds:.1f} s" if seconds < 60 else f"{minutes} min {rest} s"


def _glossary(report: Report) -> list[tuple[str, str]]:
    """Return (label, definition) of each metric that any model has, in the order of the registry."""
    shown = {row.metric for card in report.models for row in card.metrics}
    shown |= {key.name for row in report.leaderboard.rows for key in row.shown}
    return [(label_of(MetricKey(one.name)), one.definition) for one in METRICS if one.name in shown]


def _score_figures(report: Report) -> list[tuple[str, str]]:
    """Return (label, SVG) of the plotted metrics, with the champion highlighted."""
    available = {key for row in report.leaderboard.rows for key in row.shown}
    return [
        (label_of(key), to_svg(plot_leaderboard(report.leaderboard, key, highlighted=report.champion)))
        for key in PLOTTED_METRICS
        if key in available
    ]


def _model_figures(card: ModelCard) -> list[tuple[str, str]]:
    """Return (caption, SVG) of the plots of one model: learning curves, confusion matrix and slices."""
    figures = []
    if card.curves:
        figures.append(("Learning curves", learning_curves(card.curves)))
    if card.confusion:
        figures.append(("Predicted against given ratings", cached_svg(plot_confusion, tuple(card.confusion))))
    return figures + slice_figures(card.slices)


def _fault_figure(faults: "Sequence[FaultRow]") -> str | None:
    """Return the SVG of the faults that change a score; a fault that changes a count is only in the table."""
    scored = [row for row in faults if row.low is not None and row.honest]
    return to_svg(plot_fault_effects(scored)) if scored else None


def _tradeoff_figures(report: Report) -> list[tuple[str, str]]:
    """Return (caption, SVG) of accuracy over coverage, fit time and memory, where at least two models have both."""
    metrics = {row.model: row.shown for row in report.leaderboard.rows}
    records = {card.name: card.record for card in report.models}
    accuracy, coverage = CHOOSING_METRIC, MetricKey("coverage", SHORT_LIST)
    axes: dict[str, tuple[str, dict[str, float]]] = {
        "Accuracy and coverage": (
            "share of titles recommended to any user",
            {model: shown[coverage].value for model, shown in metrics.items() if coverage in shown},
        ),
        "Accuracy and time": (
            "seconds to fit",
            {model: record.fit_seconds for model, record in records.items()},
        ),
        "Accuracy and memory": (
            "MB of memory while fitting",
            {model: record.peak_bytes / 1e6 for model, record in records.items()},
        ),
    }
    figures = []
    for caption, (label, values) in axes.items():
        points = {
            model: (values[model], shown[accuracy].value)
            for model, shown in metrics.items()
            if model in values and accuracy in shown
        }
        if len(points) > 1:
            plot = plot_tradeoff(points, label, label_of(accuracy), report.champion)
            figures.append((caption, to_svg(plot)))
    return figures
