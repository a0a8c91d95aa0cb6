"""Show progress bars and messages on the terminal.

Both are written to standard error, so that standard output contains only the result of a command.
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

from recsys_dagster.runtime.text import printable


@contextlib.contextmanager
def progress_bar(
    description: str, total: float | None, unit: Literal["bytes", "steps"] = "steps"
) -> Iterator[Callable[[float], None]]:
    """Show a progress bar during the block; nothing is shown if standard error is not a terminal.

    Args:
        description: text in front of the bar.
        total: number of units until the end; None if unknown.
        unit: `bytes` are shown with their speed, `steps` are counted.

    Yields:
        A function that advances the bar by a number of units.
    """
    console = Console(stderr=True)
    unit_columns: list[ProgressColumn] = (
        [DownloadColumn(), TransferSpeedColumn()] if unit == "bytes" else [MofNCompleteColumn()]
    )
    columns = [TextColumn("{task.description}", markup=False), BarColumn(), *unit_columns, TimeRemainingColumn()]
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
        task = progress.add_task(printable(description), total=total)
        yield lambda units: progress.advance(task, units)


def announce(message: str) -> None:
    """Print a message to standard error."""
    Console(stderr=True).print(printable(message), style="dim", markup=False, highlight=False, soft_wrap=True)
