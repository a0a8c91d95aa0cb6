"""Record what was fetched, from where and when, and which version of the files is the current one."""

import hashlib
from dataclasses import asdict, dataclass
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from recsys_dagster.errors import RecsysError
from recsys_dagster.ingest.catalogue import Dataset
from recsys_dagster.runtime.layout import Layout
from recsys_dagster.runtime.storage import write_json
from recsys_dagster.settings import Settings


@dataclass(frozen=True)
class ManifestFile:
    """One verified file.

    Attributes:
        path: where the file is.
        bytes: its size.
        sha256: its checksum in hex.
        lines: number of lines including the header, whether or not the last one is terminated.
        header: column names as spelled in the file, without surrounding blanks.
    """

    path: Path
    bytes: int
    sha256: str
    lines: int
    header: tuple[str, ...]


@dataclass(frozen=True)
class Manifest:
    """The files of a dataset, as they were fetched.

    Attributes:
        dataset_id: id in the catalogue.
        url: source of the files, without secrets.
        identity: identifies the source (checksum of an archive, parameters of a generator); the files are fetched again
            only if it changes.
        licence: terms of use at that time.
        fetched_at: UTC time, ISO 8601.
        files: by name.
        folder: folder of the files.
    """

    dataset_id: str
    url: str
    identity: str
    licence: str
    fetched_at: str
    files: dict[str, ManifestFile]
    folder: Path

    @property
    def data_version(self) -> str:
        """16 hex digits that change exactly when the content of a file changes."""
        return data_version(self.files)


class _StoredFile(BaseModel):
    model_config = ConfigDict(strict=True)

    bytes: int
    sha256: str
    lines: int
    header: list[str]


class _StoredManifest(BaseModel):
    """The content of manifest.json."""

    model_config = ConfigDict(strict=True)

    dataset_id: str
    url: str
    identity: str
    licence: str
    fetched_at: str
    data_version: str
    folder: str
    files: dict[str, _StoredFile]


def data_version(files: dict[str, ManifestFile]) -> str:
    """Return the first 16 hex digits of the SHA-256 over the names and checksums of the files."""
    lines = "".join(f"{files[name].sha256}  {name}\n" for name in sorted(files))
    return hashlib.sha256(lines.encode()).hexdigest()[:16]


def read_manifest(dataset: Dataset, settings: Settings) -> Manifest | None:
    """Return the manifest of the dataset's files, or None if they have to be fetched (again).

    None means: there is no readable manifest, a file is missing or has another size, or the files lack something that
    the format asks for.

    Raises:
        RecsysError: the manifest names files or a folder that are not this dataset's.
    """
    path = Layout(settings.home).manifest(dataset.id)
    try:
        stored = _StoredManifest.model_validate_json(path.read_bytes())
    except (FileNotFoundError, NotADirectoryError, ValidationError):
        return None
    except OSError as error:
        raise RecsysError(f"{path}: cannot be read ({error.strerror}); remove it, then run again") from None
    known = {file.name for file in dataset.format.files}
    folder = path.parent / stored.folder
    files = {
        name: ManifestFile(folder / name, file.bytes, file.sha256, file.lines, tuple(file.header))
        for name, file in stored.files.items()
    }
    # The folder and the names become paths that are read and removed: anything but our own names is refused.
    if stored.dataset_id != dataset.id or stored.folder != data_version(files):
        raise _refusal(path, f"it names the folder {stored.folder!r}")
    if not files.keys() <= known:
        if any(Path(name).name != name for name in files):
            raise _refusal(path, "it names files in other folders")
        return None
    manifest = Manifest(
        stored.dataset_id, stored.url, stored.identity, stored.licence, stored.fetched_at, files, folder
    )
    return manifest if _is_intact(manifest, dataset) else None


def write_manifest(manifest: Manifest, path: Path) -> None:
    """Replace the manifest at `path`; its files must already be in their folder."""
    described = asdict(manifest) | {
        "data_version": manifest.data_version,
        "folder": manifest.folder.name,
        "files": {
            name: {"bytes": file.bytes, "sha256": file.sha256, "lines": file.lines, "header": file.header}
            for name, file in manifest.files.items()
        },
    }
    write_json(path, described)


def _refusal(path: Path, reason: str) -> RecsysError:
    return RecsysError(
        f"{path}: {reason}, which this project did not write; remove the file, then run again (the dataset is fetched "
        "anew)"
    )


def _is_intact(manifest: Manifest, dataset: Dataset) -> bool:
    """Check that all files have their size, and that together they have every file and column of the format."""
    if manifest.folder.is_symlink():
        return False
    for file in manifest.files.values():
        if file.path.is_symlink() or not file.path.is_file() or file.path.stat().st_size != file.bytes:
            return False
    return all(
        source.has_required(manifest.files[source.name].header)
        if source.name in manifest.files
        else not source.required
        for source in dataset.format.files
    )
