"""Start Spark through Dagster Pipes, so that its log stands in the run and it ends with the run."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import dagster as dg
from dagster._core.errors import DagsterPipesExecutionError  # dagster exports no name for it

from recsys_dagster.runtime.spark_process import started_by


@contextmanager
def spark_through(context: dg.AssetExecutionContext) -> Iterator[None]:
    """Start every Spark process of the block through Pipes."""

    def start(python: Path, arguments: Sequence[str]) -> int:
        command = [str(python), "-m", "recsys_dagster.orchestration.spark_job", *arguments]
        try:
            dg.PipesSubprocessClient().run(context=context, command=command)
        except DagsterPipesExecutionError as error:
            # Its message ends with the exit status.
            return int(str(error).rsplit(maxsplit=1)[-1])
        return 0

    with started_by(start):
        yield
