"""`recsys review`."""

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from recsys_dagster.cli.console import console, numbers_table
from recsys_dagster.cli.options import DomainOption
from recsys_dagster.ingest.domain_lookup import get_domain
from recsys_dagster.runtime.layout import Layout
from recsys_dagster.runtime.text import printable
from recsys_dagster.settings import read_settings

if TYPE_CHECKING:
    from recsys_dagster.lifecycle.review import Figure, ItemChange, Review, UserChange
    from recsys_dagster.lifecycle.waiting import Waiting


def review(
    domain: DomainOption,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show lists that wait for approval: who wins, what changes for whom, twenty lists old beside new.

    With RECSYS_PROMOTION=manual a run leaves its lists to wait. The report page shows
    the same. Then [bold]recsys approve[/bold] or [bold]recsys reject[/bold]. Example:

    [dim]recsys review --domain movie[/dim]
    """
    settings = read_settings()
    name = get_domain(domain, settings).name
    from recsys_dagster.lifecycle.waiting import require_waiting

    waiting = require_waiting(Layout(settings.home), name)
    if as_json:
        typer.echo(json.dumps(asdict(waiting), default=str, ensure_ascii=False, indent=2))
        return
    _print_waiting(waiting)
    typer.echo(f'\nrecsys approve --domain {name}\nrecsys reject --domain {name} --reason "…"')


def _print_waiting(waiting: "Waiting") -> None:
    screen, changes = console(), waiting.review
    screen.print(f"waits: {waiting.lists}; live: {waiting.live or 'nothing'}")
    screen.print(printable(waiting.decision.reason), soft_wrap=True)
    screen.print(_metrics_table(changes))
    if changes.parts:
        table = numbers_table("users", "number", "of ten titles stay", "without a change")
        for part in changes.parts:
            table.add_row(part.part, f"{part.users:,}", f"{part.kept:.0%}", f"{part.unchanged:.0%}")
        screen.print()
        screen.print(table)
        screen.print(
            f"{changes.gained:,} titles are among the first ten of a list only now, {changes.lost:,} no longer"
        )
        screen.print(_items_table(changes.rising, changes.falling))
    if changes.rules:
        table = numbers_table("rule", "titles", "entries of live lists")
        for hit in changes.rules:
            table.add_row(printable(hit.rule), f"{hit.items:,}", f"{hit.live_entries:,}")
        screen.print()
        screen.print(table)
    for user in changes.users:
        screen.print()
        screen.print(_user_table(user, has_live=waiting.live is not None))


def _metrics_table(changes: "Review") -> Table:
    table = numbers_table("metric on validation", "live", "waits")
    for row in changes.metrics:
        table.add_row(row.metric, _figure(row.live), _figure(row.new))
    return table


def _figure(figure: "Figure | None") -> str:
    if figure is None:
        return ""
    interval = "" if figure.low is None or figure.high is None else f" ({figure.low:.4f} to {figure.high:.4f})"
    return f"{figure.value:.4f}{interval}"


def _items_table(rising: "list[ItemChange]", falling: "list[ItemChange]") -> Table:
    table = numbers_table("title", "live lists", "waiting lists")
    for item in (*rising, *falling):
        table.add_row(printable(item.title), f"{item.live:,}", f"{item.new:,}")
    return table


def _user_table(user: "UserChange", *, has_live: bool) -> Table:
    """Return the two lists side by side, + before a title that is new."""
    title = f"user {printable(str(user.user_id))}"
    table = Table("", *([f"{title}, live"] if has_live else []), f"{title}, waits", box=None, pad_edge=False)
    for rank in range(max(len(user.live), len(user.new))):
        old, new = (printable(titles[rank]) if rank < len(titles) else "" for titles in (user.live, user.new))
        mark = "+ " if has_live and new and user.new[rank] not in user.live else "  "
        table.add_row(str(rank + 1), *([old] if has_live else []), f"{mark}{new}")
    return table
