"""The dataset of a domain is remembered with what is published; another one is taken only on purpose."""

import os
import pty
import shutil
import subprocess
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import dagster as dg
import duckdb
import pytest
from small_archive import write_archive
from small_publication import publish_small
from whole_runs import Home

from recsys_dagster.domains import BUILT_IN_DOMAINS
from recsys_dagster.lifecycle.dataset_choice import DatasetSwitchError, choose_dataset, published_dataset
from recsys_dagster.model_store.store import ModelStore
from recsys_dagster.orchestration.build import build_definitions
from recsys_dagster.orchestration.failures import failed_steps
from recsys_dagster.orchestration.run import run_domains
from recsys_dagster.runtime.layout import Layout
from recsys_dagster.settings import Settings

MOVIE = BUILT_IN_DOMAINS["movie"]


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Home:
    """A home that has published lists of an archive in the mirror."""
    folder = tmp_path_factory.mktemp("published")
    mirror = write_archive(folder / "mirror").parent
    home = Home(folder / "home", {"RECSYS_MIRROR": str(mirror), "RECSYS_MODELS": "popularity"})
    done = home.recsys_with({"RECSYS_DATASET_MOVIE": "ml-latest-small"}, "run", "--domain", "movie")
    assert done.returncode == 0, done.stderr
    assert done.stderr.splitlines()[0] == "movie: dataset ml-latest-small, named by RECSYS_DATASET_MOVIE"
    return home


@pytest.fixture
def real(published: Home, tmp_path: Path) -> Home:
    """A copy of that, to be run again."""
    shutil.copytree(published.path, tmp_path / "home")
    return Home(tmp_path / "home", published.environment)


def dataset(home: Home) -> str:
    with duckdb.connect(Layout(home.path).published("movie"), read_only=True) as connection:
        return str(connection.execute("SELECT dataset FROM provenance").fetchall()[0][0])


def settings(home: Home, **chosen: Any) -> Settings:
    values = {"mirror": home.environment["RECSYS_MIRROR"], "datasets": {}, "models": ("popularity",), **chosen}
    return Settings(home=home.path, _env_file=None, **values)


def test_a_forgotten_variable_keeps_the_dataset_and_says_so_in_the_first_line(real: Home) -> None:
    done = real.recsys("run", "--domain", "movie")
    assert done.returncode == 0, done.stderr
    assert done.stderr.splitlines()[0] == (
        "movie: dataset ml-latest-small, which is published (RECSYS_DATASET_MOVIE is not set)"
    )
    assert dataset(real) == "ml-latest-small"


def test_another_dataset_is_refused_in_one_line_and_taken_when_it_is_meant(real: Home) -> None:
    other = {"RECSYS_DATASET_MOVIE": "sample-movie"}
    before = real.lists("movie")
    refused = real.recsys_with(other, "run", "--domain", "movie")
    assert refused.returncode == 1
    assert refused.stderr.count("\n") == 1
    assert "the published lists are of ml-latest-small" in refused.stderr
    assert "recsys run --domain movie --switch-dataset" in refused.stderr
    assert real.lists("movie") == before

    switched = real.recsys_with(other, "run", "--domain", "movie", "--switch-dataset")
    assert switched.returncode == 0, switched.stderr
    first = switched.stderr.splitlines()[0]
    assert first == "movie: dataset sample-movie, which replaces ml-latest-small"
    assert dataset(real) == "sample-movie"
    last = ModelStore(Layout(real.path)).history("movie")[-1]
    assert last.reason.startswith("the dataset changed from ml-latest-small to sample-movie, so the gate starts anew: ")
    # Back to the lists before, and to their dataset.
    assert real.recsys("rollback", "--domain", "movie").returncode == 0
    assert real.lists("movie") == before
    assert choose_dataset(settings(real), MOVIE).dataset == "ml-latest-small"


@pytest.fixture
def terminal(real: Home) -> Callable[..., tuple[int, str]]:
    """Types a command on a terminal and answers what it asks; gives the exit code and what is on the screen."""

    def type_in(environment: dict[str, str], answer: str, *words: str) -> tuple[int, str]:
        command, variables = real.command(*words)
        ours, theirs = pty.openpty()
        ends = {"stdin": theirs, "stdout": theirs, "stderr": theirs}
        with subprocess.Popen(command, env=variables | environment, cwd=real.path.parent, **ends) as process:
            os.close(theirs)
            screen = b""
            with os.fdopen(ours, "r+b", buffering=0) as terminal, suppress(OSError):  # EIO at the end, on Linux
                while block := terminal.read(4096):
                    screen += block
                    if screen.endswith(b"[y/N]: "):
                        terminal.write(answer.encode())
        return process.returncode, screen.decode()

    return type_in


def test_on_a_terminal_each_switch_is_asked_for(real: Home, terminal: Callable[..., tuple[int, str]]) -> None:
    other, before = {"RECSYS_DATASET_MOVIE": "sample-movie"}, real.lists("movie")
    code, screen = terminal(other, "n\n", "run", "--domain", "movie")
    assert code == 1
    assert screen.count("Replace them now? [y/N]: ") == 1
    assert screen.rstrip().rpartition("\n")[2].startswith("recsys: movie: the published lists are of ml-latest-small")
    assert real.lists("movie") == before
    code, screen = terminal(other, "y\n", "run", "--domain", "movie")
    assert code == 0, screen
    assert "movie: dataset sample-movie, which replaces ml-latest-small" in screen
    assert dataset(real) == "sample-movie"


def test_a_yes_for_one_domain_is_none_for_another(real: Home) -> None:
    publish_small(Layout(real.path).published("anime"))
    changed = settings(real, datasets={"movie": "sample-movie", "anime": "myanimelist"})
    with pytest.raises(DatasetSwitchError) as caught:
        run_domains(changed, ["movie", "anime"], switched={"movie"})
    assert caught.value.domain == "anime"


def test_a_run_of_the_schedule_or_the_ui_never_switches(real: Home) -> None:
    before = real.lists("movie")
    job = build_definitions(settings(real, datasets={"movie": "sample-movie"})).resolve_job_def("retrain")
    with dg.DagsterInstance.ephemeral() as instance:
        result = job.execute_in_process(partition_key="movie", instance=instance, raise_on_error=False)
    assert not result.success
    (cause,) = failed_steps(result.all_events)
    assert "the published lists are of ml-latest-small" in cause
    assert real.lists("movie") == before


def test_a_damaged_published_file_does_not_make_the_dataset_forgotten(real: Home) -> None:
    Layout(real.path).published("movie").write_bytes(b"damaged")
    assert published_dataset(settings(real), MOVIE) == "ml-latest-small"
    with pytest.raises(DatasetSwitchError):
        choose_dataset(settings(real, datasets={"movie": "sample-movie"}), MOVIE)


def test_before_anything_is_published_the_setting_or_the_default_decides(tmp_path: Path) -> None:
    def choose(dataset: str | None) -> Any:
        datasets = {"movie": dataset} if dataset else {}
        return choose_dataset(Settings(home=tmp_path, datasets=datasets, _env_file=None), MOVIE)

    assert choose(None).dataset == "sample-movie"
    assert choose("ml-25m").dataset == "ml-25m"
    assert not choose("ml-25m").is_switch


def test_lists_that_nothing_says_the_dataset_of_are_replaced_only_on_purpose(tmp_path: Path) -> None:
    damaged = Layout(tmp_path).published("movie")
    damaged.parent.mkdir()
    damaged.write_bytes(b"damaged")
    named = Settings(home=tmp_path, datasets={"movie": "ml-25m"}, _env_file=None)
    with pytest.raises(DatasetSwitchError, match=r"cannot be read.*recsys run --domain movie --switch-dataset"):
        choose_dataset(named, MOVIE)
    assert choose_dataset(named, MOVIE, switch=True).dataset == "ml-25m"
