"""Find the archive of a dataset in the mirror, which is a folder or a URL."""

import functools
import time
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


def is_settled(path: Path, seconds: float) -> bool:
    """Return whether a file was last modified so many seconds ago, so that it is complete; see `watched_identity`."""
    status = path.stat()
    now = time.time()
    past = [when for when in (status.st_mtime, status.st_ctime) if when <= now]
    return not past or now - min(past) >= seconds


def watched_identity(archive: Path, settled_seconds: float) -> str | None:
    """Return the identity of an archive, computed anew only if the file was touched; None if it may be incomplete.

    An archive counts as complete when it was last modified some time ago. A modification time in the future says
    nothing; the time of the last change of the file's metadata, which the kernel sets, is used then.

    Args:
        archive: an existing file.
        settled_seconds: how long ago the last modification has to be.
    """
    if not is_settled(archive, settled_seconds):
        return None
    status = archive.stat()
    touched = (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)
    return _identity_of_state(archive, touched)


@functools.lru_cache(maxsize=64)
def _identity_of_state(archive: Path, touched: tuple[int, ...]) -> str:
    """Return the identity of an archive; every state of the file has its own entry in the cache."""
    del touched
    return archive_identity(archive)


def _mirror_of(dataset: Dataset, settings: Settings) -> str | None:
    """Return RECSYS_MIRROR; None if it is not set, or if the dataset is generated."""
    if isinstance(dataset.source, Generated) or settings.mirror is None:
        return None
    return settings.mirror.get_secret_value()
