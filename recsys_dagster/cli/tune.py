"""The command `recsys tune`."""

import math
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from recsys_dagster.cli.console import console
from recsys_dagster.cli.options import KNOWN_DOMAINS
from recsys_dagster.errors import UsageError
from recsys_dagster.ingest.domain_lookup import get_domain
from recsys_dagster.settings import read_settings

if TYPE_CHECKING:
    from recsys_dagster.experiments.joint_tuning import JointResult
    from recsys_dagster.model_store.tuned import Tuned


def tune(
    domain: Annotated[
        list[str],
        typer.Option("--domain", "-d", help=f"One of: {KNOWN_DOMAINS}. Several: repeat it.", show_default=False),
    ],
    model: Annotated[str, typer.Option("--model", "-m", help="Name of the model.", show_default=False)] = "",
    trials: Annotated[int, typer.Option("--trials", "-n", min=1, help="Number of trials of a search in the end.")] = 50,
    all_models: Annotated[
        bool, typer.Option("--all", help="Tune every model that has parameters to search, one after the other.")
    ] = False,
    minutes: Annotated[
        float | None,
        typer.Option("--minutes", min=0, help="Time for all searches, divided evenly; none: no limit."),
    ] = None,
) -> None:
    """Search for better parameters of a model on the validation fold.

    A search that was stopped continues when the command is run again, and one
    that has ended with more --trials. Bad trials are stopped after a quarter of
    the users. The best parameters are kept in models/DOMAIN/MODEL/tuned.json
    under RECSYS_HOME and used by the next fit. With several domains, what was
    found on each is tried on the others, and what loses least is printed. Needs
    `recsys run` first.

    Examples:
    [dim]recsys tune --model als --domain movie[/dim]
    [dim]recsys tune --all --domain movie --domain anime --minutes 60[/dim]
    """
    from recsys_dagster.experiments.joint_tuning import tune_jointly
    from recsys_dagster.experiments.tuning import get_searchable, searchable_models
    from recsys_dagster.runtime.progress import announce
    from recsys_dagster.warehouse.domain_run import DomainRun

    if bool(model) == all_models:
        raise UsageError("give either --model NAME or --all")
    models = searchable_models() if all_models else [get_searchable(model).name]
    settings = read_settings()
    domains = [get_domain(name, settings).name for name in dict.fromkeys(domain)]
    for name in domains:
        with DomainRun(settings, get_domain(name, settings)) as run:
            announce(f"{name}: dataset {run.origin.dataset_id}")
    seconds = math.inf if minutes is None else 60 * minutes
    results = tune_jointly(settings, domains, models, trials, seconds)
    for result in results.values():
        for tuned in result.tuned.values():
            _print_tuned(tuned)
    if len(domains) > 1 or all_models:
        _print_joint(results)
    if not results:
        raise UsageError("no search found anything; the reasons are given above")


def _print_tuned(tuned: "Tuned") -> None:
    table = Table(f"{tuned.model}, {tuned.domain}", "best", box=None, pad_edge=False)
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


def _print_joint(results: "dict[str, JointResult]") -> None:
    """Print, for each model and domain, what the defaults and the parameters for all domains lose to the best ones."""
    from recsys_dagster.experiments.joint_tuning import DEFAULTS

    table = Table("model", "domain", "metric", box=None, pad_edge=False)
    for column in ("tuned", "defaults lose", "best for all", "lose"):
        table.add_column(column, justify="right")
    for name, result in results.items():
        for domain, tuned in result.tuned.items():
            losses = (result.loss(params, domain) for params in (DEFAULTS, result.chosen))
            of_defaults, of_chosen = (f"{share:.1%}" for share in losses)
            chosen = result.chosen if result.chosen == DEFAULTS else f"those of {result.chosen}"
            table.add_row(name, domain, tuned.metric, f"{tuned.value:.4f}", of_defaults, chosen, of_chosen)
    console().print(table)
