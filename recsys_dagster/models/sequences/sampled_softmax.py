"""The loss of networks that predict the next item: a cross-entropy over that item and others drawn at random."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from recsys_dagster.models.networks.neural import import_keras
from recsys_dagster.models.sequences.histories import PADDING

MASKED = np.float32(-1e9)


def biases_at_popularity(popularity: NDArray[Any]) -> NDArray[np.float32]:
    """Return (n_items + 1,) biases of the padding, 0, and of the items: the log of their share of the pairs.

    Args:
        popularity: (n_items,) number of pairs of each item; one is added to each.
    """
    smoothed = popularity + 1
    return np.concatenate([[0], np.log(smoothed / smoothed.sum())]).astype(np.float32)


def sampled_cross_entropy(items: Any, biases: NDArray[np.float32], negatives: int, seed: int) -> Any:
    """Return a Keras layer from states and next items to losses.

    The score of an item is the product of its vector and of the state, plus its bias. The loss is the cross-entropy
    over the next item and `negatives` items drawn uniformly for the whole step, whose scores are corrected for the
    probability with which they are drawn. With many negatives it is about as good as one over all items (Klenitskiy and
    Vasilev 2023, "Turning Dross Into Gold Loss"), and needs memory for a block of the catalogue only.

    Args:
        items: Keras embedding of the padding and of the items, which the layer shares with the network.
        biases: (n_items + 1,) what the biases of the padding and of the items start at.
        negatives: number of items drawn; with fewer items, each of them is taken once.
        seed: of the draws.

    Returns:
        A layer from (batch, places, units) states and (batch, places) int32 next items, item i written as i + 1, to
        (batch,) losses, whose mean is the mean over all places with a next item. Its `biases` are an embedding.
    """
    keras = import_keras()
    ops = keras.ops
    n_items = len(biases) - 1

    class SampledCrossEntropy(keras.layers.Layer):  # type: ignore[misc, name-defined]
        """A layer, because it has biases and draws items."""

        def __init__(self) -> None:
            super().__init__(name="loss")
            self.generator = keras.random.SeedGenerator(seed)
            start = keras.initializers.Constant(biases[:, None])
            self.biases = keras.layers.Embedding(n_items + 1, 1, embeddings_initializer=start)

        def call(self, states: Any, targets: Any) -> Any:
            drawn = ops.arange(1, n_items + 1)
            if negatives < n_items:
                drawn = keras.random.randint((negatives,), 1, n_items + 1, seed=self.generator)
            correction = np.log(n_items / min(negatives, n_items))
            right = ops.sum(states * items(targets), axis=-1) + self.biases(targets)[..., 0]
            others = ops.matmul(states, ops.transpose(items(drawn))) + self.biases(drawn)[:, 0] + correction
            others = ops.where(ops.equal(drawn, ops.expand_dims(targets, -1)), MASKED, others)
            every = ops.concatenate([ops.expand_dims(right, -1), others], axis=-1)
            counted = ops.cast(ops.not_equal(targets, PADDING), "float32")
            losses = ops.sum((ops.logsumexp(every, axis=-1) - right) * counted, axis=1)
            return losses * ops.cast(ops.shape(losses)[0], "float32") / ops.maximum(ops.sum(counted), 1)

    return SampledCrossEntropy()


def own_loss(_targets: Any, outputs: Any) -> Any:
    """Return the outputs of a network that computes its loss itself."""
    return outputs
