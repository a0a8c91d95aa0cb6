"""`recsys feedback`."""

import typer
from rich.table import Table

from recsys_dagster.cli.console import console
from recsys_dagster.cli.options import DomainOption
from recsys_dagster.ingest.domain_lookup import get_domain
from recsys_dagster.runtime.layout import Layout
from recsys_dagster.settings import read_settings


def feedback(domain: DomainOption) -> None:
    """Print how often the items that `recsys serve` listed were clicked, by model and position.

    The service stores this with RECSYS_FEEDBACK=on. Several clicks on an item
    of a list count once; the interval is Wilson's. RECSYS_FEEDBACK_EVENTS says
    what a click is.
    """
    settings = read_settings()
    layout, name = Layout(settings.home), get_domain(domain, settings).name
    from recsys_dagster.serving.feedback import click_through

    rows = click_through(layout, name, settings.feedback_events)
    if not rows:
        typer.echo(f"No list of {name} was served with RECSYS_FEEDBACK=on yet.")
        return
    table = Table("model", box=None, pad_edge=False)
    for heading in ("position", "shown", "clicked", "share", "95 % interval"):
        table.add_column(heading, justify="right")
    for row in rows:
        interval = f"{row.low:.4f} to {row.high:.4f}"
        table.add_row(row.model, str(row.position), f"{row.shown:,}", f"{row.clicked:,}", f"{row.share:.4f}", interval)
    console().print(table)
