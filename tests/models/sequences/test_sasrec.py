"""Self-attention over histories: it learns what follows what, and NumPy computes what Keras trained."""

from dataclasses import replace

import numpy as np
import pytest
from small_world import world_of

from recsys_dagster.data.interactions import Interactions
from recsys_dagster.data.training_data import TrainingData
from recsys_dagster.errors import RecsysError
from recsys_dagster.models.sequences.histories import Histories
from recsys_dagster.models.sequences.sasrec import SasRec, SasRecParams, attend, build_network, encode, normalise

N_WALKERS, N_STEPS, N_PLACES = 120, 8, 24
SMALL = SasRecParams(window=5, units=8, heads=2, blocks=2, epochs=60, batch_size=32, learning_rate=0.01, dropout=0.1)


@pytest.fixture(scope="module")
def walk() -> TrainingData:
    """Each user walks around a circle of items from a random start, a step an hour."""
    starts = np.random.default_rng(0).integers(N_PLACES, size=N_WALKERS)
    users = np.repeat(np.arange(N_WALKERS, dtype=np.int32), N_STEPS)
    steps = np.tile(np.arange(N_STEPS), N_WALKERS)
    items = ((starts[users] + steps) % N_PLACES).astype(np.int32)
    train = Interactions(users, items, np.full(len(users), 7, dtype=np.float32), steps * 3600)
    return replace(world_of(np.eye(N_WALKERS, N_PLACES)), train=train)


def test_it_learns_what_follows_what(walk: TrainingData) -> None:
    model = SasRec(SMALL).fit(walk)
    last = walk.train.where(walk.train.times == (N_STEPS - 1) * 3600)
    found = model.recommend(last.users, 1).items[:, 0] == (last.items + 1) % N_PLACES
    assert found.mean() > 0.9
    users, items = np.zeros(3, np.int32), np.array([6, 4, 5], np.int32)
    new_user = Interactions(users, items, np.full(3, 7, np.float32), np.array([3, 1, 2]))
    assert model.recommend_for(1, history=new_user).items.tolist() == [[7]]


def test_the_examples_are_the_items_after_each_place(walk: TrainingData) -> None:
    model = SasRec(SasRecParams(window=3))
    pairs = Interactions(np.zeros(5, np.int32), np.arange(5, dtype=np.int32), None, np.arange(5))
    histories = Histories.of(pairs, 1)
    examples = model._examples(histories, np.array([1, 4]), np.ones(5, bool))
    assert examples.inputs[0].tolist() == [[0, 0, 1], [2, 3, 4]]
    assert examples.inputs[1].tolist() == [[0, 0, 2], [3, 4, 5]]
    third = np.arange(5) == 3
    assert model._examples(histories, np.array([4]), third).inputs[1].tolist() == [[0, 4, 0]]


def test_validation_compares_each_item_of_its_fold_that_follows_another(walk: TrainingData) -> None:
    held_out = walk.train.times // 3600 % 3 == 0
    data = replace(walk, train=walk.train.where(~held_out), validation=walk.train.where(held_out))
    windows, targets = SasRec(SasRecParams(window=5))._validation(data).inputs
    # Of the steps 0, 3 and 6 the first follows none.
    assert np.count_nonzero(targets) == 2 * N_WALKERS
    assert ((targets - 1) % N_PLACES == windows % N_PLACES)[targets != 0].all()


def test_numpy_encodes_as_keras_does() -> None:
    _, encoder = build_network(9, SMALL, np.zeros(10, np.float32), seed=0)
    random = np.random.default_rng(0)
    encoder.set_weights([random.normal(size=weight.shape).astype(np.float32) for weight in encoder.get_weights()])
    windows = np.array([[0, 0, 0, 4, 9], [1, 2, 3, 4, 5]], np.int32)
    items, places, *layers = encoder.get_weights()
    ours = encode(windows, items, places, layers)
    theirs = encoder.predict(windows, verbose=0)
    is_item = windows != 0
    np.testing.assert_allclose(ours[is_item], theirs[is_item], rtol=1e-4, atol=1e-4)


def test_a_place_does_not_see_what_comes_after_it() -> None:
    _, encoder = build_network(9, SMALL, np.zeros(10, np.float32), seed=0)
    items, places, *layers = encoder.get_weights()
    windows = np.array([[1, 2, 3, 4, 5], [1, 2, 3, 7, 8]], np.int32)
    outputs = encode(windows, items, places, layers)
    np.testing.assert_allclose(outputs[0, :3], outputs[1, :3], rtol=1e-5, atol=1e-6)
    assert np.abs(outputs[0, 3] - outputs[1, 3]).max() > 1e-3


def test_normalisation_and_attention_of_known_numbers() -> None:
    np.testing.assert_allclose(
        normalise(np.array([[1, 3]], np.float32), np.array([2, 2]), np.array([0, 1])), [[-2, 3]], rtol=1e-5
    )
    # Queries and keys are zero: each place takes the mean of those that it sees.
    zero, one = np.zeros((1, 1, 1), np.float32), np.ones((1, 1, 1), np.float32)
    bias = np.zeros((1, 1), np.float32)
    weights = [zero, bias, zero, bias, one, bias, one, np.zeros(1, np.float32)]
    values = np.array([[[2], [4], [9]]], np.float32)
    visible = np.tri(3, dtype=bool)[None, None]
    np.testing.assert_allclose(attend(values, visible, weights)[0, :, 0], [2, 3, 5], rtol=1e-6)


def test_one_item_a_user_is_nothing_to_learn_from() -> None:
    alone = replace(world_of(np.eye(4)), train=Interactions(*(np.arange(4, dtype=np.int32),) * 2, None, np.arange(4)))
    with pytest.raises(RecsysError, match="no user has two items"):
        SasRec().fit(alone)
