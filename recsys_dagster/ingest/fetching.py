"""From a dataset to verified files in their place: mirror, else publisher or generator; nothing is fetched twice.

Whatever arrives is unpacked and checked in a folder beside, renamed into place, and only then does the manifest point
to it. A run that is killed anywhere leaves the previous files and manifest; the next one clears up after it.
"""

import contextlib
import fcntl
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from recsys_dagster.errors import RecsysError
from recsys_dagster.ingest.archive import BadArchiveError, copy_checked, examine_file, unpack
from recsys_dagster.ingest.catalogue import Dataset, Download, Generated, Kaggle
from recsys_dagster.ingest.download import NotThereError, discard, download
from recsys_dagster.ingest.manifest import (
    Manifest,
    ManifestFile,
    data_version,
    manifest_path,
    read_manifest,
    write_manifest,
)
from recsys_dagster.ingest.samples.write import write_sample
from recsys_dagster.runtime.progress import announce
from recsys_dagster.runtime.storage import explaining_disk_full, remove_leftovers, sha256
from recsys_dagster.settings import Settings


@dataclass(frozen=True)
class _Delivery:
    """What has been put into the folder beside: where from, out of what, and the files."""

    url: str
    identity: str
    files: dict[str, ManifestFile]


def fetch(dataset: Dataset, settings: Settings) -> Manifest:
    """Return the manifest of the dataset's files, after fetching them if they are not there or their source changed.

    A folder as mirror is looked at every time (its archive's checksum), and so are the parameters of a generated
    sample; of what came over the network, the files that are there are taken as they are.

    Raises:
        RecsysError: no source has it, or what came is not what it should be; the previous files stay.
    """
    folder = manifest_path(dataset, settings).parent
    folder.mkdir(parents=True, exist_ok=True)
    with _locked(folder, dataset):
        remove_leftovers(folder)
        manifest = read_manifest(dataset, settings)
        archive = archive_in_mirror(dataset, settings)
        if manifest is None or _identity(dataset, settings, archive) not in (None, manifest.identity):
            with tempfile.TemporaryDirectory(prefix=".tmp-", dir=folder) as temporary:
                beside = Path(temporary) / "files"
                beside.mkdir()
                delivery = _deliver(dataset, settings, archive, folder, beside)
                manifest = _swap_in(dataset, delivery, beside, manifest)
                write_manifest(manifest, folder / "manifest.json")
        _keep_only(manifest)
    return manifest


def _identity(dataset: Dataset, settings: Settings, archive: Path | None) -> str | None:
    """Return what the files would be taken from now; None if only the network could tell."""
    if isinstance(dataset.source, Generated):
        return f"generated:{_generator_hash(dataset.source, settings.seed)}"
    return archive_identity(archive) if archive is not None else None


def archive_identity(archive: Path) -> str:
    """Return what a manifest calls an archive by: its checksum."""
    return f"sha256:{sha256(archive)}"


def _generator_hash(source: Generated, seed: int) -> str:
    """Return 16 hex digits that change with the sizes, the seed or the generator's code."""
    code = [sha256(path) for path in sorted(Path(__file__).with_name("samples").glob("*.py"))]
    told = json.dumps([asdict(source), seed, code], sort_keys=True)
    return hashlib.sha256(told.encode()).hexdigest()[:16]


def archive_in_mirror(dataset: Dataset, settings: Settings) -> Path | None:
    """Return the dataset's archive in the mirror, if that is a folder and holds it."""
    if isinstance(dataset.source, Generated) or settings.mirror is None or _is_url(settings.mirror):
        return None
    mirror = Path(settings.mirror).expanduser()
    if not mirror.is_dir():
        raise RecsysError(
            f"RECSYS_MIRROR={settings.mirror} is neither a folder nor a URL; name one that holds {dataset.id}.zip, or "
            "unset it to ask the publisher"
        )
    archive = mirror.resolve() / f"{dataset.id}.zip"
    return archive if archive.is_file() else None


def _is_url(mirror: str) -> bool:
    return mirror.startswith(("http://", "https://"))


def _deliver(dataset: Dataset, settings: Settings, archive: Path | None, folder: Path, beside: Path) -> _Delivery:
    """Put the dataset's files into the folder `beside`, from the first source that has it."""
    if isinstance(dataset.source, Generated):
        return _generate(dataset, dataset.source, settings.seed, beside)
    if archive is not None:
        files = unpack(archive, str(archive), dataset.format, beside)
        return _Delivery(archive.as_uri(), archive_identity(archive), files)
    announce(f"{dataset.id}: licence: {dataset.licence}. {dataset.homepage}")
    if settings.mirror is not None and _is_url(settings.mirror):
        with contextlib.suppress(NotThereError):
            return _from_url(f"{settings.mirror.rstrip('/')}/{dataset.id}.zip", dataset, folder, beside)
    if isinstance(dataset.source, Download):
        return _from_url(dataset.source.url, dataset, folder, beside)
    return _from_kaggle(dataset.source, dataset, beside)


def _generate(dataset: Dataset, source: Generated, seed: int, beside: Path) -> _Delivery:
    with explaining_disk_full(beside):
        write_sample(
            dataset.format.name,
            beside,
            n_users=source.n_users,
            n_items=source.n_items,
            n_ratings=source.n_ratings,
            seed=seed,
        )
    files = {file.name: examine_file(beside / file.name, file, dataset.id) for file in dataset.format.files}
    identity = f"generated:{_generator_hash(source, seed)}"
    return _Delivery(identity, identity, files)


def _from_url(url: str, dataset: Dataset, folder: Path, beside: Path) -> _Delivery:
    """Download an archive and unpack it; one that turns out bad is not kept for the next time."""
    part = folder / f"{dataset.id}.zip.part"
    download(url, part)
    try:
        files = unpack(part, url, dataset.format, beside)
    except BadArchiveError:
        discard(part)
        raise
    return _Delivery(url, archive_identity(part), files)


def _from_kaggle(source: Kaggle, dataset: Dataset, beside: Path) -> _Delivery:
    """Fetch the format's files one by one, so that the rest of a large dataset stays where it is."""
    import kagglehub  # slow to import, and needed by three datasets only
    from kagglehub import exceptions

    url = f"https://www.kaggle.com/datasets/{source.handle}"
    files = {}
    for file in dataset.format.files:
        try:
            path = Path(kagglehub.dataset_download(source.handle, path=file.name))
        except (
            OSError,  # every failure of its HTTP library is one
            ValueError,
            exceptions.BackendError,
            exceptions.CredentialError,
            exceptions.DataCorruptionError,
            exceptions.NotFoundError,
            exceptions.UnauthenticatedError,
        ) as error:
            response = getattr(error, "response", None)
            if not file.required and response is not None and response.status_code == 404:
                continue
            reason = " ".join(str(error).split())[:300]
            raise RecsysError(
                f"{url}: {file.name} could not be downloaded ({type(error).__name__}: {reason}); check the network and "
                "your Kaggle API token (KAGGLE_API_TOKEN or ~/.kaggle), or download the dataset with a browser, put it "
                f"as {dataset.id}.zip into a folder and set RECSYS_MIRROR to that folder"
            ) from error
        with path.open("rb") as stream:
            files[file.name] = copy_checked(stream, beside / file.name, file, url)
    return _Delivery(url, f"kaggle:{data_version(files)}", files)


def _swap_in(dataset: Dataset, delivery: _Delivery, beside: Path, current: Manifest | None) -> Manifest:
    """Rename the folder beside to its version, unless the intact files of the same version are there."""
    target = beside.parent.parent / data_version(delivery.files)
    if current is None or current.folder != target:
        if target.exists():  # of a killed run, or no longer whole
            shutil.rmtree(target)
        os.replace(beside, target)
    files = {
        name: ManifestFile(target / name, file.bytes, file.sha256, file.lines, file.header)
        for name, file in delivery.files.items()
    }
    now = datetime.now(UTC).isoformat(timespec="seconds")
    return Manifest(dataset.id, delivery.url, delivery.identity, dataset.licence, now, files, target)


def _keep_only(manifest: Manifest) -> None:
    """Remove former versions and used-up downloads from the dataset's folder."""
    for path in manifest.folder.parent.iterdir():
        if path.is_dir() and path != manifest.folder:
            shutil.rmtree(path)
        elif path.name.startswith(f"{manifest.dataset_id}.zip"):
            path.unlink()


@contextlib.contextmanager
def _locked(folder: Path, dataset: Dataset) -> Iterator[None]:
    """Hold the dataset's folder; a second run waits here and then finds the files."""
    with (folder / ".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            announce(f"{dataset.id}: another run is fetching it; waiting for that to end")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield
