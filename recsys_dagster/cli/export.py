"""`recsys export`."""

from pathlib import Path
from typing import Annotated

import typer

from recsys_dagster.cli.options import DomainOption
from recsys_dagster.errors import UsageError
from recsys_dagster.ingest.domain_lookup import get_domain
from recsys_dagster.runtime.layout import Layout
from recsys_dagster.settings import read_settings


def export(
    domain: DomainOption,
    out: Annotated[Path | None, typer.Option("--out", help="Folder to write files to.")] = None,
    to: Annotated[str | None, typer.Option("--to", help="postgresql://… or redis://… to write to.")] = None,
    format_: Annotated[str, typer.Option("--format", help="Of the files: parquet, csv or jsonl.")] = "parquet",
) -> None:
    """Copy the published lists to files, to PostgreSQL or to Redis.

    Readers of the target never see a mix of two publications. With RECSYS_EXPORT
    every publication is copied by itself. Examples:

    [dim]recsys export --domain movie --format csv --out exports[/dim]

    [dim]recsys export --domain movie --to postgresql://recsys@db.example/shop[/dim]
    """
    if (out is None) == (to is None):
        raise UsageError("give one of '--out' and '--to'")
    settings = read_settings()
    path = Layout(settings.home).published(get_domain(domain, settings).name)
    from recsys_dagster.serving.export.sinks import export as export_to

    written = export_to(path, str(out) if to is None else to, format_)
    typer.echo(f"{domain}: {written.rows:,} recommendations written to {written.target}")
