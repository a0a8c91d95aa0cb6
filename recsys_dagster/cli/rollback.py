"""`recsys rollback`."""

from typing import Annotated

import typer

from recsys_dagster.cli.options import DomainOption
from recsys_dagster.cli.pages import show_decision_by_hand
from recsys_dagster.ingest.domain_lookup import get_domain
from recsys_dagster.runtime.layout import Layout
from recsys_dagster.settings import read_settings


def rollback(
    domain: DomainOption,
    reason: Annotated[str, typer.Option("--reason", help="For the history.")] = "rolled back by hand",
) -> None:
    """Go back to the lists that were published before, and to their champion.

    It takes seconds, because the files are kept. Run it again to go back another
    step, as long as earlier lists are kept (RECSYS_KEEP_LISTS). Example:

    [dim]recsys rollback --domain movie --reason "only one genre in the lists"[/dim]
    """
    settings = read_settings()

    from recsys_dagster.lifecycle.rollback import rollback as restore_previous

    chosen = get_domain(domain, settings)
    lists = restore_previous(Layout(settings.home), chosen.name, reason)
    typer.echo(
        f"{chosen.name}: the lists are {lists.model}'s again, version {lists.version}, "
        f"published {lists.created_at:%Y-%m-%d %H:%M} UTC"
    )
    from recsys_dagster.warehouse.domain_run import DomainRun

    with DomainRun(settings, chosen) as run:
        show_decision_by_hand(run)
