"""`recsys recommend`."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from recsys_dagster.cli.console import console, list_table
from recsys_dagster.cli.options import DomainOption, read_settings
from recsys_dagster.domains import get_domain
from recsys_dagster.errors import UsageError
from recsys_dagster.runtime.layout import Layout

if TYPE_CHECKING:
    from recsys_dagster.serving.cold_start import Answer
    from recsys_dagster.serving.lookup import Published, Recommendation


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
    layout = Layout(read_settings().home)
    path = layout.published(get_domain(domain).name)
    if sum(map(bool, (user is not None, rated, taste))) != 1:
        raise UsageError("say for whom, in one way: '--user', '--rated' or '--taste' (the last two may be repeated)")
    if user is not None and model is not None:
        raise UsageError("'--model' is for somebody new, with '--rated' or '--taste'; a user's list is the champion's")
    from recsys_dagster.serving.lookup import Published

    with Published(path) as published:
        if user is not None:
            _print_published(published, user, n, kind, as_json)
            return
        from recsys_dagster.model_store.store import ModelStore
        from recsys_dagster.serving.cold_start import recommend_by_ratings, recommend_by_tastes

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
