"""`recsys history`."""

import json
from dataclasses import asdict
from typing import Annotated

import typer

from recsys_dagster.cli.console import console, history_table
from recsys_dagster.cli.options import DomainOption
from recsys_dagster.ingest.domain_lookup import get_domain
from recsys_dagster.runtime.layout import Layout
from recsys_dagster.settings import read_settings


def history(
    domain: DomainOption,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, with all metrics.")] = False,
) -> None:
    """List who was champion when, why, and by whose decision, and what was rejected; the latest first.

    Example: [dim]recsys history --domain movie[/dim]
    """
    settings = read_settings()
    name = get_domain(domain, settings).name
    from recsys_dagster.lifecycle.pending import published_history
    from recsys_dagster.model_store.decisions import read_rejections

    layout = Layout(settings.home)
    rejections = [one.as_decision() for one in read_rejections(layout, name)]
    decisions = sorted([*published_history(layout, name), *rejections], key=lambda one: one.at)
    if as_json:
        rows = [asdict(row) | {"rejected": row in rejections} for row in reversed(decisions)]
        typer.echo(json.dumps(rows, ensure_ascii=False, indent=2))
    elif decisions:
        console().print(history_table(decisions))
    else:
        typer.echo(f"{name} has no champion yet; `recsys run --domain {name}` chooses one", err=True)
