"""Compute dense layers in compiled loops, for networks whose first layer adds a user part and an item part.

A strip of items passes through all layers while it is in the cache. The items of a strip are adjacent in memory, so
that even a narrow layer fills the vector registers. Each output is summed in one order, whatever the number of threads.
"""

from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

from recsys_dagster.models.kernels.compiling import FAST
from recsys_dagster.runtime.compiling import compiled

STRIP = 128
"""Number of items that pass through the layers at once."""


def upper_layers(
    user_parts: NDArray[np.float32],
    item_parts: NDArray[np.float32],
    kernels: list[NDArray[np.float32]],
    biases: list[NDArray[np.float32]],
) -> NDArray[np.float32]:
    """Return the output of the layers after the first for relu(user part + item part), with ReLU between them.

    Args:
        user_parts: (n, width) contributions of users to the first layer.
        item_parts: (m, width) contributions of items.
        kernels: a (before, after) array for each further layer; the last has one output.
        biases: an (after,) array for each further layer.

    Returns:
        (n, m) float32.
    """
    m, width = item_parts.shape
    whole_strips = np.zeros((width, -(-m // STRIP) * STRIP), np.float32)
    whole_strips[:, :m] = item_parts.T
    outputs = np.empty((len(user_parts), m), np.float32)
    _upper_layers(
        np.ascontiguousarray(user_parts, np.float32),
        whole_strips,
        tuple(np.ascontiguousarray(kernel, np.float32) for kernel in kernels),
        tuple(np.ascontiguousarray(bias, np.float32) for bias in biases),
        outputs,
    )
    return outputs


@compiled(fastmath=FAST)
def _dense(inputs: Any, kernel: Any, bias: Any, outputs: Any) -> None:
    """Compute a layer of a strip, (before, STRIP) → (after, STRIP), before its activation."""
    after = kernel.shape[1]
    for unit in range(after):
        outputs[unit] = bias[unit]
    for unit in range(0, after - 1, 2):
        _two_units(inputs, kernel[:, unit], kernel[:, unit + 1], outputs[unit], outputs[unit + 1])
    if after % 2:
        _one_unit(inputs, kernel[:, after - 1], outputs[after - 1])


@compiled(fastmath=FAST)
def _two_units(inputs: Any, weights: Any, others: Any, sums: Any, other_sums: Any) -> None:
    """Add the weighted inputs of two units to their sums, eight inputs in one pass.

    Each input is read half as often as for one unit at a time, and what is read at once fits the registers.
    """
    # Written out, here and for one unit, because a shared function over tuples takes up to three times as long.
    whole = len(weights) // 8 * 8
    for at in range(0, whole, 8):
        x0, x1, x2, x3 = inputs[at], inputs[at + 1], inputs[at + 2], inputs[at + 3]
        x4, x5, x6, x7 = inputs[at + 4], inputs[at + 5], inputs[at + 6], inputs[at + 7]
        w0, w1, w2, w3, w4, w5, w6, w7 = _eight(weights, at)
        v0, v1, v2, v3, v4, v5, v6, v7 = _eight(others, at)
        for place in range(STRIP):
            sums[place] += (
                w0 * x0[place]
                + w1 * x1[place]
                + w2 * x2[place]
                + w3 * x3[place]
                + w4 * x4[place]
                + w5 * x5[place]
                + w6 * x6[place]
                + w7 * x7[place]
            )
            other_sums[place] += (
                v0 * x0[place]
                + v1 * x1[place]
                + v2 * x2[place]
                + v3 * x3[place]
                + v4 * x4[place]
                + v5 * x5[place]
                + v6 * x6[place]
                + v7 * x7[place]
            )
    _rest(inputs, weights, whole, sums)
    _rest(inputs, others, whole, other_sums)


@compiled(fastmath=FAST)
def _one_unit(inputs: Any, weights: Any, sums: Any) -> None:
    """Add the weighted inputs of a unit to its sums, eight inputs in one pass."""
    whole = len(weights) // 8 * 8
    for at in range(0, whole, 8):
        x0, x1, x2, x3 = inputs[at], inputs[at + 1], inputs[at + 2], inputs[at + 3]
        x4, x5, x6, x7 = inputs[at + 4], inputs[at + 5], inputs[at + 6], inputs[at + 7]
        w0, w1, w2, w3, w4, w5, w6, w7 = _eight(weights, at)
        for place in range(STRIP):
            sums[place] += (
                w0 * x0[place]
                + w1 * x1[place]
                + w2 * x2[place]
                + w3 * x3[place]
                + w4 * x4[place]
                + w5 * x5[place]
                + w6 * x6[place]
                + w7 * x7[place]
            )
    _rest(inputs, weights, whole, sums)


@compiled(fastmath=FAST)
def _eight(weights: Any, at: int) -> Any:
    w = weights[at : at + 8]
    return w[0], w[1], w[2], w[3], w[4], w[5], w[6], w[7]


@compiled(fastmath=FAST)
def _rest(inputs: Any, weights: Any, start: int, sums: Any) -> None:
    """Add the weighted inputs from `start` on."""
    for at in range(start, len(weights)):
        x, w = inputs[at], weights[at]
        for place in range(STRIP):
            sums[place] += w * x[place]


@compiled(fastmath=FAST)
def _relu_of_sum(part: Any, items: Any, sums: Any) -> None:
    """Compute relu(part + items) of a strip; NaN stays NaN."""
    zero = np.float32(0)
    for place in range(STRIP):
        total = part + items[place]
        sums[place] = zero if total < zero else total


@compiled(parallel=True, fastmath=FAST)
def _upper_layers(user_parts: Any, item_parts: Any, kernels: Any, biases: Any, outputs: Any) -> None:
    m, strips = outputs.shape[1], item_parts.shape[1] // STRIP
    widest = 1
    for kernel in kernels:
        widest = max(widest, kernel.shape[0])
    for number in numba.prange(len(user_parts) * strips):
        # All users for one strip, while it is in the cache.
        user, start = number % len(user_parts), number // len(user_parts) * STRIP
        values, after = np.empty((widest, STRIP), np.float32), np.empty((widest, STRIP), np.float32)
        for unit in range(user_parts.shape[1]):
            _relu_of_sum(user_parts[user, unit], item_parts[unit, start : start + STRIP], values[unit])
        for layer in range(len(kernels)):
            if layer:
                for unit in range(kernels[layer].shape[0]):
                    _relu_of_sum(np.float32(0), values[unit], values[unit])
            _dense(values, kernels[layer], biases[layer], after)
            values, after = after, values
        stop = min(m, start + STRIP)
        outputs[user, start:stop] = values[0, : stop - start]
