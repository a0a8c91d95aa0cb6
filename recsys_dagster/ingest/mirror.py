"""Find the archive of a dataset in the mirror, which is a folder or a URL."""

from pathlib import Path

from recsys_dagster.errors import RecsysError
from recsys_dagster.ingest.catalogue import Dataset, Generated
from recsys_dagster.runtime.storage import sha256
from recsys_dagster.runtime.urls import HIDDEN, is_url, with_suffix
from recsys_dagster.settings import Settings


def archive_in_mirror(dataset: Dataset, settings: Settings) -> Path | None:
    """Return the path of the dataset's archive if the mirror is a folder that contains it.

    Raises:
        RecsysError: RECSYS_MIRROR is neither an existing folder nor a URL.
    """
    mirror = _mirror_of(dataset, settings)
    if mirror is None or is_url(mirror):
        return None
    folder = Path(mirror).expanduser()
    if not folder.is_dir():
        shown = HIDDEN if "@" in mirror or "?" in mirror else mirror
        raise RecsysError(
            f"RECSYS_MIRROR={shown} is neither a folder nor a URL; name one that has {dataset.id}.zip, or unset it to "
            "ask the publisher"
        )
    archive = folder.resolve() / f"{dataset.id}.zip"
    return archive if archive.is_file() else None


def archive_url(dataset: Dataset, settings: Settings) -> str | None:
    """Return the URL of the dataset's archive, with its secrets, if the mirror is a URL."""
    mirror = _mirror_of(dataset, settings)
    return with_suffix(mirror, f"/{dataset.id}.zip") if mirror is not None and is_url(mirror) else None


def archive_identity(archive: Path) -> str:
    """Return the identity of an archive for the manifest: its checksum."""
    return f"sha256:{sha256(archive)}"


def _mirror_of(dataset: Dataset, settings: Settings) -> str | None:
    """Return RECSYS_MIRROR; None if it is not set, or if the dataset is generated."""
    if isinstance(dataset.source, Generated) or settings.mirror is None:
        return None
    return settings.mirror.get_secret_value()
