"""Train Keras networks reproducibly, with early stopping, learning curves and a progress bar.

Keras is imported inside the functions, because importing its backend takes ten seconds that only training needs. What a
model learns is kept as NumPy arrays, so that a loaded model does not need Keras.
"""

import contextlib
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from recsys_dagster.models.base import Model
from recsys_dagster.models.budget import FLOPS, Estimate, Size
from recsys_dagster.models.capabilities import EarlyStopping
from recsys_dagster.models.networks.loops import Loop, Score, build_loop
from recsys_dagster.models.params import Params
from recsys_dagster.runtime.prefetch import prefetch
from recsys_dagster.runtime.progress import progress_bar

VALIDATION_BATCH = 2**16
"""Pairs of the validation fold that are predicted at once."""
BLOCK_EXAMPLES = 2**18
"""Training examples that are passed to the backend at once."""
START_SECONDS, START_BYTES = 4.0, 8e8
"""Time to trace the steps of a network; memory of TensorFlow itself."""
SECONDS_A_STEP, SECONDS_AN_EXAMPLE = 4e-3, 1e-6
"""Time of training in addition to matrix products: of a step's overhead, and of drawing and gathering an example."""


class NeuralParams(Params):
    """Parameters of every Keras model."""

    learning_rate: float = Field(0.001, gt=0, description="Step size of Adam.")
    batch_size: int | None = Field(
        None, ge=1, description="Examples per step; None: a hundredth of them, from 512 to 8,192."
    )
    epochs: int = Field(30, ge=1, description="Largest number of passes over the training fold.")
    patience: int | None = Field(
        3, ge=1, description="Epochs without a better validation loss after which training stops; None: never."
    )

    def batch_of(self, examples: int) -> int:
        """Return the number of examples per step, given the number of all examples."""
        return self.batch_size or int(np.clip(examples // 100, 512, 8192))


class NeuralModel(EarlyStopping, Model):
    """A Keras model that stops early, and is refitted with the number of epochs that was best."""

    kinds = ("keras", "tensorflow")
    params: NeuralParams

    best_epoch_: int

    def training_estimate(
        self, size: Size, *, examples: int, flops: float, weights: float, score: float, step_bytes: float = 0
    ) -> Estimate:
        """Estimate training and an evaluation.

        Args:
            size: size of the data.
            examples: number of examples per epoch.
            flops: floating-point operations of a forward pass of one example.
            weights: number of weights; Adam updates all of them in each step, and stores two more numbers for each.
            score: seconds to compute one score.
            step_bytes: memory of one step in addition to the weights.
        """
        params = self.params
        epochs = params.epochs if params.patience is None else params.epochs / 2
        steps = examples / params.batch_of(examples)
        epoch_seconds = examples * (3 * flops / FLOPS + SECONDS_AN_EXAMPLE) + steps * (SECONDS_A_STEP + 2e-9 * weights)
        return Estimate.of_work(
            size,
            fit=START_SECONDS + epochs * epoch_seconds,
            score=score,
            memory=START_BYTES + 24 * weights + 30 * size.pairs + step_bytes,
        )

    def refit_params(self) -> Params:
        """Return the parameters with the best number of epochs and no early stopping."""
        params: Params = self.params.model_copy(update={"epochs": self.best_epoch_, "patience": None})
        return params


@dataclass(frozen=True)
class Examples:
    """Training or validation examples.

    Attributes:
        inputs: one array for each input of the network, of equal length.
        targets: the expected outputs.
    """

    inputs: Sequence[NDArray[Any]]
    targets: NDArray[Any]

    def __len__(self) -> int:
        return len(self.targets)

    def at(self, rows: NDArray[np.int32] | slice) -> "Examples":
        """Return the examples at these rows, in the shape of `rows`."""
        return Examples([column[rows] for column in self.inputs], self.targets[rows])


@dataclass(frozen=True)
class Training:
    """The result of a training.

    Attributes:
        curves: `loss` and the other metrics, and each as `val_…` if there was a validation fold; one value per epoch.
        best_epoch: the epoch, counted from 1, whose weights the network has.
    """

    curves: dict[str, list[float]]
    best_epoch: int


def import_keras() -> Any:
    """Import Keras on the backend that KERAS_BACKEND names (tensorflow unless set), without its start-up messages."""
    if "keras" not in sys.modules:
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
        # absl, which comes with it, keeps the stream of this moment and may close it later: not one that is redirected.
        with _silent_stderr(), contextlib.redirect_stderr(sys.__stderr__):
            import_module("keras")
    return sys.modules["keras"]


def hidden_dtype() -> str:
    """Return Keras's name of the dtype of hidden dense layers on the available devices.

    On a GPU it is bfloat16 with float32 weights, for the tensor cores. Its exponent range is that of float32, so that
    no loss scaling is needed. Outputs and losses need more than its three digits, and stay float32.
    """
    devices = import_keras().distribution.list_devices()
    return "mixed_bfloat16" if any(device.startswith("gpu") for device in devices) else "float32"


@contextlib.contextmanager
def _silent_stderr() -> Iterator[None]:
    """Discard what is written to file descriptor 2, where TensorFlow logs before it reads its log level."""
    sys.stderr.flush()
    original = os.dup(2)
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 2)
    try:
        yield
    finally:
        os.dup2(original, 2)
        os.close(original)
        os.close(null)


def seed_everything(seed: int) -> None:
    """Seed Python, NumPy and the backend, which draw initial weights and dropout."""
    import_keras().utils.set_random_seed(seed)


def train(
    network: Any,
    params: NeuralParams,
    train: Examples,
    validation: Examples,
    *,
    loss: str | Score,
    seed: int,
    description: str,
    metrics: Sequence[str] = (),
    validation_batch: int = VALIDATION_BATCH,
    parts: int = 1,
) -> Training:
    """Train a network with Adam, and give it the weights of its best epoch on the validation examples.

    Without validation examples, or without patience, it trains all epochs and keeps the last weights. The examples are
    shuffled before each pass. An incomplete last batch is dropped, which hits other examples in each pass.

    Args:
        network: a keras.Model.
        params: the parameters of training.
        train: examples to learn from.
        validation: examples for early stopping; may be empty.
        loss: Keras's name of a loss, such as "mean_squared_error", or a function of targets and outputs.
        seed: seed of the order of the examples.
        description: label of the progress bar.
        metrics: Keras's names of further metrics to record, such as "binary_accuracy".
        validation_batch: number of validation examples that pass through the network at once.
        parts: number of epochs that make one pass over the training examples.
    """
    keras = import_keras()
    scores = {"loss": getattr(keras.losses, loss) if isinstance(loss, str) else loss}
    scores |= {name: getattr(keras.metrics, name) for name in metrics}
    loop = build_loop(network, params.learning_rate, list(scores.values()))
    patience = params.patience if len(validation) else None
    best_epoch, best_loss, best_weights = 0, np.inf, None
    batches = _batches(len(train), params.batch_of(len(train)), parts, np.random.default_rng(seed))
    epoch_means = []
    with progress_bar(description, total=params.epochs) as advance:
        for epoch, rows in zip(range(1, params.epochs + 1), batches, strict=False):
            means = _take_steps(loop, train, rows, advance)
            if len(validation):
                means = np.concatenate([means, _evaluate(loop, validation, validation_batch)])
            epoch_means.append(means)
            if patience is None:
                continue
            if means[len(scores)] < best_loss:
                best_epoch, best_loss, best_weights = epoch, means[len(scores)], loop.weights()
            elif epoch - best_epoch >= patience:
                break
    loop.restore(best_weights or loop.weights())
    names = [*scores, *(f"val_{name}" for name in scores)]
    columns = np.transpose(epoch_means)
    curves = {name: [float(mean) for mean in column] for name, column in zip(names, columns, strict=False)}
    return Training(curves, best_epoch or len(epoch_means))


def _batches(n: int, batch_size: int, parts: int, random: np.random.Generator) -> Iterator[NDArray[np.int32]]:
    """Yield the (steps, batch) positions of the examples of each epoch, without end."""
    batch_size = min(batch_size, n)
    steps = max(1, n // (batch_size * parts))
    while True:
        # Sorting random numbers that hold the positions in their lower half is twice as fast as a shuffle.
        order = np.sort(random.integers(2**31, size=n) << 32 | np.arange(n)).astype(np.int32)
        order = order[: n // batch_size * batch_size].reshape(-1, batch_size)
        yield from (order[start : start + steps] for start in range(0, len(order) - steps + 1, steps))


def _take_steps(
    loop: Loop, train: Examples, rows: NDArray[np.int32], advance: Callable[[float], None]
) -> NDArray[np.float32]:
    """Train for one epoch, block by block; return the means of the scores."""
    steps, batch_size = rows.shape
    at_once = max(1, BLOCK_EXAMPLES // batch_size)
    sums = []
    for part in prefetch(train.at(rows[start : start + at_once]) for start in range(0, steps, at_once)):
        sums.append(loop.steps(part.inputs, part.targets))
        advance(len(part) / steps)
    means: NDArray[np.float32] = np.sum(sums, axis=0) / steps
    return means


def _evaluate(loop: Loop, validation: Examples, batch_size: int) -> NDArray[np.float32]:
    """Return the mean scores of the validation examples."""
    parts = [validation.at(slice(start, start + batch_size)) for start in range(0, len(validation), batch_size)]
    means = [loop.evaluate(part.inputs, part.targets) for part in parts]
    return np.average(means, axis=0, weights=[len(part) for part in parts])


def with_mean_of_trained(vectors: NDArray[np.float32], trained: NDArray[np.int32]) -> NDArray[np.float32]:
    """Return the vectors, with each row that does not occur in `trained` replaced by the mean of the others."""
    untrained = np.bincount(trained, minlength=len(vectors)) == 0
    mean = vectors[~untrained].mean(axis=0)
    return np.where(untrained[:, None], mean, vectors)


def relu(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Compute max(values, 0) in place."""
    return np.maximum(values, 0, out=values)
