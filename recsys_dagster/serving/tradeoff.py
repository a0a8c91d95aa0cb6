"""Measure what diversity and calibration cost: the lists of a model on validation, under several weights of each."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from pydantic import TypeAdapter, ValidationError

from recsys_dagster.data.list_lengths import SHORT_LIST
from recsys_dagster.data.training_data import TrainingData
from recsys_dagster.errors import RecsysError
from recsys_dagster.evaluation.intervals import paired_differences
from recsys_dagster.evaluation.metrics.beyond_accuracy import coverage, genre_shares
from recsys_dagster.evaluation.metrics.inputs import Catalogue
from recsys_dagster.evaluation.metrics.metric import MetricKey
from recsys_dagster.evaluation.metrics.ratios import mean
from recsys_dagster.evaluation.metrics.registry import CHOOSING_METRIC
from recsys_dagster.evaluation.ranking import ListBlock, ListContext, Ranking, rank
from recsys_dagster.evaluation.relevance import Relevance, RelevantPairs
from recsys_dagster.models.base import Model, TopN
from recsys_dagster.runtime.storage import read_json, write_json
from recsys_dagster.serving.balance import Capped, candidates_of, choose
from recsys_dagster.serving.rules import Balance

MAX_USERS = 2000
WEIGHTS = (0.1, 0.2, 0.3, 0.5, 0.7)
BALANCES = (
    Balance(),
    *(Balance(diversity=weight) for weight in WEIGHTS),
    *(Balance(calibration=weight) for weight in WEIGHTS),
)
LIST_METRICS = tuple(MetricKey(name, SHORT_LIST) for name in ("genre_diversity", "miscalibration", "novelty"))


@dataclass(frozen=True)
class TradeoffPoint:
    """What the first ten places of the lists are like under some weights.

    Attributes:
        diversity, calibration: the weights.
        ndcg: NDCG@10 on validation.
        change, low, high: its difference from that without weights, and the 95 % interval of this, paired over users.
        coverage: share of the catalogue that is in at least one list of these users.
        genre_diversity, miscalibration, novelty: means over the users; None where no user has a value.
    """

    diversity: float
    calibration: float
    ndcg: float
    change: float
    low: float
    high: float
    coverage: float
    genre_diversity: float | None
    miscalibration: float | None
    novelty: float | None


@dataclass(frozen=True)
class Tradeoff:
    """The points of a version of a model.

    Attributes:
        model, version: the model, as it was evaluated.
        users: number of users of the validation fold over whom was measured.
        points: the first one without weights.
    """

    model: str
    version: str
    users: int
    points: list[TradeoffPoint]


_TRADEOFF = TypeAdapter(Tradeoff)


def measure_tradeoff(model: Model, version: str, data: TrainingData, length: int, *, seed: int) -> Tradeoff | None:
    """Measure the lists of a model under each of the BALANCES.

    Args:
        model: fitted on the training fold.
        version: of the model, in the store.
        data: with the validation fold.
        length: of the published lists, of which the first ten places are looked at.
        seed: of the drawn users and of the bootstrap.

    Returns:
        The trade-off over at most MAX_USERS users; None where no item has genres or no validation item is relevant.
    """
    genres = data.item_features.genres
    pairs = Relevance.LIKED.relevant(data.validation, data.like_threshold)
    if not genres.nnz or not len(pairs):
        return None
    users = np.unique(pairs.users)
    if len(users) > MAX_USERS:
        users = np.sort(np.random.default_rng(seed).choice(users, MAX_USERS, replace=False))
    pairs = pairs.where(np.isin(pairs.users, users))
    relevant = RelevantPairs.of(np.searchsorted(users, pairs.users), pairs.items, data.n_items)
    context = ListContext(Catalogue.of(model.seen_, genres, data.train), model.seen_, None)
    candidates = model.recommend(users, candidates_of(length))
    tastes = genre_shares(model.seen_[users], context.catalogue.genres)
    rankings = [
        rank(
            [ListBlock(users, _chosen(candidates, genres, balance, tastes))],
            users,
            relevant,
            [CHOOSING_METRIC, *LIST_METRICS],
            context,
        )
        for balance in BALANCES
    ]
    in_catalogue = model.popularity_ > 0
    return Tradeoff(model.name, version, len(users), _points(rankings, in_catalogue, seed))


def write_tradeoff(tradeoff: Tradeoff, path: Path) -> None:
    """Write a trade-off as JSON, replacing `path` atomically."""
    write_json(path, asdict(tradeoff))


def read_tradeoff(path: Path, version: str) -> Tradeoff | None:
    """Return what `write_tradeoff` wrote; None if it is of another version, damaged, or was never measured."""
    if not path.exists():
        return None
    try:
        tradeoff = _TRADEOFF.validate_python(read_json(path, "make the lists again"))
    except (RecsysError, ValidationError):
        return None
    return tradeoff if tradeoff.version == version else None


def _chosen(candidates: TopN, genres: sp.csr_array, balance: Balance, tastes: NDArray[np.float64]) -> TopN:
    no_groups = Capped(sp.csr_array((genres.shape[0], 0), dtype=np.float32), np.empty(0, np.int64))
    return choose(candidates, SHORT_LIST, genres, balance, no_groups, tastes)


def _points(rankings: Sequence[Ranking], in_catalogue: NDArray[np.bool_], seed: int) -> list[TradeoffPoint]:
    ndcg = np.column_stack([ranking.values[CHOOSING_METRIC.column] for ranking in rankings])
    changes = paired_differences(ndcg, ndcg[:, 0], np.ones(len(ndcg)), mean, seed=seed)
    return [
        TradeoffPoint(
            balance.diversity,
            balance.calibration,
            ndcg=float(ndcg[:, place].mean()),
            change=change.value,
            low=change.low,
            high=change.high,
            coverage=coverage(ranking.times_recommended[SHORT_LIST][in_catalogue]),
            **{key.name: _mean(ranking.values[key.column]) for key in LIST_METRICS},
        )
        for place, (balance, ranking, change) in enumerate(zip(BALANCES, rankings, changes, strict=True))
    ]


def _mean(values: NDArray[np.float64]) -> float | None:
    known = values[~np.isnan(values)]
    return float(known.mean()) if len(known) else None
