"""Published results are compared with ours, under the protocol of their authors."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from public_files import write_archive
from small_world import world_of
from typed_command import Typed

from recsys_dagster.data.interactions import Interactions
from recsys_dagster.data.split import Split
from recsys_dagster.evaluation.custom_split import ModelResult
from recsys_dagster.evaluation.summary import MetricValue
from recsys_dagster.experiments.replication import REPLICATIONS, compare, get_replication, tied_share
from recsys_dagster.ingest.catalogue import CATALOGUE


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty home, and a mirror with a small archive in the format of ml-1m."""
    write_archive(tmp_path / "mirror", "ml-1m")
    monkeypatch.setenv("RECSYS_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("RECSYS_MIRROR", str(tmp_path / "mirror"))
    monkeypatch.chdir(tmp_path)
    return tmp_path / "home"


def test_published_figures_are_printed_beside_ours(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ("evaluate", "--dataset", "ml-1m", "--protocol", "leave-last-out", "--models", "popularity,ease")
    run = Typed(capsys, *words, "--out", "results")
    assert run.code == 0, run.err
    results = json.loads((home.parent / "results" / "metrics.json").read_text())
    best = max(model["metrics"]["ndcg@10"] for model in results["models"].values())
    (row,) = [line for line in run.out.splitlines() if line.startswith("eSASRec")]
    assert "Tikhonovich et al. 2025" in row
    assert f"{best:.4f}" in row
    assert row.endswith(f"{100 * (best / 0.177 - 1):+.1f} %")
    assert not (home / "warehouse").exists(), "the domain has no tables of it"

    again = Typed(capsys, *words, "--test-share", "0.2")
    assert again.code == 2
    assert "has no test share" in again.err
    assert Typed(capsys, *words, "--domain", "movie").code == 2


def test_a_dataset_that_is_not_public_is_refused(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = Typed(capsys, "evaluate", "--dataset", "ml-1n", "--protocol", "random", "--models", "popularity")
    assert run.code == 2
    assert "ml-1m" in run.err


@pytest.mark.parametrize(("dataset", "protocol"), REPLICATIONS)
def test_what_was_published_is_known_for_public_datasets_and_protocols(dataset: str, protocol: str) -> None:
    assert dataset in CATALOGUE
    replication = get_replication(dataset, protocol, seed=7)
    assert replication is not None
    assert (replication.protocol.name, replication.protocol.split.seed) == (protocol, 7)


def test_a_published_model_is_compared_with_ours_of_that_name_else_with_the_best() -> None:
    replication = get_replication("ml-20m", "strong-generalisation", seed=0)
    assert replication is not None
    results = [
        ModelResult(name, metrics=[MetricValue("ndcg", 100, value, None, None, 9)])
        for name, value in (("ease", 0.42), ("blend", 0.45))
    ]
    found = {one.figure.system: (one.model, round(one.percent, 2)) for one in compare(replication, results)}
    assert found == {
        "EASE": ("ease", 0.0),
        "Mult-VAE": ("blend", 5.63),
        "RecVAE": ("blend", 1.81),
        "VASP": ("blend", 0.45),
    }
    assert compare(replication, [ModelResult("ease", skipped="no memory")]) == []


def test_a_test_item_with_the_time_of_an_item_before_it_is_tied() -> None:
    def pairs(items: list[int], times: list[int]) -> Interactions:
        users = np.arange(2, dtype=np.int32)
        return Interactions(users, np.array(items, np.int32), np.full(2, 5, np.float32), np.array(times))

    data = replace(world_of(np.eye(2, 4)), train=pairs([0, 1], [10, 20]))
    split = Split(data, pairs([2, 3], [10, 21]), None, np.arange(2), np.arange(4))
    assert tied_share(split) == 0.5
