"""Read compressed files as what they hold, recognised by their first bytes."""

import bz2
import gzip
import lzma
import zlib
from collections.abc import Iterator
from typing import IO, Protocol

import pyarrow as pa

from recsys_dagster.runtime.units import MIB

ENDINGS = (".gz", ".bz2", ".xz", ".zst")
"""Endings of the names of compressed files."""

DAMAGED = (EOFError, zlib.error, lzma.LZMAError, gzip.BadGzipFile, pa.ArrowInvalid)
"""What reading a damaged compressed file raises, beside OSError."""

_BLOCK_BYTES = MIB


class Readable(Protocol):
    """What can be read in blocks."""

    def read(self, size: int, /) -> bytes:
        """Return up to so many bytes; none at the end."""


def blocks_of(stream: IO[bytes]) -> Iterator[bytes]:
    """Yield the content of a stream in blocks, decompressed if it is gzip, bzip2, xz or Zstandard."""
    start = stream.read(6)
    stream.seek(0)
    reader: Readable = stream
    if start.startswith(b"\x1f\x8b"):
        reader = gzip.GzipFile(fileobj=stream)
    elif start.startswith(b"BZh"):
        reader = bz2.BZ2File(stream)
    elif start.startswith(b"\xfd7zXZ\x00"):
        reader = lzma.LZMAFile(stream)  # noqa: SIM115  closed with the stream
    elif start.startswith(b"\x28\xb5\x2f\xfd"):
        reader = pa.CompressedInputStream(pa.PythonFile(stream, mode="r"), "zstd")
    while block := reader.read(_BLOCK_BYTES):
        yield block


def without_ending(name: str) -> str:
    """Return the name of a file without the ending of its compression."""
    return next((name[: -len(ending)] for ending in ENDINGS if name.lower().endswith(ending)), name)
