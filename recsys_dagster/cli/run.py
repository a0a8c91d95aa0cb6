"""`recsys run`."""

import os
import shlex
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from recsys_dagster.cli.console import console, leaderboard_table
from recsys_dagster.cli.options import ALL, KNOWN_DOMAINS
from recsys_dagster.errors import IncompleteError, RecsysError, WaitingError
from recsys_dagster.ingest.domain_lookup import get_domain, known_domains
from recsys_dagster.runtime.text import printable
from recsys_dagster.settings import read_settings

if TYPE_CHECKING:
    from recsys_dagster.orchestration.run import PublishedDomain

SHOWN_MODELS = 5


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
    switch_dataset: Annotated[
        bool, typer.Option("--switch-dataset", help="Replace published lists by those of another dataset.")
    ] = False,
) -> None:
    """Run the whole pipeline for a domain: fetch, clean, train, evaluate, publish.

    If it is killed or fails, what was published before stays; run it again. If a model fails, the others go on: the
    lists come from the best of them, and the exit code is 3. With RECSYS_PROMOTION=manual the lists wait for
    [bold]recsys approve[/bold], and the exit code is 4. The runs are recorded in the history that
    [bold]recsys ui[/bold] shows. Examples:

    [dim]recsys run[/dim]

    [dim]RECSYS_DATASET_MOVIE=ml-latest-small recsys run --domain movie[/dim]
    """
    settings = read_settings(**({"models": models} if models else {}))

    from recsys_dagster.lifecycle.dataset_choice import DatasetSwitchError
    from recsys_dagster.orchestration.run import run_domains

    names = known_domains(settings) if domain == ALL else [get_domain(domain, settings).name]

    switched = set(names) if switch_dataset else set()
    while True:
        try:
            result = run_domains(settings, names, switched=switched)
            break
        except DatasetSwitchError as error:
            on_terminal = sys.stdin.isatty() and sys.stderr.isatty()
            if not on_terminal or not typer.confirm(f"{printable(str(error))}. Replace them now?", err=True):
                raise
            switched.add(error.domain)
    for name, published in result.published.items():
        _show(name, published)
    if result.published and not result.waiting:
        _show_next_steps(*next(iter(result.published.items())))
    if result.unpublished:
        raise RecsysError("\n".join([*result.failures, *result.waiting]))
    if result.failures:
        raise IncompleteError("\n".join([*result.failures, *result.waiting]))
    if result.waiting:
        raise WaitingError("\n".join(result.waiting))


def _show(domain: str, published: "PublishedDomain") -> None:
    """Print the best models of the run, and where the lists and the report are."""
    screen, origin, sizes = console(), published.provenance, published.sizes
    screen.print(
        f"\n{domain}: {origin.dataset}, {origin.trained_rows:,} interactions of {sizes['users']:,} users "
        f"with {sizes['items']:,} items"
    )
    screen.print(leaderboard_table(published.leaderboard, origin.model, SHOWN_MODELS))
    screen.print(printable(f"lists of {origin.model}: {published.lists}"), soft_wrap=True)
    screen.print(printable(f"report: {published.report}"), soft_wrap=True)
    for line in published.skipped:
        screen.print(printable(line), style="dim", soft_wrap=True)


def _show_next_steps(domain: str, published: "PublishedDomain") -> None:
    command = Path(sys.argv[0])
    is_on_path = shutil.which("recsys") is not None
    name = "recsys" if is_on_path else os.path.relpath(command)
    screen = console()
    screen.print("\nNext:")
    user = shlex.quote(str(published.example_user))
    screen.print(printable(f"  {name} recommend --domain {domain} --user {user}"), soft_wrap=True)
    screen.print(f"  {'make dev' if Path('Makefile').is_file() else f'{name} ui'}", soft_wrap=True)
