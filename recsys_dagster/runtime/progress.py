"""What a person at a terminal sees while they wait; nothing at all is drawn elsewhere.

Both go to standard error, so that standard output stays the command's own.
"""

import contextlib
from collections.abc import Callable, Iterator
from typing import Literal

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)


@contextlib.contextmanager
def progress_bar(
    description: str, total: float | None, unit: Literal["bytes", "steps"] = "steps"
) -> Iterator[Callable[[float], None]]:
    """Draw a bar while the block runs; the function that it gives moves the bar on by so many units.

    Args:
        description: what is under way.
        total: the units until the end; None where that is not known.
        unit: `bytes` are shown with their speed, `steps` are counted.
    """
    console = Console(stderr=True)
    counted: list[ProgressColumn] = (
        [DownloadColumn(), TransferSpeedColumn()] if unit == "bytes" else [MofNCompleteColumn()]
    )
    columns = [TextColumn("{task.description}"), BarColumn(), *counted, TimeRemainingColumn()]
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
        task = progress.add_task(description, total=total)
        yield lambda units: progress.advance(task, units)


def announce(message: str) -> None:
    """Tell the person who runs this something that they should know before it goes on."""
    Console(stderr=True).print(message, style="dim", markup=False, highlight=False, soft_wrap=True)
