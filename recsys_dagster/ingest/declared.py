"""Fetch a declared dataset: its files are copied, and those that have not changed are taken from the last version."""

import contextlib
import hashlib
import io
import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

from recsys_dagster.errors import RecsysError
from recsys_dagster.ingest.databases import database_file, database_kind, export, shown_address
from recsys_dagster.ingest.declaration import Declaration, InteractionSource, ItemSource
from recsys_dagster.ingest.declared_archives import places_in_archive
from recsys_dagster.ingest.declared_copying import copy_place
from recsys_dagster.ingest.declared_places import Place, local_places
from recsys_dagster.ingest.joined_files import joined_place
from recsys_dagster.ingest.manifest import Manifest, ManifestFile
from recsys_dagster.ingest.mirror import is_settled
from recsys_dagster.ingest.remote_places import is_remote, remote_places
from recsys_dagster.runtime.layout import Layout
from recsys_dagster.runtime.progress import announce
from recsys_dagster.runtime.text import printable
from recsys_dagster.settings import Settings

_SHOWN = 5  # names of files in a message


@dataclass(frozen=True)
class DeclaredFetch:
    """What a fetch of a declared dataset would read.

    Attributes:
        places: the files of each role.
        identity: as of Manifest; None: the source has to be read to see whether it has changed.
    """

    places: dict[str, list[Place]]
    identity: str | None


def meaning_of(declaration: Declaration) -> str:
    """Return 16 hex digits that change with whatever the declaration says about the data."""
    content = declaration.model_dump_json(exclude={"licence", "homepage", "summary"})
    return hashlib.sha256(content.encode()).hexdigest()[:16]


def look_up(declaration: Declaration, settings: Settings, scratch: Path | None) -> DeclaredFetch:
    """Find the files that a declaration names.

    Args:
        declaration: the declaration.
        settings: say where the declaration is.
        scratch: folder for what is downloaded; None: nothing over a network is asked, and places there have no stamp.

    Raises:
        RecsysError: a place has no files, or cannot be reached.
    """
    places = {}
    for role, source in sources_of(declaration).items():
        places[role] = _places_of(declaration, role, source, settings, scratch)
    stamps = [(role, place.name, place.stamp) for role, found in places.items() for place in found]
    if any(stamp is None for _, _, stamp in stamps):
        return DeclaredFetch(places, None)
    content = "\n".join([meaning_of(declaration), *(f"{role}/{name} {stamp}" for role, name, stamp in stamps)])
    return DeclaredFetch(places, f"declared:{hashlib.sha256(content.encode()).hexdigest()[:16]}")


def watched_files(declaration: Declaration, settings: Settings, settled_seconds: float) -> tuple[str | None, bool]:
    """Return the identity of the declared files as they are now, and whether they are complete.

    Nothing behind a network is asked: the identity is None if something is there.

    Args:
        declaration: the declaration.
        settings: say where it is.
        settled_seconds: how long ago each file has to have been modified to be complete.

    Raises:
        RecsysError: a place has no files.
    """
    found = look_up(declaration, settings, None)
    paths = {place.path for places in found.places.values() for place in places if place.path is not None}
    return found.identity, all(is_settled(path, settled_seconds) for path in paths)


def sources_of(declaration: Declaration) -> dict[str, InteractionSource | ItemSource]:
    """Return the parts of a declaration that have files, by role."""
    items = {} if declaration.items is None else {"items": declaration.items}
    return {"interactions": declaration.interactions, **items}


def copy_declared(
    declaration: Declaration, found: DeclaredFetch, folder: Path, previous: Manifest | None
) -> dict[str, ManifestFile]:
    """Put the files into a folder; those that have not changed are linked from the version before, not copied.

    Says which files are new, have changed or have vanished.

    Raises:
        RecsysError: a file is damaged or lacks a declared column.
    """
    before = previous.files if previous is not None and previous.meaning == meaning_of(declaration) else {}
    files: dict[str, ManifestFile] = {}
    for role, source in sources_of(declaration).items():
        for place in found.places[role]:
            name = f"{role}/{place.name}"
            target = folder / name
            target.parent.mkdir(parents=True, exist_ok=True)
            kept = before.get(name)
            if kept is not None and place.stamp is not None and kept.stamp == place.stamp:
                os.link(kept.path, target)
                files[name] = replace(kept, path=target)
            else:
                files[name] = copy_place(place, source, role, target)
    has_header = declaration.interactions.columns is None
    if not any(
        file.lines > (1 if file.format == "csv" and has_header else 0)
        for name, file in files.items()
        if name.startswith("interactions/")
    ):
        raise RecsysError(f"{declaration.id}: the files of the interactions have no rows; add some")
    if previous is not None:
        _announce_changes(declaration.id, previous.files, files)
    return files


def manifest_of(
    declaration: Declaration, found: DeclaredFetch, files: dict[str, ManifestFile], folder: Path
) -> Manifest:
    """Return the manifest of the files, which are in `folder`."""
    shown = [place.shown for places in found.places.values() for place in places]
    url = shown[0] if len(shown) == 1 else f"{shown[0]} and {len(shown) - 1:,} more"
    now = datetime.now(UTC).isoformat(timespec="seconds")
    moved = {name: replace(file, path=folder / name) for name, file in files.items()}
    meaning = meaning_of(declaration)
    return Manifest(declaration.id, url, found.identity or "", declaration.licence, now, moved, folder, meaning)


def _announce_changes(dataset_id: str, before: dict[str, ManifestFile], files: dict[str, ManifestFile]) -> None:
    changed = [name for name in files if name in before and files[name].sha256 != before[name].sha256]
    for names, what in (
        ([name for name in files if name not in before], "new"),
        (changed, "changed since the last fetch"),
        ([name for name in before if name not in files], "gone, and with them their rows"),
    ):
        if names:
            shown = ", ".join(names[:_SHOWN]) + (f" and {len(names) - _SHOWN:,} more" if len(names) > _SHOWN else "")
            announce(f"{dataset_id}: {what}: {printable(shown)}")


def _places_of(
    declaration: Declaration,
    role: str,
    source: InteractionSource | ItemSource,
    settings: Settings,
    scratch: Path | None,
) -> list[Place]:
    """Return the files of a role."""
    folder = Layout(settings.home).datasets()
    if source.database is not None and source.query is not None:
        return [_database_place(source.database, source.query, role, folder, scratch)]
    places = _places_of_files(declaration, source, settings, scratch)
    return places if source.query is None else [joined_place(places, source.query, role, scratch)]


def _places_of_files(
    declaration: Declaration, source: InteractionSource | ItemSource, settings: Settings, scratch: Path | None
) -> list[Place]:
    """Return the files that a part of a declaration names."""
    if declaration.archive is not None:
        return places_in_archive(declaration, source.files, settings, scratch)
    folder = Layout(settings.home).datasets()
    remote = [one for one in source.files if is_remote(one)]
    local = [one for one in source.files if not is_remote(one)]
    return [*(local_places(local, folder) if local else []), *remote_places(remote, settings, scratch)]


def _database_place(address: str, query: str, role: str, folder: Path, scratch: Path | None) -> Place:
    """Return the place of the result of a query."""
    kind = database_kind(address, folder)
    stamp = None
    if kind != "postgresql":
        status = database_file(address, folder).stat()
        stamp = f"{status.st_size} {status.st_mtime_ns} {hashlib.sha256(query.encode()).hexdigest()[:16]}"

    @contextlib.contextmanager
    def opened() -> Iterator[IO[bytes]]:
        if scratch is None:
            yield io.BytesIO()
            return
        target = scratch / f"{role} of a query.parquet"
        export(address, query, folder, target)
        with target.open("rb") as file:
            yield file
        target.unlink()

    return Place("query.parquet", shown_address(address), stamp, opened)
