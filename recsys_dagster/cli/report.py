"""`recsys report`."""

from typing import Annotated

import typer

from recsys_dagster.cli.options import DomainOption, read_settings
from recsys_dagster.domains import get_domain
from recsys_dagster.errors import RecsysError
from recsys_dagster.runtime.layout import Layout


def report(
    domain: DomainOption,
    open_it: Annotated[bool, typer.Option("--open", help="Open it in the browser, too.")] = False,
) -> None:
    """Print where the domain's page is: data, leaderboard, learning curves, lists.

    Example: [dim]recsys report --domain movie --open[/dim]
    """
    path = Layout(read_settings().home).report(get_domain(domain).name).absolute()
    if not path.exists():
        raise RecsysError(f"{path}: there is no report on {domain} yet; run `recsys run --domain {domain}` first")
    typer.echo(path)
    if open_it:
        import webbrowser

        if not webbrowser.open(path.as_uri()):
            raise RecsysError(f"{path}: no browser could be started; open the file by hand")
