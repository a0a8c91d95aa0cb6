"""The command `recsys evaluate`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from recsys_dagster.cli.console import console, published_table, results_table
from recsys_dagster.cli.options import ALL, KNOWN_DOMAINS
from recsys_dagster.domains import default_like_threshold
from recsys_dagster.errors import RecsysError, UsageError
from recsys_dagster.ingest.domain_lookup import get_domain
from recsys_dagster.settings import read_settings

if TYPE_CHECKING:
    from recsys_dagster.data.split import Split
    from recsys_dagster.evaluation.custom_split import ModelResult
    from recsys_dagster.evaluation.protocols import Protocol
    from recsys_dagster.warehouse.domain_run import DomainRun


def evaluate(
    domain: Annotated[
        str | None, typer.Option("--domain", "-d", help=f"Split the clean tables of this domain: {KNOWN_DOMAINS}.")
    ] = None,
    dataset: Annotated[
        str | None,
        typer.Option(
            "--dataset", help="Fetch and split this public dataset, such as ml-1m, instead; a domain's tables stay."
        ),
    ] = None,
    protocol: Annotated[
        str | None,
        typer.Option(
            "--protocol",
            "-p",
            help="How to split them: holdout, random, global-time, time-fold-in, strong-generalisation, leave-last-out,"
            " or as a paper does, with its models and parameters: paper-000 to paper-004.",
        ),
    ] = None,
    test_share: Annotated[
        float | None, typer.Option("--test-share", help="Share that is the test, if not the protocol's usual one.")
    ] = None,
    train: Annotated[
        Path | None, typer.Option("--train", help="Parquet or CSV file to learn from, for a split of your own.")
    ] = None,
    test: Annotated[Path | None, typer.Option("--test", help="File to evaluate on.")] = None,
    fold_in: Annotated[
        Path | None,
        typer.Option("--fold-in", help="File of the history of the test's users, if these are new users."),
    ] = None,
    titles: Annotated[
        Path | None, typer.Option("--titles", help="File of item_id, genres, kind, year, site_score.")
    ] = None,
    scale: Annotated[
        tuple[float, float] | None, typer.Option("--scale", help="Lowest and highest rating, if there are ratings.")
    ] = None,
    like_threshold: Annotated[
        float | None,
        typer.Option(
            "--like-threshold",
            help="A rating at or above it is a like; by default 7/9 up the scale, such as 4 on a scale of 1 to 5.",
        ),
    ] = None,
    models: Annotated[str, typer.Option("--models", "-m", help=f"Names, separated by commas, or {ALL}.")] = ALL,
    seeds: Annotated[
        int, typer.Option("--seeds", min=1, help="Fit random models with this many seeds; ± shows the spread.")
    ] = 1,
    out: Annotated[
        Path | None,
        typer.Option("--out", help="Folder for the results; of a protocol, by default one under RECSYS_HOME."),
    ] = None,
) -> None:
    """Compare models under a protocol, or on a split of your own.

    With --domain and --protocol the clean tables of the last run are split,
    and the parts are kept in the folder. --dataset does the same with a public
    dataset, in a folder of its own, and compares with what was published for
    ml-1m with leave-last-out, ml-20m with strong-generalisation and ml-10m with
    random.

    A split of your own has the same files: columns user_id, item_id (whole
    numbers or text), rating (NULL: liked without a rating) and, if there are
    any, at (time) and weight (plays, quantity). Without --scale the feedback is
    implicit: there are no ratings, models that need some are skipped, and rows
    of one pair add up.

    Every interaction of the test is predicted, and a list is made for each user
    of the training file. With --fold-in there are only lists, for new users
    with the histories given there. Models with early stopping find the number
    of epochs on a tenth of the training file, then are fitted on all of it.

    An item is relevant if it is rated at or above the like threshold, or has no
    rating; with implicit feedback every item of the test is. The folder gets
    metrics.json; predictions/<model>.parquet: user_id, item_id, prediction; and
    lists/<model>.parquet: user_id, rank, item_id, score, 100 a user.
    capped_recall@k is hits / min(k, relevant items), which papers on new users
    call recall; recall@k is hits / relevant items.

    [dim]recsys evaluate --domain movie --protocol strong-generalisation --models ease,implicit_als,popularity[/dim]

    [dim]recsys evaluate --dataset ml-1m --protocol leave-last-out[/dim]

    [dim]recsys evaluate --train train.parquet --test test.parquet --scale 1 5 --models als,ease --out results[/dim]

    [dim]recsys evaluate --train plays.csv --test later_plays.csv --models implicit_als,ease --out results[/dim]
    """
    own = {"--train": train, "--test": test, "--out": out}
    if domain is not None and dataset is not None:
        raise UsageError("either '--domain' or '--dataset'")
    is_named = domain is not None or dataset is not None
    if is_named != (protocol is not None):
        raise UsageError("'--protocol' goes together with '--domain' or '--dataset'")
    if is_named and any((train, test, fold_in, titles, scale, like_threshold)):
        raise UsageError("either '--domain' or '--dataset' with '--protocol', or a split of your own in files")
    missing = [option for option, value in own.items() if value is None]
    if not is_named and missing:
        raise UsageError(f"{' and '.join(missing)} missing; or name a '--domain' and a '--protocol'")
    from recsys_dagster.models.registry import get_model_class, model_names

    names = [] if models == ALL else [name.strip() for name in models.split(",") if name.strip()]
    for name in names:
        get_model_class(name)
    if domain is not None and protocol is not None:
        show(_by_protocol(domain, protocol, test_share, names, seeds, out))
    elif dataset is not None and protocol is not None:
        _by_dataset(dataset, protocol, test_share, names, seeds, out)
    elif train is not None and test is not None and out is not None:
        chosen = names or list(model_names())
        show(_by_files(train, test, fold_in, titles, scale, like_threshold, chosen, seeds, out))


def _by_protocol(
    domain_name: str, protocol_name: str, test_share: float | None, names: list[str], seeds: int, out: Path | None
) -> "list[ModelResult]":
    from recsys_dagster.evaluation.protocols import get_protocol
    from recsys_dagster.papers.protocols import paper_protocol
    from recsys_dagster.runtime.progress import announce
    from recsys_dagster.warehouse.domain_run import DomainRun

    settings = read_settings()
    domain = get_domain(domain_name, settings)
    if protocol_name.startswith("paper-"):
        if test_share is not None:
            raise UsageError(f"the share of the protocol {protocol_name!r} cannot be chosen")
        protocol = paper_protocol(protocol_name, domain, seed=settings.seed)
    else:
        protocol = get_protocol(protocol_name, seed=settings.seed, test_share=test_share)
    with DomainRun(settings, domain) as run:
        announce(f"{domain.name}: dataset {run.origin.dataset_id}")
        return _evaluate(run, protocol, names, seeds, out)[1]


def _by_dataset(
    dataset_id: str, protocol_name: str, test_share: float | None, names: list[str], seeds: int, out: Path | None
) -> None:
    """Evaluate on a public dataset, and compare with what was published where the protocol is that of its authors."""
    from recsys_dagster.evaluation.protocols import get_protocol
    from recsys_dagster.experiments.replication import build_tables, compare, dataset_run, get_replication, tied_share

    settings = read_settings()
    protocol = get_protocol(protocol_name, seed=settings.seed, test_share=test_share)
    replication = None if test_share is not None else get_replication(dataset_id, protocol.name, seed=settings.seed)
    with dataset_run(settings, dataset_id) as run:
        build_tables(run)
        split, results = _evaluate(run, replication.protocol if replication else protocol, names, seeds, out)
    show(results)
    tied, screen = tied_share(split), console()
    if replication is not None:
        screen.print()
        screen.print(published_table(replication, compare(replication, results)))
        screen.print(replication.differences, soft_wrap=True)
    if tied:
        screen.print(
            f"{tied:.0%} of the test items have the same time as an item before them, so that their order is drawn.",
            soft_wrap=True,
        )


def _evaluate(
    run: "DomainRun", protocol: "Protocol", names: list[str], seeds: int, out: Path | None
) -> "tuple[Split, list[ModelResult]]":
    """Split the tables of a run, and fit and evaluate models on the split."""
    from recsys_dagster.evaluation.custom_split import evaluate_split
    from recsys_dagster.models.registry import model_names

    settings = run.settings
    out = out or run.layout.protocol(run.domain.name, protocol.name)
    files = protocol.export(run.warehouse, run.built_domain, out / "split")
    split = protocol.load(files, run.built_domain, memory_limit=settings.memory_limit)
    results = evaluate_split(
        split,
        names or list(protocol.presets or model_names()),
        out,
        seed=settings.seed,
        seeds=seeds,
        metrics=protocol.metrics,
        relevance=protocol.relevance,
        model_seconds=settings.model_seconds,
        presets=protocol.presets,
    )
    return split, results


def _by_files(
    train: Path,
    test: Path,
    fold_in: Path | None,
    titles: Path | None,
    scale: tuple[float, float] | None,
    like_threshold: float | None,
    names: list[str],
    seeds: int,
    out: Path,
) -> "list[ModelResult]":
    threshold = default_like_threshold(scale) if scale is not None and like_threshold is None else like_threshold
    if scale is None and threshold is not None:
        raise UsageError("'--like-threshold' is for ratings: give their '--scale' as well")
    if scale is not None and threshold is not None and not scale[0] < threshold <= scale[1]:
        raise typer.BadParameter(f"a like threshold of {threshold:g} on a scale from {scale[0]:g} to {scale[1]:g}")
    from recsys_dagster.evaluation.custom_split import evaluate_split
    from recsys_dagster.warehouse.split import load_split

    settings = read_settings()
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
    return evaluate_split(split, names, out, seed=settings.seed, seeds=seeds, model_seconds=settings.model_seconds)


def show(results: "list[ModelResult]") -> None:
    """Print a row for each model, what its metrics are, and why models were skipped.

    Raises:
        RecsysError: all models were skipped.
    """
    from recsys_dagster.evaluation.metrics.registry import find_metric

    screen = console()
    screen.print(results_table([one for one in results if one.skipped is None]))
    names = dict.fromkeys(metric.metric for one in results for metric in one.metrics if metric.k is not None)
    definitions = [f"{name}@k: {metric.definition}" for name in names if (metric := find_metric(name)) is not None]
    if definitions:
        screen.print("; ".join(definitions), style="dim", soft_wrap=True)
    for one in results:
        if one.skipped is not None:
            screen.print(f"{one.model} skipped: {one.skipped}", style="dim", soft_wrap=True)
    if all(one.skipped is not None for one in results):
        raise RecsysError("every model was skipped; the reasons are given above")
