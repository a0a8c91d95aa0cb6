"""The command `recsys backtest`."""

from typing import Annotated

import typer
from rich.table import Table

from recsys_dagster.cli.console import console
from recsys_dagster.cli.options import DomainOption
from recsys_dagster.ingest.domain_lookup import get_domain
from recsys_dagster.runtime.text import printable
from recsys_dagster.settings import read_settings


def backtest(
    domain: DomainOption,
    windows: Annotated[int, typer.Option("--windows", "-w", min=2, help="Number of past windows.")] = 6,
    models: Annotated[
        str,
        typer.Option(
            "--models", "-m", help="Names, separated by commas; RECSYS_MODELS by default.", show_default=False
        ),
    ] = "",
    days: Annotated[
        int | None,
        typer.Option("--days", min=1, help="Length of a window; by default the shortest with enough users."),
    ] = None,
) -> None:
    """Measure what weekly, monthly and no retraining would have given.

    Each model is fitted on what had happened before each of the last windows
    of time and evaluated on what came after. Needs `recsys run` first, and data
    with times. The page is written next to the domain's report. Example:

    [dim]recsys backtest --domain movie --windows 6 --models popularity,item_knn[/dim]
    """
    settings = read_settings(**({"models": models} if models else {}))
    chosen = get_domain(domain, settings)
    from recsys_dagster.evaluation.metrics.registry import CHOOSING_METRIC, RATING_METRIC, label_of
    from recsys_dagster.experiments.backtest import backtest as run_backtest
    from recsys_dagster.models.selection import selected_models
    from recsys_dagster.reports.backtest_page import write_backtest
    from recsys_dagster.runtime.progress import announce, progress_bar
    from recsys_dagster.warehouse.domain_run import DomainRun

    names = selected_models(settings)
    with (
        DomainRun(settings, chosen) as run,
        progress_bar(f"backtest of {chosen.name}", len(names) * windows) as advance,
    ):
        announce(f"{domain}: dataset {run.origin.dataset_id}")
        result = run_backtest(run, names, windows, days=days, advance=advance)
    page = run.layout.backtest(chosen.name)
    write_backtest(page, chosen.name, result)
    table = Table("model", "retrained", box=None, pad_edge=False)
    for column in (label_of(CHOOSING_METRIC), "against never", label_of(RATING_METRIC)):
        table.add_column(column, justify="right")
    for row in result.schedules:
        gain = "" if row.gain is None else f"{row.gain.value:+.4f} ({row.gain.low:+.4f} to {row.gain.high:+.4f})"
        table.add_row(row.model, row.schedule, f"{row.ndcg:.4f}", gain, "" if row.rmse is None else f"{row.rmse:.4f}")
    screen = console()
    screen.print(table)
    for name, reason in result.skipped.items():
        screen.print(printable(f"{name} skipped: {reason}"), style="dim", soft_wrap=True)
    too_short = f", too long to measure {', '.join(result.too_short)} retraining" if result.too_short else ""
    screen.print(f"{windows} windows of {result.days} days{too_short}; see {page}", style="dim", soft_wrap=True)
