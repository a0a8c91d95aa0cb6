"""The `recsys` command. Each subcommand is a function in a module of this package.

Exit codes:
    0: everything is done.
    1: something outside the code is wrong; one line says what, and how to fix it. `recsys run` has not published the
        lists of a domain; the previous ones stay.
    2: an option or a setting names something that does not exist; the line lists what exists.
    3: `recsys run` has published the lists of every domain, or left them to wait, but something else failed.
    4: `recsys run` is done, and lists wait for `recsys approve` (RECSYS_PROMOTION=manual).
    130, 143: stopped by Ctrl-C or SIGTERM.

The last line on standard error says why, after `recsys: `; of several failures, each has a line above it.
"""

import os
import sys
from collections.abc import Sequence
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from recsys_dagster.cli.approve import approve
from recsys_dagster.cli.backtest import backtest
from recsys_dagster.cli.backup import backup, restore
from recsys_dagster.cli.datasets import datasets
from recsys_dagster.cli.evaluate import evaluate
from recsys_dagster.cli.export import export
from recsys_dagster.cli.feedback import feedback
from recsys_dagster.cli.history import history
from recsys_dagster.cli.import_data import import_data
from recsys_dagster.cli.papers import papers
from recsys_dagster.cli.plan import plan
from recsys_dagster.cli.promote import promote
from recsys_dagster.cli.recommend import recommend
from recsys_dagster.cli.reject import reject
from recsys_dagster.cli.report import report
from recsys_dagster.cli.review import review
from recsys_dagster.cli.rollback import rollback
from recsys_dagster.cli.rules import rules
from recsys_dagster.cli.run import run
from recsys_dagster.cli.serve import serve
from recsys_dagster.cli.similar import similar
from recsys_dagster.cli.tune import tune
from recsys_dagster.cli.ui import ui
from recsys_dagster.errors import RecsysError, UsageError
from recsys_dagster.runtime.storage import DISK_FULL, describe_os_error, is_disk_full
from recsys_dagster.runtime.text import printable


class _Commands(TyperGroup):
    """Lists the known commands if another one is typed."""

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
    epilog="Settings: RECSYS_HOME, RECSYS_DATASET_MOVIE, RECSYS_MIRROR and others, in the environment or in .env.",
)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit; `arguments` default to those of the process."""
    code = _run(arguments)
    if arguments is None and "tensorflow" in sys.modules:
        # TensorFlow keeps modules alive while the interpreter shuts down, and DuckDB's bindings then print errors.
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    sys.exit(code)


def _run(arguments: Sequence[str] | None) -> int:
    try:
        return app(args=arguments, standalone_mode=False) or 0
    except RecsysError as error:
        _print_error(str(error))
        return error.exit_code
    except typer.TyperException as error:
        _print_error(f"{error.format_message()} (`recsys --help` lists what there is)")
        return error.exit_code
    except (KeyboardInterrupt, typer.Abort):
        return 130
    except BrokenPipeError:
        raise
    except OSError as error:  # such as a full disk while a file is written that nobody else explains
        _print_error(describe_os_error(error))
        return RecsysError.exit_code
    except Exception as error:  # Dagster's history is a database that fails in many ways on a full disk
        if not is_disk_full(error):
            raise
        _print_error(DISK_FULL)
        return RecsysError.exit_code


def _print_error(message: str) -> None:
    """Print a line for each failure; the last line names the first failure and how many there are besides.

    Names from outside must not control the terminal.
    """
    first, *others = message.split("\n")
    besides = f" (and {len(others)} more, above)" if others else ""
    typer.echo("\n".join(map(printable, [*others, f"recsys: {first}{besides}"])), err=True)


def _print_version(is_set: bool) -> None:
    if is_set:
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

    Start with [bold]recsys run[/bold], which needs neither data nor network, then try
    [bold]recsys recommend --domain movie --user 1[/bold] and [bold]recsys ui[/bold].
    """
    del version
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


_COMMANDS = (
    run,
    plan,
    datasets,
    recommend,
    similar,
    serve,
    export,
    feedback,
    rules,
    evaluate,
    papers,
    tune,
    report,
    history,
    review,
    approve,
    reject,
    promote,
    rollback,
    backtest,
    backup,
    restore,
    ui,
)
for _command in _COMMANDS:
    app.command()(_command)
app.command("import")(import_data)
