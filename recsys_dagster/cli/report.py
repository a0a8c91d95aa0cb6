"""`recsys report`."""

from typing import Annotated

import typer

from recsys_dagster.cli.options import DomainOption
from recsys_dagster.errors import RecsysError
from recsys_dagster.ingest.domain_lookup import get_domain
from recsys_dagster.runtime.layout import Layout
from recsys_dagster.settings import read_settings


def report(
    domain: DomainOption,
    open_it: Annotated[bool, typer.Option("--open", help="Also open it in the browser.")] = False,
) -> None:
    """Print the path of the domain's page, which shows data, leaderboard, models and lists.

    Example: [dim]recsys report --domain movie --open[/dim]
    """
    settings = read_settings()
    path = Layout(settings.home).report(get_domain(domain, settings).name).absolute()
    if not path.exists():
        raise RecsysError(
            f"{path}: there is no report of {domain} yet; run `recsys run --domain {domain}` first, "
            "or set RECSYS_HOME to the folder that has it"
        )
    typer.echo(path)
    if open_it:
        import webbrowser

        if not webbrowser.open(path.as_uri()):
            raise RecsysError(f"{path}: no browser could be started; open the file yourself")
