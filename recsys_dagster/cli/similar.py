"""`recsys similar`."""

from typing import Annotated

import typer
from rich.table import Table

from recsys_dagster.cli.console import console
from recsys_dagster.cli.options import DomainOption
from recsys_dagster.ingest.domain_lookup import get_domain
from recsys_dagster.runtime.layout import Layout
from recsys_dagster.runtime.text import printable
from recsys_dagster.settings import read_settings


def similar(
    domain: DomainOption,
    title: Annotated[str, typer.Argument(help="Name of the item, or #<id>.")],
    n: Annotated[int, typer.Option("--number", "-n", min=1, help="Length of the list.")] = 10,
) -> None:
    """Print the items that most resemble an item, by the users that they have in common.

    [dim]recsys similar --domain movie Heat[/dim]
    """
    settings = read_settings()
    layout, name = Layout(settings.home), get_domain(domain, settings).name
    from recsys_dagster.serving.item_finder import ItemFinder
    from recsys_dagster.serving.lookup import PublishedFile
    from recsys_dagster.serving.rules import read_rules

    with PublishedFile(layout.published(name)) as published:
        item = ItemFinder(published.named_items()).find(title)
        found = published.similar(item.item_id, n, read_rules(layout.rules(name)))
    if not found:
        typer.echo(f"Nothing is known to be similar to {item.label}.")
        return
    table = Table("title", "kind", box=None, pad_edge=False)
    table.add_column("year", justify="right")
    table.add_column("score", justify="right")
    for other, score in found:
        table.add_row(printable(other.title), printable(other.kind or ""), str(other.year or ""), f"{score:.4g}")
    console().print(table)
