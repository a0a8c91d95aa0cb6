"""Bring the pages up to date after a command that changes the champion."""

from typing import TYPE_CHECKING

import typer

from recsys_dagster.errors import RecsysError
from recsys_dagster.runtime.text import printable

if TYPE_CHECKING:
    from recsys_dagster.warehouse.domain_run import DomainRun


def show_decision_by_hand(run: "DomainRun") -> None:
    """Write the pages anew; if that fails, say so, because the lists are published all the same."""
    from recsys_dagster.orchestration.by_hand import show_decision

    try:
        show_decision(run)
    except RecsysError as error:
        message = f"recsys: the lists are published, but the page still shows the earlier champion: {error}"
        typer.echo(printable(message), err=True)
