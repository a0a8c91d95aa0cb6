"""Whole runs, made once and looked at by many tests."""

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import dagster as dg
import duckdb
import pytest

from recsys_dagster.orchestration.build import build_definitions
from recsys_dagster.runtime.layout import Layout
from recsys_dagster.settings import Settings

QUICK = "popularity,user_item_bias,item_knn"
"""Models that take no TensorFlow, for tests that start a process."""


@dataclass
class Home:
    """A RECSYS_HOME and the command that works on it."""

    path: Path
    environment: dict[str, str]

    def command(self, *arguments: str) -> tuple[list[str], dict[str, str]]:
        clean = {name: value for name, value in os.environ.items() if not name.startswith(("RECSYS_", "DAGSTER_"))}
        environment = {**clean, "RECSYS_HOME": str(self.path), "RECSYS_MODELS": QUICK, **self.environment}
        return [str(Path(sys.executable).with_name("recsys")), *arguments], environment

    def recsys(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        command, environment = self.command(*arguments)
        return subprocess.run(
            command, env=environment, cwd=self.path.parent, capture_output=True, text=True, timeout=1200
        )

    def recsys_with(self, environment: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run the command with further variables, this time only."""
        return Home(self.path, {**self.environment, **environment}).recsys(*arguments)

    def lists(self, domain: str) -> list[tuple[object, ...]]:
        """The published lists, without the version, which tells when they were made."""
        with duckdb.connect(Layout(self.path).published(domain), read_only=True) as connection:
            return connection.execute(
                "SELECT user_id, rank, item_id, score, model FROM recommendations ORDER BY user_id, rank"
            ).fetchall()


@dataclass
class Run:
    """A run of the job `retrain` on the sample of a domain, in this process."""

    settings: Settings
    result: dg.ExecuteInProcessResult

    @property
    def layout(self) -> Layout:
        return Layout(self.settings.home)

    def metadata(self, key: str) -> dict[str, dg.MetadataValue]:
        events = self.result.asset_materializations_for_node(key.replace("/", "__"))
        return dict(events[0].metadata)

    def rows(self, query: str) -> list[tuple[object, ...]]:
        with duckdb.connect(self.layout.warehouse("movie")) as connection:
            return connection.execute(query).fetchall()


@pytest.fixture(scope="session")
def movie_run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Everything for the domain movie on its sample, with a neural model among the models, evaluated on 60 users."""
    settings = Settings(
        home=tmp_path_factory.mktemp("movie-run"),
        models=("ease", "embedding_mlp"),
        evaluation_users=60,
        mirror=None,
        datasets={},
        _env_file=None,
    )
    job = build_definitions(settings).resolve_job_def("retrain")
    with dg.DagsterInstance.ephemeral() as instance:
        return Run(settings, job.execute_in_process(partition_key="movie", instance=instance))


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """An empty RECSYS_HOME, in a folder whose name must not be taken for the markup of a terminal."""
    folder = tmp_path / "home [prod] ["
    folder.mkdir()
    return Home(folder / "x]", {})
