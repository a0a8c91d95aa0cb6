"""Write generated blocks as CSV: several threads generate and encode them, one writes them in order."""

import csv
import os
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv as pc
from numpy.typing import NDArray

from recsys_dagster.ingest.samples.kernel import write_lines
from recsys_dagster.ingest.samples.world import Block, World

_THREADS = min(4, os.cpu_count() or 1)

Encoded = Mapping[str, memoryview | pa.Buffer]


def encode(columns: Sequence[NDArray[np.integer[Any]]], *, halved: Sequence[int] = ()) -> memoryview:
    """Encode integer columns, with values from 0 to 2³² - 1, as CSV without a header.

    Args:
        columns: arrays of equal length.
        halved: positions of the columns whose values are divided by two and written with one decimal.
    """
    numbers = np.array(columns, np.uint32)
    is_halved = np.isin(np.arange(len(numbers)), halved)
    width = sum(len(str(column.max(initial=0))) + 3 for column in numbers)
    lines = np.empty(numbers.shape[1] * width, np.uint8)
    return lines[write_lines(numbers, is_halved, lines) :].data


def encode_text(columns: Sequence[Any]) -> pa.Buffer:
    """Encode columns of equal length as CSV without a header; text is quoted."""
    table = pa.table([pa.array(column) for column in columns], names=[str(i) for i in range(len(columns))])
    sink = pa.BufferOutputStream()
    pc.write_csv(table, sink, pc.WriteOptions(include_header=False, quoting_style="needed"))
    return sink.getvalue()


def write_table(path: Path, header: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Write rows as CSV, quoting where a field needs it; None becomes an empty field."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)


def write_blocks(
    folder: Path, headers: Mapping[str, str], world: World, encode_block: Callable[[Block], Encoded]
) -> None:
    """Generate all blocks of the world, encode them with `encode_block`, and append them to their files in order.

    At most two blocks per thread are in memory.
    """
    with ExitStack() as stack:
        files = {name: stack.enter_context((folder / name).open("wb")) for name in headers}
        for name, header in headers.items():
            files[name].write(f"{header}\n".encode())
        threads = stack.enter_context(ThreadPoolExecutor(_THREADS))

        def work(number: int, first: int, last: int) -> Encoded:
            return encode_block(world.generate(number, first, last))

        for encoded in _in_order(threads, work, world.blocks()):
            for name, content in encoded.items():
                files[name].write(content)


def _in_order(
    threads: ThreadPoolExecutor, work: Callable[[int, int, int], Encoded], tasks: Iterable[tuple[int, int, int]]
) -> Iterable[Encoded]:
    """Yield the results in the order of the tasks; at most two tasks per thread are submitted in advance."""
    pending: deque[Future[Encoded]] = deque()
    for task in tasks:
        pending.append(threads.submit(work, *task))
        if len(pending) == 2 * _THREADS:
            yield pending.popleft().result()
    while pending:
        yield pending.popleft().result()
