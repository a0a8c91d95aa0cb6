"""The `recsys` command: thin, and quick to answer; what takes seconds to import is imported by what needs it.

Exit codes: 0 done, 1 something outside is wrong (one line says what and how to mend it), 2 the command names something
that does not exist (the line says what does), 130 interrupted.
"""

import json
import os
import sys
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer
from pydantic import ValidationError
from rich.console import Console
from rich.table import Table
from typer.core import TyperGroup

from recsys_dagster.domains import DOMAINS, get_domain
from recsys_dagster.errors import RecsysError, UsageError
from recsys_dagster.settings import Settings
from recsys_dagster.storage import Layout

if TYPE_CHECKING:
    from recsys_dagster.serving import Recommendation

ALL = "all"
_PIPE_WIDTH = 200
_KNOWN_DOMAINS = ", ".join(DOMAINS)


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
DomainOption = Annotated[str, typer.Option("--domain", "-d", help=f"One of: {_KNOWN_DOMAINS}.", show_default=False)]


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit; `arguments` default to those of the process."""
    code = _run(arguments)
    if "tensorflow" in sys.modules:
        # Its leftovers keep modules alive past the interpreter's end, at which DuckDB's bindings fill the screen.
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    sys.exit(code)


def _run(arguments: Sequence[str] | None) -> int:
    try:
        return app(args=arguments, standalone_mode=False) or 0
    except RecsysError as error:
        typer.echo(f"recsys: {error}", err=True)
        return 2 if isinstance(error, UsageError) else 1
    except typer.TyperException as error:
        typer.echo(f"recsys: {error.format_message()} (`recsys --help` lists what there is)", err=True)
        return error.exit_code
    except (KeyboardInterrupt, typer.Abort):
        return 130


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


@app.command()
def run(
    domain: Annotated[
        str, typer.Option("--domain", "-d", help=f"One of: {_KNOWN_DOMAINS}; {ALL}: one after the other.")
    ] = ALL,
) -> None:
    """Do everything for a domain: fetch, clean, train, evaluate, publish.

    Killed or failed anywhere, it leaves what was published before; run it again. Examples:

    [dim]recsys run[/dim]

    [dim]RECSYS_MOVIE_DATASET=ml-latest-small recsys run --domain movie[/dim]
    """
    names = list(DOMAINS) if domain == ALL else [get_domain(domain).name]
    settings = _settings()
    from recsys_dagster.orchestration.run import run_domains

    run_domains(settings, names)


@app.command()
def datasets() -> None:
    """List the datasets that a domain can run on, and which of them are here.

    Choose one with RECSYS_MOVIE_DATASET or RECSYS_ANIME_DATASET; `recsys run` fetches it.
    """
    settings = _settings()
    from recsys_dagster.ingest import CATALOGUE, read_manifest

    chosen = {settings.dataset_of(domain) for domain in DOMAINS.values()}
    table = Table("dataset", "domain", "format", "source", "state", "holds", box=None, pad_edge=False)
    licences: dict[str, list[str]] = {}
    for dataset in CATALOGUE.values():
        state = {"chosen": dataset.id in chosen, "on disk": read_manifest(dataset, settings) is not None}
        table.add_row(
            dataset.id,
            dataset.domain,
            dataset.format.name,
            type(dataset.source).__name__.lower(),
            ", ".join(name for name, holds in state.items() if holds),
            dataset.summary,
        )
        licences.setdefault(dataset.licence, []).append(dataset.id)
    console = _console()
    console.print(table)
    console.print("\nLicences")
    for licence, ids in licences.items():
        console.print(f"{', '.join(ids)}: {licence}.", soft_wrap=True)


@app.command()
def recommend(
    domain: DomainOption,
    user: Annotated[int, typer.Option("--user", "-u", help="The user's id in the source.", show_default=False)],
    n: Annotated[int, typer.Option("--number", "-n", min=1, help="Length of the list.")] = 10,
    kind: Annotated[
        str | None, typer.Option("--kind", "-k", help="Only titles of this kind, such as Movie or TV.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, with all that is known of each title.")] = False,
) -> None:
    """Print what is published for a user, best first.

    A score is comparable within one list only: what it means is the model's affair. Examples:

    [dim]recsys recommend --domain movie --user 42[/dim]

    [dim]recsys recommend --domain anime --user 42 -n 5 --kind Movie --json[/dim]
    """
    layout = Layout(_settings().home)
    path = layout.published(get_domain(domain).name)
    from recsys_dagster.serving import Published

    with Published(path) as published:
        titles = published.recommendations(user, n, kind)
        provenance = published.provenance()
    if as_json:
        answer = {
            "domain": domain,
            "user_id": user,
            "model": provenance.model,
            "version": provenance.version,
            "recommendations": [asdict(title) for title in titles],
        }
        typer.echo(json.dumps(answer, ensure_ascii=False, indent=2))
    else:
        console = _console()
        console.print(_list_table(titles))
        console.print(
            f"{provenance.model} {provenance.version}, fitted on {provenance.trained_rows:,} interactions of "
            f"{provenance.dataset}, published {provenance.created_at:%Y-%m-%d %H:%M} UTC",
            style="dim",
            soft_wrap=True,
        )
        if len(titles) < n:
            what = f"titles of kind {kind}" if kind else "titles"
            typer.echo(f"The published list of user {user} has no more {what}.", err=True)


@app.command()
def report(
    domain: DomainOption,
    open_it: Annotated[bool, typer.Option("--open", help="Open it in the browser, too.")] = False,
) -> None:
    """Print where the domain's page is: data, leaderboard, learning curves, lists.

    Example: [dim]recsys report --domain movie --open[/dim]
    """
    path = Layout(_settings().home).report(get_domain(domain).name).absolute()
    if not path.exists():
        raise RecsysError(f"{path}: there is no report on {domain} yet; run `recsys run --domain {domain}` first")
    typer.echo(path)
    if open_it:
        import webbrowser

        if not webbrowser.open(path.as_uri()):
            raise RecsysError(f"{path}: no browser could be started; open the file by hand")


def _settings() -> Settings:
    """Read the settings; raise RecsysError, naming each variable, where a value is not what it should be."""
    try:
        return Settings()
    except ValidationError as error:
        faults = [
            f"RECSYS_{'_'.join(map(str, fault['loc'])).upper()}={fault['input']}: {fault['msg']}"
            for fault in error.errors()
        ]
        raise RecsysError("; ".join(faults) + "; set it right in the environment or in .env") from error


def _console() -> Console:
    """Where tables go: as wide as the terminal, or wide enough for a line a row where the output is piped.

    Text from outside is printed as it is: no markup, no emoji names, no guessing what is a number.
    """
    width = None if sys.stdout.isatty() else _PIPE_WIDTH
    return Console(width=width, markup=False, emoji=False, highlight=False)


def _list_table(titles: "Sequence[Recommendation]") -> Table:
    from recsys_dagster.serving import format_score

    table = Table(box=None, pad_edge=False)
    table.add_column("rank", justify="right")
    table.add_column("title", overflow="fold", ratio=3)
    english = any(title.title_english not in (None, title.title) for title in titles)
    if english:
        table.add_column("English title", overflow="fold", ratio=3)
    table.add_column("kind")
    table.add_column("year", justify="right")
    table.add_column("genres", overflow="fold", ratio=2)
    table.add_column("score", justify="right")
    for title in titles:
        table.add_row(
            str(title.rank),
            _printable(title.title),
            *([_printable(title.title_english or "")] if english else []),
            _printable(title.kind or ""),
            str(title.year or ""),
            _printable(", ".join(title.genres)),
            format_score(title.score),
        )
    return table


def _printable(text: str) -> str:
    """Leave out control characters, with which a title could move the cursor about."""
    return "".join(character for character in text if character.isprintable())
