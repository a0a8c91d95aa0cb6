"""`recsys run`."""

from typing import Annotated

import typer

from recsys_dagster.cli.options import ALL, KNOWN_DOMAINS
from recsys_dagster.domains import DOMAINS, get_domain
from recsys_dagster.settings import read_settings


def run(
    domain: Annotated[
        str, typer.Option("--domain", "-d", help=f"One of: {KNOWN_DOMAINS}; {ALL}: one after the other.")
    ] = ALL,
    models: Annotated[
        str,
        typer.Option(
            "--models", "-m", help=f"Names, separated by commas; {ALL}; else RECSYS_MODELS.", show_default=False
        ),
    ] = "",
) -> None:
    """Do everything for a domain: fetch, clean, train, evaluate, publish.

    Killed or failed anywhere, it leaves what was published before; run it again. A model that fails does not stop the
    others: the lists are the best one's that is left, and the exit code is 3. Examples:

    [dim]recsys run[/dim]

    [dim]RECSYS_MOVIE_DATASET=ml-latest-small recsys run --domain movie[/dim]
    """
    names = list(DOMAINS) if domain == ALL else [get_domain(domain).name]
    settings = read_settings(**({"models": models} if models else {}))
    from recsys_dagster.orchestration.run import run_domains

    run_domains(settings, names)
