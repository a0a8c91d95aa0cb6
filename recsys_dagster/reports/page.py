"""The HTML page of a domain: one file, nothing loaded from anywhere."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from recsys_dagster.reports import plots
from recsys_dagster.reports.aggregates import Profile, Reader
from recsys_dagster.serving import Provenance, format_score
from recsys_dagster.storage import replacing

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from recsys_dagster.evaluation import Leaderboard
    from recsys_dagster.warehouse import FileAccount

DRAWN = (("ndcg", 10), ("rmse", None))
"""The columns of the leaderboard that are drawn as well."""


@dataclass(frozen=True)
class Report:
    """All that the page shows.

    Attributes:
        provenance: of the published lists.
        profile: of the data.
        files: rows kept and rejected of each raw file.
        leaderboard: its rows are shown in order, with a column for each metric that any of them has.
        summaries: what each model is, by name.
        verdicts: sentences that say what the leaderboard means.
        curves: learning curves by model, then by Keras's name; models without any may be left out.
        readers: the users shown with their history.
    """

    provenance: Provenance
    profile: Profile
    files: "Sequence[FileAccount]"
    leaderboard: "Leaderboard"
    summaries: Mapping[str, str]
    verdicts: Sequence[str]
    curves: Mapping[str, Mapping[str, Sequence[float]]]
    readers: Sequence[Reader]


def write_report(path: Path, report: Report) -> None:
    """Write the page to `path`, replacing what is there in one step.

    Text from outside (titles, genres, licences) is escaped; the page forbids the browser to load anything.

    Raises:
        RecsysError: the disk is full.
    """
    from jinja2 import Environment, PackageLoader, StrictUndefined
    from markupsafe import Markup

    environment = Environment(
        loader=PackageLoader("recsys_dagster.reports"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
    )
    environment.filters["label"] = plots.metric_label
    environment.filters["score"] = format_score
    environment.filters["count"] = lambda n: f"{n:,}"
    environment.filters["metric"] = lambda value: f"{value:.4f}"
    environment.filters["svg"] = lambda figure: Markup(plots.to_svg(figure))  # noqa: S704 - matplotlib escapes its text

    html = environment.get_template("index.html").render(
        report=report,
        columns=_columns(report.leaderboard),
        score_figures=_score_figures(report.leaderboard),
        data_figures=profile_figures(report.profile),
        curve_figures={name: plots.plot_learning_curves(curves) for name, curves in report.curves.items() if curves},
    )
    with replacing(path) as beside:
        beside.write_text(html, encoding="utf-8")


def _columns(leaderboard: "Leaderboard") -> list[tuple[str, int | None]]:
    return list(dict.fromkeys(column for row in leaderboard.rows for column in row.shown))


def _score_figures(leaderboard: "Leaderboard") -> "list[tuple[str, Figure]]":
    columns = [column for column in DRAWN if column in _columns(leaderboard)]
    return [(plots.metric_label(column), plots.plot_leaderboard(leaderboard, column)) for column in columns]


def profile_figures(profile: Profile) -> "list[tuple[str, Figure]]":
    """Only the plots for which there are data."""
    candidates: list[tuple[str, Sequence[Any], Callable[[Any], Figure]]] = [
        ("How often each rating was given", profile.ratings, plots.plot_ratings),
        ("Interactions over time", profile.months, plots.plot_over_time),
        ("Interactions of a user", profile.per_user, lambda data: plots.plot_activity(data, of="users")),
        ("Interactions of a title", profile.per_title, lambda data: plots.plot_activity(data, of="titles")),
        ("Titles by year of release", profile.years, plots.plot_years),
        ("Titles by kind", profile.kinds, lambda data: plots.plot_counts(data, label="titles")),
        ("Titles by genre", profile.genres, lambda data: plots.plot_counts(data, label="titles")),
    ]
    return [(title, draw(data)) for title, data, draw in candidates if len(data) > 1]
