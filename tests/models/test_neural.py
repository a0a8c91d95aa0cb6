import numpy as np
import pytest

from recsys_dagster.models.neural import Examples, NeuralParams, import_keras, train


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
