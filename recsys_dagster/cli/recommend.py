"""`recsys recommend`."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from recsys_dagster.cli.console import console, recommendations_table
from recsys_dagster.cli.options import DomainOption
from recsys_dagster.errors import UsageError
from recsys_dagster.ingest.catalogue import get_domain
from recsys_dagster.runtime.layout import Layout
from recsys_dagster.runtime.text import printable
from recsys_dagster.settings import read_settings

if TYPE_CHECKING:
    from recsys_dagster.serving.cold_start import ColdStartList
    from recsys_dagster.serving.lookup import Id, PublishedFile, Recommendation


def recommend(
    domain: DomainOption,
    user: Annotated[str | None, typer.Option("--user", "-u", help="The user's id or name in the source.")] = None,
    rated: Annotated[
        list[str] | None,
        typer.Option("--rated", help="NAME=RATING: a title that a new user rates; may be repeated."),
    ] = None,
    liked: Annotated[
        list[str] | None,
        typer.Option("--liked", help="NAME: a title that a new user likes, without a rating; may be repeated."),
    ] = None,
    taste: Annotated[
        list[str] | None,
        typer.Option("--taste", help="GENRE=RATING (GENRE where there are no ratings): a genre that a new user rates."),
    ] = None,
    model: Annotated[
        str | None, typer.Option("--model", "-m", help="Model for a new user; default: the best that can do it.")
    ] = None,
    n: Annotated[int, typer.Option("--number", "-n", min=1, help="Length of the list.")] = 10,
    kind: Annotated[
        str | None, typer.Option("--kind", "-k", help="Only titles of this kind, such as Movie or TV.")
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print JSON, with everything known about each title.")
    ] = False,
) -> None:
    """Print the published list of a user, or a list for a new user by the last run's models, best first.

    Scores are comparable within one list only; their meaning depends on the model. Examples:

    [dim]recsys recommend --domain movie --user 42[/dim]

    [dim]recsys recommend --domain shop --user alice@example.org[/dim]

    [dim]recsys recommend --domain anime --user 42 -n 5 --kind Movie --json[/dim]

    [dim]recsys recommend --domain anime --rated "Cowboy Bebop=9" --rated "Trigun=8"[/dim]

    [dim]recsys recommend --domain movie --liked Heat --liked "Toy Story"[/dim]

    [dim]recsys recommend --domain anime --taste Action=9 --taste Magic=6[/dim]
    """
    settings = read_settings()
    layout = Layout(settings.home)
    chosen = get_domain(domain, settings)
    path = layout.published(chosen.name)
    if sum(map(bool, (user is not None, rated or liked, taste))) != 1:
        raise UsageError("give '--user', or '--rated' and '--liked', or '--taste' (all but the first may be repeated)")
    if user is not None and model is not None:
        raise UsageError(
            "'--model' is for new users, with '--rated', '--liked' or '--taste'; a user's list is by the champion"
        )
    from recsys_dagster.serving.lookup import PublishedFile

    with PublishedFile(path) as published:
        if user is not None:
            from recsys_dagster.warehouse.domain_run import DomainRun

            found = published.find_user(user, DomainRun(settings, chosen).pseudonym_of)
            _print_user_list(published, found, n, kind, as_json)
            return
        from recsys_dagster.model_store.store import ModelStore
        from recsys_dagster.serving.cold_start import recommend_by_ratings, recommend_by_tastes

        store = ModelStore(layout)
        if taste:
            result = recommend_by_tastes(published, store, taste, n, kind=kind, model=model)
        else:
            result = recommend_by_ratings(published, store, rated or [], n, liked=liked or [], kind=kind, model=model)
    _print_cold_start_list(result, domain, "tastes" if taste else "rated", n, kind, as_json)


def _print_user_list(published: "PublishedFile", user: "Id", n: int, kind: str | None, as_json: bool) -> None:
    recommendations = published.recommendations(user, n, kind)
    provenance = published.provenance()
    if as_json:
        _print_json(published.domain, {"user_id": user}, provenance.model, provenance.version, recommendations)
        return
    screen = console()
    screen.print(recommendations_table(recommendations))
    screen.print(
        f"{provenance.model} {provenance.version}, fitted on {provenance.trained_rows:,} interactions of "
        f"{provenance.dataset}, published {provenance.created_at:%Y-%m-%d %H:%M} UTC",
        style="dim",
        soft_wrap=True,
    )
    if len(recommendations) < n:
        typer.echo(f"The published list of user {user} has no more {_titles_of(kind)}.", err=True)


def _print_cold_start_list(
    result: "ColdStartList", domain: str, source: str, n: int, kind: str | None, as_json: bool
) -> None:
    if as_json:
        _print_json(domain, {source: result.ratings}, result.model, result.version, result.recommendations)
        return
    screen = console()
    screen.print(recommendations_table(result.recommendations))
    stated = [printable(name) + ("" if rating is None else f" {rating:g}") for name, rating in result.ratings.items()]
    screen.print(f"{result.model} {result.version}, for: {', '.join(stated)}", style="dim", soft_wrap=True)
    if len(result.recommendations) < n:
        typer.echo(f"{result.model} has no more {_titles_of(kind)} to recommend.", err=True)


def _titles_of(kind: str | None) -> str:
    return f"titles of kind {kind}" if kind else "titles"


def _print_json(
    domain: str,
    user: "dict[str, Id] | dict[str, dict[str, float | None]]",
    model: str,
    version: str,
    recommendations: "Sequence[Recommendation]",
) -> None:
    head = {"domain": domain, **user, "model": model, "version": version}
    answer = {**head, "recommendations": [asdict(recommendation) for recommendation in recommendations]}
    typer.echo(json.dumps(answer, ensure_ascii=False, indent=2))
