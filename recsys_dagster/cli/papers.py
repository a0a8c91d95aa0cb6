"""The command `recsys papers`."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from recsys_dagster.cli.console import console
from recsys_dagster.cli.options import KNOWN_DOMAINS
from recsys_dagster.errors import RecsysError
from recsys_dagster.runtime.text import printable
from recsys_dagster.settings import read_settings

if TYPE_CHECKING:
    from recsys_dagster.papers.figures import PaperFigure
    from recsys_dagster.papers.records import FaultRow


def papers(
    domain: Annotated[
        str | None,
        typer.Option(
            "--domain",
            "-d",
            help=f"One of: {KNOWN_DOMAINS}; by default all with data.",
            show_default=False,
        ),
    ] = None,
    paper: Annotated[
        list[str] | None, typer.Option("--paper", "-p", help="000 to 004; may be repeated; by default all.")
    ] = None,
    faults: Annotated[
        bool, typer.Option("--faults", help="Also measure the effect of each fault of the papers.")
    ] = False,
) -> None:
    """Run the five papers' systems, as published and honestly, and set the figures side by side.

    Prints what each paper prints, ours under the paper's own protocol, ours on
    the folds of the leaderboard, and below each of ours that of a trivial
    baseline; then remakes the page. Needs `recsys run` first. It takes minutes
    on small data; what was measured before a stop is kept. Examples:

    [dim]recsys papers --domain anime --paper 003[/dim]

    [dim]recsys papers --domain movie --faults[/dim]
    """
    settings = read_settings()
    from recsys_dagster.orchestration.papers_run import choose_papers, run_job_papers
    from recsys_dagster.runtime.layout import Layout

    chosen = choose_papers(settings, [] if domain is None else [domain], paper or [])
    figures, effects, failures = run_job_papers(settings, chosen, faults=faults)
    screen = console()
    for name in chosen:
        screen.print(f"\n{name}: printed, and measured here")
        screen.print(figures_table(figures[name]))
        for note in notes_of(figures[name]):
            screen.print(printable(note), style="dim", soft_wrap=True)
        if effects[name]:
            screen.print(f"\n{name}: effects of the papers' faults")
            screen.print(faults_table(effects[name]))
        screen.print(printable(f"page: {Layout(settings.home).report(name)}"), soft_wrap=True)
    if failures:
        raise RecsysError("\n".join(failures))


def figures_table(figures: "Sequence[PaperFigure]") -> Table:
    """Return a table with a row for each figure: printed, ours as published, trivial, ours honest, trivial."""
    from recsys_dagster.papers.figures import metric_label

    table = Table("paper", "system", "metric", box=None, pad_edge=False)
    for heading in ("printed", "ours, as published", "trivial", "ours, honest", "trivial", "training", "test"):
        table.add_column(heading, justify="right")
    for figure in figures:
        ours = figure.ours
        if ours is None:
            cells = [figure.missing]
        else:
            values = (ours.as_published, ours.as_published_trivial, ours.honest, ours.honest_trivial)
            cells = [*map(_value, values), f"{ours.train_pairs:,}", f"{ours.test_pairs:,}"]
        table.add_row(figure.paper, figure.system, metric_label(figure.metric), _value(figure.printed), *cells)
    return table


def notes_of(figures: "Sequence[PaperFigure]") -> list[str]:
    """Return, for each system, on what ours was measured and why it differs from what is printed."""
    notes = {
        f"paper {figure.paper}, {figure.system}": "; ".join(figure.notes)
        for figure in figures
        if figure.ours is not None
    }
    return [f"{system}: {text}" for system, text in notes.items()]


def faults_table(rows: "Sequence[FaultRow]") -> Table:
    """Return a table with a row for each effect: without the fault, with it, the difference and its 95 % interval."""
    table = Table("fault", "paper", "system", "metric", box=None, pad_edge=False)
    for heading in ("without", "with", "difference"):
        table.add_column(heading, justify="right")
    for row in rows:
        interval = "" if row.low is None or row.high is None else f" ({row.low:+.4f} to {row.high:+.4f})"
        difference = f"{row.faulty - row.honest:+.4f}{interval}"
        table.add_row(row.fault, row.paper, row.system, row.metric, _value(row.honest), _value(row.faulty), difference)
    return table


def _value(value: float | None) -> str:
    return "–" if value is None else f"{value:.4f}"
