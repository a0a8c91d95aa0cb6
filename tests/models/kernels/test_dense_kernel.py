import itertools

import numpy as np
import pytest

from recsys_dagster.models.kernels.dense import STRIP, upper_layers

FEW, MANY = 3, 2 * STRIP + 5


def layers(*widths: int) -> tuple[list[np.ndarray], list[np.ndarray]]:
    random = np.random.default_rng(len(widths))
    kernels = [random.standard_normal(shape, dtype=np.float32) for shape in itertools.pairwise(widths)]
    return kernels, [random.standard_normal(width, dtype=np.float32) for width in widths[1:]]


def parts(n_titles: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(0)
    return tuple(random.standard_normal((n, width), dtype=np.float32) for n in (2, n_titles))


@pytest.mark.parametrize("n_titles", [0, FEW, STRIP, MANY])
@pytest.mark.parametrize("widths", [(10, 1), (13, 8, 1), (100, 32, 4, 1)])
def test_strips_of_titles_go_through_the_layers_as_all_do_at_once(n_titles: int, widths: tuple[int, ...]) -> None:
    of_users, of_titles = parts(n_titles, widths[0])
    kernels, biases = layers(*widths)

    expected = of_users[:, None] + of_titles
    for kernel, bias in zip(kernels, biases, strict=True):
        expected = np.maximum(expected, 0) @ kernel + bias

    found = upper_layers(of_users, of_titles, kernels, biases)

    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected[..., 0], rtol=1e-4, atol=1e-4)


def test_what_is_not_a_number_comes_out_as_none() -> None:
    of_users, of_titles = parts(FEW, 8)
    of_titles[1, 3] = np.nan
    found = upper_layers(of_users, of_titles, *layers(8, 1))
    np.testing.assert_array_equal(np.isnan(found), [[False, True, False]] * 2)


def test_a_title_alone_has_the_output_that_it_has_among_others() -> None:
    of_users, of_titles = parts(MANY, 20)
    network = layers(20, 12, 1)
    together = upper_layers(of_users, of_titles, *network)
    np.testing.assert_array_equal(upper_layers(of_users, of_titles[7:8], *network)[:, 0], together[:, 7])
