"""Evaluate on a public dataset as published results were obtained, and compare with what was published."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from recsys_dagster.data.split import Split
from recsys_dagster.errors import RecsysError, UsageError
from recsys_dagster.evaluation.custom_split import ModelResult
from recsys_dagster.evaluation.metrics.metric import MetricKey
from recsys_dagster.evaluation.metrics.registry import higher_is_better
from recsys_dagster.evaluation.protocols import LeaveLastOut, Protocol, RandomPairs, StrongGeneralisation
from recsys_dagster.ingest.catalogue import CATALOGUE, get_dataset
from recsys_dagster.ingest.domain_lookup import get_domain
from recsys_dagster.ingest.fetching import fetch
from recsys_dagster.runtime.layout import Layout
from recsys_dagster.settings import Settings
from recsys_dagster.warehouse.build import build_clean, build_features
from recsys_dagster.warehouse.domain_run import DomainRun


@dataclass(frozen=True)
class PublishedFigure:
    """A published result.

    Attributes:
        system: as its authors call it.
        value: of the metric of the replication.
        source: where it was published.
        model: the name of our implementation; empty if there is none.
    """

    system: str
    value: float
    source: str
    model: str = ""


@dataclass(frozen=True)
class Replication:
    """Results that were published for a dataset under a protocol.

    Attributes:
        protocol: how the data are split.
        metric: what was published.
        figures: the results.
        differences: in which ways our protocol is not that of the authors.
    """

    protocol: Protocol
    metric: MetricKey
    figures: tuple[PublishedFigure, ...]
    differences: str


@dataclass(frozen=True)
class Comparison:
    """A published result and ours.

    Attributes:
        figure: the published result.
        model: our implementation of the system, else our best model.
        value: its metric.
        percent: by how many per cent its value is above the published one.
    """

    figure: PublishedFigure
    model: str
    value: float
    percent: float


_DROPS_RARE_ITEMS = "item_id IN (SELECT item_id FROM clean.ratings GROUP BY item_id HAVING count(*) >= 5)"

REPLICATIONS: dict[tuple[str, str], Replication] = {
    ("ml-1m", "leave-last-out"): Replication(
        # Whatever the rating, an item is one that the user chose.
        Protocol("leave-last-out", LeaveLastOut(), items=_DROPS_RARE_ITEMS, like_threshold=1.0),
        MetricKey("ndcg", 10),
        (
            PublishedFigure("SASRec+", 0.168, "Klenitskiy and Vasilev 2023"),
            PublishedFigure("eSASRec", 0.177, "Tikhonovich et al. 2025"),
        ),
        "The authors held out one more item of each user to choose parameters; ours is learnt from. Models learn from "
        "what other users did after the item that is to be found, so that the values are higher than in service.",
    ),
    ("ml-20m", "strong-generalisation"): Replication(
        Protocol("strong-generalisation", StrongGeneralisation(users_share=0, users_at_least=10_000)),
        MetricKey("ndcg", 100),
        (
            PublishedFigure("EASE", 0.420, "Steck 2019", "ease"),
            PublishedFigure("Mult-VAE", 0.426, "Liang et al. 2018"),
            PublishedFigure("RecVAE", 0.442, "Shenbin et al. 2020"),
            PublishedFigure("VASP", 0.448, "Vančura and Kordík 2021"),
        ),
        "The authors held out 10,000 more users to choose parameters; ours are learnt from.",
    ),
    ("ml-10m", "random"): Replication(
        Protocol("random", RandomPairs()),
        MetricKey("rmse"),
        (
            PublishedFigure("Bayesian SVD++", 0.7563, "Rendle, Zhang and Koren 2019"),
            PublishedFigure("Bayesian timeSVD++ flipped", 0.7485, "Rendle, Zhang and Koren 2019"),
        ),
        "The random tenth that is the test is another one. Models learn from what each user rated later.",
    ),
}
"""By dataset and protocol: published results."""


def dataset_run(settings: Settings, dataset_id: str) -> DomainRun:
    """Return a run of a public dataset apart from its domain, whose tables and lists stay as they are.

    Raises:
        UsageError: there is no such public dataset.
    """
    if dataset_id not in CATALOGUE:
        get_dataset(dataset_id, settings)  # an unknown one raises an error that names the nearest
        raise UsageError(f"{dataset_id!r} is not a public dataset; evaluate its domain with '--domain' after a run")
    domain = get_domain(CATALOGUE[dataset_id].domain, settings)
    apart = settings.with_datasets({domain.name: dataset_id})
    return DomainRun(apart.model_copy(update={"home": Layout(settings.home).replication(dataset_id)}), domain)


def build_tables(run: DomainRun) -> None:
    """Fetch the files and build the tables, unless they were built of the same files before.

    Raises:
        RecsysError: the files cannot be fetched or cleaned.
    """
    manifest = fetch(run.dataset, run.settings)
    try:
        is_built = run.origin.data_version == manifest.data_version
    except RecsysError:
        is_built = False
    if not is_built:
        build_clean(run.warehouse, run.dataset, manifest, max_rejected=run.settings.max_rejected)
        build_features(run.warehouse, run.settings.seed)


def get_replication(dataset_id: str, protocol: str, *, seed: int) -> Replication | None:
    """Return what was published for a dataset under a protocol, which draws by the seed; None if nothing is known."""
    replication = REPLICATIONS.get((dataset_id, protocol))
    if replication is None:
        return None
    split = replace(replication.protocol.split, seed=seed)
    return replace(replication, protocol=replace(replication.protocol, split=split))


def compare(replication: Replication, results: Sequence[ModelResult]) -> list[Comparison]:
    """Compare published results with ours; nothing where no model has the metric.

    Args:
        replication: what was published.
        results: of our models under its protocol.
    """
    name = str(replication.metric)
    values = {one.model: one.values[name] for one in results if one.skipped is None and name in one.values}
    if not values:
        return []
    best = (max if higher_is_better(replication.metric) else min)(values, key=values.__getitem__)
    compared = []
    for figure in replication.figures:
        model = figure.model if figure.model in values else best
        compared.append(Comparison(figure, model, values[model], 100 * (values[model] / figure.value - 1)))
    return compared


def tied_share(split: Split) -> float:
    """Return the share of the test pairs whose time is that of a training pair of the same user.

    The order of such pairs is drawn, so that what comes next cannot be known.
    """
    train, test = split.data.train, split.test
    if train.times is None or test.times is None or split.fold_in is not None or not len(test):
        return 0.0
    last = np.full(split.data.n_users, np.iinfo(np.int64).min)
    np.maximum.at(last, train.users, train.times)
    return float(np.mean(last[test.users] == test.times))
