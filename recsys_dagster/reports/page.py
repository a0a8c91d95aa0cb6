"""The HTML page of a domain: one file, nothing loaded from anywhere."""

import base64
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

from recsys_dagster.papers.faults import FAULTS, explained
from recsys_dagster.reports.data_plots import plot_counts, profile_figures
from recsys_dagster.reports.data_profile import Fold, Profile
from recsys_dagster.reports.example_users import Person, ShownItem
from recsys_dagster.reports.figures import drawn, to_svg
from recsys_dagster.reports.leaderboard_table import board_columns, metric_table
from recsys_dagster.reports.model_plots import (
    learning_curves,
    metric_label,
    named_metric,
    plot_confusion,
    plot_importance,
    plot_leaderboard,
    plot_lies,
    plot_tradeoff,
    slice_figures,
)
from recsys_dagster.runtime.storage import replacing
from recsys_dagster.serving.lookup import Provenance, format_score

if TYPE_CHECKING:
    from recsys_dagster.evaluation.example_lists import ListedItem
    from recsys_dagster.evaluation.importance import Importance
    from recsys_dagster.evaluation.leaderboard import Leaderboard
    from recsys_dagster.evaluation.store import ConfusionRow, MetricRow, SliceRow
    from recsys_dagster.model_store.store import ModelRecord
    from recsys_dagster.papers.records import FaultRow, PaperRow
    from recsys_dagster.runtime.resource_usage import StepUsage
    from recsys_dagster.warehouse.build import FileAccount

DRAWN = (("ndcg", 10), ("rmse", None))
"""The columns of the leaderboard that are drawn as well."""

SAID_OF_PEOPLE = {
    "light": "few titles; fewer than 95 % of the users",
    "average": "as many titles as the middle of the users",
    "heavy": "many titles; more than 95 % of the users",
    "niche": "of the users who are neither light nor heavy, the one whose titles the fewest others have",
    "new": "somebody who has just come: a model is told five titles that this user rated highest, and nothing else",
}


@dataclass(frozen=True)
class ModelCard:
    """One model on the page.

    Attributes:
        name, summary: what it is.
        record: of the version that was evaluated.
        metrics: of that version, on all folds.
        curves: learning curves by Keras's name, none where there is nothing to show.
        lists: what it recommends to the people of the page.
        confusion: which ratings it predicts where which are given, none where it predicts no ratings.
        slices: its figures of parts of the users and titles.
        importances: how much each of its inputs matters, none where they cannot be told apart.
    """

    name: str
    summary: str
    record: "ModelRecord"
    metrics: "Sequence[MetricRow]"
    curves: Mapping[str, Sequence[float]] = field(default_factory=dict)
    lists: "Sequence[ListedItem]" = ()
    confusion: "Sequence[ConfusionRow]" = ()
    slices: "Sequence[SliceRow]" = ()
    importances: "Sequence[Importance]" = ()


@dataclass(frozen=True)
class Report:
    """All that the page shows.

    Attributes:
        provenance: of the published lists.
        profile, folds: of the data.
        files: rows kept and rejected of each raw file.
        leaderboard: its rows are shown in order, with a column for each metric that any of them has.
        verdicts: sentences that say what the leaderboard means.
        models: the models of the leaderboard, in its order.
        skipped: why a model is not on the leaderboard, by name.
        people: the users that every model is shown with.
        titles: those on any of their lists, by id.
        papers: figures of papers beside ours.
        faults: what the faults of papers do to a score.
        costs: what each step cost when it last ran, in the order they ran in.
    """

    provenance: Provenance
    profile: Profile
    folds: Sequence[Fold]
    files: "Sequence[FileAccount]"
    leaderboard: "Leaderboard"
    verdicts: Sequence[str]
    models: Sequence[ModelCard]
    skipped: Mapping[str, str]
    people: Sequence[Person]
    titles: Mapping[int, ShownItem]
    papers: "Sequence[PaperRow]" = ()
    faults: "Sequence[FaultRow]" = ()
    costs: "Sequence[StepUsage]" = ()


def write_report(path: Path, report: Report) -> None:
    """Write the page to `path`, replacing what is there in one step.

    Text from outside (titles, genres, licences) is escaped; the page forbids the browser to load anything, and to run
    anything but its own script.

    Raises:
        RecsysError: the disk is full.
    """
    html = render(
        "index.html",
        report=report,
        shown_models={card.name for card in report.models},
        columns=board_columns(report.leaderboard, report.models),
        score_figures=_score_figures(report.leaderboard),
        tradeoffs=_tradeoffs(report),
        data_figures=profile_figures(report.profile),
        importance_figures={
            card.name: drawn(plot_importance, tuple(card.importances)) for card in report.models if card.importances
        },
        remarks_of={row.model: row.remarks for row in report.leaderboard.rows},
        lies=_lies(report.faults),
        fault_said={row.fault: explained(row.fault) for row in report.faults if row.fault in FAULTS},
        metric_tables={card.name: metric_table(card.metrics) for card in report.models},
        said_of=SAID_OF_PEOPLE,
        genre_figures={
            person.name: to_svg(plot_counts(person.genres, label="titles")) for person in report.people if person.genres
        },
        model_figures={card.name: _model_figures(card) for card in report.models},
    )
    with replacing(path) as beside:
        beside.write_text(html, encoding="utf-8")


def render(template: str, **values: Any) -> str:
    """Return the page that a template makes of the values."""
    from jinja2 import Environment, PackageLoader, StrictUndefined
    from markupsafe import Markup

    environment = Environment(
        loader=PackageLoader("recsys_dagster.reports"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
    )
    script = files("recsys_dagster.reports").joinpath("templates/page.js").read_text(encoding="utf-8")
    environment.filters["label"] = metric_label
    environment.filters["named"] = named_metric
    environment.filters["score"] = format_score
    environment.filters["count"] = lambda n: f"{n:,}"
    environment.filters["metric"] = lambda value: f"{value:.4f}"
    environment.filters["figure"] = lambda value: f"{value:,.0f}" if float(value).is_integer() else f"{value:.4f}"
    environment.filters["duration"] = _duration
    environment.filters["megabytes"] = lambda n: f"{n / 1e6:,.0f}"
    environment.filters["signed"] = lambda value: f"{value:+,.0f}" if float(value).is_integer() else f"{value:+.4f}"
    environment.filters["svg"] = Markup
    environment.globals["script"] = Markup(script)  # noqa: S704 - the project's own
    environment.globals["script_hash"] = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return environment.get_template(template).render(**values)


def _duration(seconds: float) -> str:
    """Say how long something took, to the second where it was long."""
    minutes, rest = divmod(round(seconds), 60)
    return f"{seconds:.1f} s" if seconds < 60 else f"{minutes} min {rest} s"


def _score_figures(leaderboard: "Leaderboard") -> list[tuple[str, str]]:
    known = {column for row in leaderboard.rows for column in row.shown}
    return [
        (metric_label(column), to_svg(plot_leaderboard(leaderboard, column))) for column in DRAWN if column in known
    ]


def _model_figures(card: ModelCard) -> list[tuple[str, str]]:
    """How a model learnt, where it errs, and for whom it works."""
    figures = []
    if card.curves:
        figures.append(("Learning curves", learning_curves(card.curves)))
    if card.confusion:
        figures.append(("Predicted against given ratings", drawn(plot_confusion, tuple(card.confusion))))
    return figures + slice_figures(card.slices)


def _lies(faults: "Sequence[FaultRow]") -> str | None:
    """Draw the faults that change a score; a mere count has no interval, and stands in the table alone."""
    scored = [row for row in faults if row.low is not None and row.honest]
    return to_svg(plot_lies(scored)) if scored else None


def _tradeoffs(report: Report) -> list[tuple[str, str]]:
    """What the accuracy of a list costs: in variety, in time, in memory."""
    board = {row.model: row.shown for row in report.leaderboard.rows}
    records = {card.name: card.record for card in report.models}
    accuracy = ("ndcg", 10)
    coverage = ("coverage", 10)
    spent: dict[str, dict[str, float]] = {
        "share of the titles that anybody is recommended": {
            name: shown[coverage].value for name, shown in board.items() if coverage in shown
        },
        "seconds to fit": {name: record.fit_seconds for name, record in records.items()},
        "MB of memory while fitting": {name: record.peak_bytes / 1e6 for name, record in records.items()},
    }
    titles = ("Accuracy and coverage", "Accuracy and time", "Accuracy and memory")
    figures = []
    for title, (label, costs) in zip(titles, spent.items(), strict=True):
        points = {
            name: (costs[name], shown[accuracy].value)
            for name, shown in board.items()
            if name in costs and accuracy in shown
        }
        if len(points) > 1:
            plot = plot_tradeoff(points, label, metric_label(accuracy), report.leaderboard.champion)
            figures.append((title, to_svg(plot)))
    return figures
