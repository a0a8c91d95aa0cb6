"""Fetch a dataset: from the mirror, the publisher or the sample generator, and only if it is not there yet.

The files are unpacked and verified in a temporary folder, which is then renamed; only then does the manifest name them.
A run that is killed at any point leaves the previous files and manifest, and the next run removes what it left.
"""

import hashlib
import json
import os
import re
import shutil
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from recsys_dagster.errors import RecsysError
from recsys_dagster.ingest.archive import BadArchiveError, copy_checked, examine_file, unpack
from recsys_dagster.ingest.catalogue import Dataset, Download, Generated, Kaggle
from recsys_dagster.ingest.declaration import Declaration
from recsys_dagster.ingest.declared import copy_declared, look_up, manifest_of, meaning_of
from recsys_dagster.ingest.declared_archives import is_published_archive
from recsys_dagster.ingest.download import Limits, NotThereError, discard, download
from recsys_dagster.ingest.kaggle import KaggleError, NotInDatasetError, download_file
from recsys_dagster.ingest.manifest import Manifest, ManifestFile, data_version, read_manifest, write_manifest
from recsys_dagster.ingest.mirror import archive_identity, archive_in_mirror, archive_url
from recsys_dagster.ingest.samples.write import write_sample
from recsys_dagster.runtime.files import check_home, refuse_links_outside
from recsys_dagster.runtime.http_client import Deadline
from recsys_dagster.runtime.layout import Layout
from recsys_dagster.runtime.locks import file_lock
from recsys_dagster.runtime.progress import announce
from recsys_dagster.runtime.storage import explaining_disk_full, remove_leftovers, sha256, temporary_folder
from recsys_dagster.runtime.urls import without_secrets
from recsys_dagster.settings import Settings

_FALLBACK = "set RECSYS_MIRROR_FALLBACK=on to ask the publisher instead"
_VERSION = re.compile(r"[0-9a-f]{16}")


@dataclass(frozen=True)
class _Delivery:
    """Files that have been put into a temporary folder.

    Attributes:
        url: where they came from, without secrets.
        identity: as of Manifest.
        files: by name.
    """

    url: str
    identity: str
    files: dict[str, ManifestFile]


def fetch(dataset: Dataset, settings: Settings) -> Manifest:
    """Return the manifest of the dataset's files; fetch them first if they are missing or their source has changed.

    An archive in a mirror folder is compared by its checksum every time, and a generated sample by its parameters.
    Files that came over the network are never fetched twice.

    Raises:
        RecsysError: no source has the dataset, or the files are not valid; the previous files stay.
    """
    layout = Layout(settings.home)
    folder = layout.raw(dataset.id)
    check_home(layout, folder)
    refuse_links_outside(layout, [folder])
    activity = f"another download of {dataset.id}"
    with file_lock(layout.raw_lock(dataset.id), activity, wait_seconds=settings.download_seconds, on_wait=announce):
        remove_leftovers(folder)
        manifest = read_manifest(dataset, settings)
        if dataset.declaration is not None:
            manifest = _fetch_declared(dataset, dataset.declaration, settings, manifest)
        elif manifest is None or _current_identity(dataset, settings) not in (None, manifest.identity):
            with temporary_folder(folder) as temporary:
                files = temporary / "files"
                files.mkdir()
                delivery = _deliver(dataset, settings, files)
                manifest = _install(dataset, settings, delivery, files, manifest)
                write_manifest(manifest, layout.manifest(dataset.id))
        _remove_other_versions(layout, manifest)
    return manifest


def _fetch_declared(
    dataset: Dataset, declaration: Declaration, settings: Settings, current: Manifest | None
) -> Manifest:
    """Return the manifest of a declared dataset's files; fetch them first if any has changed, or may have."""
    layout = Layout(settings.home)
    is_kept = current is not None and current.meaning == meaning_of(declaration)
    if current is not None and is_kept and is_published_archive(declaration, settings):
        return current
    with temporary_folder(layout.raw(dataset.id)) as temporary:
        found = look_up(declaration, settings, temporary)
        if current is not None and found.identity is not None and found.identity == current.identity:
            return current
        files = temporary / "files"
        files.mkdir()
        copied = copy_declared(declaration, found, files, current)
        manifest = manifest_of(declaration, found, copied, files)
        manifest = _moved(manifest, layout.raw_version(dataset.id, manifest.data_version), current)
        write_manifest(manifest, layout.manifest(dataset.id))
    return manifest


def _moved(manifest: Manifest, target: Path, current: Manifest | None) -> Manifest:
    """Move the files of a manifest to the folder of their version, unless they are there already."""
    if current is None or current.folder != target:
        _remove(target)  # left by a killed run, or damaged
        os.replace(manifest.folder, target)
    files = {name: replace(file, path=target / name) for name, file in manifest.files.items()}
    return replace(manifest, files=files, folder=target)


def _current_identity(dataset: Dataset, settings: Settings) -> str | None:
    """Return the identity of the source as it is now; None if that could be found out only over the network."""
    if isinstance(dataset.source, Generated):
        return f"generated:{_generator_hash(dataset.source, settings.seed)}"
    try:
        archive = archive_in_mirror(dataset, settings)
    except RecsysError:
        if not settings.mirror_fallback:
            raise
        return None
    return archive_identity(archive) if archive is not None else None


def _generator_hash(source: Generated, seed: int) -> str:
    """Return 16 hex digits that change with the sizes, the seed or the code of the generator."""
    code = [sha256(path) for path in sorted(Path(__file__).with_name("samples").glob("*.py"))]
    content = json.dumps([asdict(source), seed, code], sort_keys=True)
    return hashlib.sha256(content.encode()).hexdigest()[:16]


def _deliver(dataset: Dataset, settings: Settings, folder: Path) -> _Delivery:
    """Put the dataset's files into `folder`, from the mirror if that has them, else from the dataset's source."""
    if isinstance(dataset.source, Generated):
        return _generate(dataset, dataset.source, settings.seed, folder)
    if settings.mirror is not None:
        delivery = _from_mirror(dataset, settings, folder)
        if delivery is not None:
            return delivery
    announce(f"{dataset.id}: licence: {dataset.licence}. {dataset.homepage}")
    if isinstance(dataset.source, Download):
        return _from_url(dataset.source.url, dataset, settings, folder)
    if isinstance(dataset.source, Kaggle):
        return _from_kaggle(dataset.source, dataset, settings, folder)
    raise RecsysError(f"{dataset.id}: declared datasets cannot be fetched yet")


def _from_mirror(dataset: Dataset, settings: Settings, folder: Path) -> _Delivery | None:
    """Put the dataset's files into `folder`; None, after a message, if the publisher is to be asked instead.

    Raises:
        RecsysError: the mirror cannot be reached (and RECSYS_MIRROR_FALLBACK is not on), or its archive is not valid.
    """
    url = archive_url(dataset, settings)
    try:
        if url is not None:
            return _from_url(url, dataset, settings, folder)
        archive = archive_in_mirror(dataset, settings)
        if archive is not None:
            files = unpack(archive, str(archive), dataset.format, folder)
            return _Delivery(archive.as_uri(), archive_identity(archive), files)
        message = f"{dataset.id}: the folder RECSYS_MIRROR has no {dataset.id}.zip"
    except BadArchiveError:
        raise
    except NotThereError as error:
        # Some servers answer 404 to a user whose secret is wrong: without one, the archive is surely missing.
        if url != without_secrets(url or "") and not settings.mirror_fallback:
            raise RecsysError(f"{error}; check the password or the token in RECSYS_MIRROR, or {_FALLBACK}") from None
        message = str(error)
    except RecsysError as error:
        if not settings.mirror_fallback:
            raise type(error)(f"{error}; or {_FALLBACK}") from None
        message = f"warning: {error}"
    announce(f"{message}; asking the publisher instead")
    return None


def _generate(dataset: Dataset, source: Generated, seed: int, folder: Path) -> _Delivery:
    """Generate the sample in `folder`."""
    with explaining_disk_full(folder):
        write_sample(
            dataset.format.name,
            folder,
            n_users=source.n_users,
            n_items=source.n_items,
            n_ratings=source.n_ratings,
            seed=seed,
        )
    files = {
        file.name: examine_file(folder / file.name, file, dataset.id)
        for file in dataset.format.files
        if file.required or (folder / file.name).exists()
    }
    identity = f"generated:{_generator_hash(source, seed)}"
    return _Delivery(identity, identity, files)


def _from_url(url: str, dataset: Dataset, settings: Settings, folder: Path) -> _Delivery:
    """Download an archive and unpack it into `folder`; an invalid archive is not kept for the next run."""
    part = Layout(settings.home).partial_download(dataset.id)
    download(url, part, Limits(settings.download_seconds, settings.download_bytes))
    name = without_secrets(url)
    try:
        files = unpack(part, name, dataset.format, folder)
    except BadArchiveError:
        discard(part)
        raise
    return _Delivery(name, archive_identity(part), files)


def _from_kaggle(source: Kaggle, dataset: Dataset, settings: Settings, folder: Path) -> _Delivery:
    """Download the format's files one by one into `folder`, so that other files of the dataset are not downloaded."""
    url = f"https://www.kaggle.com/datasets/{source.handle}"
    files = {}
    with Deadline(settings.download_seconds) as deadline:
        for file in dataset.format.files:
            try:
                path = download_file(source.handle, file.name, deadline, settings.download_bytes)
            except KaggleError as error:
                if isinstance(error, NotInDatasetError) and not file.required:
                    continue
                raise RecsysError(
                    f"{url}: {file.name} could not be downloaded ({error}); check the network and your Kaggle API "
                    "token (KAGGLE_API_TOKEN or ~/.kaggle), or download the dataset with a browser, put it as "
                    f"{dataset.id}.zip into a folder and set RECSYS_MIRROR to that folder"
                ) from error
            with path.open("rb") as stream:
                files[file.name] = copy_checked(stream, folder / file.name, file, url)
    return _Delivery(url, f"kaggle:{data_version(files)}", files)


def _install(
    dataset: Dataset, settings: Settings, delivery: _Delivery, folder: Path, current: Manifest | None
) -> Manifest:
    """Move the verified files to the folder of their version, unless they are there already; return their manifest."""
    now = datetime.now(UTC).isoformat(timespec="seconds")
    manifest = Manifest(dataset.id, delivery.url, delivery.identity, dataset.licence, now, delivery.files, folder)
    return _moved(manifest, Layout(settings.home).raw_version(dataset.id, manifest.data_version), current)


def _remove_other_versions(layout: Layout, manifest: Manifest) -> None:
    """Remove former versions and finished downloads from the dataset's folder; unknown files are left alone."""
    discard(layout.partial_download(manifest.dataset_id))
    for path in layout.raw(manifest.dataset_id).iterdir():
        if _VERSION.fullmatch(path.name) and path != manifest.folder:
            _remove(path)


def _remove(path: Path) -> None:
    """Remove a folder with its content, or a link itself."""
    if path.is_symlink() or path.is_file():
        path.unlink()
    elif path.exists():
        shutil.rmtree(path)
