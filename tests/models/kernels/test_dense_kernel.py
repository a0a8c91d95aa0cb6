import itertools

import numpy as np
import pytest

from recsys_dagster.models.kernels.dense import STRIP, upper_layers

FEW, MANY = 3, 2 * STRIP + 5


def layers(*widths: int) -> tuple[list[np.ndarray], list[np.ndarray]]:
    random = np.random.default_rng(len(widths))
    kernels = [random.standard_normal(shape, dtype=np.float32) for shape in itertools.pairwise(widths)]
    return kernels, [random.standard_normal(width, dtype=np.float32) for width in widths[1:]]


def parts(n_items: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(0)
    return tuple(random.standard_normal((n, width), dtype=np.float32) for n in (2, n_items))


@pytest.mark.parametrize("n_items", [0, FEW, STRIP, MANY])
@pytest.mark.parametrize("widths", [(10, 1), (13, 8, 1), (100, 32, 4, 1)])
def test_strips_of_items_give_the_same_outputs_as_all_items_at_once(n_items: int, widths: tuple[int, ...]) -> None:
    user_parts, item_parts = parts(n_items, widths[0])
    kernels, biases = layers(*widths)

    expected = user_parts[:, None] + item_parts
    for kernel, bias in zip(kernels, biases, strict=True):
        expected = np.maximum(expected, 0) @ kernel + bias

    outputs = upper_layers(user_parts, item_parts, kernels, biases)

    assert outputs.dtype == np.float32
    np.testing.assert_allclose(outputs, expected[..., 0], rtol=1e-4, atol=1e-4)


def test_what_is_not_a_number_comes_out_as_none() -> None:
    user_parts, item_parts = parts(FEW, 8)
    item_parts[1, 3] = np.nan
    outputs = upper_layers(user_parts, item_parts, *layers(8, 1))
    np.testing.assert_array_equal(np.isnan(outputs), [[False, True, False]] * 2)


def test_an_item_alone_has_the_same_output_as_among_others() -> None:
    user_parts, item_parts = parts(MANY, 20)
    network = layers(20, 12, 1)
    together = upper_layers(user_parts, item_parts, *network)
    np.testing.assert_array_equal(upper_layers(user_parts, item_parts[7:8], *network)[:, 0], together[:, 7])
