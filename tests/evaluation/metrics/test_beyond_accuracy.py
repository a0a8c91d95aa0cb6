import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.testing import assert_allclose, assert_array_equal

from recsys_dagster.evaluation.metrics import accuracy as metrics
from recsys_dagster.evaluation.metrics import beyond_accuracy as beyond

# Five titles: 0 and 1 are Drama, 2 is Drama and Crime, 3 is Horror, nothing is known of 4.
GENRES = sp.csr_array(np.array([[1, 0, 0], [1, 0, 0], [1, 1, 0], [0, 0, 1], [0, 0, 0]], np.float32))
# Four users: 0 has 0, 1 and 2; 1 has 0 and 3; 2 has 0; 3 has nothing.
HISTORIES = sp.csr_array(np.array([[1, 1, 1, 0, 0], [1, 0, 0, 1, 0], [1, 0, 0, 0, 0], [0, 0, 0, 0, 0]], np.float32))
CATALOGUE = beyond.Catalogue.of(HISTORIES, GENRES)
LISTS = np.array([[3, 0, 4], [1, 2, -1], [1, 2, 3], [-1, -1, -1]], np.int32)
unhurried = settings(max_examples=50)


def test_popularity_is_a_share_of_the_users_who_have_anything():
    assert_allclose(CATALOGUE.popularity, [1, 1 / 3, 1 / 3, 1 / 3, 0])
    assert_allclose(CATALOGUE.genres.toarray()[2], [0.5, 0.5, 0])


def test_novelty_is_the_mean_information_of_the_titles():
    bits = np.log2(3)
    assert_allclose(beyond.novelty(LISTS, CATALOGUE.popularity, 2), [bits / 2, bits, bits, np.nan])
    assert_allclose(beyond.novelty(LISTS, CATALOGUE.popularity, 1), [bits, bits, bits, np.nan])


def test_lists_twice_as_popular_as_the_histories_have_a_lift_of_1():
    own = beyond.history_popularity(HISTORIES, CATALOGUE.popularity)
    assert_allclose(own, [(1 + 1 / 3 + 1 / 3) / 3, 2 / 3, 1, np.nan])
    assert_allclose(beyond.lift(np.array([1.0, 0.5, 0.0]), np.array([0.5, 0.5, 0.0])), [1, 0, np.nan])


def test_genre_diversity_is_1_minus_the_mean_cosine_of_two_titles():
    # Drama against Drama and Crime: 1 / √2. Horror shares nothing; of title 4 nothing is known.
    expected = [1, 1 - 1 / np.sqrt(2), 1 - (1 / np.sqrt(2)) / 3, np.nan]
    assert_allclose(beyond.genre_diversity(LISTS, GENRES, 3), expected)
    assert_array_equal(beyond.genre_diversity(np.array([[0, 1], [3, 4]], np.int32), GENRES, 2), [0, np.nan])


def test_miscalibration_is_the_divergence_of_the_genres():
    found = beyond.miscalibration(LISTS, CATALOGUE.genres, HISTORIES, 2)
    # User 0: p = (5/6, 1/6, 0), list of Horror and Drama: q = (1/2, 0, 1/2).
    p, q = np.array([5 / 6, 1 / 6]), np.array([0.5, 0])
    first = (p * np.log(p / (0.99 * q + 0.01 * p))).sum()
    # User 1: p = (1/2, 0, 1/2), q = (3/4, 1/4, 0). User 2: p = (1, 0, 0), q = (3/4, 1/4, 0).
    second = 0.5 * np.log(0.5 / (0.99 * 0.75 + 0.005)) + 0.5 * np.log(0.5 / 0.005)
    third = np.log(1 / (0.99 * 0.75 + 0.01))
    assert_allclose(found, [first, second, third, np.nan])


def test_a_list_of_the_genres_of_the_history_is_calibrated():
    lists = np.array([[0, 1, 2], [3, 0, -1]], np.int32)
    assert_allclose(beyond.miscalibration(lists, CATALOGUE.genres, HISTORIES[[0, 1]], 3), 0, atol=1e-12)


def test_gini_is_0_for_equal_shares_and_the_most_for_one_title():
    assert metrics.gini(np.array([3, 3, 3, 3])) == 0
    assert metrics.gini(np.array([0, 0, 0, 8])) == 0.75
    assert metrics.gini(np.array([1, 3])) == 0.25
    assert np.isnan(metrics.gini(np.array([0, 0])))


@unhurried
@given(arrays(np.int64, st.integers(1, 20), elements=st.integers(0, 50)))
def test_gini_is_half_the_mean_difference_of_two_titles_over_their_mean(counts):
    if counts.sum():
        differences = np.abs(counts[:, None] - counts).mean()
        assert metrics.gini(counts) == pytest.approx(differences / (2 * counts.mean()))


@st.composite
def some_lists(draw):
    """Lists without repeats, genres and histories of up to six users and nine titles."""
    n_items = draw(st.integers(2, 9))
    n_users = draw(st.integers(1, 6))
    lists = np.array([draw(st.permutations(range(n_items))) for _ in range(n_users)], np.int32)
    short = draw(arrays(np.int64, n_users, elements=st.integers(0, n_items)))
    lists[np.arange(n_items) >= short[:, None]] = -1
    genres = sp.csr_array(draw(arrays(bool, (n_items, 4))).astype(np.float32))
    histories = sp.csr_array(draw(arrays(bool, (n_users, n_items))).astype(np.float32))
    return lists, genres, histories


@unhurried
@given(some_lists(), st.integers(1, 10))
def test_a_list_at_a_time_gives_the_same(lists, k):
    items, genres, histories = lists
    catalogue = beyond.Catalogue.of(histories, genres)
    together = beyond.beyond_columns(items, np.arange(len(items)), catalogue, k)
    of_titles = genres.toarray().astype(np.float64)
    for user, row in enumerate(items):
        shares = [of_titles[item] / of_titles[item].sum() for item in row[:k] if item >= 0 and of_titles[item].any()]
        cosines = [a @ b / np.sqrt((a @ a) * (b @ b)) for i, a in enumerate(shares) for b in shares[:i]]
        diversity = 1 - np.mean(cosines) if cosines else np.nan
        assert_allclose(together["genre_diversity"][user], diversity, atol=1e-9)
        had = [g / g.sum() for g in of_titles[histories.toarray()[user] > 0] if g.any()]
        divergence = np.nan
        if had and shares:
            p, q = np.mean(had, axis=0), np.mean(shares, axis=0)
            divergence = sum(a * np.log(a / (0.99 * b + 0.01 * a)) for a, b in zip(p, q, strict=True) if a)
        assert_allclose(together["miscalibration"][user], divergence, atol=1e-9)


@unhurried
@given(some_lists(), st.integers(1, 10), st.randoms(use_true_random=False))
def test_permuting_users_permutes_the_values_and_the_ranges_hold(lists, k, random):
    items, genres, histories = lists
    order = np.array(random.sample(range(len(items)), len(items)))
    catalogue = beyond.Catalogue.of(histories, genres)
    found = beyond.beyond_columns(items, np.arange(len(items)), catalogue, k)
    moved = beyond.beyond_columns(items[order], order, catalogue, k)
    for name, most in (
        ("genre_diversity", 1),
        ("miscalibration", -np.log(0.01)),
        ("list_popularity", 1),
        ("novelty", 3),
    ):
        assert_allclose(moved[name], found[name][order], atol=1e-9)
        known = found[name][~np.isnan(found[name])]
        assert ((known >= -1e-9) & (known <= most + 1e-9)).all(), name
