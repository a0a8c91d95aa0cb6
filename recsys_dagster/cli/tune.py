"""The command `recsys tune`."""

from typing import Annotated

import typer
from rich.table import Table

from recsys_dagster.cli.console import console
from recsys_dagster.cli.options import DomainOption
from recsys_dagster.ingest.catalogue import get_domain
from recsys_dagster.settings import read_settings


def tune(
    domain: DomainOption,
    model: Annotated[str, typer.Option("--model", "-m", help="Name of the model.", show_default=False)],
    trials: Annotated[int, typer.Option("--trials", "-n", min=1, help="Number of trials in the end.")] = 50,
) -> None:
    """Search for better parameters of a model on the validation fold.

    A search that was stopped continues when the command is run again, and one
    that has ended with more --trials. Bad trials are stopped after a quarter of
    the users. The best parameters are kept in models/DOMAIN/MODEL/tuned.json
    under RECSYS_HOME and used by the next fit. Needs `recsys run` first.

    Example:
    [dim]recsys tune --model als --domain movie[/dim]
    """
    from recsys_dagster.experiments.tuning import get_searchable
    from recsys_dagster.experiments.tuning import tune as search
    from recsys_dagster.runtime.progress import announce
    from recsys_dagster.warehouse.domain_run import DomainRun

    get_searchable(model)  # a name that does not exist is refused before anything is opened
    settings = read_settings()
    with DomainRun(settings, get_domain(domain, settings)) as run:
        announce(f"{domain}: dataset {run.origin.dataset_id}")
        tuned = search(run, model, trials)
    table = Table("parameter", "best", box=None, pad_edge=False)
    for name, value in tuned.params.items():
        table.add_row(name, f"{value:.4g}" if isinstance(value, float) else str(value))
    default = "" if tuned.default_value is None else f", {tuned.default_value:.4f} with the defaults"
    screen = console()
    screen.print(table)
    screen.print(
        f"{tuned.metric} {tuned.value:.4f} on validation{default}; {tuned.trials} trials, {tuned.pruned} of them "
        "stopped early",
        style="dim",
        soft_wrap=True,
    )
