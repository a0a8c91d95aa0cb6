"""The closed form against the regression written out example by example."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose

from recsys_dagster.data.training_data import TrainingData
from recsys_dagster.errors import RecsysError
from recsys_dagster.models.base import Model
from recsys_dagster.models.sequences.histories import Histories
from recsys_dagster.models.sequences.next_item_ridge import (
    NextItemRidge,
    NextItemRidgeParams,
    add_transpose,
    solve_in_place,
)


def regression(data: TrainingData, params: NextItemRidgeParams, columns: np.ndarray) -> np.ndarray:
    """B of the examples as they are, one row for each place that has a next one."""
    histories = Histories.of(data.train, data.n_users)
    inputs, targets = [], []
    for user in range(data.n_users):
        items = histories.items[histories.offsets[user] : histories.offsets[user + 1]]
        for place in range(1, len(items)):
            x, y = np.zeros(data.n_items), np.zeros(data.n_items)
            for age, item in enumerate(items[:place][::-1][: params.window]):
                x[item] = params.decay**age
            y[items[place]] = 1
            inputs.append(x[columns])
            targets.append(y[columns])
    x, y = np.array(inputs), np.array(targets)
    gram = x.T @ x
    penalty = params.regularisation + params.dropout / (1 - params.dropout) * np.diag(gram)
    weights = np.linalg.solve(gram + np.diag(penalty), x.T @ y)
    popularity = np.bincount(data.train.items, minlength=data.n_items)[columns]
    return weights / popularity**params.target_power


@pytest.mark.parametrize(
    "params",
    [
        {"window": 4, "decay": 0.7, "regularisation": 3},
        {"window": 100, "decay": 1, "dropout": 0},
        {"window": 1, "regularisation": 1, "target_power": 0.4},
        {"max_items": 20, "window": 5},
    ],
)
def test_the_weights_are_those_of_the_regression(data: TrainingData, params: dict[str, float]) -> None:
    model = NextItemRidge(NextItemRidgeParams(**params)).fit(data)
    assert len(model.columns_) == params.get("max_items", np.count_nonzero(model.popularity_ >= 3))
    assert_allclose(model.weights_, regression(data, model.params, model.columns_), rtol=2e-3, atol=2e-5)


def test_the_most_popular_items_are_kept(data: TrainingData) -> None:
    model = NextItemRidge(NextItemRidgeParams(max_items=10)).fit(data)
    kept = np.zeros(data.n_items, dtype=bool)
    kept[model.columns_] = True
    assert model.popularity_[kept].min() >= model.popularity_[~kept].max()
    top = model.recommend(np.array([3], dtype=np.int32), data.n_items, exclude_seen=False).items[0]
    rest = top[np.isin(top, model.columns_, invert=True) & (top >= 0)]
    assert (np.diff(model.popularity_[rest]) <= 0).all()
    assert set(top[:10]) == set(model.columns_)


def test_items_with_few_pairs_are_not_regressed_on(data: TrainingData) -> None:
    model = NextItemRidge(NextItemRidgeParams(min_pairs=30)).fit(data)
    assert model.columns_.tolist() == np.flatnonzero(model.popularity_ >= 30).tolist()
    with pytest.raises(RecsysError, match="lower min_pairs"):
        NextItemRidge(NextItemRidgeParams(min_pairs=1000)).fit(data)


def test_the_scores_of_known_users_are_those_of_their_history(
    fitted: Callable[[str], Model], data: TrainingData
) -> None:
    model: NextItemRidge = fitted("next_item_ridge")
    users = np.arange(data.n_users - 2, dtype=np.int32)
    history = data.train.where(data.train.users < data.n_users - 2)
    assert_allclose(model._scores(users), model._scores_for(history, len(users)), rtol=1e-4, atol=1e-6)


def test_the_order_of_a_history_changes_the_scores(fitted: Callable[[str], Model], data: TrainingData) -> None:
    history = data.train.where(data.train.users == 0)
    backwards = replace(history, times=-history.times)
    model: NextItemRidge = fitted("next_item_ridge")
    assert not np.allclose(model._scores_for(history, 1), model._scores_for(backwards, 1))


def test_a_matrix_is_solved_in_place_beyond_one_block() -> None:
    random = np.random.default_rng(0)
    half = random.random((1500, 1500), dtype=np.float32)
    right = random.random((1500, 1500), dtype=np.float32)
    gram = half @ half.T + 100 * np.eye(1500, dtype=np.float32)
    parts = np.triu(gram, 1) * np.float32(0.75) + np.tril(gram, -1) * np.float32(0.25)
    add_transpose(parts)
    np.fill_diagonal(parts, gram.diagonal())
    assert_allclose(np.triu(parts), np.triu(gram), rtol=1e-5)
    expected = np.linalg.solve(gram.astype(np.float64), right)
    solve_in_place(parts, right)
    assert_allclose(right, expected, atol=2e-3)


def test_a_matrix_that_is_not_positive_definite_is_refused() -> None:
    with pytest.raises(RecsysError, match="raise regularisation"):
        solve_in_place(np.array([[1, 2], [2, 1]], np.float32), np.eye(2, dtype=np.float32))
