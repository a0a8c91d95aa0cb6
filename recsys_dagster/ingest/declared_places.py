"""Find the files that a declaration names: paths, folders, patterns, members of ZIP archives, and what URLs lead to."""

import difflib
import fnmatch
import glob
import zipfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO

from recsys_dagster.errors import RecsysError
from recsys_dagster.ingest.decompression import without_ending
from recsys_dagster.runtime.text import printable

ENDINGS = (".csv", ".tsv", ".txt", ".dat", ".data", ".json", ".jsonl", ".ndjson", ".parquet", ".pq", ".zip")
"""Endings of the files that are read in a folder."""

_SHOWN = 5  # names in a message


class PlaceError(RecsysError):
    """A place that a declaration names has no files."""


@dataclass(frozen=True)
class Place:
    """One file that is to be read.

    Attributes:
        name: its name among those of the same role, with `/` between folders.
        shown: where it is, without secrets.
        stamp: changes when its content does; None: that cannot be seen without reading it.
        open: opens it; what it gives can be read twice from the start.
        path: the file on this machine that it is, or is in; None: it is behind a network.
    """

    name: str
    shown: str
    stamp: str | None
    open: Callable[[], AbstractContextManager[IO[bytes]]]
    path: Path | None = None


def local_places(patterns: Sequence[str], folder: Path) -> list[Place]:
    """Return the files that paths, folders and patterns name, each once, in the order of their names.

    Args:
        patterns: relative ones are relative to `folder`.
        folder: that of the declaration.

    Raises:
        PlaceError: one of them names no file; the message has the nearest names.
        RecsysError: a ZIP archive is damaged.
    """
    found: dict[Path, None] = {}
    for pattern in patterns:
        found |= dict.fromkeys(_expand(pattern, folder))
    paths = sorted(found)
    top = _common_folder(paths)
    places: list[Place] = []
    for path in paths:
        if path.suffix.lower() in (".xlsx", ".xls", ".ods"):
            raise PlaceError(f"{path}: a workbook of a spreadsheet program; save the table as CSV and name that file")
        name = path.relative_to(top).as_posix()
        places += _members(path, name) if _is_zip(path) else [_local(path, name)]
    return places


def archive_places(archive: Path, shown: str, patterns: Sequence[str]) -> list[Place]:
    """Return the members of a ZIP archive that names or patterns name; a base name is enough.

    Raises:
        PlaceError: one of them names no member; the message lists what there is.
        RecsysError: the archive is damaged.
    """
    members = _members(archive, "", shown)
    found: dict[str, Place] = {}
    for pattern in patterns:
        matching = [
            place
            for place in members
            if fnmatch.fnmatchcase(place.name, pattern)
            or fnmatch.fnmatchcase(place.name, f"*/{pattern}")
            or place.name.startswith(f"{pattern.rstrip('/')}/")
        ]
        if not matching:
            names = ", ".join(place.name for place in members[:50]) or "nothing"
            raise PlaceError(f"{shown} has no {pattern}; it contains {printable(names)}; correct `files`")
        found |= {place.name: place for place in matching}
    return [found[name] for name in sorted(found)]


def _expand(pattern: str, folder: Path) -> Iterator[Path]:
    """Yield the files that a path, a folder or a pattern names."""
    path = folder / Path(pattern).expanduser()
    if path.is_file():
        yield path.resolve()
        return
    if path.is_dir():
        files = [one for one in sorted(path.rglob("*")) if one.is_file() and _is_data(one.relative_to(path))]
        if not files:
            raise PlaceError(f"{path}: a folder without data files ({', '.join(ENDINGS)}, also compressed); add some")
    else:
        matching = (Path(one) for one in glob.glob(str(path), recursive=True))  # noqa: PTH207  patterns may be absolute
        files = [one for one in sorted(matching) if one.is_file()]
        if not files:
            raise PlaceError(f"{path}: no such file{_nearest(path)}; correct `files`, or put the file there")
    yield from (one.resolve() for one in files)


def _is_data(path: Path) -> bool:
    hidden = any(part.startswith(".") for part in path.parts)
    return not hidden and without_ending(path.name).lower().endswith(ENDINGS)


def _nearest(path: Path) -> str:
    """Describe the files next to a missing one whose names are most alike."""
    try:
        names = sorted(one.name for one in path.parent.iterdir() if one.is_dir() or _is_data(Path(one.name)))
    except OSError:
        return f", and no folder {path.parent}"
    close = difflib.get_close_matches(path.name, names, n=3) or names[:_SHOWN]
    return f"; there is {printable(', '.join(close))}" if close else "; no data files are there"


def _is_zip(path: Path) -> bool:
    return path.suffix.lower() == ".zip" or zipfile.is_zipfile(path)


def _common_folder(paths: Sequence[Path]) -> Path:
    """Return the lowest folder that has all files below it."""
    parents = [set(path.parents) for path in paths]
    common = set.intersection(*parents) if parents else {Path("/")}
    return max(common, key=lambda folder: len(folder.parts))


def _local(path: Path, name: str) -> Place:
    return Place(name, str(path), _stamp(path), lambda: path.open("rb"), path)


def _stamp(path: Path) -> str:
    status = path.stat()
    return f"{status.st_size} {status.st_mtime_ns} {status.st_ino}"


def _members(path: Path, name: str, shown: str | None = None) -> list[Place]:
    """Return the files in a ZIP archive, in the order of their names."""
    shown = shown or str(path)
    places = []
    with opened_zip(path, shown) as archive:
        for member in sorted(archive.infolist(), key=lambda one: one.filename):
            inside = PurePosixPath(member.filename.replace("\\", "/"))
            if member.is_dir() or inside.name.startswith(".") or "__MACOSX" in inside.parts:
                continue
            if inside.is_absolute() or ".." in inside.parts:
                raise RecsysError(
                    f"{shown}: the path {printable(member.filename)!r} leads out of the archive; do not trust it: "
                    "fetch a fresh copy from its publisher"
                )
            stamp = f"{member.file_size} {member.CRC:08x}"
            places.append(
                Place(
                    "/".join([*([name] if name else []), str(inside)]),
                    f"{shown}/{inside}",
                    stamp,
                    _opener(path, member),
                    path,
                )
            )
    if not places:
        raise PlaceError(f"{shown}: a ZIP archive without files; pack the files again")
    return places


def opened_zip(path: Path, shown: str) -> zipfile.ZipFile:
    """Open a ZIP archive; raise RecsysError if it is damaged."""
    try:
        return zipfile.ZipFile(path)
    except (zipfile.BadZipFile, ValueError, EOFError) as error:
        raise RecsysError(
            f"{shown}: not a whole ZIP archive ({printable(str(error))}); replace it by a fresh copy, then run again"
        ) from error


def _opener(path: Path, member: zipfile.ZipInfo) -> Callable[[], AbstractContextManager[IO[bytes]]]:
    def opened() -> AbstractContextManager[IO[bytes]]:
        return zipfile.ZipFile(path).open(member)

    return opened
