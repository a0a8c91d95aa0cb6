"""`recsys recommend`."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from recsys_dagster.cli.console import console, history_of_user_table, recommendations_table
from recsys_dagster.cli.options import DomainOption
from recsys_dagster.errors import UsageError
from recsys_dagster.ingest.domain_lookup import get_domain
from recsys_dagster.runtime.layout import Layout
from recsys_dagster.runtime.text import printable
from recsys_dagster.settings import read_settings

if TYPE_CHECKING:
    from recsys_dagster.serving.cold_start import ColdStartList
    from recsys_dagster.serving.filters import ItemFilter
    from recsys_dagster.serving.lookup import PublishedFile
    from recsys_dagster.serving.on_demand import ModelList
    from recsys_dagster.serving.recommendation import Id, Recommendation
    from recsys_dagster.serving.rules import Balance
    from recsys_dagster.warehouse.domain_run import DomainRun


HISTORY_SHOWN, GENRES_SHOWN = 20, 10


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
        list[str] | None,
        typer.Option(
            "--model",
            "-m",
            help="A model of the last run instead of the champion; may be repeated for --user. For a new user the "
            "best that can do it is the default.",
        ),
    ] = None,
    n: Annotated[int, typer.Option("--number", "-n", min=1, help="Length of the list.")] = 10,
    kind: Annotated[
        str | None, typer.Option("--kind", "-k", help="Only titles of this kind, such as Movie or TV.")
    ] = None,
    genre: Annotated[str | None, typer.Option("--genre", "-g", help="Only titles of this genre.")] = None,
    year: Annotated[
        str | None, typer.Option("--year", help="Only titles of this year, or of years such as 1990-1999.")
    ] = None,
    no_adult: Annotated[bool, typer.Option("--no-adult", help="No titles for adults.")] = False,
    diversity: Annotated[
        float | None, typer.Option("--diversity", min=0, max=1, help="How much different genres count, from 0 to 1.")
    ] = None,
    calibration: Annotated[
        float | None,
        typer.Option("--calibration", min=0, max=1, help="How much the genres of the history count, from 0 to 1."),
    ] = None,
    wide: Annotated[
        bool, typer.Option("--wide", "-w", help="Also episodes, members, site score and synopsis, where known.")
    ] = False,
    why: Annotated[
        bool, typer.Option("--why", help="Also the user's titles that each title is recommended for, where known.")
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print JSON, with everything known about each title.")
    ] = False,
) -> None:
    """Print the list of a user, or a list for a new user by the last run's models, best first.

    With a kind, genre or year the whole catalogue is ranked where the published
    list does not suffice. With --model the lists of these models stand below the
    user's latest titles and genres. The score ranks one list and holds a title's
    support; the rating is on the scale of the data, the probability is that of a
    like, the similarity is that of genres and kind. Examples:

    [dim]recsys recommend --domain movie --user 42[/dim]

    [dim]recsys recommend --domain movie --user 42 --why[/dim]

    [dim]recsys recommend --domain shop --user alice@example.org[/dim]

    [dim]recsys recommend --domain anime --user 42 -n 5 --kind Movie --json[/dim]

    [dim]recsys recommend --domain movie --user 1 --model bilstm --model bayesian_fm[/dim]

    [dim]recsys recommend --domain anime --rated "Cowboy Bebop=9" --rated "Trigun=8"[/dim]

    [dim]recsys recommend --domain movie --liked Heat --liked "Toy Story"[/dim]

    [dim]recsys recommend --domain anime --taste Action=9 --taste Magic=6[/dim]
    """
    settings = read_settings()
    chosen, layout = get_domain(domain, settings), Layout(settings.home)
    if sum(map(bool, (user is not None, rated or liked, taste))) != 1:
        raise UsageError("give '--user', or '--rated' and '--liked', or '--taste' (all but the first may be repeated)")
    from recsys_dagster.serving.filters import ItemFilter, parse_years
    from recsys_dagster.serving.lookup import PublishedFile
    from recsys_dagster.serving.rules import balance_of

    wanted = ItemFilter(kind, genre, None if year is None else parse_years(year), no_adult)
    balance = balance_of(diversity, calibration)
    with PublishedFile(layout.published(chosen.name)) as published:
        if user is not None:
            from recsys_dagster.warehouse.domain_run import DomainRun

            run = DomainRun(settings, chosen)
            found = published.find_user(user, run.pseudonym_of)
            _print_user_lists(run, published, found, n, wanted, balance, model or [], wide, why, as_json)
            return
        if len(model or []) > 1:
            raise UsageError("for a new user, only one '--model' is possible")
        from recsys_dagster.model_store.store import ModelStore
        from recsys_dagster.serving.cold_start import recommend_by_ratings, recommend_by_tastes

        store, name = ModelStore(layout), model[0] if model else None
        if taste:
            result = recommend_by_tastes(published, store, taste, n, wanted=wanted, model=name, balance=balance)
        else:
            result = recommend_by_ratings(
                published, store, rated or [], n, liked=liked or [], wanted=wanted, model=name, balance=balance
            )
    _print_cold_start_list(result, domain, "tastes" if taste else "rated", n, wanted, wide, why, as_json)


def _print_user_lists(
    run: "DomainRun",
    published: "PublishedFile",
    user: "Id",
    n: int,
    wanted: "ItemFilter",
    balance: "Balance | None",
    models: list[str],
    wide: bool,
    why: bool,
    as_json: bool,
) -> None:
    from recsys_dagster.serving.on_demand import recommend_by_models, recommend_to_user

    if models:
        lists = recommend_by_models(run, published, user, n, models, wanted, balance)
    else:
        lists = [recommend_to_user(run, published, user, n, wanted, balance)]
    if as_json:
        _print_user_json(published.domain, user, lists)
        return
    screen = console()
    if models:
        _print_history(run, user)
    for one in lists:
        if len(lists) > 1:
            screen.print(f"\n{one.model}")
        _print_list(one.model, one.recommendations, wide, why)
        screen.print(_origin_of(one, published, wanted), style="dim", soft_wrap=True)
        if len(one.recommendations) < n:
            of_filter = f" ({wanted})" if wanted else ""
            typer.echo(printable(f"{one.model} has no more titles for user {user}{of_filter}."), err=True)


def _print_list(model: str, recommendations: "Sequence[Recommendation]", wide: bool, why: bool) -> None:
    console().print(recommendations_table(recommendations, wide=wide, why=why))
    if why and not any(item.because for item in recommendations):
        typer.echo(f"{model} cannot say which of the user's titles it recommends these for.", err=True)


def _origin_of(one: "ModelList", published: "PublishedFile", wanted: "ItemFilter") -> str:
    """Return the line below a list: whose it is, what it was ranked over, and whose ratings stand in it."""
    provenance = published.provenance()
    ratings = f"; ratings by {one.rated_by}" if one.rated_by not in (None, one.model) else ""
    if one.is_published:
        return (
            f"{one.model} {one.version}, fitted on {provenance.trained_rows:,} interactions of "
            f"{provenance.dataset}, published {provenance.created_at:%Y-%m-%d %H:%M} UTC{ratings}"
        )
    among = f", only {wanted}" if wanted else ""
    return f"{one.model} {one.version}, as evaluated, ranked over the whole catalogue{among}{ratings}"


def _print_history(run: "DomainRun", user: "Id") -> None:
    """Print the user's latest titles with rating and time, and how often each genre is among all of the titles."""
    from recsys_dagster.serving.reading import readable
    from recsys_dagster.serving.user_history import genre_counts, read_history

    with readable(run) as reading:
        history = read_history(reading, user)
    screen = console()
    screen.print(f"user {user}: {len(history):,} titles, the latest:")
    screen.print(history_of_user_table(history[:HISTORY_SHOWN]))
    counts = ", ".join(f"{printable(genre)} {count}" for genre, count in genre_counts(history)[:GENRES_SHOWN])
    screen.print(f"genres, at most three of a title: {counts}", soft_wrap=True)


def _print_user_json(domain: str, user: "Id", lists: "Sequence[ModelList]") -> None:
    """Print one list as one object, several as an object with the lists by model."""
    if len(lists) == 1:
        (one,) = lists
        _print_json(domain, {"user_id": user}, one.model, one.version, one.recommendations)
        return
    answer = {
        "domain": domain,
        "user_id": user,
        "lists": [
            {
                "model": one.model,
                "version": one.version,
                "recommendations": [asdict(recommendation) for recommendation in one.recommendations],
            }
            for one in lists
        ],
    }
    typer.echo(json.dumps(answer, ensure_ascii=False, indent=2))


def _print_cold_start_list(
    result: "ColdStartList",
    domain: str,
    source: str,
    n: int,
    wanted: "ItemFilter",
    wide: bool,
    why: bool,
    as_json: bool,
) -> None:
    if as_json:
        _print_json(domain, {source: result.ratings}, result.model, result.version, result.recommendations)
        return
    screen = console()
    _print_list(result.model, result.recommendations, wide, why)
    stated = [printable(name) + ("" if rating is None else f" {rating:g}") for name, rating in result.ratings.items()]
    screen.print(f"{result.model} {result.version}, for: {', '.join(stated)}", style="dim", soft_wrap=True)
    if len(result.recommendations) < n:
        of_filter = f" ({wanted})" if wanted else ""
        typer.echo(printable(f"{result.model} has no more titles to recommend{of_filter}."), err=True)


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
