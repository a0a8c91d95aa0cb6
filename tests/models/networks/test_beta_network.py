import numpy as np
import pytest

from recsys_dagster.data.training_data import TrainingData
from recsys_dagster.models.base import Model
from recsys_dagster.models.registry import get_model_class

SIZES = {"beta_network_100": 100, "beta_network_128": 128, "beta_network_150": 150}


@pytest.mark.parametrize(("name", "size"), SIZES.items())
def test_the_three_differ_in_their_features_only(name: str, size: int) -> None:
    network = get_model_class(name)().build_network(7, 5)
    shapes = [tuple(weight.shape) for weight in network.weights]
    assert shapes == [(7, size), (5, size), (2 * size, size), (size,), (size, 1), (1,)]


def test_half_of_the_inputs_of_each_dense_layer_are_left_out_in_training() -> None:
    network = get_model_class("beta_network_100")().build_network(7, 5)
    layers = [type(layer).__name__ for layer in network.layers]
    assert layers[-5:] == ["Concatenate", "Dropout", "Dense", "Dropout", "Dense"]
    assert [layer.rate for layer in network.layers if type(layer).__name__ == "Dropout"] == [0.5, 0.5]


@pytest.mark.parametrize("name", SIZES)
def test_the_preset_is_as_published(name: str) -> None:
    params = get_model_class(name).presets["paper"]
    assert (params.dropout, params.learning_rate, params.patience) == (0.5, 0.001, 3)
    assert (params.start_at_mean, params.popularity_weight) == (False, 0)


def test_the_curve_is_the_absolute_error(fitted, data: TrainingData) -> None:
    model: Model = fitted("beta_network_100")
    rated = data.validation.rated
    # The network saw the initial embeddings of cold users and items, which are then set to the mean.
    warm = (model.popularity_[rated.items] > 0) & (np.diff(model.seen_.indptr)[rated.users] > 0)
    error = np.abs(model._predict(rated.users, rated.items) - rated.ratings)[warm].mean()
    assert error == pytest.approx(min(model.history_["val_loss"]), rel=0.1)


def test_numpy_predicts_what_keras_does(fitted, data: TrainingData) -> None:
    model = fitted("beta_network_128")
    network = model.build_network(len(model.users_), len(model.items_))
    dense = [part for pair in zip(model.kernels_, model.biases_, strict=True) for part in pair]
    network.set_weights([model.users_, model.items_, *dense])
    users, items = data.validation.users, data.validation.items
    expected = network.predict([users, items], verbose=0)[:, 0]
    np.testing.assert_allclose(model._predict(users, items), expected, rtol=1e-4)
