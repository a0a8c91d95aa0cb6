"""`recsys ui`."""

from typing import Annotated

import typer

from recsys_dagster.settings import read_settings


def ui(
    port: Annotated[int, typer.Option("--port", min=1, max=65535, help="Port of the UI on 127.0.0.1.")] = 3000,
) -> None:
    """Open the Dagster UI on the history of all runs, until Ctrl-C.

    It shows the lineage graph, every asset with its metadata, plots and checks,
    and every run. `make dev` installs what it needs. Example:

    [dim]recsys ui --port 3100[/dim]
    """
    settings = read_settings()
    from recsys_dagster.orchestration.ui import run_ui

    raise typer.Exit(run_ui(settings, port))
