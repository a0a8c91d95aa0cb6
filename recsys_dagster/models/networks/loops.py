"""Training steps and validation inside the graph of Keras's backend, many to a call.

Keras's `fit` goes back to Python for every step or few, and its adapter copies each batch on the way. Here a block of
batches is handed over at once and a loop of the backend's own goes through it, with the same steps in twice the speed.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recsys_dagster.errors import UsageError

Score = Callable[[Any, Any], Any]
"""A function of (batch, …) targets and outputs, such as those of keras.losses, to (batch,) values or their mean."""


BETA_1, BETA_2, EPSILON = 0.9, 0.999, 1e-7
"""Of Adam (Kingma and Ba 2015), with the epsilon of the paper's section 2 that Keras and TensorFlow take."""


class Loop:
    """A network that Adam trains, and what it is scored by; the first score is the loss.

    A subclass takes Adam's step size besides, and sets what the methods call.

    Args:
        network: a keras.Model.
        scores: what is worked out on each batch.
    """

    _steps: Callable[[list[NDArray[Any]], NDArray[Any]], Any]
    _judge: Callable[[list[NDArray[Any]], NDArray[Any]], Any]
    _weights: Callable[[], list[Any]]

    def __init__(self, network: Any, scores: Sequence[Score]) -> None:
        self.network, self.scores = network, scores

    def steps(self, inputs: Sequence[NDArray[Any]], targets: NDArray[Any]) -> NDArray[np.float32]:
        """Take a step on each of n batches; return the (n_scores,) sums over them of the batches' mean scores.

        Args:
            inputs: an (n, batch, …) array for each input of the network.
            targets: (n, batch, …).
        """
        return np.asarray(self._steps(list(inputs), targets))

    def judge(self, inputs: Sequence[NDArray[Any]], targets: NDArray[Any]) -> NDArray[np.float32]:
        """Return the (n_scores,) mean scores of one batch, as the network predicts it."""
        return np.asarray(self._judge(list(inputs), targets))

    def weights(self) -> list[Any]:
        """Return what has been learnt so far, for `restore`."""
        return self._weights()

    def restore(self, weights: list[Any]) -> None:
        """Give the network the weights that `weights` returned."""
        for variable, value in zip(self.network.trainable_variables, weights, strict=True):
            variable.assign(value)

    def _scored(self, targets: Any, outputs: Any) -> list[Any]:
        """Return the mean of each score, in float32 whatever the network computes in."""
        from keras import ops

        outputs = ops.cast(outputs, "float32")
        return [ops.mean(score(targets, outputs)) for score in self.scores]


class TensorFlowLoop(Loop):
    """The loop in a tf.function, Adam in TensorFlow's own operation.

    That goes through a variable once where Keras's Adam goes through it thirty times. And it squares the gradient of an
    embedding, as Adam is defined and as JAX has it; Keras on TensorFlow adds up the squares of its parts, one for each
    occurrence of the id in a batch.
    """

    def __init__(self, network: Any, learning_rate: float, scores: Sequence[Score]) -> None:
        super().__init__(network, scores)
        import tensorflow as tf

        values = [variable.value for variable in network.trainable_variables]
        moments = [[tf.Variable(tf.zeros_like(value)) for _ in range(2)] for value in values]
        powers = [tf.Variable(1.0) for _ in range(2)]

        def apply(gradients: Any) -> None:
            beta_1_power, beta_2_power = (
                power.assign(power * beta) for power, beta in zip(powers, (BETA_1, BETA_2), strict=True)
            )
            for value, (first, second), gradient in zip(values, moments, gradients, strict=True):
                tf.raw_ops.ResourceApplyAdam(
                    var=value.handle,
                    m=first.handle,
                    v=second.handle,
                    beta1_power=beta_1_power,
                    beta2_power=beta_2_power,
                    lr=learning_rate,
                    beta1=BETA_1,
                    beta2=BETA_2,
                    epsilon=EPSILON,
                    grad=tf.convert_to_tensor(gradient),
                )

        def step(number: Any, sums: Any, inputs: Any, targets: Any) -> Any:
            with tf.GradientTape() as tape:
                outputs = network([column[number] for column in inputs], training=True)
                scored = self._scored(targets[number], outputs)
            apply(tape.gradient(scored[0], values))
            return number + 1, sums + tf.stack(scored)

        @tf.function(reduce_retracing=True)  # type: ignore[untyped-decorator, unused-ignore]
        def steps(inputs: Any, targets: Any) -> Any:
            n = tf.shape(targets)[0]
            _, sums = tf.while_loop(
                lambda number, _sums: number < n,
                lambda number, sums: step(number, sums, inputs, targets),
                (tf.constant(0), tf.zeros(len(scores))),
                parallel_iterations=1,
            )
            return sums

        @tf.function(reduce_retracing=True)  # type: ignore[untyped-decorator, unused-ignore]
        def judge(inputs: Any, targets: Any) -> Any:
            return tf.stack(self._scored(targets, network(inputs, training=False)))

        self._steps, self._judge = steps, judge
        self._weights = lambda: [value.numpy() for value in values]


class JaxLoop(Loop):
    """The loop in a jax.lax.scan, compiled; what is learnt is a state that the network gets back when it is asked."""

    _state: Any

    def __init__(self, network: Any, learning_rate: float, scores: Sequence[Score]) -> None:
        super().__init__(network, scores)
        import jax
        import keras
        from jax import numpy as jnp

        optimizer = keras.optimizers.Adam(learning_rate, BETA_1, BETA_2, EPSILON)
        optimizer.build(network.trainable_variables)

        def loss(trainable: Any, fixed: Any, inputs: Any, targets: Any) -> tuple[Any, Any]:
            outputs, fixed = network.stateless_call(trainable, fixed, inputs, training=True)
            scored = self._scored(targets, outputs)
            return scored[0], (scored, fixed)

        def step(state: Any, batch: Any) -> tuple[Any, Any]:
            trainable, fixed, of_optimizer = state
            (_, (scored, fixed)), gradients = jax.value_and_grad(loss, has_aux=True)(trainable, fixed, *batch)
            trainable, of_optimizer = optimizer.stateless_apply(of_optimizer, gradients, trainable)
            return (trainable, fixed, of_optimizer), jnp.stack(scored)

        @jax.jit
        def compiled(state: Any, inputs: Any, targets: Any) -> tuple[Any, Any]:
            state, scored = jax.lax.scan(step, state, (inputs, targets))
            return state, scored.sum(axis=0)

        @jax.jit
        def judge(state: Any, inputs: Any, targets: Any) -> Any:
            outputs, _ = network.stateless_call(*state[:2], inputs, training=False)
            return jnp.stack(self._scored(targets, outputs))

        def steps(inputs: Any, targets: Any) -> Any:
            self._state, sums = compiled(self._state, inputs, targets)
            return sums

        self._state = tuple(
            [variable.value for variable in variables]
            for variables in (network.trainable_variables, network.non_trainable_variables, optimizer.variables)
        )
        self._steps = steps
        self._judge = lambda inputs, targets: judge(self._state, inputs, targets)
        self._weights = lambda: self._state[0]


LOOPS: dict[str, Callable[[Any, float, Sequence[Score]], Loop]] = {"tensorflow": TensorFlowLoop, "jax": JaxLoop}


def build_loop(network: Any, learning_rate: float, scores: Sequence[Score]) -> Loop:
    """Return the loop of Keras's backend; raise UsageError where that is another than TensorFlow or JAX."""
    import keras

    backend = keras.backend.backend()
    if backend not in LOOPS:
        raise UsageError(f"KERAS_BACKEND={backend} trains nothing here; set it to {' or '.join(LOOPS)}")
    return LOOPS[backend](network, learning_rate, scores)
