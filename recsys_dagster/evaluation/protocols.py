"""Which pairs are learnt from and which are judged by, as values with names: `get_protocol` makes them.

A protocol says what is kept of the clean tables, how that is divided, and what is measured. The division itself is SQL
(`sql/protocol`, a file each) over hashes of ids and seed, so that a protocol gives the same files whatever the order of
the rows. A protocol of a paper is one more `Protocol`: its filters are conditions on titles and pairs, its split one of
the divisions, its metrics `ranked`, its parameters `presets`.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import ClassVar

from recsys_dagster.data.split import Split
from recsys_dagster.domains import Domain
from recsys_dagster.errors import UsageError
from recsys_dagster.evaluation.custom_split import RANKED
from recsys_dagster.evaluation.leaderboard import HOLDOUT
from recsys_dagster.warehouse.database import Warehouse
from recsys_dagster.warehouse.folds import FoldFiles, export_folds
from recsys_dagster.warehouse.split import load_split


@dataclass(frozen=True)
class Division:
    """How pairs are divided; the fields of a subclass are what its SQL finds in `protocol.parameters`.

    Attributes:
        table: name of the SQL file.
        seed: of whatever chance decides.
    """

    table: ClassVar[str]
    seed: int = 42


@dataclass(frozen=True)
class Holdout(Division):
    """The test fold of the lineage against its two other folds; the seed is that of the features."""

    table = "holdout"


@dataclass(frozen=True)
class RandomPairs(Division):
    """A share of the pairs, drawn at random, is the test. Known to flatter: the future of a user is learnt from."""

    table = "random"
    test_share: float = 0.1


@dataclass(frozen=True)
class GlobalTime(Division):
    """The last share of all pairs by time is the test, as if the model had been put to work at that moment.

    Source: Meng, McCreadie, Macdonald, Ounis, Exploring data splitting strategies, RecSys 2020 (temporal global).
    """

    table = "global_time"
    test_share: float = 0.1


@dataclass(frozen=True)
class StrongGeneralisation(Division):
    """Users are held out as a whole; four fifths of the likes of each are told, the others are to be found.

    Only likes count, and only users with five of them. Items that no training user likes are left out.

    Source: Liang, Krishnan, Hoffman, Jebara, Variational autoencoders for collaborative filtering, WWW 2018, §4.1.

    Attributes:
        users_share, users_at_least: how many users are held out; never more than half of them.
        test_share: of the likes of each.
        likes_at_least: users with fewer are left out.
    """

    table = "strong_generalisation"
    users_share: float = 0.15
    users_at_least: int = 300
    test_share: float = 0.2
    likes_at_least: int = 5


@dataclass(frozen=True)
class LeaveLastOut(Division):
    """The last title that each user liked is to be found by what the user did before.

    Of other users the future may be learnt from, so this is easier than it would be in earnest.

    Source: He, Liao, Zhang, Nie, Hu, Chua, Neural collaborative filtering, WWW 2017, §4.1, there over all pairs and
    with sampled negatives; here over likes, ranked among all titles.
    """

    table = "leave_last_out"


@dataclass(frozen=True)
class Protocol:
    """A way of judging models; equal protocols give equal files on equal tables.

    Attributes:
        name: as on the command line and in `evaluation.metrics`.
        division: of the pairs that are kept.
        titles: SQL condition on the columns of `clean.items`; titles that do not meet it are left out.
        pairs: SQL condition on `user_id`, `item_id`, `rating`, `at`, and `draw` and `user_draw`, which are uniform in
            [0, 1) by pair and by user; pairs that do not meet it are left out.
        scale, like_threshold: where they differ from the domain's.
        ranked: ranking metrics and lengths of lists that `evaluate_split` reports.
        presets: by model, the name of the parameters that it is fitted with; the others have their defaults.
    """

    name: str
    division: Division
    titles: str = "TRUE"
    pairs: str = "TRUE"
    scale: tuple[float, float] | None = None
    like_threshold: float | None = None
    ranked: tuple[tuple[str, int], ...] = RANKED
    presets: Mapping[str, str] = field(default_factory=dict)

    def export(self, warehouse: Warehouse, domain: Domain, folder: Path) -> FoldFiles:
        """Write the files of the split to `folder`.

        Raises:
            RecsysError: the domain has no features yet, or the protocol leaves nothing to learn from or judge by.
        """
        parameters = asdict(self.division) | {"like_threshold": self._like_threshold(domain)}
        return export_folds(warehouse, self.division.table, parameters, folder, titles=self.titles, pairs=self.pairs)

    def load(self, files: FoldFiles, domain: Domain, *, memory_limit: str | None = None) -> Split:
        """Return the split that `export` wrote."""
        return load_split(
            files.train,
            files.test,
            files.fold_in,
            files.titles,
            scale=self.scale or domain.scale,
            like_threshold=self._like_threshold(domain),
            scratch=files.train.parent,
            memory_limit=memory_limit,
        )

    def _like_threshold(self, domain: Domain) -> float:
        return domain.like_threshold if self.like_threshold is None else self.like_threshold


_DIVISIONS: dict[str, type[Division]] = {
    HOLDOUT: Holdout,
    "random": RandomPairs,
    "global-time": GlobalTime,
    "strong-generalisation": StrongGeneralisation,
    "leave-last-out": LeaveLastOut,
}


def protocol_names() -> tuple[str, ...]:
    """Return the names that `get_protocol` knows."""
    return tuple(_DIVISIONS)


def get_protocol(name: str, *, seed: int, test_share: float | None = None) -> Protocol:
    """Return the protocol of that name.

    Args:
        name: one of `protocol_names`.
        seed: of whatever chance decides in it.
        test_share: the part that is judged by, where it is not the protocol's usual one.

    Raises:
        UsageError: there is no such protocol, or it has no share to choose, or the share is not between 0 and 1.
    """
    try:
        division = _DIVISIONS[name]
    except KeyError:
        raise UsageError(f"unknown protocol {name!r}; known: {', '.join(_DIVISIONS)}") from None
    if test_share is None:
        return Protocol(name, division(seed=seed))
    if not issubclass(division, RandomPairs | GlobalTime | StrongGeneralisation):
        raise UsageError(f"the protocol {name!r} has no share to choose")
    if not 0 < test_share < 1:
        raise UsageError(f"a test share of {test_share:g}; choose one between 0 and 1")
    return Protocol(name, division(seed=seed, test_share=test_share))
