"""Choose the sink for a target, and export a domain to it."""

from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from recsys_dagster.errors import RecsysError, UsageError
from recsys_dagster.runtime.urls import HIDDEN
from recsys_dagster.serving.database import path_without_lock
from recsys_dagster.serving.export.files import FORMATS, export_files
from recsys_dagster.serving.export.postgres import export_to_postgres
from recsys_dagster.serving.export.redis import export_to_redis
from recsys_dagster.settings import Settings

_POSTGRES = ("postgresql", "postgres")
_REDIS = ("redis", "rediss")


@dataclass(frozen=True)
class Exported:
    """What was written to a target.

    Attributes:
        target: the target, without secrets.
        rows: number of recommendations.
    """

    target: str
    rows: int


def export(published: Path, target: str, format_: str = "parquet") -> Exported:
    """Export a published file.

    Args:
        published: the published file.
        target: a folder, or the address of a PostgreSQL or Redis server.
        format_: of the files in a folder: parquet, csv or jsonl.

    Raises:
        UsageError: the target or the format is of no known kind.
        RecsysError: nothing is published, or the target cannot be written; what it held before stays.
    """
    scheme = urlsplit(target).scheme.lower() if "://" in target else ""
    if scheme and scheme not in (*_POSTGRES, *_REDIS):
        raise UsageError(f"{scheme}://: not a known target; use a folder, postgresql://… or redis://…")
    if format_ not in FORMATS:
        raise UsageError(f"unknown format {format_!r}; known: {', '.join(FORMATS)}")
    if not published.exists():
        raise RecsysError(
            f"{published}: nothing is published for {published.stem} yet; run `recsys run --domain {published.stem}`"
        )
    with path_without_lock(published) as readable:
        if scheme in _POSTGRES:
            rows = export_to_postgres(readable, target)
        elif scheme in _REDIS:
            rows = export_to_redis(readable, target)
        else:
            rows = export_files(readable, Path(target).expanduser(), format_)
    return Exported(shown(target), rows)


def export_everywhere(published: Path, settings: Settings) -> list[Exported]:
    """Export a published file to every target of RECSYS_EXPORT, also when one of them fails.

    Raises:
        RecsysError: some targets could not be written; the message names them all.
    """
    written, failures = [], []
    for target in settings.export:
        try:
            written.append(export(published, target.get_secret_value()))
        except RecsysError as error:
            failures.append(f"{shown(target.get_secret_value())}: {error}")
    if failures:
        raise RecsysError("; ".join(failures))
    return written


def shown(target: str) -> str:
    """Return a target without the user, the password and the options of an address.

    >>> shown("postgresql://shop:secret@db.example/shop?sslmode=require"), shown("exports")
    ('postgresql://db.example/shop', 'exports')
    """
    if "://" not in target:
        return target
    try:
        parts = urlsplit(target)
        return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"
    except ValueError:
        return HIDDEN
