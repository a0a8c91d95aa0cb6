import logging
from dataclasses import replace

import numpy as np
import pytest
from fitted_models import new_model
from small_world import world_of

from recsys_dagster.data.interactions import Interactions
from recsys_dagster.data.training_data import TrainingData
from recsys_dagster.errors import RecsysError
from recsys_dagster.models.base import Model
from recsys_dagster.models.baselines.popularity import Popularity
from recsys_dagster.models.sequences.bilstm import BiLstm, BiLstmParams, build_network, cross_entropy, encode, lstm

N_WALKERS, N_STEPS, N_PLACES = 120, 8, 24
QUICK = {"units": 16, "dropout": 0.1, "learning_rate": 0.02, "batch_size": 64, "epochs": 9}


@pytest.fixture(scope="module")
def walk() -> TrainingData:
    """Each user walks around a circle of items from a random start, a step an hour; rows in order of the index."""
    starts = np.random.default_rng(0).integers(N_PLACES, size=N_WALKERS)
    users = np.repeat(np.arange(N_WALKERS, dtype=np.int32), N_STEPS)
    steps = np.tile(np.arange(N_STEPS), N_WALKERS)
    items = ((starts[users] + steps) % N_PLACES).astype(np.int32)
    rows = np.lexsort((items, users))
    ratings = np.full(len(users), 7, dtype=np.float32)
    train = Interactions(users[rows], items[rows], ratings, steps[rows] * 3600)
    return replace(world_of(np.eye(N_WALKERS, N_PLACES)), train=train)


def share_of_next_steps_found(model: Model, walk: TrainingData) -> float:
    last = walk.train.where(walk.train.times == (N_STEPS - 1) * 3600)
    return float((model.recommend(last.users, 1).items[:, 0] == (last.items + 1) % N_PLACES).mean())


def test_it_learns_what_follows_what_and_nothing_of_it_from_shuffled_histories(walk: TrainingData) -> None:
    ordered = BiLstm(BiLstmParams(**QUICK)).fit(walk)
    shuffled = BiLstm(BiLstmParams(**QUICK, shuffle_order=True)).fit(walk)
    assert share_of_next_steps_found(ordered, walk) > 0.9
    assert share_of_next_steps_found(Popularity().fit(walk), walk) < 0.3
    # Both ends of the way behind are as likely.
    assert share_of_next_steps_found(shuffled, walk) < 0.75
    new_user = Interactions(
        *(np.array(v, "i4") for v in ([0] * 3, [6, 4, 5])), np.full(3, 7, "f4"), np.array([3, 1, 2])
    )
    assert ordered.recommend_for(1, history=new_user).items.tolist() == [[7]]


def test_the_networks_layers_are_the_papers() -> None:
    network, encoder = build_network(BiLstm.presets["paper"], np.zeros(13_598, np.float32), seed=0)
    shapes = [tuple(layer.output.shape[1:]) for layer in (*encoder.layers, network.get_layer("scores"))]
    assert shapes == [(17,), (17, 100), (17, 400), (17, 400), (200,), (200,), (13_597,)]
    kinds = [type(layer).__name__ for layer in encoder.layers[1:]]
    assert kinds == ["Embedding", "Bidirectional", "Dropout", "Bidirectional", "Dropout"]
    # Each LSTM has 4 · units · (inputs + units + 1) weights.
    lstms = 2 * 4 * 200 * (100 + 200 + 1) + 2 * 4 * 100 * (400 + 100 + 1)
    assert network.count_params() == 13_598 * 100 + lstms + 201 * 13_597


def test_the_preset_is_as_published() -> None:
    params = BiLstm.presets["paper"]
    assert (params.units, params.sequence_length, params.stride, params.learning_rate) == (200, 18, 18, 0.001)
    assert (params.max_sequences, params.tied) == (None, False)
    assert params.patience is not None


def test_by_default_a_vector_of_an_item_is_read_and_scored_by() -> None:
    network, _ = build_network(BiLstmParams(units=4, sequence_length=3), np.zeros(10, np.float32), seed=0)
    lstms = 2 * 4 * 4 * (4 + 4 + 1) + 2 * 4 * 2 * (8 + 2 + 1)
    assert network.count_params() == 10 * 4 + lstms + 10


def test_an_lstm_of_one_unit_does_what_it_should() -> None:
    # Gates open by their biases: what the cell takes in is tanh(x), it keeps half, and lets all out.
    kernel = np.array([[0, 0, 1, 0]], dtype=np.float32)
    bias = np.array([50, 0, 0, 50], dtype=np.float32)
    outputs = lstm(np.array([[[1], [0], [2]]], dtype=np.float32), kernel, np.zeros((1, 4), dtype=np.float32), bias)
    cells = [np.tanh(1), np.tanh(1) / 2, np.tanh(1) / 4 + np.tanh(2)]
    np.testing.assert_allclose(outputs[0, :, 0], np.tanh(cells), rtol=1e-6)


@pytest.mark.parametrize("tied", [True, False])
def test_numpy_encodes_as_keras_does(tied: bool) -> None:
    params = BiLstmParams(units=6, sequence_length=5, tied=tied)
    _, encoder = build_network(params, np.zeros(10, np.float32), seed=0)
    random = np.random.default_rng(0)
    encoder.set_weights([random.normal(size=weight.shape).astype(np.float32) for weight in encoder.get_weights()])
    windows = np.array([[0, 0, 4, 9], [1, 2, 3, 4]], np.int32)
    expected = encoder.predict(windows, verbose=0)
    np.testing.assert_allclose(encode(windows, encoder.get_weights(), tied=tied), expected, rtol=1e-4, atol=1e-5)


def test_without_lstm_weights_what_resembles_the_last_item_follows() -> None:
    model = BiLstm(BiLstmParams(units=2, sequence_length=3))
    model.n_items_ = 3
    _, encoder = build_network(model.params, np.zeros(4, np.float32), seed=0)
    vectors = np.array([[0, 0], [1, 0], [2, 1], [0, 3]], np.float32)
    model.encoder_ = [vectors, *(np.zeros_like(weight) for weight in encoder.get_weights()[1:])]
    model.items_, model.biases_ = vectors[1:], np.array([0, -1, 1], np.float32)
    # The products of the last item's vector (2, 1) with the vectors are 2, 5 and 3.
    logits = np.array([2, 4, 4])
    expected = logits - np.log(np.exp(logits).sum())
    np.testing.assert_allclose(model._log_probabilities(np.array([[1, 2]], np.int32))[0], expected, rtol=1e-5)


def test_the_papers_network_is_trained_and_scores_as_keras_does(walk: TrainingData) -> None:
    model = BiLstm(BiLstmParams(**QUICK, tied=False)).fit(walk)
    assert share_of_next_steps_found(model, walk) > 0.9
    network, encoder = build_network(model.params, np.zeros(N_PLACES + 1, np.float32), seed=0)
    encoder.set_weights(model.encoder_)
    network.get_layer("scores").set_weights([model.items_.T, model.biases_])
    users = np.arange(5)
    targets = np.arange(5, dtype=np.int32)
    losses = network.predict([model.latest_[users], targets[:, None] + 1], verbose=0)
    np.testing.assert_allclose(-model._scores(users)[users, targets], losses, rtol=1e-4, atol=1e-5)


def test_the_loss_is_the_cross_entropy_over_all_items() -> None:
    logits = np.log(np.array([[0.2, 0.3, 0.5], [0.6, 0.1, 0.3]], dtype=np.float32))
    losses = np.array(cross_entropy(np.array([2, 1]), logits))
    np.testing.assert_allclose(losses, -np.log([0.5, 0.1]), rtol=1e-5)


def test_there_is_a_sequence_for_every_item_of_a_user_but_the_first(walk: TrainingData) -> None:
    model = BiLstm()
    histories = model._histories(walk.train, walk.n_users)
    every = model._targets(histories)
    assert len(every) == N_WALKERS * (N_STEPS - 1)
    third = BiLstm(BiLstmParams(stride=3))._targets(histories)
    assert histories.places[third].reshape(N_WALKERS, -1).tolist() == [[1, 4, 7]] * N_WALKERS
    few = model._examples(histories, every, 10, np.random.default_rng(0))
    assert few.inputs[0].shape == (10, 5)
    of_three = BiLstm(BiLstmParams(sequence_length=3))._examples(histories, every, 10, np.random.default_rng(0))
    assert (of_three.inputs[0] == few.inputs[0][:, -2:]).all()
    latest, following = few.inputs[0][:, -1], few.inputs[1][:, 0]
    assert (following - 1 == latest % N_PLACES).all(), "the target follows the latest item"


def test_validation_sequences_end_in_the_validation_fold(data: TrainingData) -> None:
    held_out = BiLstm()._validation(data, np.random.default_rng(0))
    firsts = len(set(data.validation.users) - set(data.train.users))
    assert len(data.validation) - len(held_out) >= firsts
    np.testing.assert_array_less(
        np.bincount(held_out.inputs[1][:, 0] - 1, minlength=data.n_items),
        np.bincount(data.validation.items, minlength=data.n_items) + 1,
    )


def test_it_says_that_there_is_no_order_without_times(data: TrainingData, caplog: pytest.LogCaptureFixture) -> None:
    train, validation = (replace(fold, times=None) for fold in (data.train, data.validation))
    with caplog.at_level(logging.WARNING):
        new_model("bilstm").fit(replace(data, train=train, validation=validation))
    assert "no times are known" in caplog.text


def test_histories_of_one_item_are_refused() -> None:
    with pytest.raises(RecsysError, match="no user has two items"):
        BiLstm().fit(world_of(np.eye(4)))
