"""`recsys promote`."""

from typing import Annotated

import typer

from recsys_dagster.cli.options import DomainOption
from recsys_dagster.cli.pages import show_decision_by_hand
from recsys_dagster.ingest.domain_lookup import get_domain
from recsys_dagster.settings import read_settings


def promote(
    domain: DomainOption,
    model: Annotated[str, typer.Option("--model", "-m", help="Name of the model.", show_default=False)],
    reason: Annotated[str, typer.Option("--reason", help="For the history.", show_default=False)],
    version: Annotated[
        str | None, typer.Option("--version", help="Version of the model; default: the current one.")
    ] = None,
) -> None:
    """Make a model the champion by hand, and publish its lists.

    The gate of a run does the same, but only if the model is significantly better.
    The lists go through the same checks; if one fails, nothing is changed.
    `recsys rollback` undoes it. Example:

    [dim]recsys promote --domain movie --model ease --reason "longer tail"[/dim]
    """
    settings = read_settings()

    from recsys_dagster.lifecycle.promotion import promote as promote_version
    from recsys_dagster.warehouse.domain_run import DomainRun

    chosen = get_domain(domain, settings)
    with DomainRun(settings, chosen) as run:
        lists = promote_version(run, model, version, reason)
        typer.echo(f"{chosen.name}: published the lists of {lists.model} {lists.version}")
        show_decision_by_hand(run)
