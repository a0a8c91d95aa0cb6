"""Bring the pages up to date after a command that changes the champion."""

from typing import TYPE_CHECKING

import typer

from recsys_dagster.errors import RecsysError
from recsys_dagster.runtime.text import printable

if TYPE_CHECKING:
    from recsys_dagster.warehouse.domain_run import DomainRun


def show_decision_by_hand(run: "DomainRun") -> None:
    """Write the pages anew, and show the champion in MLflow; say what fails, as the lists are published even so."""
    from recsys_dagster.experiments.tracking import describe_untracked, track_champion
    from recsys_dagster.orchestration.by_hand import show_decision

    try:
        show_decision(run)
    except RecsysError as error:
        message = f"recsys: the lists are published, but the page still shows the earlier champion: {error}"
        typer.echo(printable(message), err=True)
    try:
        track_champion(run.settings, run.domain.name)
    except RecsysError as error:
        typer.echo(printable(f"recsys: {describe_untracked(error)}"), err=True)
