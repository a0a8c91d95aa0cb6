"""Unpack the files of a format from a ZIP archive, and verify every byte of them."""

import codecs
import errno
import hashlib
import lzma
import os
import shutil
import stat
import struct
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath
from typing import IO

from recsys_dagster.errors import RecsysError
from recsys_dagster.ingest.csv_dialect import HeaderError, read_header
from recsys_dagster.ingest.formats import Format, SourceFile
from recsys_dagster.ingest.manifest import ManifestFile
from recsys_dagster.runtime.storage import explaining_disk_full
from recsys_dagster.runtime.text import printable
from recsys_dagster.runtime.units import GIB, MIB

MAX_BYTES = 64 * GIB
"""Largest total size of the unpacked files; the largest known dataset has 3 GiB."""

MAX_RATIO = 100
"""Largest ratio of unpacked to packed size; CSV files have 3 to 10, ZIP bombs up to 1,032."""

SMALL_BYTES = 64 * MIB
"""Up to this unpacked size any ratio is accepted."""

_BLOCK_BYTES = MIB
_DAMAGED = (zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, ValueError, OverflowError, struct.error)
_LONGEST_HEADER = 2**16
_SHOWN = 500  # characters of an archive's content in a message


class BadArchiveError(RecsysError):
    """The archive or a file in it is not valid; fetching it again would not help."""


def unpack(archive: Path, name: str, format_: Format, folder: Path) -> dict[str, ManifestFile]:
    """Unpack the files of a format, which may be anywhere in the archive, into `folder`.

    Args:
        archive: the ZIP file.
        name: name of the archive in error messages.
        format_: the files to look for, by base name; other members are not unpacked.
        folder: existing output folder.

    Returns:
        The verified files by name.

    Raises:
        BadArchiveError: the archive is damaged or unsafe, or lacks a file or a column.
        RecsysError: there is not enough disk space.
    """
    try:
        with zipfile.ZipFile(archive) as opened:
            members = _find_members(opened, name, format_)
            _check_size(archive, name, members.values())
            require_space(folder, sum(member.file_size for member in members.values()))
            files = {}
            for source in format_.files:
                if source.name in members:
                    with opened.open(members[source.name]) as packed:
                        files[source.name] = copy_checked(packed, folder / source.name, source, name)
            return files
    except _DAMAGED as error:
        raise _damaged(name, error) from error
    except OSError as error:
        # Offsets that lead nowhere and invalid bzip2 data are reported like this; anything else is the disk's fault.
        if error.errno not in (None, errno.EINVAL):
            raise
        raise _damaged(name, error) from error
    except RuntimeError as error:  # encrypted, or compressed with a method that Python does not support
        raise BadArchiveError(
            f"{name}: cannot be unpacked ({printable(str(error))}); pack its files again as a ZIP without password"
        ) from error


def copy_checked(stream: IO[bytes], target: Path, source: SourceFile, origin: str) -> ManifestFile:
    """Copy a file to `target`, flush it to the disk, and verify it on the way; see `examine`."""

    def copied(file: IO[bytes]) -> Iterator[bytes]:
        for block in _blocks(stream):
            file.write(block)
            yield block

    with explaining_disk_full(target), target.open("wb") as file:
        result = examine(copied(file), target, source, origin)
        file.flush()
        os.fsync(file.fileno())
    return result


def examine_file(path: Path, source: SourceFile, origin: str) -> ManifestFile:
    """Verify a file that is already in its place, and flush it to the disk; see `examine`."""
    with path.open("rb") as file:
        result = examine(_blocks(file), path, source, origin)
        os.fsync(file.fileno())
    return result


def examine(blocks: Iterable[bytes], path: Path, source: SourceFile, origin: str) -> ManifestFile:
    """Read a CSV file once, verify it, and return its size, checksum, number of lines and header.

    Args:
        blocks: the content of the file.
        path: where the file is kept.
        source: what the file should be.
        origin: the archive or the place that it comes from, for error messages.

    Raises:
        BadArchiveError: the file is empty, is not UTF-8, lacks a column, or is required and has no rows.
    """
    where = f"{origin}: {source.name}"
    decoder = codecs.getincrementaldecoder("utf-8")()
    checksum = hashlib.sha256()
    size = newlines = returns = 0
    start = last = b""
    header: tuple[str, ...] | None = None
    try:
        for block in blocks:
            checksum.update(block)
            if header is None:
                start += block
                if b"\n" in block or len(start) > _LONGEST_HEADER:
                    header = _header(start, source, where)
            decoder.decode(block)
            size += len(block)
            newlines += block.count(b"\n")
            returns += 0 if newlines else block.count(b"\r")
            last = block[-1:]
        decoder.decode(b"", final=True)
    except UnicodeDecodeError as error:
        line = newlines + error.object.count(b"\n", 0, error.start) + 1
        raise BadArchiveError(
            f"{where}, line {line}: expected UTF-8, found the byte 0x{error.object[error.start]:02x}; convert the file "
            f"(iconv -f WINDOWS-1252 -t UTF-8 {source.name}, or from its actual encoding) and pack it again"
        ) from error
    if size == 0:
        raise BadArchiveError(f"{where} is empty; replace the archive by a fresh copy, then run again")
    if header is None:
        header = _header(start, source, where)
    # Without a single LF, lines end with CR, as old programs for the Macintosh wrote them.
    lines = (newlines or returns) + (last != (b"\n" if newlines else b"\r"))
    if lines < 2 and source.required:
        raise BadArchiveError(f"{where} has a header but no rows; replace the archive by a fresh copy, then run again")
    return ManifestFile(path, size, checksum.hexdigest(), lines, header)


def require_space(folder: Path, needed: int) -> None:
    """Raise RecsysError unless the disk of `folder` has `needed` bytes free."""
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise RecsysError(
            f"{folder.parent}: {needed / 1e6:,.1f} MB are needed and the disk has {free / 1e6:,.1f} MB left; free some "
            "space or point RECSYS_HOME at a larger disk, then run again (the previous state is untouched)"
        )


def _damaged(name: str, error: Exception) -> BadArchiveError:
    return BadArchiveError(
        f"{name}: not a whole ZIP archive ({printable(str(error))}); replace it by a fresh copy, then run again"
    )


def _blocks(stream: IO[bytes]) -> Iterator[bytes]:
    return iter(lambda: stream.read(_BLOCK_BYTES), b"")


def _header(start: bytes, source: SourceFile, where: str) -> tuple[str, ...]:
    """Return the column names in the first line of `start`; raise BadArchiveError if they cannot be used."""
    try:
        return read_header(start, source)
    except HeaderError as error:
        raise BadArchiveError(f"{where}{error}") from error


def _find_members(opened: zipfile.ZipFile, name: str, format_: Format) -> dict[str, zipfile.ZipInfo]:
    """Return the format's files in the archive by name; of several candidates, the one nearest to the top.

    Raises:
        BadArchiveError: a path leads out of the archive, a file is a link or missing, or two candidates are equally
            near.
    """
    candidates: dict[str, list[zipfile.ZipInfo]] = {source.name: [] for source in format_.files}
    spellings = {name: source.name for source in format_.files for name in (source.name, *source.other_names)}
    for member in opened.infolist():
        path = _path(member)
        if path.is_absolute() or ".." in path.parts:
            raise BadArchiveError(
                f"{name}: the path {printable(member.filename)!r} leads out of the archive; do not trust it: fetch a "
                "fresh copy from its publisher"
            )
        if path.name in spellings and not member.is_dir():
            if stat.S_ISLNK(member.external_attr >> 16):
                raise BadArchiveError(f"{name}: {printable(member.filename)} is a link; pack the file itself")
            candidates[spellings[path.name]].append(member)
    missing = [source.name for source in format_.files if source.required and not candidates[source.name]]
    if format_.one_of and not any(candidates[file] for file in format_.one_of):
        missing.append(" or ".join(format_.one_of))
    if missing:
        content = printable(", ".join(member.filename for member in opened.infolist()[:_SHOWN]))
        raise BadArchiveError(
            f"{name} lacks {', '.join(missing)}, which the format {format_.name} needs; it contains "
            f"{content[:_SHOWN] or 'nothing'}; use the archive of the right dataset, or add the file"
        )
    return {file: _nearest_to_top(members, name) for file, members in candidates.items() if members}


def _path(member: zipfile.ZipInfo) -> PurePosixPath:
    return PurePosixPath(member.filename.replace("\\", "/"))


def _nearest_to_top(members: list[zipfile.ZipInfo], name: str) -> zipfile.ZipInfo:
    """Return the member with the fewest folders above it."""
    first, *others = sorted(members, key=lambda member: len(_path(member).parts))
    if others and len(_path(others[0]).parts) == len(_path(first).parts):
        raise BadArchiveError(
            f"{name} contains both {printable(first.filename)} and {printable(others[0].filename)}; remove the one "
            "that does not belong to the dataset"
        )
    return first


def _check_size(archive: Path, name: str, members: Iterable[zipfile.ZipInfo]) -> None:
    """Raise BadArchiveError if the members are too large; zipfile never unpacks more than a member declares."""
    size = sum(member.file_size for member in members)
    limit = min(MAX_BYTES, max(SMALL_BYTES, MAX_RATIO * archive.stat().st_size))
    if size > limit:
        raise BadArchiveError(
            f"{name} would unpack to {size / 1e6:,.0f} MB, more than the {limit / 1e6:,.0f} MB that are plausible for "
            "its size; do not trust it: fetch a fresh copy from its publisher"
        )
