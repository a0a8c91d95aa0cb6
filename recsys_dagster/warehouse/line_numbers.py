"""Compute at which line of a CSV file a row stands, where rows are longer than a line."""

import csv
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from recsys_dagster.ingest.csv_dialect import Dialect

BLOCK_BYTES = 16 * 2**20

_SHIFTS_AT_ONCE = 2**20


def newlines_before(path: Path, positions: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return how many line ends are in a file before each byte position (from 1, rising), reading it once."""
    counts = np.zeros(len(positions), dtype=np.int64)
    done = passed = offset = 0
    with path.open("rb") as file:
        while done < len(positions) and (block := file.read(BLOCK_BYTES)):
            stop = int(np.searchsorted(positions, offset + len(block), side="right"))
            ends = _newlines_of(block) + offset
            counts[done:stop] = passed + np.searchsorted(ends, positions[done:stop] - 1)
            done, passed, offset = stop, passed + len(ends), offset + len(block)
    counts[done:] = passed
    return counts


def _newlines_of(block: bytes) -> NDArray[np.int64]:
    return np.flatnonzero(np.frombuffer(block, dtype=np.uint8) == ord("\n"))


def shifts_of_lines(
    path: Path, unparsable: NDArray[np.int64], *, has_header: bool = True
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Yield the line shifts of a file without quotes, in which every row is one line.

    Args:
        path: the file.
        unparsable: lines of the rows that were not loaded, rising; from 2 on, also where there is no header.
        has_header: whether the first line has the names of the columns; else the lines are counted as if it had.

    Yields:
        (positions, extra lines), of equal length.
    """
    line = 0 if has_header else 1  # lines before the block
    extras = 0  # lines before the block that hold no loaded row, without the header
    pending = b""
    with path.open("rb") as file:
        while True:
            block = file.read(BLOCK_BYTES)
            data = pending + block if block else pending + (b"\n" if pending else b"")
            ends = _newlines_of(data)
            if len(ends):
                starts = np.concatenate([[0], ends[:-1] + 1])
                bytes_of = np.frombuffer(data, dtype=np.uint8)
                lengths = ends - starts
                is_blank = (lengths == 0) | ((lengths == 1) & (bytes_of[starts] == ord("\r")))
                numbers = line + 1 + np.arange(len(ends))
                first, last = np.searchsorted(unparsable, [numbers[0], numbers[-1] + 1])
                is_blank[unparsable[first:last] - line - 1] = True
                if line == 0:
                    is_blank[0] = False
                extra = np.flatnonzero(is_blank)
                positions = numbers[extra] - 2 - extras - np.arange(len(extra))
                yield np.unique(positions, return_counts=True)
                line, extras = line + len(ends), extras + len(extra)
                pending = data[int(ends[-1]) + 1 :]
            else:
                pending = data
            if not block:
                return


def shifts_of_quoted(
    path: Path, dialect: Dialect, unparsable: NDArray[np.int64], *, has_header: bool = True
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Yield the line shifts of a file with quoted fields, in which a row can have several lines; see above."""
    csv.field_size_limit(2**31 - 1)  # DuckDB's own limit for a line is 2 MB
    positions: list[int] = []
    extra: list[int] = []
    missing = 0 if has_header else 1
    position = missing - 1  # of the last loaded row; the header counts as one
    end, place = missing, 0
    with path.open(encoding="utf-8", errors="replace", newline="") as file:
        reader = csv.reader(file, delimiter=dialect.delimiter)
        # A row of the file that Python cannot read has no position, as DuckDB cannot read it either.
        with suppress(csv.Error):
            for row in reader:
                start, end = end + 1, reader.line_num + missing
                while place < len(unparsable) and unparsable[place] < start:
                    place += 1
                is_loaded = bool(row) and not (place < len(unparsable) and unparsable[place] == start)
                lines = end - start + 1
                if is_loaded:
                    position += 1
                    lines -= 1
                if lines and position >= 0:
                    if positions and positions[-1] == position:
                        extra[-1] += lines
                    else:
                        positions.append(position)
                        extra.append(lines)
                if len(positions) > _SHIFTS_AT_ONCE:
                    yield np.array(positions, np.int64), np.array(extra, np.int64)
                    positions, extra = [], []
    yield np.array(positions, np.int64), np.array(extra, np.int64)
