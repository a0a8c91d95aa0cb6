"""Run training steps and evaluations inside the graph of Keras's backend, many steps per call.

Keras's `fit` returns to Python after every few steps, and its adapter copies each batch. Here a whole block of batches
is passed to a loop that runs in the backend. The steps are the same, at twice the speed.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recsys_dagster.errors import UsageError

Score = Callable[[Any, Any], Any]
"""A function of (batch, …) targets and outputs that returns (batch,) values or their mean, as in keras.losses."""


BETA_1, BETA_2, EPSILON = 0.9, 0.999, 1e-7
"""Constants of Adam (Kingma and Ba 2015), with the epsilon of section 2 of the paper, as in Keras and TensorFlow."""


class Loop(ABC):
    """A network that is trained with Adam on the first of several scores.

    Args:
        network: a keras.Model.
        scores: what is computed on each batch; the first is the loss.
    """

    def __init__(self, network: Any, scores: Sequence[Score]) -> None:
        self.network, self.scores = network, scores

    @abstractmethod
    def steps(self, inputs: Sequence[NDArray[Any]], targets: NDArray[Any]) -> NDArray[np.float32]:
        """Take one training step on each of n batches.

        Args:
            inputs: an (n, batch, …) array for each input of the network.
            targets: (n, batch, …).

        Returns:
            (n_scores,) sums over the batches of the mean score of each batch.
        """

    @abstractmethod
    def evaluate(self, inputs: Sequence[NDArray[Any]], targets: NDArray[Any]) -> NDArray[np.float32]:
        """Return the (n_scores,) mean scores of one batch, without training on it."""

    @abstractmethod
    def weights(self) -> list[Any]:
        """Return the current weights, for `restore`."""

    def restore(self, weights: list[Any]) -> None:
        """Set the network's weights to those that `weights` returned."""
        for variable, value in zip(self.network.trainable_variables, weights, strict=True):
            variable.assign(value)

    def _mean_scores(self, targets: Any, outputs: Any) -> list[Any]:
        """Return the mean of each score, in float32 whatever the network computes in."""
        from keras import ops

        outputs = ops.cast(outputs, "float32")
        return [ops.mean(score(targets, outputs)) for score in self.scores]


class TensorFlowLoop(Loop):
    """The loop as a tf.function, with TensorFlow's own Adam operation.

    That operation makes one pass over a variable, where Keras's Adam makes thirty. It also squares the whole gradient
    of an embedding, as Adam is defined and as JAX computes it. Keras on TensorFlow sums the squares of the parts of the
    gradient, one part for each occurrence of an id in the batch.
    """

    def __init__(self, network: Any, learning_rate: float, scores: Sequence[Score]) -> None:
        super().__init__(network, scores)
        import tensorflow as tf

        self._tf, self._learning_rate = tf, learning_rate
        self._values = [variable.value for variable in network.trainable_variables]
        self._moments = [[tf.Variable(tf.zeros_like(value)) for _ in range(2)] for value in self._values]
        self._powers = [tf.Variable(1.0) for _ in range(2)]
        self._steps_in_graph = tf.function(self._run_steps, reduce_retracing=True)
        self._evaluate_in_graph = tf.function(self._run_evaluation, reduce_retracing=True)

    def steps(self, inputs: Sequence[NDArray[Any]], targets: NDArray[Any]) -> NDArray[np.float32]:
        """Take one training step on each of n batches; see `Loop.steps`."""
        return np.asarray(self._steps_in_graph(list(inputs), targets))

    def evaluate(self, inputs: Sequence[NDArray[Any]], targets: NDArray[Any]) -> NDArray[np.float32]:
        """Return the (n_scores,) mean scores of one batch, without training on it."""
        return np.asarray(self._evaluate_in_graph(list(inputs), targets))

    def weights(self) -> list[Any]:
        """Return the current weights, for `restore`."""
        return [value.numpy() for value in self._values]

    def _run_steps(self, inputs: Any, targets: Any) -> Any:
        tf = self._tf
        n = tf.shape(targets)[0]
        _, sums = tf.while_loop(
            lambda number, _sums: number < n,
            lambda number, sums: self._step(number, sums, inputs, targets),
            (tf.constant(0), tf.zeros(len(self.scores))),
            parallel_iterations=1,
        )
        return sums

    def _run_evaluation(self, inputs: Any, targets: Any) -> Any:
        return self._tf.stack(self._mean_scores(targets, self.network(inputs, training=False)))

    def _step(self, number: Any, sums: Any, inputs: Any, targets: Any) -> tuple[Any, Any]:
        with self._tf.GradientTape() as tape:
            outputs = self.network([column[number] for column in inputs], training=True)
            scores = self._mean_scores(targets[number], outputs)
        self._apply(tape.gradient(scores[0], self._values))
        return number + 1, sums + self._tf.stack(scores)

    def _apply(self, gradients: Any) -> None:
        """Update all weights by one step of Adam."""
        beta_1_power, beta_2_power = (
            power.assign(power * beta) for power, beta in zip(self._powers, (BETA_1, BETA_2), strict=True)
        )
        for value, (first, second), gradient in zip(self._values, self._moments, gradients, strict=True):
            self._tf.raw_ops.ResourceApplyAdam(
                var=value.handle,
                m=first.handle,
                v=second.handle,
                beta1_power=beta_1_power,
                beta2_power=beta_2_power,
                lr=self._learning_rate,
                beta1=BETA_1,
                beta2=BETA_2,
                epsilon=EPSILON,
                grad=self._tf.convert_to_tensor(gradient),
            )


class JaxLoop(Loop):
    """The loop over a compiled step on a state that holds the weights; the network gets them by `restore`.

    The step is compiled once for each shape of a batch. A scan over a block of batches would be compiled for each
    number of batches as well, which takes longer than many fits do. The memory of the state is used again in each step.
    """

    def __init__(self, network: Any, learning_rate: float, scores: Sequence[Score]) -> None:
        super().__init__(network, scores)
        import jax
        import keras

        self._jax = jax
        self._optimizer = keras.optimizers.Adam(learning_rate, BETA_1, BETA_2, EPSILON)
        self._optimizer.build(network.trainable_variables)
        self._state: Any = tuple(
            [jax.numpy.array(variable.value) for variable in variables]
            for variables in (network.trainable_variables, network.non_trainable_variables, self._optimizer.variables)
        )
        self._compiled_step = jax.jit(self._step, donate_argnums=0)
        self._compiled_evaluation = jax.jit(self._run_evaluation)

    def steps(self, inputs: Sequence[NDArray[Any]], targets: NDArray[Any]) -> NDArray[np.float32]:
        """Take one training step on each of n batches; see `Loop.steps`."""
        scores = []
        for number in range(len(targets)):
            batch = [column[number] for column in inputs], targets[number]
            self._state, of_batch = self._compiled_step(self._state, *batch)
            scores.append(of_batch)
        sums: NDArray[np.float32] = np.sum(self._jax.device_get(scores), axis=0, dtype=np.float32)
        return sums

    def evaluate(self, inputs: Sequence[NDArray[Any]], targets: NDArray[Any]) -> NDArray[np.float32]:
        """Return the (n_scores,) mean scores of one batch, without training on it."""
        return np.asarray(self._compiled_evaluation(self._state, list(inputs), targets))

    def weights(self) -> list[Any]:
        """Return the current weights, for `restore`."""
        return [np.array(weight) for weight in self._state[0]]  # copies, as the next step writes over the originals

    def _run_evaluation(self, state: Any, inputs: Any, targets: Any) -> Any:
        outputs, _ = self.network.stateless_call(*state[:2], inputs, training=False)
        return self._jax.numpy.stack(self._mean_scores(targets, outputs))

    def _step(self, state: Any, inputs: Any, targets: Any) -> tuple[Any, Any]:
        trainable, fixed, optimizer_state = state
        gradient_of = self._jax.value_and_grad(self._loss, has_aux=True)
        (_, (scores, fixed)), gradients = gradient_of(trainable, fixed, inputs, targets)
        trainable, optimizer_state = self._optimizer.stateless_apply(optimizer_state, gradients, trainable)
        return (trainable, fixed, optimizer_state), self._jax.numpy.stack(scores)

    def _loss(self, trainable: Any, fixed: Any, inputs: Any, targets: Any) -> tuple[Any, Any]:
        outputs, fixed = self.network.stateless_call(trainable, fixed, inputs, training=True)
        scores = self._mean_scores(targets, outputs)
        return scores[0], (scores, fixed)


LOOPS: dict[str, Callable[[Any, float, Sequence[Score]], Loop]] = {"tensorflow": TensorFlowLoop, "jax": JaxLoop}


def build_loop(network: Any, learning_rate: float, scores: Sequence[Score]) -> Loop:
    """Return the loop for Keras's backend; raise UsageError if it is neither TensorFlow nor JAX."""
    import keras

    backend = keras.backend.backend()
    if backend not in LOOPS:
        raise UsageError(f"KERAS_BACKEND={backend} is not supported; set it to {' or '.join(LOOPS)}")
    return LOOPS[backend](network, learning_rate, scores)
