"""`recsys backup` and `recsys restore`."""

from pathlib import Path
from typing import Annotated

import typer

from recsys_dagster.runtime.layout import Layout
from recsys_dagster.settings import read_settings


def backup(
    archive: Annotated[Path, typer.Argument(help="File to write, such as recsys.tar.gz; outside RECSYS_HOME.")],
) -> None:
    """Back up the published lists, models, champions and their history.

    Consistent while runs go on. Raw files and tables are not in it: the next
    run makes them again. Dagster's history is, unless it is in PostgreSQL. Example:

    [dim]recsys backup /backups/recsys.tar.gz[/dim]
    """
    from recsys_dagster.lifecycle.backup import write_backup

    written = write_backup(Layout(read_settings().home), archive)
    typer.echo(
        f"{archive}: {len(written.files):,} files, {archive.stat().st_size / 1e6:,.1f} MB; "
        f"published lists of {', '.join(written.domains) or 'no domain'}"
    )


def restore(
    archive: Annotated[Path, typer.Argument(help="File that `recsys backup` wrote.")],
    replace: Annotated[
        bool, typer.Option("--replace", help="Move what is there aside, into a folder under RECSYS_HOME.")
    ] = False,
) -> None:
    """Restore a backup into RECSYS_HOME.

    Every file is compared with its checksum first; a damaged backup changes nothing. Example:

    [dim]recsys restore /backups/recsys.tar.gz[/dim]
    """
    from recsys_dagster.lifecycle.backup import restore_backup

    home = read_settings().home
    restored = restore_backup(archive, Layout(home), replace=replace)
    typer.echo(
        f"{home}: restored {len(restored.files):,} files of {restored.created_at} UTC; "
        f"published lists of {', '.join(restored.domains) or 'no domain'}"
    )
