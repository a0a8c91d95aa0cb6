"""`recsys reject`."""

from typing import Annotated

import typer

from recsys_dagster.cli.options import DomainOption
from recsys_dagster.ingest.domain_lookup import get_domain
from recsys_dagster.runtime.layout import Layout
from recsys_dagster.settings import read_settings


def reject(
    domain: DomainOption,
    reason: Annotated[str, typer.Option("--reason", help="For the history.", show_default=False)],
) -> None:
    """Remove the lists that wait; what is published stays. Example:

    [dim]recsys reject --domain movie --reason "too many sequels"[/dim]
    """
    settings = read_settings()

    from recsys_dagster.lifecycle.waiting import reject as reject_waiting
    from recsys_dagster.runtime.locks import domain_lock

    layout, name = Layout(settings.home), get_domain(domain, settings).name
    with domain_lock(layout, name):
        waiting = reject_waiting(layout, name, reason)
    live = f"the lists of {waiting.live.model} stay" if waiting.live else "nothing is published yet"
    typer.echo(f"{name}: rejected the lists of {waiting.decision.model} {waiting.decision.version}; {live}")
