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

ROLES = ("interactions", "items")
"""What the files of a declared dataset have: each file's name begins with one of them."""


@dataclass(frozen=True)
class ManifestFile:
    """One verified file.

    Attributes:
        path: where the file is.
        bytes: its size.
        sha256: its checksum in hex.
        lines: number of lines including the header, whether or not the last one is terminated; of a Parquet file, its
            rows.
        header: column names as spelled in the file, without surrounding blanks; of a file without header, as declared.
        format: `csv`, `jsonl` (a JSON object a line) or `parquet`.
        nested: columns of a Parquet file whose values are lists or have fields of their own.
        stamp: changes when the source of a declared file does; None: that cannot be seen without reading it.
    """

    path: Path
    bytes: int
    sha256: str
    lines: int
    header: tuple[str, ...]
    format: str = "csv"
    nested: tuple[str, ...] = ()
    stamp: str | None = None


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
        files: by name; those of a declared dataset begin with `interactions/` or `items/`.
        folder: folder of the files.
        meaning: hash of what the declaration says about the files; empty where the dataset is not declared.
    """

    dataset_id: str
    url: str
    identity: str
    licence: str
    fetched_at: str
    files: dict[str, ManifestFile]
    folder: Path
    meaning: str = ""

    @property
    def data_version(self) -> str:
        """16 hex digits that change exactly when the content of a file changes, or what it is declared to mean."""
        return data_version(self.files, self.meaning)


class _StoredFile(BaseModel):
    model_config = ConfigDict(strict=True)

    bytes: int
    sha256: str
    lines: int
    header: list[str]
    format: str = "csv"
    nested: list[str] = []
    stamp: str | None = None


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
    meaning: str = ""


def data_version(files: dict[str, ManifestFile], meaning: str = "") -> str:
    """Return the first 16 hex digits of the SHA-256 over the names and checksums of the files, and their meaning."""
    lines = "".join(f"{files[name].sha256}  {name}\n" for name in sorted(files))
    return hashlib.sha256((lines + meaning).encode()).hexdigest()[:16]


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
    folder = path.parent / stored.folder
    files = {
        name: ManifestFile(
            folder / name,
            file.bytes,
            file.sha256,
            file.lines,
            tuple(file.header),
            file.format,
            tuple(file.nested),
            file.stamp,
        )
        for name, file in stored.files.items()
    }
    # The folder and the names become paths that are read and removed: anything but our own names is refused.
    if stored.dataset_id != dataset.id or stored.folder != data_version(files, stored.meaning):
        raise _refusal(path, f"it names the folder {stored.folder!r}")
    if dataset.declaration is not None:
        if not all(is_declared_name(name) for name in files):
            raise _refusal(path, "it names files in other folders")
    elif not files.keys() <= {file.name for file in dataset.format.files}:
        if any(Path(name).name != name for name in files):
            raise _refusal(path, "it names files in other folders")
        return None
    manifest = Manifest(
        stored.dataset_id, stored.url, stored.identity, stored.licence, stored.fetched_at, files, folder, stored.meaning
    )
    return manifest if _is_intact(manifest, dataset) else None


def write_manifest(manifest: Manifest, path: Path) -> None:
    """Replace the manifest at `path`; its files must already be in their folder."""
    described = asdict(manifest) | {
        "data_version": manifest.data_version,
        "folder": manifest.folder.name,
        "files": {
            name: {key: value for key, value in asdict(file).items() if key != "path"}
            for name, file in manifest.files.items()
        },
    }
    write_json(path, described)


def is_declared_name(name: str) -> bool:
    """Return whether a name can be that of a file of a declared dataset: a path below `interactions` or `items`."""
    parts = name.split("/")
    return len(parts) > 1 and parts[0] in ROLES and not {"", ".", ".."} & set(parts)


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
    if dataset.declaration is not None:
        return True
    return all(
        source.has_required(manifest.files[source.name].header)
        if source.name in manifest.files
        else not source.required
        for source in dataset.format.files
    )
