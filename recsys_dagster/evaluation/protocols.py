"""The protocols by which models are compared, as named values: what is kept, how it is split, and what is measured.

A protocol says which rows of the clean tables are kept, how they are split into a training and a test part, and which
metrics are computed. The split itself is SQL (a file each in `sql/protocol`) over hashes of ids and seed, so that a
protocol gives the same files whatever the order of the rows. The protocol of a paper is one more `Protocol`: its
filters are conditions on items and interactions, its split one of the methods here, its parameters are `presets`.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import ClassVar

import numpy as np

from recsys_dagster.data.fold_in import FoldedIn, refuse_late
from recsys_dagster.data.split import Split
from recsys_dagster.domains import Domain
from recsys_dagster.errors import RecsysError, UsageError
from recsys_dagster.evaluation.custom_split import REPORTED_METRICS
from recsys_dagster.evaluation.metrics.metric import MetricKey
from recsys_dagster.evaluation.relevance import Relevance
from recsys_dagster.evaluation.store import HOLDOUT
from recsys_dagster.warehouse.database import Warehouse
from recsys_dagster.warehouse.folds import FoldFiles, export_folds
from recsys_dagster.warehouse.split import load_split


@dataclass(frozen=True)
class SplitMethod:
    """How interactions are split; the fields of a subclass are what its SQL finds in `protocol.parameters`.

    Attributes:
        table: name of the SQL file.
        needs_times: whether interactions without a time cannot be split.
        is_causal: whether nothing that is known may be as late as what is to be predicted; `load` checks it.
        seed: of what is drawn at random.
    """

    table: ClassVar[str]
    needs_times: ClassVar[bool] = False
    is_causal: ClassVar[bool] = False
    seed: int = 42


@dataclass(frozen=True)
class Holdout(SplitMethod):
    """The test fold of the lineage is the test, its other two folds the training part; the seed is the features'."""

    table = "holdout"


@dataclass(frozen=True)
class RandomPairs(SplitMethod):
    """A random share of the interactions is the test. Known to flatter: models learn from the future of each user."""

    table = "random"
    test_share: float = 0.1


@dataclass(frozen=True)
class GlobalTime(SplitMethod):
    """The last share of all interactions by time is the test, as if the model had gone into service at that moment.

    Source: Meng, McCreadie, Macdonald, Ounis, Exploring data splitting strategies, RecSys 2020 (temporal global).
    """

    table = "global_time"
    needs_times = True
    test_share: float = 0.1


@dataclass(frozen=True)
class TimeFoldIn(SplitMethod):
    """The cut of `GlobalTime`, with what each user did shortly before as a fold-in, as a service knows it.

    Models learn from what came before the cut. Each user of the last share has a moment, in the middle of what they did
    there: all that they did before it is folded in, before the cut or after, and what they did from then on is the
    test. `GlobalTime` evaluates the frozen lists instead, in which most users of the last share have no history.
    """

    table = "time_fold_in"
    needs_times = True
    is_causal = True
    test_share: float = 0.1


@dataclass(frozen=True)
class StrongGeneralisation(SplitMethod):
    """Users are held out as a whole; four fifths of the likes of each are the fold-in, the others are the test.

    Only likes count, and only users with five of them. Items that no training user likes are dropped.

    Source: Liang, Krishnan, Hoffman, Jebara, Variational autoencoders for collaborative filtering, WWW 2018, §4.1.

    Attributes:
        users_share, users_at_least: how many users are held out; never more than half of them.
        test_share: of the likes of each.
        likes_at_least: users with fewer are dropped.
    """

    table = "strong_generalisation"
    users_share: float = 0.15
    users_at_least: int = 300
    test_share: float = 0.2
    likes_at_least: int = 5


@dataclass(frozen=True)
class LeaveLastOut(SplitMethod):
    """The last item that each user liked is the test; everything before it is the training part.

    Models may learn from what other users did later, so this is easier than real service.

    Source: He, Liao, Zhang, Nie, Hu, Chua, Neural collaborative filtering, WWW 2017, §4.1, there over all interactions
    and with sampled negatives; here over likes, ranked among all items.
    """

    table = "leave_last_out"
    needs_times = True


@dataclass(frozen=True)
class Protocol:
    """How models are compared; equal protocols give equal files on equal tables.

    Attributes:
        name: as on the command line and in `evaluation.metrics`.
        split: how the interactions that are kept are split.
        items: SQL condition on the columns of `clean.items` that an item has to meet to be kept.
        pairs: SQL condition that an interaction has to meet to be kept, on `user_id`, `item_id`, `rating`, `weight` and
            `at`, and on `draw` and `user_draw`, which are uniform in [0, 1) by interaction and by user.
        scale, like_threshold: where they differ from the domain's.
        relevance: which interactions of the test make an item relevant.
        metrics: ranking metrics that `evaluate_split` reports.
        presets: by model, the name of the parameters that it is fitted with; the others have their defaults.
    """

    name: str
    split: SplitMethod
    items: str = "TRUE"
    pairs: str = "TRUE"
    scale: tuple[float, float] | None = None
    like_threshold: float | None = None
    relevance: Relevance = Relevance.POSITIVE
    metrics: tuple[MetricKey, ...] = REPORTED_METRICS
    presets: Mapping[str, str] = field(default_factory=dict)

    def export(self, warehouse: Warehouse, domain: Domain, folder: Path) -> FoldFiles:
        """Write the files of the split to `folder`.

        Raises:
            RecsysError: the domain has no features yet, or the protocol leaves the training or the test part empty.
        """
        parameters = asdict(self.split) | {"like_threshold": self._like_threshold(domain)}
        return export_folds(
            warehouse,
            self.split.table,
            parameters,
            folder,
            items=self.items,
            pairs=self.pairs,
            needs_times=self.split.needs_times,
        )

    def load(self, files: FoldFiles, domain: Domain, *, memory_limit: str | None = None) -> Split:
        """Return the split that `export` wrote.

        Raises:
            RecsysError: the split is to be causal, and something known is as late as what is to be predicted.
        """
        split = load_split(
            files.train,
            files.test,
            files.fold_in,
            files.items,
            scale=self.scale or domain.scale,
            like_threshold=self._like_threshold(domain),
            scratch=files.train.parent,
            memory_limit=memory_limit,
        )
        if self.split.is_causal:
            require_causal(split)
        return split

    def _like_threshold(self, domain: Domain) -> float | None:
        return domain.like_threshold if self.like_threshold is None else self.like_threshold


_METHODS: dict[str, type[SplitMethod]] = {
    HOLDOUT: Holdout,
    "random": RandomPairs,
    "global-time": GlobalTime,
    "time-fold-in": TimeFoldIn,
    "strong-generalisation": StrongGeneralisation,
    "leave-last-out": LeaveLastOut,
}


def protocol_names() -> tuple[str, ...]:
    """Return the names that `get_protocol` knows."""
    return tuple(_METHODS)


def get_protocol(name: str, *, seed: int, test_share: float | None = None) -> Protocol:
    """Return the protocol of that name.

    Args:
        name: one of `protocol_names`.
        seed: of what the protocol draws at random.
        test_share: the share that is the test, if it is not the protocol's usual one.

    Raises:
        UsageError: there is no such protocol, or its share cannot be chosen, or the share is not between 0 and 1.
    """
    try:
        method = _METHODS[name]
    except KeyError:
        raise UsageError(f"unknown protocol {name!r}; known: {', '.join(_METHODS)}") from None
    if test_share is None:
        return Protocol(name, method(seed=seed))
    if not issubclass(method, RandomPairs | GlobalTime | TimeFoldIn | StrongGeneralisation):
        raise UsageError(f"the protocol {name!r} has no test share to choose")
    if not 0 < test_share < 1:
        raise UsageError(f"a test share of {test_share:g}; choose one between 0 and 1")
    return Protocol(name, method(seed=seed, test_share=test_share))


def require_causal(split: Split) -> None:
    """Check that everything known is earlier than what is to be predicted.

    Raises:
        RecsysError: a pair of the training part, or a pair that is folded in, is as late as a pair of the test: the
            first of any user, or the first of the same user.
    """
    test, train = split.test, split.data.train
    if test.times is None or not len(test):
        raise RecsysError("the test part has no times, so that what is known cannot be told from what comes later")
    refuse_late("of the training part", train, np.broadcast_to(test.times.min(), len(train)))
    if split.fold_in is not None:
        FoldedIn(split.fold_in, test).require_causal()
