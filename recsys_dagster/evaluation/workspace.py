"""Settings, folders and datasets of one installation, in one object that assets and commands are given."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from recsys_dagster.domains import Domain, get_domain
from recsys_dagster.errors import RecsysError, UsageError
from recsys_dagster.evaluation.leaderboard import (
    BASELINES,
    COMPARED_COLUMNS,
    CONSTANT,
    HOLDOUT,
    Leaderboard,
    build_leaderboard,
)
from recsys_dagster.evaluation.store import (
    ConfusionRow,
    MetricRow,
    SliceRow,
    read_confusion,
    read_metrics,
    read_per_user,
    read_slices,
)
from recsys_dagster.ingest.catalogue import Dataset, get_dataset
from recsys_dagster.ingest.manifest import Manifest, read_manifest
from recsys_dagster.model_store.outcomes import read_outcomes
from recsys_dagster.model_store.store import ModelStore
from recsys_dagster.models.attempt import Outcome, State
from recsys_dagster.models.budget import Budget
from recsys_dagster.models.registry import model_class, model_names
from recsys_dagster.runtime.layout import Layout
from recsys_dagster.runtime.locks import lock_domain
from recsys_dagster.settings import Settings
from recsys_dagster.warehouse.arrays import id_map_hash
from recsys_dagster.warehouse.database import Warehouse

_Row = TypeVar("_Row", MetricRow, SliceRow, ConfusionRow)


class Workspace:
    """Where a domain's things are; makes nothing until it is asked.

    Attributes:
        settings: what the deployment chose.
        layout: the folders under RECSYS_HOME.
        store: the versions of the models.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.layout = Layout(settings.home)
        self.store = ModelStore(self.layout)

    def dataset(self, domain: Domain) -> Dataset:
        """Return the dataset that the domain runs on.

        Raises:
            UsageError: the settings name a dataset that is unknown or belongs to another domain.
        """
        dataset = get_dataset(self.settings.dataset_of(domain))
        if dataset.domain != domain.name:
            raise UsageError(
                f"RECSYS_{domain.name.upper()}_DATASET={dataset.id} is a dataset of the domain {dataset.domain!r}; "
                "`recsys datasets` lists those of each domain"
            )
        return dataset

    def manifest(self, domain: Domain) -> Manifest:
        """Return what the last fetch brought for the domain; raise RecsysError if there was none."""
        dataset = self.dataset(domain)
        manifest = read_manifest(dataset, self.settings)
        if manifest is None:
            raise RecsysError(f"{dataset.id}: not fetched yet; materialise raw/files (or `recsys run`) first")
        return manifest

    def claim(self, domain_name: str) -> Domain:
        """Take the domain for this process, until it ends, and return it; raise RecsysError if another has it."""
        domain = get_domain(domain_name)
        lock_domain(self.layout, domain.name)
        return domain

    def warehouse(self, domain: Domain) -> Warehouse:
        """Return the domain's DuckDB file."""
        return Warehouse(self.layout.warehouse(domain.name), self.settings.memory_limit)

    def per_user(self, domain: Domain, fold: str, model: str) -> Path:
        """Return where the per-user results of a model on a fold of the holdout protocol are."""
        return self.layout.evaluation(domain.name) / HOLDOUT / fold / f"{model}.parquet"

    def example_lists(self, domain: Domain, model: str) -> Path:
        """Return where the lists are that a model makes for the example users."""
        return self.layout.evaluation(domain.name) / "examples" / f"{model}.parquet"

    def importance(self, domain: Domain, model: str) -> Path:
        """Return where it is written how much each input of a model matters."""
        return self.layout.evaluation(domain.name) / "importance" / f"{model}.json"

    def models(self) -> tuple[str, ...]:
        """Return the models that a run fits, the baselines always among them.

        Those that the settings name; `all` stands for all. Where they name none it is all as well, but one that is not
        within the `budget` at the size of the data is left out when its turn comes.

        Raises:
            UsageError: the settings name a model that does not exist; the message lists those that do.
        """
        chosen = set(self.settings.models)
        if chosen in (set(), {"all"}):
            chosen = set(model_names())
        for name in chosen:
            model_class(name)
        return tuple(name for name in model_names() if name in chosen | set(BASELINES))

    def budget(self, model: str) -> Budget | None:
        """Return what a run may spend on a model; None, for whatever it takes, where it is named or a baseline."""
        if self.settings.models or model in BASELINES:
            return None
        return Budget(self.settings.budget_seconds, self.settings.budget_memory)

    def metrics(self, domain: Domain) -> list[MetricRow]:
        """Return the metrics of what is comparable: the constant, and each current version trained on today's index.

        A model that has failed or was left out since is not, whatever older version of it is current.
        """
        return self._comparable(domain, read_metrics)

    def slices(self, domain: Domain) -> list[SliceRow]:
        """Return the figures of parts of the users and titles, of the same versions as `metrics`."""
        return self._comparable(domain, read_slices)

    def confusion(self, domain: Domain) -> list[ConfusionRow]:
        """Return the confusion matrices, of the same versions as `metrics`."""
        return self._comparable(domain, read_confusion)

    def _comparable(self, domain: Domain, read: Callable[[Any], list[_Row]]) -> list[_Row]:
        index = id_map_hash(self.warehouse(domain))
        missing = {outcome.model for outcome in self.missing(domain)}
        current = {
            (name, version)
            for name, version in self.store.current_versions(domain.name).items()
            if name not in missing and self.store.record(domain.name, name, version).id_map_hash == index
        }
        with self.warehouse(domain).connect() as connection:
            rows = read(connection)
        return [row for row in rows if row.model == CONSTANT or (row.model, row.version) in current]

    def missing(self, domain: Domain) -> list[Outcome]:
        """Return what came of the models that failed or were left out when they were last tried on today's index."""
        outcomes = read_outcomes(self.layout, domain.name, id_map_hash=id_map_hash(self.warehouse(domain)))
        return [outcome for outcome in outcomes.values() if outcome.state is not State.FITTED]

    def compare(self, domain: Domain) -> Leaderboard:
        """Set the current models side by side, compared over the users of the test fold; keep that and return it."""
        metrics = self.metrics(domain)
        models = {row.model for row in metrics if row.model != CONSTANT}
        per_user = {name: read_per_user(self.per_user(domain, "test", name), COMPARED_COLUMNS) for name in models}
        board = build_leaderboard(metrics, per_user, missing=self.missing(domain), seed=self.settings.seed)
        board.write(self._leaderboard(domain))
        return board

    def leaderboard(self, domain: Domain) -> Leaderboard:
        """Return what `compare` kept last; raise RecsysError if it never did."""
        return Leaderboard.read(self._leaderboard(domain))

    def _leaderboard(self, domain: Domain) -> Path:
        return self.layout.evaluation(domain.name) / HOLDOUT / "leaderboard.json"
