"""What was fetched, from where and when: the record beside the raw files, and the pointer to them."""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from recsys_dagster.ingest.catalogue import Dataset
from recsys_dagster.runtime.layout import Layout
from recsys_dagster.runtime.storage import write_json
from recsys_dagster.settings import Settings


@dataclass(frozen=True)
class ManifestFile:
    """One verified file.

    Attributes:
        path: where it lies.
        bytes: its size.
        sha256: its checksum, in hex.
        lines: its lines, header included, whether or not the last one is terminated.
        header: its column names as the file spells them, without surrounding blanks.
    """

    path: Path
    bytes: int
    sha256: str
    lines: int
    header: tuple[str, ...]


@dataclass(frozen=True)
class Manifest:
    """The files of one dataset as they were fetched.

    Attributes:
        dataset_id: id in the catalogue.
        url: where they came from.
        identity: what they were taken from (an archive by checksum, a generator by its parameters); as long as it
            is the same, nothing has to be fetched again.
        licence: under which conditions they were offered.
        fetched_at: time in UTC, ISO 8601.
        files: by name.
        folder: where they lie.
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
        """16 hex digits that change exactly when the content of a file does."""
        return data_version(self.files)


def data_version(files: dict[str, ManifestFile]) -> str:
    """Return the first 16 hex digits of the SHA-256 over the names and checksums of the files."""
    named = "".join(f"{files[name].sha256}  {name}\n" for name in sorted(files))
    return hashlib.sha256(named.encode()).hexdigest()[:16]


def manifest_path(dataset: Dataset, settings: Settings) -> Path:
    """Return where the dataset's manifest lies."""
    return Layout(settings.home).raw(dataset.id) / "manifest.json"


def read_manifest(dataset: Dataset, settings: Settings) -> Manifest | None:
    """Return the manifest of what was fetched; None if there is none, or its files are gone or of another size.

    None also where the files no longer have all that the format asks for, because the format has grown since.
    """
    path = manifest_path(dataset, settings)
    try:
        manifest = _from_json(json.loads(path.read_text(encoding="utf-8")), path.parent)
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return None
    return manifest if _is_intact(manifest, dataset) else None


def write_manifest(manifest: Manifest, path: Path) -> None:
    """Replace the manifest at `path`, beside whose folder the files lie already."""
    described = {
        "dataset_id": manifest.dataset_id,
        "url": manifest.url,
        "identity": manifest.identity,
        "licence": manifest.licence,
        "fetched_at": manifest.fetched_at,
        "data_version": manifest.data_version,
        "folder": manifest.folder.name,
        "files": {
            name: {"bytes": file.bytes, "sha256": file.sha256, "lines": file.lines, "header": file.header}
            for name, file in manifest.files.items()
        },
    }
    write_json(path, described)


def _from_json(described: dict[str, Any], parent: Path) -> Manifest:
    folder = parent / described["folder"]
    files = {
        name: ManifestFile(folder / name, file["bytes"], file["sha256"], file["lines"], tuple(file["header"]))
        for name, file in described["files"].items()
    }
    told = {key: described[key] for key in ("dataset_id", "url", "identity", "licence", "fetched_at")}
    return Manifest(**told, files=files, folder=folder)


def _is_intact(manifest: Manifest, dataset: Dataset) -> bool:
    """Tell whether every file of the manifest is there, and every file and column of the format in the manifest."""
    return all(file.path.is_file() and file.path.stat().st_size == file.bytes for file in manifest.files.values()) and (
        all(
            len(source.spellings(manifest.files[source.name].header)) == len(source.columns)
            if source.name in manifest.files
            else not source.required
            for source in dataset.format.files
        )
    )
