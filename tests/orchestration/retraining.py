"""A home that is retrained step by step."""

from dataclasses import dataclass, replace
from typing import Any

import dagster as dg
import duckdb
import numpy as np

from recsys_dagster.domains import BUILT_IN_DOMAINS
from recsys_dagster.model_store.store import ModelStore
from recsys_dagster.models.registry import get_model_class
from recsys_dagster.orchestration.build import build_definitions
from recsys_dagster.quality.checks import all_checks
from recsys_dagster.runtime.resource_usage import ResourceUsage
from recsys_dagster.settings import Settings
from recsys_dagster.warehouse import schemas
from recsys_dagster.warehouse.arrays import id_map_hash, load_training_data
from recsys_dagster.warehouse.domain_run import DomainRun

MOVIE = BUILT_IN_DOMAINS["movie"]
TABLES = ("raw/files", *(f"clean/{table.name}" for table in schemas.CLEAN if table != schemas.ORIGIN))
FEATURES = [f"features/{table.name}" for table in schemas.FEATURES]
PUBLISHING = ("evaluation/leaderboard", "serving/champion", "serving/lists", "serving/recommendations")


@dataclass
class Retraining:
    """A RECSYS_HOME with data of the domain movie, retrained step by step."""

    settings: Settings

    @property
    def run(self) -> DomainRun:
        return DomainRun(self.settings, MOVIE)

    def materialize(self, *keys: str, **changed: Any) -> dg.ExecuteInProcessResult:
        """Materialise assets with their checks; `changed` settings hold for this time."""
        job = build_definitions(self.settings.model_copy(update=changed)).resolve_job_def("retrain")
        with dg.DagsterInstance.ephemeral() as instance:
            return job.execute_in_process(
                partition_key="movie",
                instance=instance,
                asset_selection=[dg.AssetKey(key.split("/")) for key in keys],
                raise_on_error=False,
            )

    def train(self, *models: str) -> dg.ExecuteInProcessResult:
        """Fit and evaluate models, let the gate choose, and publish."""
        steps = [f"{group}/{name}" for name in models for group in ("models", "evaluation")]
        return self.materialize(*steps, *PUBLISHING)

    def save_shuffled(self, name: str) -> str:
        """Make a model that learnt from shuffled ratings its name's current version."""
        warehouse = self.run.warehouse
        data = load_training_data(warehouse)
        ratings = np.random.default_rng(1).permutation(data.train.ratings)
        model = get_model_class(name)(seed=42).fit(replace(data, train=replace(data.train, ratings=ratings)))
        return ModelStore(self.run.layout).save(
            "movie", model, data_version="shuffled", id_map_hash=id_map_hash(warehouse), usage=ResourceUsage()
        )

    def lists(self) -> list[tuple[object, ...]]:
        with duckdb.connect(self.run.layout.published("movie"), read_only=True) as connection:
            return connection.execute(
                "SELECT user_id, rank, item_id, score, model, version FROM recommendations ORDER BY user_id, rank"
            ).fetchall()

    def said(self) -> list[tuple[str | None, str, str]]:
        """Every decision: from whom, to whom, by whom."""
        return [(row.previous_model, row.model, row.by) for row in ModelStore(self.run.layout).history("movie")]

    def spoil(self, file: str, statement: str) -> None:
        """Change the file of this name in the layout, such as `warehouse`."""
        with duckdb.connect(getattr(self.run.layout, file)("movie")) as connection:
            connection.execute(statement)

    def faults(self, name: str) -> list[str]:
        """Return what the check of this name finds wrong."""
        (check,) = [check for check in all_checks() if check.name == name]
        return [str(finding) for finding in check.find(self.run) if not finding.passed]
