"""`recsys tune`."""

from typing import Annotated

import typer
from rich.table import Table

from recsys_dagster.cli.console import console
from recsys_dagster.cli.options import DomainOption
from recsys_dagster.domains import get_domain
from recsys_dagster.settings import read_settings


def tune(
    domain: DomainOption,
    model: Annotated[str, typer.Option("--model", "-m", help="Name of the model.", show_default=False)],
    trials: Annotated[int, typer.Option("--trials", "-n", min=1, help="Choices to have tried in the end.")] = 50,
) -> None:
    """Search for better parameters of a model on the validation fold.

    Killed anywhere, it goes on where it was when run again; with more
    --trials it goes on from its end. What is far off is given up on a quarter
    of the users. The best is kept in models/DOMAIN/MODEL/tuned.json under
    RECSYS_HOME. Needs `recsys run` first. Example:

    [dim]recsys tune --model als --domain movie[/dim]
    """
    from recsys_dagster.experiments.tuning import tune as search
    from recsys_dagster.warehouse.domain_run import DomainRun

    with DomainRun(read_settings(), get_domain(domain)) as run:
        tuned = search(run, model, trials)
    table = Table("parameter", "best", box=None, pad_edge=False)
    for name, value in tuned.params.items():
        table.add_row(name, f"{value:.4g}" if isinstance(value, float) else str(value))
    default = "" if tuned.default_value is None else f", {tuned.default_value:.4f} with the defaults"
    screen = console()
    screen.print(table)
    screen.print(
        f"{tuned.metric} {tuned.value:.4f} on validation{default}; {tuned.trials} tried, {tuned.pruned} given up",
        style="dim",
        soft_wrap=True,
    )
