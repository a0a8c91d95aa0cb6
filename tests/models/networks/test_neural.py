import subprocess
import sys
from typing import Any

import numpy as np
import pytest

from recsys_dagster.models.networks.loops import build_loop
from recsys_dagster.models.networks.neural import Examples, NeuralParams, import_keras, train


@pytest.mark.parametrize(("epochs", "seen"), [(1, 4), (2, 8)])
def test_in_parts_each_epoch_goes_on_where_the_last_one_ended(epochs: int, seen: int) -> None:
    keras = import_keras()
    index = keras.Input((), dtype="int32")
    network = keras.Model([index], keras.layers.Embedding(9, 1, embeddings_initializer="zeros")(index))
    # Of nine examples in two parts of batches of two, one makes no whole batch.
    examples = Examples((np.arange(9, dtype=np.int32),), np.ones((9, 1), dtype=np.float32))
    none = Examples((np.empty(0, np.int32),), np.empty((0, 1), np.float32))
    params = NeuralParams(batch_size=2, epochs=epochs)
    training = train(network, params, examples, none, loss="mean_squared_error", seed=0, description="test", parts=2)
    (moved,) = network.get_weights()
    assert (moved != 0).sum() == seen
    assert len(training.curves["loss"]) == training.best_epoch == epochs


def test_the_loop_takes_the_steps_of_fit() -> None:
    keras = import_keras()
    random = np.random.default_rng(0)
    rows = np.stack([random.permutation(np.arange(9, dtype=np.int32))[:8] for _ in range(20)])
    targets = random.random((20, 8), dtype=np.float32)

    def network() -> Any:
        keras.utils.set_random_seed(1)
        index = keras.Input((), dtype="int32")
        return keras.Model([index], keras.layers.Dense(1)(keras.layers.Embedding(9, 4)(index)))

    fitted = network()
    fitted.compile(optimizer=keras.optimizers.Adam(0.01), loss="mean_squared_error")
    (loss,) = fitted.fit(rows.ravel(), targets.ravel(), batch_size=8, shuffle=False, verbose=0).history["loss"]
    looped = network()
    loop = build_loop(looped, 0.01, [keras.losses.mean_squared_error])
    assert loop.steps([rows], targets)[0] / 20 == pytest.approx(loss, rel=1e-5)
    for ours, peers in zip(loop.weights(), fitted.get_weights(), strict=True):
        np.testing.assert_allclose(ours, peers, rtol=1e-4, atol=1e-6)


def test_adam_squares_the_gradient_of_an_id_and_not_its_parts() -> None:
    keras = import_keras()
    index = keras.Input((), dtype="int32")
    network = keras.Model([index], keras.layers.Embedding(2, 1, embeddings_initializer="zeros")(index))
    loop = build_loop(network, 0.01, [keras.losses.mean_squared_error])
    # The first step is the learning rate, whatever the gradient: g / sqrt(g²). Were the parts of the id 0 squared one
    # by one, it would be sqrt(2) times as long.
    loop.steps([np.zeros((1, 2), np.int32)], np.ones((1, 2, 1), np.float32))
    np.testing.assert_allclose(loop.weights()[0], [[0.01], [0]], rtol=1e-4)


def test_whoever_has_redirected_stderr_when_keras_is_imported_keeps_it_open() -> None:
    code = (
        "import contextlib, io, logging.config\n"
        "from recsys_dagster.models.networks.neural import import_keras\n"
        "redirected = io.StringIO()\n"
        "with contextlib.redirect_stderr(redirected):\n"
        "    import_keras()\n"
        "logging.config.dictConfig({'version': 1})\n"  # as Dagster does at the start of a run: it closes all handlers
        "print(redirected.closed)"
    )
    ran = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert ran.stdout.strip() == "False"
