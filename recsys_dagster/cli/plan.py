"""`recsys plan`."""

from recsys_dagster.cli.console import console, numbers_table
from recsys_dagster.cli.options import DomainOption
from recsys_dagster.ingest.domain_lookup import get_domain
from recsys_dagster.runtime.text import printable
from recsys_dagster.settings import read_settings


def plan(domain: DomainOption) -> None:
    """Estimate the time and memory of each step of the next run, and whether Spark is advised.

    The sizes are those of the published run, or are guessed from the raw files. The
    estimates are for two cores. Nothing is run.

    Example: [dim]RECSYS_DATASET_MOVIE=sample-movie-full recsys plan --domain movie[/dim]
    """
    settings = read_settings()
    from recsys_dagster.experiments.plan import plan_run
    from recsys_dagster.models.budget import rough_time
    from recsys_dagster.runtime.units import GIB

    planned = plan_run(settings, get_domain(domain, settings))
    size, screen = planned.size, console()
    screen.print(
        printable(
            f"{planned.dataset}: {planned.raw_rows:,} raw rows ({planned.raw_bytes / GIB:.2f} GiB),"
            f" {size.pairs:,} pairs of {size.users:,} users and {size.items:,} items ({planned.known_from})"
        ),
        soft_wrap=True,
    )
    table = numbers_table("step", "time", "memory", "")
    for step in planned.steps:
        skipped = "skipped: over the budget" if step.skipped else ""
        table.add_row(step.name, rough_time(step.seconds), f"{step.bytes / GIB:.1f} GiB", skipped)
    table.add_section()
    table.add_row("the whole run", rough_time(planned.seconds), f"{planned.bytes / GIB:.1f} GiB", "")
    screen.print(table)
    screen.print(printable(planned.advice), soft_wrap=True)
