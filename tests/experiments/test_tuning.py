import json
import shutil
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import optuna
import pytest
from typed_command import Typed

from recsys_dagster.domains import BUILT_IN_DOMAINS
from recsys_dagster.errors import RecsysError, UsageError
from recsys_dagster.evaluation.evaluate import evaluate
from recsys_dagster.experiments import tuning
from recsys_dagster.experiments.tuning import tune, value_of
from recsys_dagster.ingest.fetching import fetch
from recsys_dagster.models.params import Params
from recsys_dagster.models.rating import RatingModel
from recsys_dagster.models.registry import get_model_class
from recsys_dagster.models.search_space import Real
from recsys_dagster.settings import Settings
from recsys_dagster.warehouse.arrays import load_holdout, load_training_data
from recsys_dagster.warehouse.build import build_clean, build_features
from recsys_dagster.warehouse.domain_run import DomainRun

MOVIE = BUILT_IN_DOMAINS["movie"]


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A RECSYS_HOME with the features of the samples of both domains."""
    settings = Settings(home=tmp_path_factory.mktemp("prepared"), mirror=None, datasets={}, _env_file=None)
    for domain in BUILT_IN_DOMAINS.values():
        run = DomainRun(settings, domain)
        manifest = fetch(run.dataset, settings)
        build_clean(run.warehouse, run.dataset, manifest)
        build_features(run.warehouse, settings.seed)
    return settings.home


@pytest.fixture
def run(prepared: Path, tmp_path: Path) -> DomainRun:
    """The same in a folder of the test's own."""
    home = shutil.copytree(prepared, tmp_path / "home")
    for manifest in home.glob("raw/sample-*/manifest.json"):
        manifest.write_text(manifest.read_text().replace(str(prepared), str(home)))
    return DomainRun(Settings(home=home, mirror=None, datasets={}, _env_file=None), MOVIE)


def kept(run: DomainRun, name: str) -> dict[str, Any]:
    return json.loads(run.layout.tuned("movie", name).read_text())


def tried(run: DomainRun, name: str) -> list[dict[str, Any]]:
    """The parameters of all trials, in order."""
    storage = f"sqlite:///{run.layout.tuning_trials('movie', name)}"
    (summary,) = optuna.get_all_study_summaries(storage)
    return [trial.params for trial in optuna.load_study(study_name=summary.study_name, storage=storage).trials]


class DistanceParams(Params):
    x: float = 0.9
    other: str = "kept"
    searched: ClassVar = {"x": Real(0, 1)}


class Distance(RatingModel):
    """Predicts what is wrong by |x − 0.3| everywhere; notes down what it is fitted on."""

    name = "distance"
    params_type = DistanceParams
    fits: ClassVar[list[tuple[float, int]]] = []
    refused: ClassVar[float] = 1.1

    def _fit(self, data):
        self.fits.append((self.params.x, len(data.train)))
        if self.params.x > self.refused:
            raise RecsysError("distance: too far")
        held_out = data.validation
        self.truth = dict(zip(zip(held_out.users, held_out.items, strict=True), held_out.ratings, strict=True))

    def predict(self, users, items, times=None):  # noqa: ARG002
        truth = [self.truth[pair] for pair in zip(users, items, strict=True)]
        return np.array(truth, np.float32) + np.float32(abs(self.params.x - 0.3))

    def _predict(self, users, items):
        raise NotImplementedError

    def _ratings(self, users):
        raise NotImplementedError


@pytest.fixture
def distance(monkeypatch: pytest.MonkeyPatch) -> type[Distance]:
    monkeypatch.setattr(Distance, "fits", [])
    monkeypatch.setattr(
        tuning, "get_model_class", lambda name: Distance if name == "distance" else get_model_class(name)
    )
    return Distance


def test_the_best_trial_is_kept_with_date_and_defaults(run: DomainRun, distance: type[Distance]) -> None:
    tuned = tune(run, "distance", 15)

    assert tuned.default_value == pytest.approx(0.6, abs=1e-5)
    assert tuned.value == pytest.approx(abs(tuned.params["x"] - 0.3), abs=1e-5)
    assert tuned.value < 0.15
    assert tuned.params["other"] == "kept"
    assert (tuned.metric, tuned.dataset, tuned.trials) == ("rmse", "sample-movie", 15)
    assert abs((datetime.now(UTC) - datetime.fromisoformat(tuned.date)).total_seconds()) < 60
    assert kept(run, "distance") == asdict(tuned)


def test_a_bad_trial_is_stopped_after_a_quarter_of_the_users(
    run: DomainRun, distance: type[Distance], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tuning, "MIN_EVALUATED_USERS", 1)
    tuned = tune(run, "distance", 15)

    everything = len(load_training_data(run.warehouse).train)
    parts = [size for _, size in distance.fits if size < everything]
    assert len(parts) == 15
    assert all(0.15 < size / everything < 0.35 for size in parts)
    assert 0 < tuned.pruned == len(parts) - sum(size == everything for _, size in distance.fits)


def test_a_search_continues_where_an_earlier_one_ended(run: DomainRun, distance: type[Distance]) -> None:
    tune(run, "distance", 3)
    first = tried(run, "distance")
    tuned = tune(run, "distance", 6)
    assert tuned.trials == 6
    assert tried(run, "distance")[:3] == first
    assert len({params["x"] for params in tried(run, "distance")}) == 6, "nothing is drawn once more"
    distance.fits.clear()
    assert tune(run, "distance", 6).value == tuned.value
    assert distance.fits == []


def test_without_time_only_the_defaults_are_tried(run: DomainRun, distance: type[Distance]) -> None:
    tuned = tune(run, "distance", 15, seconds=0)
    assert (tuned.trials, tuned.value) == (1, tuned.default_value)


def test_parameters_from_elsewhere_are_tried_once_and_kept(run: DomainRun, distance: type[Distance]) -> None:
    for _ in range(2):
        assert value_of(run, "distance", {"x": 0.5, "other": "kept"}) == pytest.approx(0.2, abs=1e-5)
    assert [x for x, _ in distance.fits].count(0.5) == 1


def test_a_killed_search_continues_and_still_tries_the_defaults(
    run: DomainRun, distance: type[Distance], monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(distance, "_fit", killed)
        tune(run, "distance", 2)
    tuned = tune(run, "distance", 2)
    assert tuned.trials == 2
    assert tuned.default_value == pytest.approx(0.6, abs=1e-5)


def test_a_trial_that_fails_is_reported_and_skipped(
    run: DomainRun, distance: type[Distance], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(distance, "refused", 0.5)
    tuned = tune(run, "distance", 8)
    assert tuned.default_value is None
    assert tuned.params["x"] <= 0.5
    assert "distance 1 of 8: failed: too far; x 0.9" in capsys.readouterr().err
    monkeypatch.setattr(distance, "refused", -1)
    with pytest.raises(RecsysError, match="every trial failed"):
        tune(DomainRun(run.settings.model_copy(update={"seed": 7}), MOVIE), "distance", 2)


def test_a_ranking_model_is_tuned_by_ndcg_on_the_validation_fold(run: DomainRun) -> None:
    tuned = tune(run, "genre_similarity", 2)
    holdout = load_holdout(run.warehouse)
    data = holdout.data
    evaluation = evaluate(
        get_model_class("genre_similarity")().fit(data),
        data.validation,
        None,
        like_threshold=4,
        folded_in=holdout.folded_in("validation", data.validation),
        ks=(100,),
        seed=0,
    )
    assert tuned.metric == "ndcg@100"
    assert tuned.default_value == next(metric.value for metric in evaluation.metrics if metric.metric == "ndcg")
    assert tuned.value >= tuned.default_value


def test_a_model_without_parameters_to_search_is_refused_with_a_list_of_the_others(run: DomainRun) -> None:
    with pytest.raises(
        UsageError, match=r"popularity has no parameters to search; models that have: user_item_bias, .*"
    ):
        tune(run, "popularity", 2)


def test_an_empty_validation_fold_is_named_as_the_reason(run: DomainRun) -> None:
    with run.warehouse.connect() as connection:
        connection.execute("DELETE FROM features.interactions WHERE fold = 'validation'")
    with pytest.raises(RecsysError, match="user_item_bias: the validation fold holds no ratings"):
        tune(run, "user_item_bias", 2)
    with pytest.raises(RecsysError, match="genre_similarity: the validation fold is empty"):
        tune(run, "genre_similarity", 2)


class TestCommand:
    def test_it_prints_the_best_parameters(
        self, run: DomainRun, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        monkeypatch.setenv("RECSYS_HOME", str(run.settings.home))
        typed = Typed(capsys, "tune", "--model", "user_item_bias", "--domain", "movie", "-n", "2")
        assert typed.code == 0
        best = kept(run, "user_item_bias")
        rows = [line.split() for line in typed.out.splitlines()]
        assert rows[0] == ["user_item_bias,", "movie", "best"]
        assert ["item_damping", f"{best['params']['item_damping']:.4g}"] in rows
        assert typed.out.splitlines()[-1].rstrip() == (
            f"rmse {best['value']:.4f} on validation, {best['default_value']:.4f} with the defaults; "
            "2 trials, 0 of them stopped early"
        )
        assert "user_item_bias 1 of 2: rmse" in typed.err

    def test_over_two_domains_it_prints_what_suits_both(
        self, run: DomainRun, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        monkeypatch.setenv("RECSYS_HOME", str(run.settings.home))
        typed = Typed(capsys, "tune", "--model", "user_item_bias", "--domain", "movie", "--domain", "anime", "-n", "3")
        assert typed.code == 0
        header, movie, anime = (line.split() for line in typed.out.splitlines()[-3:])
        assert header[:3] == ["model", "domain", "metric"]
        assert (movie[:3], anime[:3]) == (["user_item_bias", "movie", "rmse"], ["user_item_bias", "anime", "rmse"])
        losses = [float(row[place].rstrip("%")) for row in (movie, anime) for place in (4, -1)]
        assert max(losses[1::2]) <= max(losses[::2])
        of_anime = json.loads(run.layout.tuned("anime", "user_item_bias").read_text())["params"]
        assert any(trial.items() <= of_anime.items() for trial in tried(run, "user_item_bias"))

    def test_neither_a_model_nor_all_of_them_is_one_line(self, capsys: pytest.CaptureFixture[str]) -> None:
        for more in ([], ["--model", "als", "--all"]):
            typed = Typed(capsys, "tune", "--domain", "movie", *more)
            assert (typed.code, typed.err) == (2, "recsys: give either --model NAME or --all\n")

    def test_unknown_names_and_a_missing_run_are_one_line(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        monkeypatch.setenv("RECSYS_HOME", str(tmp_path / "empty"))
        typed = Typed(capsys, "tune", "--model", "easy", "--domain", "movie")
        assert (typed.code, typed.err.count("\n")) == (2, 1)
        assert typed.err.startswith("recsys: unknown model 'easy'; known: popularity, ")
        typed = Typed(capsys, "tune", "--model", "ease", "--domain", "movie")
        assert (typed.code, typed.err.count("\n")) == (1, 1)
        assert "recsys run" in typed.err
