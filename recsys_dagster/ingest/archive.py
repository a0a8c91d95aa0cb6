"""Out of an archive, only what the format names, every byte of it checked on the way."""

import codecs
import csv
import hashlib
import os
import shutil
import stat
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath
from typing import IO

from recsys_dagster.errors import RecsysError
from recsys_dagster.ingest.formats import Format, SourceFile
from recsys_dagster.ingest.manifest import ManifestFile
from recsys_dagster.runtime.storage import explaining_disk_full

MAX_BYTES = 64 * 2**30
"""The most that one archive may unpack to; the largest known dataset needs 3 GiB."""

MAX_RATIO = 100
"""The most that an archive may grow by on unpacking; CSV files grow by 3 to 10, a bomb by up to 1,032."""

SMALL_BYTES = 64 * 2**20
"""What unpacks to less than this may grow by any ratio."""

_BLOCK = 2**20
_LONGEST_HEADER = 2**16


class BadArchiveError(RecsysError):
    """The archive or a file in it is not what it should be; fetching the same again would be of no use."""


def unpack(archive: Path, name: str, format_: Format, folder: Path) -> dict[str, ManifestFile]:
    """Unpack the format's files, found by base name anywhere in the archive, into the existing `folder`.

    Args:
        archive: the ZIP file.
        name: how errors call it.
        format_: the files to look for; the rest stays packed.
        folder: where they go.

    Raises:
        BadArchiveError: it is damaged, unsafe, or lacks a file or a column.
        RecsysError: the disk is too full.
    """
    try:
        with zipfile.ZipFile(archive) as opened:
            members = _members(opened, name, format_)
            _check_size(archive, name, members.values())
            require_space(folder, sum(member.file_size for member in members.values()))
            files = {}
            for source in format_.files:
                if source.name in members:
                    with opened.open(members[source.name]) as packed:
                        files[source.name] = copy_checked(packed, folder / source.name, source, name)
            return files
    except (zipfile.BadZipFile, zlib.error, EOFError) as error:
        raise BadArchiveError(
            f"{name}: not a whole ZIP archive ({error}); replace it by a fresh copy, then run again"
        ) from error
    except RuntimeError as error:  # a password, or a compression method that Python does not know
        raise BadArchiveError(
            f"{name}: cannot be unpacked ({error}); pack its files again as a plain ZIP without password"
        ) from error


def copy_checked(stream: IO[bytes], target: Path, source: SourceFile, origin: str) -> ManifestFile:
    """Copy a file to `target`, flushed to the disk, and return what `examine` finds out on the way."""

    def copied(file: IO[bytes]) -> Iterator[bytes]:
        for block in _blocks(stream):
            file.write(block)
            yield block

    with explaining_disk_full(target), target.open("wb") as file:
        found = examine(copied(file), target, source, origin)
        file.flush()
        os.fsync(file.fileno())
    return found


def examine_file(path: Path, source: SourceFile, origin: str) -> ManifestFile:
    """Return what `examine` finds out about a file that lies in its place already, and flush it to the disk."""
    with path.open("rb") as file:
        found = examine(_blocks(file), path, source, origin)
        os.fsync(file.fileno())
    return found


def examine(blocks: Iterable[bytes], path: Path, source: SourceFile, origin: str) -> ManifestFile:
    """Read a file once and return its size, checksum, lines and header.

    Args:
        blocks: its content.
        path: where it is kept.
        source: what it should be.
        origin: the archive or the place it comes from; errors name it.

    Raises:
        BadArchiveError: it is empty, is not UTF-8, lacks a column, or has no rows though it is required.
    """
    where = f"{origin}: {source.name}"
    decoder = codecs.getincrementaldecoder("utf-8")()
    checksum = hashlib.sha256()
    size = newlines = 0
    start = last = b""
    header: tuple[str, ...] | None = None
    try:
        for block in blocks:
            decoder.decode(block)
            checksum.update(block)
            if header is None:
                start += block
                if b"\n" in block or len(start) > _LONGEST_HEADER:
                    header = _header(start, source, where)
            size += len(block)
            newlines += block.count(b"\n")
            last = block[-1:]
        decoder.decode(b"", final=True)
    except UnicodeDecodeError as error:
        line = newlines + error.object.count(b"\n", 0, error.start) + 1
        raise BadArchiveError(
            f"{where}, line {line}: expected UTF-8, found the byte 0x{error.object[error.start]:02x}; convert the file "
            f"(iconv -f WINDOWS-1252 -t UTF-8 {source.name}, or from whatever it is written in) and pack it again"
        ) from error
    if size == 0:
        raise BadArchiveError(f"{where} is empty; replace the archive by a fresh copy, then run again")
    if header is None:
        header = _header(start, source, where)
    lines = newlines + (last != b"\n")
    if lines < 2 and source.required:
        raise BadArchiveError(f"{where} has a header but no rows; replace the archive by a fresh copy, then run again")
    return ManifestFile(path, size, checksum.hexdigest(), lines, header)


def require_space(folder: Path, needed: int) -> None:
    """Raise RecsysError unless the disk under `folder` has room for `needed` bytes."""
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise RecsysError(
            f"{folder.parent}: {needed / 1e6:,.1f} MB are needed and the disk has {free / 1e6:,.1f} MB left; free some "
            "space or point RECSYS_HOME at a larger disk, then run again (what was there before is untouched)"
        )


def _blocks(stream: IO[bytes]) -> Iterator[bytes]:
    return iter(lambda: stream.read(_BLOCK), b"")


def _header(start: bytes, source: SourceFile, where: str) -> tuple[str, ...]:
    """Return the column names in the first line of `start`; BadArchiveError if one of the source's is not there."""
    line = start[:_LONGEST_HEADER].decode("utf-8-sig", "replace").partition("\n")[0].partition("\r")[0]
    header = tuple(column.strip() for column in next(csv.reader([line]), []))
    spellings = source.spellings(header)
    missing = [" or ".join((c.name, *c.aliases)) for c in source.columns if c.name not in spellings]
    if missing:
        raise BadArchiveError(
            f"{where} lacks the column{'s' * (len(missing) > 1)} {', '.join(missing)}; its header is "
            f"{', '.join(header)[:500]!r}; take the archive of the right dataset, or rename the column in the header"
        )
    return header


def _members(opened: zipfile.ZipFile, name: str, format_: Format) -> dict[str, zipfile.ZipInfo]:
    """Return the format's files in the archive, by name: of several, the one nearest to the top.

    Raises:
        BadArchiveError: a path leads out of the archive, a file is a link, one is missing, or two are equally near.
    """
    found: dict[str, list[zipfile.ZipInfo]] = {source.name: [] for source in format_.files}
    for member in opened.infolist():
        path = _path(member)
        if path.is_absolute() or ".." in path.parts:
            raise BadArchiveError(
                f"{name}: the path {member.filename!r} leads out of the archive; do not trust it: fetch a fresh copy "
                "from its publisher"
            )
        if path.name in found and not member.is_dir():
            if stat.S_ISLNK(member.external_attr >> 16):
                raise BadArchiveError(f"{name}: {member.filename} is a link; pack the file itself")
            found[path.name].append(member)
    missing = [source.name for source in format_.files if source.required and not found[source.name]]
    if missing:
        held = ", ".join(member.filename for member in opened.infolist())
        raise BadArchiveError(
            f"{name} lacks {', '.join(missing)}, which the format {format_.name} needs; it holds "
            f"{held[:500] or 'nothing'}; take the archive of the right dataset, or add the file"
        )
    return {file: _nearest(members, name) for file, members in found.items() if members}


def _path(member: zipfile.ZipInfo) -> PurePosixPath:
    return PurePosixPath(member.filename.replace("\\", "/"))


def _nearest(members: list[zipfile.ZipInfo], name: str) -> zipfile.ZipInfo:
    """Return the member that is nearest to the top of the archive."""
    first, *others = sorted(members, key=lambda member: len(_path(member).parts))
    if others and len(_path(others[0]).parts) == len(_path(first).parts):
        raise BadArchiveError(
            f"{name} holds both {first.filename} and {others[0].filename}; take out the one that does not belong"
        )
    return first


def _check_size(archive: Path, name: str, members: Iterable[zipfile.ZipInfo]) -> None:
    """Raise BadArchiveError if the members would unpack to more than a dataset does; zipfile holds them to it."""
    size = sum(member.file_size for member in members)
    bound = min(MAX_BYTES, max(SMALL_BYTES, MAX_RATIO * archive.stat().st_size))
    if size > bound:
        raise BadArchiveError(
            f"{name} would unpack to {size / 1e6:,.0f} MB, more than the {bound / 1e6:,.0f} MB that are plausible for "
            "its size; do not trust it: fetch a fresh copy from its publisher"
        )
