"""`recsys evaluate`."""

from pathlib import Path
from typing import Annotated

import typer

from recsys_dagster.commands.options import ALL, read_settings
from recsys_dagster.console import console, contestants_table
from recsys_dagster.domains import like_threshold_of
from recsys_dagster.errors import RecsysError


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
    settings = read_settings()
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
