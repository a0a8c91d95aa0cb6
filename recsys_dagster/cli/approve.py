"""`recsys approve`."""

from typing import Annotated

import typer

from recsys_dagster.cli.options import DomainOption
from recsys_dagster.cli.pages import show_decision_by_hand
from recsys_dagster.errors import IncompleteError, RecsysError
from recsys_dagster.ingest.domain_lookup import get_domain
from recsys_dagster.settings import read_settings


def approve(
    domain: DomainOption,
    reason: Annotated[str, typer.Option("--reason", help="For the history.")] = "approved by hand",
) -> None:
    """Publish the lists that wait, and make their model the champion.

    They are swapped in as a run does it, and copied to the targets of RECSYS_EXPORT.
    `recsys review` shows them before, `recsys rollback` undoes it. Example:

    [dim]recsys approve --domain movie[/dim]
    """
    settings = read_settings()

    from recsys_dagster.lifecycle.waiting import approve as approve_waiting
    from recsys_dagster.serving.export.sinks import export_everywhere
    from recsys_dagster.warehouse.domain_run import DomainRun

    chosen = get_domain(domain, settings)
    with DomainRun(settings, chosen) as run:
        lists = approve_waiting(run, reason)
        typer.echo(f"{chosen.name}: published the lists of {lists.model} {lists.version}")
        show_decision_by_hand(run)
        try:
            export_everywhere(run.layout.published(chosen.name), settings)
        except RecsysError as error:
            raise IncompleteError(str(error)) from error
