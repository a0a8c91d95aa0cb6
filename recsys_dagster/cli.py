"""The `recsys` command: thin, and quick to answer; what takes seconds to import is imported by what needs it.

Exit codes: 0 done, 1 something outside is wrong (one line says what and how to mend it), 2 the command names something
that does not exist (the line says what does), 130 interrupted.
"""

import json
import os
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from pydantic import ValidationError
from rich.table import Table
from typer.core import TyperGroup

from recsys_dagster.console import console, contestants_table, list_table
from recsys_dagster.domains import DOMAINS, get_domain, like_threshold_of
from recsys_dagster.errors import RecsysError, UsageError
from recsys_dagster.settings import Settings
from recsys_dagster.storage import Layout

if TYPE_CHECKING:
    from recsys_dagster.serving import Answer, Published, Recommendation

ALL = "all"
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
    models: Annotated[
        str,
        typer.Option(
            "--models", "-m", help=f"Names, separated by commas; {ALL}; else RECSYS_MODELS.", show_default=False
        ),
    ] = "",
) -> None:
    """Do everything for a domain: fetch, clean, train, evaluate, publish.

    Killed or failed anywhere, it leaves what was published before; run it again. Examples:

    [dim]recsys run[/dim]

    [dim]RECSYS_MOVIE_DATASET=ml-latest-small recsys run --domain movie[/dim]
    """
    names = list(DOMAINS) if domain == ALL else [get_domain(domain).name]
    settings = _settings(**({"models": models} if models else {}))
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
    screen = console()
    screen.print(table)
    screen.print("\nLicences")
    for licence, ids in licences.items():
        screen.print(f"{', '.join(ids)}: {licence}.", soft_wrap=True)


@app.command()
def recommend(
    domain: DomainOption,
    user: Annotated[int | None, typer.Option("--user", "-u", help="The user's id in the source.")] = None,
    rated: Annotated[
        list[str] | None,
        typer.Option("--rated", help="NAME=RATING: for somebody new, who rates this title; may be repeated."),
    ] = None,
    taste: Annotated[
        list[str] | None,
        typer.Option("--taste", help="GENRE=RATING: for somebody new, who rates this genre; may be repeated."),
    ] = None,
    model: Annotated[
        str | None, typer.Option("--model", "-m", help="Which model answers somebody new; else the best that can.")
    ] = None,
    n: Annotated[int, typer.Option("--number", "-n", min=1, help="Length of the list.")] = 10,
    kind: Annotated[
        str | None, typer.Option("--kind", "-k", help="Only titles of this kind, such as Movie or TV.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, with all that is known of each title.")] = False,
) -> None:
    """Print what is published for a user, or what the last run's models say to somebody new, best first.

    A score is comparable within one list only: what it means is the model's affair. Examples:

    [dim]recsys recommend --domain movie --user 42[/dim]

    [dim]recsys recommend --domain anime --user 42 -n 5 --kind Movie --json[/dim]

    [dim]recsys recommend --domain anime --rated "Cowboy Bebop=9" --rated "Trigun=8"[/dim]

    [dim]recsys recommend --domain anime --taste Action=9 --taste Magic=6[/dim]
    """
    layout = Layout(_settings().home)
    path = layout.published(get_domain(domain).name)
    if sum(map(bool, (user is not None, rated, taste))) != 1:
        raise UsageError("say for whom, in one way: '--user', '--rated' or '--taste' (the last two may be repeated)")
    if user is not None and model is not None:
        raise UsageError("'--model' is for somebody new, with '--rated' or '--taste'; a user's list is the champion's")
    from recsys_dagster.serving import Published

    with Published(path) as published:
        if user is not None:
            _print_published(published, user, n, kind, as_json)
            return
        from recsys_dagster.models import ModelStore
        from recsys_dagster.serving import recommend_by_ratings, recommend_by_tastes

        ask = recommend_by_ratings if rated else recommend_by_tastes
        answer = ask(published, ModelStore(layout), rated or taste or [], n, kind=kind, model=model)
    _print_answer(answer, domain, "rated" if rated else "tastes", n, kind, as_json)


def _print_published(published: "Published", user: int, n: int, kind: str | None, as_json: bool) -> None:
    titles = published.recommendations(user, n, kind)
    provenance = published.provenance()
    if as_json:
        _print_json(published.path.stem, {"user_id": user}, provenance.model, provenance.version, titles)
        return
    screen = console()
    screen.print(list_table(titles))
    screen.print(
        f"{provenance.model} {provenance.version}, fitted on {provenance.trained_rows:,} interactions of "
        f"{provenance.dataset}, published {provenance.created_at:%Y-%m-%d %H:%M} UTC",
        style="dim",
        soft_wrap=True,
    )
    if len(titles) < n:
        what = f"titles of kind {kind}" if kind else "titles"
        typer.echo(f"The published list of user {user} has no more {what}.", err=True)


def _print_answer(answer: "Answer", domain: str, stated: str, n: int, kind: str | None, as_json: bool) -> None:
    if as_json:
        _print_json(domain, {stated: answer.understood}, answer.model, answer.version, answer.recommendations)
        return
    screen = console()
    screen.print(list_table(answer.recommendations))
    understood = ", ".join(f"{name} {rating:g}" for name, rating in answer.understood.items())
    screen.print(f"{answer.model} {answer.version}, for: {understood}", style="dim", soft_wrap=True)
    if len(answer.recommendations) < n:
        what = f"titles of kind {kind}" if kind else "titles"
        typer.echo(f"{answer.model} knows no more {what}.", err=True)


def _print_json(
    domain: str, person: dict[str, Any], model: str, version: str, titles: "Sequence[Recommendation]"
) -> None:
    head = {"domain": domain, **person, "model": model, "version": version}
    answer = {**head, "recommendations": [asdict(title) for title in titles]}
    typer.echo(json.dumps(answer, ensure_ascii=False, indent=2))


@app.command()
def evaluate(
    train: Annotated[Path, typer.Option("--train", help="Parquet file to learn from.", show_default=False)],
    test: Annotated[Path, typer.Option("--test", help="Parquet file to be judged by.", show_default=False)],
    scale: Annotated[
        tuple[float, float], typer.Option("--scale", help="Lowest and highest rating.", show_default=False)
    ],
    out: Annotated[Path, typer.Option("--out", help="Folder for the results.", show_default=False)],
    fold_in: Annotated[
        Path | None,
        typer.Option("--fold-in", help="The users of the test are new: Parquet file of all that is known of them."),
    ] = None,
    titles: Annotated[
        Path | None, typer.Option("--titles", help="Parquet file of item_id, genres, kind, year, site_score.")
    ] = None,
    models: Annotated[str, typer.Option("--models", "-m", help=f"Names, separated by commas, or {ALL}.")] = ALL,
    like_threshold: Annotated[
        float | None,
        typer.Option(
            "--like-threshold",
            help="A rating at or above it is a like; 7/9 up the scale unless given: 4 of 1 to 5.",
        ),
    ] = None,
) -> None:
    """Compare models on a split of your own, which need not come from here.

    The files have the columns user_id, item_id (BIGINT), rating (FLOAT; NULL:
    liked without a rating) and, if there are times, at (TIMESTAMP).

    Every pair of the test is predicted, and a list is made for each user of
    the training file. With --fold-in there are only lists, for users who are
    known by their rows there. Models that stop early learn when on a tenth of
    the training file, drawn by RECSYS_SEED, then are fitted on all of it.

    The folder gets metrics.json, where recall@k is hits / min(k, likes), and
    predictions/<model>.parquet: user_id, item_id, prediction; and
    lists/<model>.parquet: user_id, rank, item_id, score, 100 a user. Example:

    [dim]recsys evaluate --train train.parquet --test test.parquet --scale 1 5 --models als,ease --out results[/dim]
    """
    settings = _settings()
    threshold = like_threshold_of(scale) if like_threshold is None else like_threshold
    if not scale[0] < threshold <= scale[1]:
        raise typer.BadParameter(f"a like threshold of {threshold:g} on a scale from {scale[0]:g} to {scale[1]:g}")
    from recsys_dagster.models import model_class, model_names

    names = list(model_names()) if models == ALL else [name.strip() for name in models.split(",") if name.strip()]
    for name in names:
        model_class(name)
    from recsys_dagster.evaluation import evaluate_split
    from recsys_dagster.warehouse import load_split

    out.mkdir(parents=True, exist_ok=True)
    split = load_split(
        train,
        test,
        fold_in,
        titles,
        scale=scale,
        like_threshold=threshold,
        scratch=out,
        memory_limit=settings.memory_limit,
    )
    contestants = evaluate_split(split, names, out, seed=settings.seed)
    screen = console()
    screen.print(contestants_table([one for one in contestants if one.left_out is None]))
    for one in contestants:
        if one.left_out is not None:
            screen.print(f"{one.model} left out: {one.left_out}", style="dim", soft_wrap=True)
    if all(one.left_out is not None for one in contestants):
        raise RecsysError("no model could do it; each one's reason is given above")


@app.command()
def tune(
    domain: DomainOption,
    model: Annotated[str, typer.Option("--model", "-m", help="Name of the model.", show_default=False)],
    trials: Annotated[int, typer.Option("--trials", "-n", min=1, help="Choices to have tried in the end.")] = 50,
) -> None:
    """Search for better parameters of a model on the validation fold.

    Killed anywhere, it goes on where it was when run again; with more
    --trials it goes on from its end. What is far off is given up on a quarter
    of the users. The best is kept in models/DOMAIN/MODEL/tuned.json under
    RECSYS_HOME. Needs `recsys run` first. Example:

    [dim]recsys tune --model als --domain movie[/dim]
    """
    from recsys_dagster.tuning import tune as search
    from recsys_dagster.workspace import Workspace

    tuned = search(Workspace(_settings()), get_domain(domain).name, model, trials)
    table = Table("parameter", "best", box=None, pad_edge=False)
    for name, value in tuned.params.items():
        table.add_row(name, f"{value:.4g}" if isinstance(value, float) else str(value))
    default = "" if tuned.default_value is None else f", {tuned.default_value:.4f} with the defaults"
    screen = console()
    screen.print(table)
    screen.print(
        f"{tuned.metric} {tuned.value:.4f} on validation{default}; {tuned.trials} tried, {tuned.pruned} given up",
        style="dim",
        soft_wrap=True,
    )


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


def _settings(**chosen: Any) -> Settings:
    """Read the settings, those `chosen` on the command line laid over them.

    Raises:
        RecsysError: a value is not what it should be; the message names each variable.
    """
    try:
        return Settings(**chosen)
    except ValidationError as error:
        faults = [
            f"RECSYS_{'_'.join(map(str, fault['loc'])).upper()}={fault['input']}: {fault['msg']}"
            for fault in error.errors()
        ]
        raise RecsysError("; ".join(faults) + "; set it right in the environment or in .env") from error
