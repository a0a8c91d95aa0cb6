from dataclasses import replace

import numpy as np
import pytest
from fitted_models import new_model
from small_world import UNRATED, world_of

from recsys_dagster.data.interactions import Interactions
from recsys_dagster.data.training_data import TrainingData
from recsys_dagster.errors import RecsysError
from recsys_dagster.models.base import Model
from recsys_dagster.models.contract_data import COLD_ITEMS, COLD_USERS, N_ITEMS
from recsys_dagster.models.networks.embedding_mlp import EmbeddingMlp, EmbeddingMlpParams
from recsys_dagster.models.networks.neural import import_keras


@pytest.fixture
def model(fitted) -> Model:
    return fitted("embedding_mlp")


def test_the_network_is_the_papers_to_the_parameter() -> None:
    network = EmbeddingMlp().build_network(309_689, 16_843)
    assert network.count_params() == 1_637_129
    shapes = [tuple(weight.shape) for weight in network.weights]
    assert shapes == [(309_689, 5), (16_843, 5), (10, 100), (100,), (100, 32), (32,), (32, 4), (4,), (4, 1), (1,)]
    assert [layer.activation.__name__ for layer in network.layers[-4:]] == ["relu", "relu", "relu", "linear"]
    assert {type(layer.kernel_initializer).__name__ for layer in network.layers[-4:]} == {"HeNormal"}


def test_the_presets_are_the_published_settings() -> None:
    for preset, epochs in {"paper_anime": 100, "paper_movie": 30}.items():
        params = EmbeddingMlp.presets[preset]
        assert (params.learning_rate, params.batch_size, params.epochs) == (5e-5, 10_000, epochs)
        assert (params.patience, params.start_at_mean, params.popularity_weight) == (None, False, 0)
    assert EmbeddingMlp.presets["default"] == EmbeddingMlpParams()


def test_numpy_predicts_what_keras_does(model: Model, data: TrainingData) -> None:
    network = EmbeddingMlp().build_network(len(model.users_), len(model.items_))
    dense = [part for pair in zip(model.kernels_, model.biases_, strict=True) for part in pair]
    network.set_weights([model.users_, model.items_, *dense])
    users, items = data.validation.users, data.validation.items
    expected = network.predict([users, items], verbose=0)[:, 0]
    np.testing.assert_allclose(model._predict(users, items), expected, rtol=1e-4)
    np.testing.assert_allclose(model._ratings(users)[np.arange(len(users)), items], expected, rtol=1e-4)


def test_the_validation_fold_stops_it_and_the_best_epoch_is_kept(data: TrainingData) -> None:
    held_out = data.validation.rated
    warm = held_out.where(~np.isin(held_out.users, COLD_USERS) & ~np.isin(held_out.items, COLD_ITEMS))
    params = EmbeddingMlpParams(learning_rate=0.03, batch_size=50, epochs=40, patience=2)
    model = EmbeddingMlp(params).fit(replace(data, validation=warm))
    losses = model.history_["val_loss"]
    assert len(losses) == len(model.history_["loss"]) < 40
    assert model.best_epoch_ == np.argmin(losses) + 1 == len(losses) - 2
    error = model._predict(warm.users, warm.items) - warm.ratings
    assert (error**2).mean() == pytest.approx(min(losses), rel=1e-3)
    assert model.refit_params() == params.model_copy(update={"epochs": model.best_epoch_, "patience": None})


def test_on_a_gpu_hidden_layers_compute_in_half_precision_and_the_loss_is_the_same(
    data: TrainingData, monkeypatch: pytest.MonkeyPatch
) -> None:
    params = EmbeddingMlpParams(epochs=3, patience=None)
    expected = EmbeddingMlp(params).fit(data).history_["loss"]
    # Most machines that run this have no GPU: the layers get the dtype of one, and compute on the processor.
    monkeypatch.setattr(import_keras().distribution, "list_devices", lambda: ["gpu:0"])
    layers = EmbeddingMlp(params).build_network(9, 9).layers[-4:]
    assert [layer.compute_dtype for layer in layers] == ["bfloat16", "bfloat16", "bfloat16", "float32"]
    assert {layer.variable_dtype for layer in layers} == {"float32"}
    losses = EmbeddingMlp(params).fit(data).history_["loss"]
    assert losses != expected
    assert losses == pytest.approx(expected, rel=0.02)


def test_without_a_validation_fold_it_trains_every_epoch(data: TrainingData) -> None:
    model = new_model("embedding_mlp").fit(data.with_all(Interactions.empty()))
    assert set(model.history_) == {"loss", "mean_absolute_error"}
    assert model.best_epoch_ == len(model.history_["loss"]) == model.params.epochs


def test_unknown_users_and_items_are_average(model: Model) -> None:
    known = np.diff(model.seen_.indptr) > 0
    known[117] = False  # the user without ratings has no rated pair either
    for user in (*COLD_USERS, 117):
        np.testing.assert_allclose(model.users_[user], model.users_[known].mean(axis=0), rtol=1e-5, atol=1e-7)
    for item in COLD_ITEMS:
        np.testing.assert_allclose(model.items_[item], model.items_[: N_ITEMS - 2].mean(axis=0), rtol=1e-5, atol=1e-7)


def test_interactions_without_any_rating_are_refused() -> None:
    with pytest.raises(RecsysError, match="the training fold has no ratings"):
        EmbeddingMlp().fit(world_of([[UNRATED, 0], [0, UNRATED]]))
