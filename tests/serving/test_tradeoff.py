"""What diversity and calibration cost, measured on validation."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from small_world import pairs_of, world_of

from recsys_dagster.evaluation.evaluate import evaluate
from recsys_dagster.evaluation.metrics.metric import MetricKey
from recsys_dagster.models.baselines.popularity import Popularity
from recsys_dagster.serving.tradeoff import BALANCES, measure_tradeoff, read_tradeoff, write_tradeoff

N_USERS, N_ITEMS = 60, 40


@pytest.fixture
def data():
    random = np.random.default_rng(3)
    train = 10.0 * (random.random((N_USERS, N_ITEMS)) < np.linspace(0.05, 0.6, N_ITEMS))
    train[0, :], train[1, :] = 0, 0
    train[0, 0], train[1, 1] = 10, 10
    later = 10.0 * (random.random((N_USERS, N_ITEMS)) < 0.2) * (train == 0)
    genres = np.eye(4)[np.arange(N_ITEMS) // 10]  # the most popular ten items share a genre
    return replace(world_of(train, genres), validation=pairs_of(later))


def test_without_weights_it_is_the_evaluation_and_weights_buy_what_they_promise(data) -> None:
    model = Popularity().fit(data)
    tradeoff = measure_tradeoff(model, "v", data, 10, seed=1)
    assert tradeoff is not None
    start, *others = tradeoff.points
    evaluated = evaluate(model, data.validation, None, like_threshold=8, data=data, seed=1)
    for name in ("ndcg", "genre_diversity", "miscalibration", "novelty", "coverage"):
        assert getattr(start, name) == pytest.approx(evaluated.value(MetricKey(name, 10)).value)
    assert (start.change, start.low, start.high) == (0, 0, 0)
    assert [(point.diversity, point.calibration) for point in others] == [
        (one.diversity, one.calibration) for one in BALANCES[1:]
    ]
    diverse = [point for point in others if point.diversity]
    assert [point.genre_diversity for point in diverse] == sorted(point.genre_diversity for point in diverse)
    assert diverse[-1].genre_diversity > start.genre_diversity
    calibrated = [point for point in others if point.calibration]
    assert calibrated[-1].miscalibration < start.miscalibration
    assert all(point.change == pytest.approx(point.ndcg - start.ndcg) for point in others)
    assert all(point.low <= point.change <= point.high for point in others)


def test_it_comes_back_from_its_file_for_that_version_only(data, tmp_path: Path) -> None:
    tradeoff, path = measure_tradeoff(Popularity().fit(data), "v", data, 10, seed=1), tmp_path / "popularity.json"
    assert read_tradeoff(path, "v") is None
    write_tradeoff(tradeoff, path)
    assert read_tradeoff(path, "v") == tradeoff
    assert read_tradeoff(path, "another") is None
    path.write_text("{")
    assert read_tradeoff(path, "v") is None


def test_without_genres_or_validation_there_is_nothing_to_measure(data) -> None:
    without = world_of(np.ones((3, 3)), np.zeros((3, 1)))
    assert measure_tradeoff(Popularity().fit(without), "v", without, 10, seed=1) is None
    empty = replace(data, validation=data.validation.where(np.zeros(len(data.validation), bool)))
    assert measure_tradeoff(Popularity().fit(empty), "v", empty, 10, seed=1) is None
