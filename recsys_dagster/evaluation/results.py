"""Read the evaluation results of a domain, as far as they are comparable today, and build the leaderboard from them."""

from collections.abc import Callable
from functools import cached_property
from typing import TYPE_CHECKING, TypeVar

from recsys_dagster.evaluation.leaderboard import COMPARED_COLUMNS, Leaderboard, build_leaderboard
from recsys_dagster.evaluation.store import (
    CONSTANT,
    HOLDOUT,
    REPORTED_FOLD,
    ConfusionRow,
    MetricRow,
    SliceRow,
    read_confusion,
    read_metrics,
    read_per_user,
    read_slices,
)
from recsys_dagster.model_store.outcomes import read_outcomes
from recsys_dagster.model_store.store import ModelStore
from recsys_dagster.models.attempt import Outcome, State
from recsys_dagster.warehouse.arrays import id_map_hash
from recsys_dagster.warehouse.domain_run import DomainRun

if TYPE_CHECKING:
    import duckdb

_Row = TypeVar("_Row", MetricRow, SliceRow, ConfusionRow)


class EvaluationResults:
    """The metrics, slices and confusion matrices of comparable versions, and the leaderboard over them.

    A version is comparable if it is the current one of its model and was fitted on the users and items that the
    warehouse holds now. No version of a model that failed or was skipped after that is.
    """

    def __init__(self, run: DomainRun) -> None:
        self.run = run
        self.store = ModelStore(run.layout)

    def metrics(self, protocol: str = HOLDOUT) -> list[MetricRow]:
        """Return the metrics of the comparable versions and of the constant, under `HOLDOUT` or `FROZEN`."""
        return [row for row in self._comparable(read_metrics) if row.protocol == protocol]

    def slices(self) -> list[SliceRow]:
        """Return the metrics of parts of the users and items."""
        return self._comparable(read_slices)

    def confusion(self) -> list[ConfusionRow]:
        """Return the confusion matrices."""
        return self._comparable(read_confusion)

    def missing(self) -> list[Outcome]:
        """Return the outcomes of the models that failed or were skipped when last tried on these users and items."""
        outcomes = read_outcomes(self.run.layout, self.run.domain.name, id_map_hash=self._id_map_hash)
        return [outcome for outcome in outcomes.values() if outcome.state is not State.FITTED]

    def compare(self) -> Leaderboard:
        """Compare the models over the users of the test fold, write the leaderboard and return it."""
        layout, domain = self.run.layout, self.run.domain.name
        metrics = self._comparable(read_metrics)
        models = {row.model for row in metrics if row.model != CONSTANT}
        per_user = {
            name: read_per_user(layout.per_user(domain, REPORTED_FOLD, name), COMPARED_COLUMNS) for name in models
        }
        board = build_leaderboard(metrics, per_user, missing=self.missing(), seed=self.run.settings.seed)
        board.write(layout.leaderboard(domain))
        return board

    def leaderboard(self) -> Leaderboard:
        """Return the leaderboard that `compare` wrote last; raise RecsysError if there is none."""
        return Leaderboard.read(self.run.layout.leaderboard(self.run.domain.name))

    @cached_property
    def _id_map_hash(self) -> str:
        return id_map_hash(self.run.warehouse)

    def _comparable(self, read: "Callable[[duckdb.DuckDBPyConnection], list[_Row]]") -> list[_Row]:
        domain, index = self.run.domain.name, self._id_map_hash
        missing = {outcome.model for outcome in self.missing()}
        current = {
            (name, version)
            for name, version in self.store.current_versions(domain).items()
            if name not in missing and self.store.record(domain, name, version).id_map_hash == index
        }
        with self.run.warehouse.connect() as connection:
            rows = read(connection)
        return [row for row in rows if row.model == CONSTANT or (row.model, row.version) in current]
