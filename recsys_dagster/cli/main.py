"""The `recsys` command: thin, and quick to answer. Each command is a function in a module of `commands`.

Exit codes: 0 done, 1 something outside is wrong (one line says what and how to mend it), 2 the command names something
that does not exist (the line says what does), 3 `recsys run` has published the lists of every domain, without a model
that failed (a line each), 130 interrupted.
"""

import os
import sys
from collections.abc import Sequence
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from recsys_dagster.cli.backtest import backtest
from recsys_dagster.cli.backup import backup, restore
from recsys_dagster.cli.datasets import datasets
from recsys_dagster.cli.evaluate import evaluate
from recsys_dagster.cli.history import history
from recsys_dagster.cli.promote import promote
from recsys_dagster.cli.recommend import recommend
from recsys_dagster.cli.report import report
from recsys_dagster.cli.rollback import rollback
from recsys_dagster.cli.run import run
from recsys_dagster.cli.tune import tune
from recsys_dagster.errors import IncompleteError, RecsysError, UsageError
from recsys_dagster.runtime.text import printable

_EXIT_CODES: dict[type[RecsysError], int] = {UsageError: 2, IncompleteError: 3}


class _Commands(TyperGroup):
    """Says which commands there are when asked for another."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        if args and args[0] not in self.commands and not args[0].startswith("-"):
            raise UsageError(f"unknown command {args[0]!r}; known: {', '.join(self.commands)}")
        return super().resolve_command(ctx, args)


app = typer.Typer(
    cls=_Commands,
    add_completion=False,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Settings: RECSYS_HOME, RECSYS_MOVIE_DATASET, RECSYS_MIRROR and others, in the environment or in .env.",
)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit; `arguments` default to those of the process."""
    code = _run(arguments)
    if arguments is None and "tensorflow" in sys.modules:
        # The process is this command's own. TensorFlow's leftovers keep modules alive past the interpreter's end, at
        # which DuckDB's bindings fill the screen.
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    sys.exit(code)


def _run(arguments: Sequence[str] | None) -> int:
    try:
        return app(args=arguments, standalone_mode=False) or 0
    except RecsysError as error:
        _print_error(str(error))
        return _EXIT_CODES.get(type(error), 1)
    except typer.TyperException as error:
        _print_error(f"{error.format_message()} (`recsys --help` lists what there is)")
        return error.exit_code
    except (KeyboardInterrupt, typer.Abort):
        return 130


def _print_error(message: str) -> None:
    """Print a message, whose names from outside must not control the terminal."""
    typer.echo("\n".join(map(printable, f"recsys: {message}".split("\n"))), err=True)


def _print_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"recsys {version('recsys-dagster')}")
        raise typer.Exit


@app.callback(invoke_without_command=True)
def recsys(
    context: typer.Context,
    version: Annotated[
        bool, typer.Option("--version", help="Print the version and exit.", callback=_print_version, is_eager=True)
    ] = False,
) -> None:
    """From raw rating files to honest evaluation and published recommendations.

    Begin with [bold]recsys run[/bold], which needs no data of yours and no network; then
    [bold]recsys recommend --domain movie --user 1[/bold].
    """
    del version
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


_COMMANDS = (run, datasets, recommend, evaluate, tune, report, history, promote, rollback, backtest, backup, restore)
for _command in _COMMANDS:
    app.command()(_command)
