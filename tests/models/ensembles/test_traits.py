"""How well items match a history, worked out by hand."""

import numpy as np
import scipy.sparse as sp
from numpy.testing import assert_allclose, assert_array_equal

from recsys_dagster.models.ensembles.traits import traits_of

UNKNOWN = np.array([np.nan, np.nan, np.nan], dtype=np.float32)


def test_the_affinity_to_a_genre_by_hand() -> None:
    # Action, Action and Drama, unknown. All users: 9 + 3 pairs with a genre, of which 12 count for Action, 3 for Drama.
    genres = sp.csr_array(np.array([[1, 0], [1, 1], [0, 0]], dtype=np.float32))
    trait, _, _ = traits_of(genres, np.full(3, -1, dtype=np.int16), UNKNOWN)
    history = sp.csr_array(np.array([[0, 1, 1], [0, 0, 1]], dtype=np.float32))
    popularity = np.array([9, 3, 4], dtype=np.float32)
    # The first user has one item that counts: Action (1 + 5 · 1) / (1 + 5) of 1, Drama (1 + 5/4) / (1 + 5) of 1/4.
    drama = np.log((1 + 5 / 4) / 6 / (1 / 4))
    assert_allclose(trait.affinity(history, popularity), [[0, drama / 2, 0], [0, 0, 0]], atol=1e-6)


def test_the_affinity_to_a_kind_by_hand() -> None:
    _, trait, _ = traits_of(sp.csr_array((3, 0), dtype=np.float32), np.array([0, 1, -1], np.int16), UNKNOWN)
    history = sp.csr_array(np.array([[1, 0, 0]], dtype=np.float32))
    # Half of all pairs are of either kind; the user has one item of the first.
    first, second = np.log((1 + 2.5) / 6 / 0.5), np.log(2.5 / 6 / 0.5)
    assert_allclose(trait.affinity(history, np.array([2, 2, 9], np.float32)), [[first, second, 0]], rtol=1e-5)


def test_an_item_counts_for_the_years_around_its_own() -> None:
    years = np.array([2000, 2003, np.nan], dtype=np.float32)
    _, _, trait = traits_of(sp.csr_array((3, 0), dtype=np.float32), np.full(3, -1, np.int16), years)
    near = np.exp(-1 / 2)
    assert_allclose(trait.evidence.toarray(), [[1, near], [near, 1], [0, 0]], rtol=1e-6)
    assert_array_equal(trait.share.toarray(), [[1, 0], [0, 1], [0, 0]])


def test_without_features_all_items_match_a_history_equally() -> None:
    history = sp.csr_array(np.eye(3, dtype=np.float32))
    for trait in traits_of(sp.csr_array((3, 0), dtype=np.float32), np.full(3, -1, np.int16), UNKNOWN):
        assert_array_equal(trait.affinity(history, np.ones(3, np.float32)), np.zeros((3, 3)))
