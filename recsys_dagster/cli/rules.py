"""`recsys rules`."""

from typing import Annotated

import typer

from recsys_dagster.cli.console import console, numbers_table
from recsys_dagster.cli.options import DomainOption
from recsys_dagster.errors import RecsysError
from recsys_dagster.ingest.domain_lookup import get_domain
from recsys_dagster.runtime.layout import Layout
from recsys_dagster.runtime.text import printable
from recsys_dagster.settings import read_settings


def rules(
    domain: DomainOption,
    check: Annotated[
        bool, typer.Option("--check", help="Fail if a published list has an item that the rules forbid.")
    ] = False,
) -> None:
    """Check the rules of a domain, and show what they forbid in the published lists.

    They are RECSYS_HOME/rules/<domain>.yaml; docs/how-to/rules.md describes them.
    Lists that are made by request follow them at once, those that are published
    with the next run. Example:

    [dim]recsys rules --domain movie[/dim]
    """
    settings = read_settings()
    layout, name = Layout(settings.home), get_domain(domain, settings).name
    from recsys_dagster.serving.lookup import PublishedFile
    from recsys_dagster.serving.rule_hits import rule_hits
    from recsys_dagster.serving.rules import check_names, read_rules

    path = layout.rules(name)
    known = read_rules(path)
    if not known:
        typer.echo(f"{printable(str(path))}: there are no rules for {name}", err=True)
        return
    with PublishedFile(layout.published(name)) as published:
        check_names(known, published.indices().genre_names, path)
    hits = rule_hits(layout.published(name), known)
    table = numbers_table("rule", "items", "entries of published lists")
    for rule, items in sorted(hits.items.items()):
        table.add_row(printable(rule), f"{items:,}", f"{hits.entries.get(rule, 0):,}")
    if known.caps:
        table.add_row("caps", "", f"{hits.over_caps:,}")
    console().print(table)
    if hits.unknown:
        typer.echo(f"no item has the id {printable(', '.join(hits.unknown))}", err=True)
    if check and (hits.entries or hits.over_caps):
        raise RecsysError(
            f"{path}: {sum(hits.entries.values()):,} entries of published lists are forbidden, and {hits.over_caps:,} "
            f"groups of a list exceed a cap; `recsys run --domain {name}` publishes lists without them"
        )
