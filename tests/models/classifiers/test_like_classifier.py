import numpy as np
import pytest
from small_world import pairs_of

from recsys_dagster.data.interactions import Interactions
from recsys_dagster.data.training_data import TrainingData
from recsys_dagster.models.base import Model
from recsys_dagster.models.classifiers import like_classifier
from recsys_dagster.models.classifiers.likes import ItemInputs, sigmoid
from recsys_dagster.models.contract_data import COLD_USERS, UNRATED_USER
from recsys_dagster.models.registry import get_model_class

LikeClassifier = get_model_class("like_classifier")


@pytest.fixture
def model(fitted) -> Model:
    return fitted("like_classifier")


def test_the_network_is_the_papers_to_the_parameter() -> None:
    # Table 1; its rows of an embedding are parameters / 50.
    network = like_classifier.build_network((5_000, 13_470, 100, 100, 2_500), 0.05, 0.5)
    assert network.count_params() == 1_061_021
    counts = {layer.name: layer.count_params() for layer in network.layers if layer.count_params()}
    assert counts == {
        "user_embedding": 250_000,
        "item_embedding": 673_500,
        "genre_1_embedding": 5_000,
        "genre_2_embedding": 5_000,
        "year_embedding": 125_000,
        "hidden": 2_510,
        "like": 11,
    }
    assert [tensor.name for tensor in network.inputs] == ["user", "item", "genre_1", "genre_2", "year"]
    assert network.get_layer("hidden").input.shape == (None, 250)
    rates = [layer.rate for layer in network.layers if hasattr(layer, "rate")]
    assert rates == [0.05, 0.5]


def test_the_preset_trains_as_printed() -> None:
    paper = LikeClassifier.presets["paper"]
    assert (paper.epochs, paper.batch_size, paper.patience, paper.loss) == (10, 64, None, "mean_squared_error")
    assert int(np.ceil(0.9 * 750_512 / paper.batch_size)) == 10_555


def test_numpy_gives_what_keras_gives(data: TrainingData, monkeypatch: pytest.MonkeyPatch) -> None:
    networks = []
    build = like_classifier.build_network
    monkeypatch.setattr(like_classifier, "build_network", lambda *args: networks.append(build(*args)) or networks[0])
    params = LikeClassifier.params_type(batch_size=100, epochs=3, patience=None, loss="mean_squared_error")
    model = LikeClassifier(params).fit(data)
    pairs = data.train.rated
    columns = [pairs.users, *(column[pairs.items] for column in ItemInputs.of(data.item_features).columns)]
    expected = networks[0].predict(columns, verbose=0)[:, 0]
    assert expected.std() > 0.02
    np.testing.assert_allclose(model.like_probabilities(pairs.users, pairs.items), expected, rtol=1e-4)
    listed = sigmoid(model._log_odds(pairs.users))[np.arange(len(pairs)), pairs.items]
    np.testing.assert_allclose(listed, expected, rtol=1e-4)
    assert model.refit_params() == params


def test_it_records_loss_and_accuracy_by_epoch(model: Model) -> None:
    assert set(model.history_) == {"loss", "val_loss", "binary_accuracy", "val_binary_accuracy"}
    assert model.history_["binary_accuracy"][-1] > 0.6
    assert model.best_epoch_ == np.argmin(model.history_["val_loss"]) + 1


def test_it_tells_likes_apart(model: Model, data: TrainingData) -> None:
    rated = data.validation.rated
    probabilities, liked = model.like_probabilities(rated.users, rated.items), rated.ratings >= 8
    assert probabilities[liked].mean() > probabilities[~liked].mean() + 0.1


def test_users_without_a_rating_are_average(model: Model, data: TrainingData) -> None:
    rated = np.bincount(data.train.rated.users, minlength=data.n_users) > 0
    for user in (*COLD_USERS, UNRATED_USER):
        np.testing.assert_allclose(model.users_[user], model.users_[rated].mean(axis=0), rtol=1e-4, atol=1e-6)


def test_a_new_user_without_a_rating_is_average(model: Model) -> None:
    sums = model._fold_in(Interactions.empty(), 2)
    np.testing.assert_allclose(sums, [model.users_.mean(axis=0)] * 2, rtol=1e-5)


def test_the_likes_of_a_new_user_raise_the_probabilities_and_dislikes_lower_them(model: Model) -> None:
    probabilities = sigmoid(model._log_odds_for(pairs_of([[10] * 20, [1] * 20]), 3)).mean(axis=1)
    assert probabilities[0] > probabilities[2] > probabilities[1]


def test_a_new_user_is_placed_where_the_posterior_is_highest(model: Model, data: TrainingData) -> None:
    rated = data.train.where(data.train.users == 3).rated
    alone = Interactions(rated.users * 0, rated.items, rated.ratings)
    mean, covariance = model.users_.mean(axis=0), np.cov(model.users_, rowvar=False)
    precision = np.linalg.inv(covariance + 1e-3 * np.trace(covariance) / 10 * np.eye(10))
    liked = alone.ratings >= 8

    def log_posterior(sums: np.ndarray) -> float:
        p = sigmoid(model._upper((sums + model.items_[alone.items]).astype(np.float32)))
        away = sums - mean
        return float(np.log(np.where(liked, p, 1 - p)).sum() - away @ precision @ away / 2)

    result = model._fold_in(alone, 1)[0].astype(np.float64)
    best = log_posterior(result)
    assert best > log_posterior(mean)
    directions = np.random.default_rng(0).multivariate_normal(np.zeros(10), covariance, 200)
    assert max(log_posterior(result + 0.3 * direction) for direction in directions) < best + 1e-3
