"""What the Keras models share: reproducible training with early stopping, the curve, the progress bar.

Keras is imported inside the functions: importing its backend takes ten seconds that only training should pay. What a
model learnt is kept as NumPy arrays, so that a loaded model needs no Keras.
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

from recsys_dagster.models.base import Model, Params
from recsys_dagster.models.budget import FLOPS, Estimate, Size
from recsys_dagster.models.capabilities import EarlyStopping
from recsys_dagster.models.networks.loops import Loop, Score, build_loop
from recsys_dagster.runtime.prefetch import prefetch
from recsys_dagster.runtime.progress import progress_bar

VALIDATION_BATCH = 65536
"""Pairs that are predicted at once on the validation fold."""
BLOCK_EXAMPLES = 2**18
"""Training examples that are handed over to the backend at once."""
START_SECONDS, START_BYTES = 4.0, 8e8
"""What it takes to trace a network's steps, and to have TensorFlow."""
SECONDS_A_STEP, SECONDS_AN_EXAMPLE = 4e-3, 1e-6
"""What training takes beside the products of matrices: to start a step's operations, to draw, gather and drop out."""


class NeuralParams(Params):
    """Parameters of every Keras model."""

    learning_rate: float = Field(0.001, gt=0, description="Step size of Adam.")
    batch_size: int | None = Field(
        None, ge=1, description="Examples a step; None: a hundredth of them, but 512 at least and 8,192 at most."
    )
    epochs: int = Field(30, ge=1, description="Passes over the training fold at most.")
    patience: int | None = Field(
        3, ge=1, description="Epochs without a better validation loss before training stops; None: it never does."
    )

    def batch_of(self, examples: int) -> int:
        """Return the examples a step where there are so many in all."""
        return self.batch_size or int(np.clip(examples // 100, 512, 8192))


class NeuralModel(EarlyStopping, Model):
    """A model whose training may stop early, and that is refitted with as many epochs as were best."""

    kinds = ("keras",)
    params: NeuralParams

    best_epoch_: int

    def training_estimate(
        self, size: Size, *, examples: int, flops: float, weights: float, score: float, step_bytes: float = 0
    ) -> Estimate:
        """Return what training and an evaluation are expected to cost.

        Args:
            size: of the data.
            examples: of an epoch.
            flops: operations on one example, forwards.
            weights: numbers that are learnt; Adam goes through all of them in each step, and keeps two more of each.
            score: seconds to work out one score.
            step_bytes: memory of one step beside the weights.
        """
        params = self.params
        epochs = params.epochs if params.patience is None else params.epochs / 2
        steps = examples / params.batch_of(examples)
        an_epoch = examples * (3 * flops / FLOPS + SECONDS_AN_EXAMPLE) + steps * (SECONDS_A_STEP + 2e-9 * weights)
        return Estimate.of_work(
            size,
            fit=START_SECONDS + epochs * an_epoch,
            score=score,
            memory=START_BYTES + 24 * weights + 30 * size.pairs + step_bytes,
        )

    def refit_params(self) -> Params:
        """The same parameters with the best number of epochs and no early stopping."""
        params: Params = self.params.model_copy(update={"epochs": self.best_epoch_, "patience": None})
        return params


@dataclass(frozen=True)
class Examples:
    """Training or validation examples.

    Attributes:
        inputs: one array for each input of the network, equally long.
        targets: what it should give.
    """

    inputs: Sequence[NDArray[Any]]
    targets: NDArray[Any]

    def __len__(self) -> int:
        return len(self.targets)

    def at(self, rows: NDArray[np.int32] | slice) -> "Examples":
        """Return the examples at these rows, laid out as the rows are."""
        return Examples([column[rows] for column in self.inputs], self.targets[rows])


@dataclass(frozen=True)
class Training:
    """How a training went.

    Attributes:
        curves: `loss` and the further metrics, and each as `val_…` where there was a validation fold; one value an
            epoch.
        best_epoch: the epoch, from 1, whose weights the network has.
    """

    curves: dict[str, list[float]]
    best_epoch: int


def import_keras() -> Any:
    """Import Keras on the backend that KERAS_BACKEND names (tensorflow unless set), without its start-up messages."""
    if "keras" not in sys.modules:
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
        with _silent_stderr():
            import_module("keras")
    return sys.modules["keras"]


def hidden_dtype() -> str:
    """Return Keras's name of what dense layers before the output compute in, on the devices that there are.

    On a GPU that is bfloat16, for its tensor cores, with weights in float32; its exponents are float32's, so no loss
    needs scaling. Outputs, and a loss made of them, need more than its three digits.
    """
    devices = import_keras().distribution.list_devices()
    return "mixed_bfloat16" if any(device.startswith("gpu") for device in devices) else "float32"


@contextlib.contextmanager
def _silent_stderr() -> Iterator[None]:
    """Drop what is written to file descriptor 2: TensorFlow greets there before it reads its log level."""
    sys.stderr.flush()
    kept = os.dup(2)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


def seed_everything(seed: int) -> None:
    """Seed Python, NumPy and the backend, for initial weights, dropout and the order of the examples."""
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
    """Train `network` with Adam; leave it with the weights of the epoch that was best on the validation examples.

    Without validation examples or without patience it trains all epochs and keeps the last weights. What makes no whole
    batch is left out of an epoch, another time something else.

    Args:
        network: a keras.Model.
        params: how to train.
        train: examples to learn from, shuffled anew each time they are gone through.
        validation: examples to stop early on; may be empty.
        loss: Keras's name of a loss, such as "mean_squared_error", or a function of targets and outputs.
        seed: of the order of the examples.
        description: stands beside the progress bar.
        metrics: Keras's names of further curves to record, such as "binary_accuracy".
        validation_batch: validation examples that go through the network at once.
        parts: epochs in which the training examples are gone through once.
    """
    keras = import_keras()
    scores = {"loss": getattr(keras.losses, loss) if isinstance(loss, str) else loss}
    scores |= {name: getattr(keras.metrics, name) for name in metrics}
    loop = build_loop(network, params.learning_rate, list(scores.values()))
    patience = params.patience if len(validation) else None
    best_epoch, best_loss, best_weights = 0, np.inf, None
    batches = _batches(len(train), params.batch_of(len(train)), parts, np.random.default_rng(seed))
    of_epochs = []
    with progress_bar(description, total=params.epochs) as advance:
        for epoch, rows in zip(range(1, params.epochs + 1), batches, strict=False):
            means = _take_steps(loop, train, rows, advance)
            if len(validation):
                means = np.concatenate([means, _judge(loop, validation, validation_batch)])
            of_epochs.append(means)
            if patience is None:
                continue
            if means[len(scores)] < best_loss:
                best_epoch, best_loss, best_weights = epoch, means[len(scores)], loop.weights()
            elif epoch - best_epoch >= patience:
                break
    loop.restore(best_weights or loop.weights())
    names = [*scores, *(f"val_{name}" for name in scores)]
    curves = {name: [float(value) for value in of] for name, of in zip(names, np.transpose(of_epochs), strict=False)}
    return Training(curves, best_epoch or len(of_epochs))


def _batches(n: int, batch_size: int, parts: int, random: np.random.Generator) -> Iterator[NDArray[np.int32]]:
    """Yield the (steps, batch) examples of each epoch, for ever."""
    batch_size = min(batch_size, n)
    steps = max(1, n // (batch_size * parts))
    while True:
        # To sort random numbers with the positions in their lower halves takes half of a shuffle in place.
        order = np.sort(random.integers(2**31, size=n) << 32 | np.arange(n)).astype(np.int32)
        order = order[: n // batch_size * batch_size].reshape(-1, batch_size)
        yield from (order[start : start + steps] for start in range(0, len(order) - steps + 1, steps))


def _take_steps(
    loop: Loop, train: Examples, rows: NDArray[np.int32], advance: Callable[[float], None]
) -> NDArray[np.float32]:
    """Take the steps of an epoch, a block of batches at once; return the means of their scores."""
    steps, batch_size = rows.shape
    at_once = max(1, BLOCK_EXAMPLES // batch_size)
    sums = []
    for part in prefetch(train.at(rows[start : start + at_once]) for start in range(0, steps, at_once)):
        sums.append(loop.steps(part.inputs, part.targets))
        advance(len(part) / steps)
    means: NDArray[np.float32] = np.sum(sums, axis=0) / steps
    return means


def _judge(loop: Loop, validation: Examples, batch_size: int) -> NDArray[np.float32]:
    """Return the mean scores of the validation examples."""
    parts = [validation.at(slice(start, start + batch_size)) for start in range(0, len(validation), batch_size)]
    means = [loop.judge(part.inputs, part.targets) for part in parts]
    return np.average(means, axis=0, weights=[len(part) for part in parts])


def with_mean_of_trained(vectors: NDArray[np.float32], trained: NDArray[np.int32]) -> NDArray[np.float32]:
    """Return the vectors with those of rows that occur nowhere in `trained` replaced by the mean of the others."""
    untrained = np.bincount(trained, minlength=len(vectors)) == 0
    mean = vectors[~untrained].mean(axis=0)
    return np.where(untrained[:, None], mean, vectors)


def relu(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return max(values, 0), in place."""
    return np.maximum(values, 0, out=values)
