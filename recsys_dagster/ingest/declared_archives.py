"""Find the archive of a declared dataset: a file, a copy in the mirror, or what its publisher offers."""

import shutil
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import IO

from recsys_dagster.errors import RecsysError
from recsys_dagster.ingest.catalogue import declared_dataset
from recsys_dagster.ingest.declaration import Declaration
from recsys_dagster.ingest.declared_places import Place, PlaceError, archive_places
from recsys_dagster.ingest.download import NotThereError
from recsys_dagster.ingest.kaggle import KaggleError, download_file
from recsys_dagster.ingest.mirror import archive_in_mirror, archive_url
from recsys_dagster.ingest.remote_places import is_remote, remote_places
from recsys_dagster.runtime.http_client import Deadline
from recsys_dagster.runtime.layout import Layout
from recsys_dagster.runtime.progress import announce
from recsys_dagster.runtime.storage import explaining_disk_full
from recsys_dagster.settings import Settings

_KAGGLE = "kaggle:"


def is_published_archive(declaration: Declaration, settings: Settings) -> bool:
    """Return whether a declared archive comes over the network, from where nothing is fetched twice."""
    return (
        _is_elsewhere(declaration.archive or "") and archive_in_mirror(declared_dataset(declaration), settings) is None
    )


def places_in_archive(
    declaration: Declaration, patterns: Sequence[str], settings: Settings, scratch: Path | None
) -> list[Place]:
    """Return the files in the declared archive.

    An archive that is not a file is looked for in the mirror first, as `<id>.zip`.

    Args:
        declaration: names the archive: a path, a URL, or `kaggle:owner/name`.
        patterns: names of the files, or patterns.
        settings: name the mirror, and have the limits of downloads.
        scratch: folder for what is downloaded; None: nothing over a network is asked, and places there have no stamp.

    Raises:
        PlaceError: there is no such archive, or a file is not in it.
        RecsysError: the archive is damaged, or its publisher cannot be reached.
    """
    archive = declaration.archive or ""
    if not _is_elsewhere(archive):
        path = Layout(settings.home).datasets() / Path(archive).expanduser()
        if not path.is_file():
            raise PlaceError(f"{path}: no such file; correct `archive`, or put the file there")
        return archive_places(path, str(path), patterns)
    mirrored = archive_in_mirror(declared_dataset(declaration), settings)
    if mirrored is not None:
        return archive_places(mirrored, str(mirrored), patterns)
    if scratch is None:
        return [Place(pattern, archive, None, _not_opened) for pattern in patterns]
    return _from_mirror(declaration, patterns, settings, scratch) or _from_publisher(
        declaration, archive, patterns, settings, scratch
    )


def _is_elsewhere(archive: str) -> bool:
    return archive.startswith(_KAGGLE) or is_remote(archive)


def _from_mirror(
    declaration: Declaration, patterns: Sequence[str], settings: Settings, scratch: Path
) -> list[Place] | None:
    """Return the files of the archive in a mirror behind a URL; None if the publisher is to be asked instead."""
    url = archive_url(declared_dataset(declaration), settings)
    if url is None:
        return None
    try:
        return _downloaded(url, patterns, settings, scratch)
    except NotThereError as error:
        announce(f"{error}; asking the publisher instead")
    except RecsysError as error:
        if not settings.mirror_fallback:
            raise
        announce(f"warning: {error}; asking the publisher instead")
    return None


def _from_publisher(
    declaration: Declaration, archive: str, patterns: Sequence[str], settings: Settings, scratch: Path
) -> list[Place]:
    announce(f"{declaration.id}: licence: {declaration.licence}. {declaration.homepage}")
    if archive.startswith(_KAGGLE):
        return _from_kaggle(declaration.id, archive.removeprefix(_KAGGLE), patterns, settings)
    return _downloaded(archive, patterns, settings, scratch)


def _downloaded(url: str, patterns: Sequence[str], settings: Settings, scratch: Path) -> list[Place]:
    """Download an archive once, and return its files."""
    (place,) = remote_places([url], settings, scratch)
    path = scratch / "archive.zip"
    if not path.exists():
        with place.open() as stream, explaining_disk_full(path), path.open("wb") as file:
            shutil.copyfileobj(stream, file)
    return archive_places(path, place.shown, patterns)


def _from_kaggle(dataset_id: str, handle: str, names: Sequence[str], settings: Settings) -> list[Place]:
    """Download files of a Kaggle dataset one by one, so that the others are not downloaded."""
    url = f"https://www.kaggle.com/datasets/{handle}"
    places = []
    with Deadline(settings.download_seconds) as deadline:
        for name in names:
            try:
                path = download_file(handle, name, deadline, settings.download_bytes)
            except KaggleError as error:
                raise RecsysError(
                    f"{url}: {name} could not be downloaded ({error}); check the network and your Kaggle API token "
                    "(KAGGLE_API_TOKEN or ~/.kaggle), or download the dataset with a browser, and `recsys import` the "
                    f"archive, or put it as {dataset_id}.zip into a folder and set RECSYS_MIRROR to that folder"
                ) from error
            places.append(Place(name, f"{url}/{name}", None, _opener(path)))
    return places


def _opener(path: Path) -> Callable[[], AbstractContextManager[IO[bytes]]]:
    return lambda: path.open("rb")


def _not_opened() -> AbstractContextManager[IO[bytes]]:
    raise AssertionError("a place that was only looked at is not opened")
