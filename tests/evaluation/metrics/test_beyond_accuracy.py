import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.testing import assert_allclose, assert_array_equal

from recsys_dagster.data.interactions import UNKNOWN_TIME, Interactions
from recsys_dagster.evaluation.metrics import beyond_accuracy as beyond
from recsys_dagster.evaluation.metrics.inputs import SECONDS_PER_YEAR, Catalogue, RecommendedLists
from recsys_dagster.evaluation.metrics.registry import LIST_METRICS

# Five items: 0 and 1 are Drama, 2 is Drama and Crime, 3 is Horror, 4 has no genre.
GENRES = sp.csr_array(np.array([[1, 0, 0], [1, 0, 0], [1, 1, 0], [0, 0, 1], [0, 0, 0]], np.float32))
# Four users: 0 has 0, 1 and 2; 1 has 0 and 3; 2 has 0; 3 has nothing.
HISTORIES = sp.csr_array(np.array([[1, 1, 1, 0, 0], [1, 0, 0, 1, 0], [1, 0, 0, 0, 0], [0, 0, 0, 0, 0]], np.float32))
ITEMS = np.array([[3, 0, 4], [1, 2, -1], [1, 2, 3], [-1, -1, -1]], np.int32)
unhurried = settings(max_examples=50)


def lists_of(items, histories=HISTORIES, genres=GENRES, hits=None, excluded=None, missed=None):
    items = np.asarray(items, np.int32)
    hits = np.zeros(items.shape, bool) if hits is None else np.asarray(hits, bool)
    return RecommendedLists(
        items,
        hits,
        relevant_items(items, hits, missed),
        histories,
        excluded,
        Catalogue.of(histories, genres, Interactions.empty()),
    )


def relevant_items(items, hits, missed=None):
    """The hits and, of each user, further relevant items."""
    relevant = np.zeros((len(items), 9), np.float32)
    relevant[np.nonzero(hits)[0], items[hits]] = 1
    for user, others in enumerate(missed or []):
        relevant[user, others] = 1
    return sp.csr_array(relevant)


LISTS = lists_of(ITEMS)


def test_popularity_is_a_share_of_the_users_with_a_history():
    assert_allclose(LISTS.catalogue.popularity, [1, 1 / 3, 1 / 3, 1 / 3, 0])
    assert_allclose(LISTS.catalogue.genres.toarray()[2], [0.5, 0.5, 0])
    assert_array_equal(LISTS.catalogue.popularity_ranks, [0, 1, 2, 3, 4])


def test_novelty_is_the_mean_information_of_the_items():
    bits = np.log2(3)
    assert_allclose(beyond.novelty(LISTS, 2), [bits / 2, bits, bits, np.nan])
    assert_allclose(beyond.novelty(LISTS, 1), [bits, bits, bits, np.nan])


def test_lists_twice_as_popular_as_the_histories_have_a_lift_of_1():
    assert_allclose(beyond.history_popularity(LISTS), [(1 + 1 / 3 + 1 / 3) / 3, 2 / 3, 1, np.nan])
    assert_allclose(beyond.list_popularity(LISTS, 2), [2 / 3, 1 / 3, 1 / 3, np.nan])
    assert_allclose(beyond.popularity_lift(np.array([1.0, 0.5, 0.0]), np.array([0.5, 0.5, 0.0])), [1, 0, np.nan])


def test_genre_diversity_is_1_minus_the_mean_cosine_of_two_items():
    # Drama and Drama with Crime: 1 / √2. Horror shares nothing; item 4 has no genre and does not count.
    expected = [1, 1 - 1 / np.sqrt(2), 1 - (1 / np.sqrt(2)) / 3, np.nan]
    assert_allclose(beyond.genre_diversity(LISTS, 3), expected)
    two = lists_of([[0, 1], [3, 4]], HISTORIES[[0, 1]])
    assert_array_equal(beyond.genre_diversity(two, 2), [0, np.nan])


def test_the_age_of_a_list_is_that_of_its_items_since_their_first_interaction():
    year = int(SECONDS_PER_YEAR)
    times = np.array([0, 2 * year, 3 * year, 4 * year, UNKNOWN_TIME])
    users, items = np.array([0, 0, 1, 1, 2], np.int32), np.array([0, 1, 1, 2, 3], np.int32)
    train = Interactions(users, items, np.ones(5, np.float32), times)
    catalogue = Catalogue.of(train.matrix(3, 4), GENRES[:4], train)
    assert_allclose(catalogue.ages, [4, 2, 0, np.nan])
    listed = np.array([[0, 1], [2, -1], [3, -1], [-1, -1]], np.int32)
    hits = np.zeros_like(listed, bool)
    lists = RecommendedLists(listed, hits, relevant_items(listed, hits), HISTORIES, None, catalogue)
    assert_allclose(beyond.item_age(lists, 2), [3, 0, np.nan, np.nan])


def test_without_times_items_have_no_age():
    assert np.isnan(beyond.item_age(LISTS, 2)).all()


def test_miscalibration_is_the_divergence_of_the_genres():
    # User 0: p = (5/6, 1/6, 0), list of Horror and Drama: q = (1/2, 0, 1/2).
    p, q = np.array([5 / 6, 1 / 6]), np.array([0.5, 0])
    first = (p * np.log(p / (0.99 * q + 0.01 * p))).sum()
    # User 1: p = (1/2, 0, 1/2), q = (3/4, 1/4, 0). User 2: p = (1, 0, 0), q = (3/4, 1/4, 0).
    second = 0.5 * np.log(0.5 / (0.99 * 0.75 + 0.005)) + 0.5 * np.log(0.5 / 0.005)
    third = np.log(1 / (0.99 * 0.75 + 0.01))
    assert_allclose(beyond.miscalibration(LISTS, 2), [first, second, third, np.nan])


def test_a_list_of_the_genres_of_the_history_is_calibrated():
    lists = lists_of([[0, 1, 2], [3, 0, -1]], HISTORIES[[0, 1]])
    assert_allclose(beyond.miscalibration(lists, 3), 0, atol=1e-12)


def test_serendipity_counts_hits_that_the_most_popular_items_of_a_user_do_not_hold():
    # Items 0 to 4 in order of popularity. User 0 has 0, so popularity would list 1 and 2; user 1 has 1 and 3: 0 and 2;
    # user 2 has nothing: 0 and 1.
    histories = sp.csr_array(np.array([[1, 0, 0, 0, 0], [0, 1, 0, 1, 0], [0, 0, 0, 0, 0]], np.float32))
    catalogue = Catalogue(np.array([9, 7, 5, 3, 1]), np.zeros(5), GENRES, np.zeros(5))
    items = np.array([[2, 3], [4, 2], [3, 4]], np.int32)
    hits = np.array([[True, True], [True, True], [False, True]])
    lists = RecommendedLists(items, hits, relevant_items(items, hits), histories, None, catalogue)
    assert_allclose(beyond.serendipity(lists, 2), [1 / 2, 1 / 2, 1 / 2])  # 3; 4; 4, as 3 is no hit
    assert_allclose(beyond.serendipity(lists, 1), [1, 1, 0])  # popularity's lists of one are 1, 0 and 0
    # Another fold holds 1 for user 0: popularity would now list 2 and 3, and no hit is unexpected.
    excluded = sp.csr_array(np.array([[0, 1, 0, 0, 0], [0, 0, 0, 0, 0], [0, 0, 0, 0, 0]], np.float32))
    lists = RecommendedLists(items, hits, relevant_items(items, hits), histories, excluded, catalogue)
    assert_allclose(beyond.serendipity(lists, 2), [0, 1 / 2, 1 / 2])


def test_missing_ranks_are_not_serendipitous_and_equally_popular_items_are_ranked_by_index():
    # Items 1 to 3 are equally popular: of these, popularity lists 1 for user 0, who has 0.
    items, hits = [[2, -1, -1], [-1, -1, -1]], [[True, False, False], [False, False, False]]
    histories = sp.csr_array(np.array([[1, 0, 0, 0, 0], [1, 1, 1, 1, 0]], np.float32))
    catalogue = Catalogue(np.array([3, 1, 1, 1, 0]), np.zeros(5), GENRES, np.zeros(5))
    items, hits = np.array(items, np.int32), np.array(hits)
    lists = RecommendedLists(items, hits, relevant_items(items, hits), histories, None, catalogue)
    assert_array_equal(beyond.serendipity(lists, 1), [1, 0])
    assert_array_equal(beyond.serendipity(lists, 2), [0, 0])  # popularity's second is 2
    assert_allclose(beyond.serendipity(lists, 3), [0, 0])


def test_the_long_tail_is_what_the_fewest_items_with_four_fifths_of_the_interactions_leave():
    # 8 + 3 of 14 are not yet four fifths, so that item 2 belongs to the head.
    catalogue = Catalogue(np.array([1, 8, 1, 3, 1]), np.zeros(5), GENRES, np.zeros(5))
    assert_array_equal(catalogue.is_long_tail, [False, False, True, False, True])
    items = np.array([[0, 1, 4], [2, 4, -1], [-1, -1, -1]], np.int32)
    nothing = sp.csr_array((3, 5), dtype=np.float32)
    lists = RecommendedLists(items, items < -1, nothing, nothing, None, catalogue)
    assert_allclose(beyond.long_tail_share(lists, 3), [1 / 3, 1, np.nan])
    assert_allclose(beyond.long_tail_share(lists, 2), [0, 1, np.nan])


def test_debiased_ndcg_weighs_what_few_users_have():
    # 16, 4 and no users have the items 0, 1 and 2: they weigh 1/4, 1/2 and 1. User 0 gets 0 first and misses 2; user 1
    # gets both of theirs in the best order, user 2 in the worst; to user 3 nothing is relevant.
    catalogue = Catalogue(np.array([16, 4, 0]), np.zeros(3), GENRES[:3], np.zeros(3))
    items = np.array([[0, 1], [1, 0], [0, 1], [0, 1]], np.int32)
    hits = np.array([[True, False], [True, True], [True, True], [False, False]])
    relevant = sp.csr_array(relevant_items(items, hits, [[2], [], [], []])[:, :3])
    lists = RecommendedLists(items, hits, relevant, sp.csr_array((4, 3), dtype=np.float32), None, catalogue)
    second = 1 / np.log2(3)
    expected = [0.25 / (1 + 0.25 * second), 1, (0.25 + 0.5 * second) / (0.5 + 0.25 * second), np.nan]
    assert_allclose(beyond.debiased_ndcg(lists, 2), expected)
    assert_allclose(beyond.debiased_ndcg(lists, 1), [0.25, 1, 0.5, np.nan])


def test_gini_is_0_for_equal_shares_and_the_most_for_one_item():
    assert beyond.gini(np.array([3, 3, 3, 3])) == 0
    assert beyond.gini(np.array([0, 0, 0, 8])) == 0.75
    assert beyond.gini(np.array([1, 3])) == 0.25
    assert np.isnan(beyond.gini(np.array([0, 0])))


def test_overlap_is_1_for_equal_lists_and_0_for_disjoint_ones():
    assert beyond.overlap(np.array([[0, 1], [1, 0]], np.int32)) == 1
    assert beyond.overlap(np.array([[0, 1], [2, 3]], np.int32)) == 0
    assert beyond.overlap(np.array([[0, 1], [1, 2], [2, 0]], np.int32)) == 0.5


@unhurried
@given(arrays(np.int64, st.integers(1, 20), elements=st.integers(0, 50)))
def test_gini_is_half_the_mean_difference_of_two_items_over_their_mean(counts):
    if counts.sum():
        differences = np.abs(counts[:, None] - counts).mean()
        assert beyond.gini(counts) == pytest.approx(differences / (2 * counts.mean()))


@st.composite
def some_lists(draw):
    """Lists without repeats of items that the user does not have, for up to six users and nine items."""
    n_items = draw(st.integers(2, 9))
    n_users = draw(st.integers(1, 6))
    items = np.array([draw(st.permutations(range(n_items))) for _ in range(n_users)], np.int32)
    short = draw(arrays(np.int64, n_users, elements=st.integers(0, n_items)))
    items[np.arange(n_items) >= short[:, None]] = -1
    genres = sp.csr_array(draw(arrays(bool, (n_items, 4))).astype(np.float32))
    had = draw(arrays(bool, (n_users, n_items)))
    had[np.nonzero(items >= 0)[0], items[items >= 0]] = False
    also_had = draw(arrays(bool, (n_users, n_items))) & had
    hits = draw(arrays(bool, (n_users, n_items))) & (items >= 0)
    histories, excluded = (sp.csr_array(one.astype(np.float32)) for one in (had & ~also_had, also_had))
    return lists_of(items, histories, genres, hits, draw(st.sampled_from([None, excluded])))


@unhurried
@given(some_lists(), st.integers(1, 10))
def test_metrics_of_all_lists_at_once_are_those_of_one_list_at_a_time(lists, k):
    genres, histories = lists.catalogue.genres.toarray() > 0, lists.histories.toarray() > 0
    known = histories if lists.excluded is None else histories | (lists.excluded.toarray() > 0)
    by_popularity = np.argsort(-lists.catalogue.counts, kind="stable")
    diversity, miscalibration = beyond.genre_diversity(lists, k), beyond.miscalibration(lists, k)
    serendipity = beyond.serendipity(lists, k)
    for user, row in enumerate(lists.items):
        shares = [genres[item] / genres[item].sum() for item in row[:k] if item >= 0 and genres[item].any()]
        cosines = [a @ b / np.sqrt((a @ a) * (b @ b)) for i, a in enumerate(shares) for b in shares[:i]]
        assert_allclose(diversity[user], 1 - np.mean(cosines) if cosines else np.nan, atol=1e-9)
        had = [g / g.sum() for g in genres[histories[user]] if g.any()]
        divergence = np.nan
        if had and shares:
            p, q = np.mean(had, axis=0), np.mean(shares, axis=0)
            divergence = sum(a * np.log(a / (0.99 * b + 0.01 * a)) for a, b in zip(p, q, strict=True) if a)
        assert_allclose(miscalibration[user], divergence, atol=1e-9)
        expected = [item for item in by_popularity if not known[user, item]][:k]
        surprises = [item for item, hit in zip(row[:k], lists.hits[user], strict=False) if hit and item not in expected]
        assert serendipity[user] == pytest.approx(len(surprises) / k)


@unhurried
@given(some_lists(), st.integers(1, 10), st.randoms(use_true_random=False))
def test_permuting_users_permutes_the_values_and_the_ranges_hold(lists, k, random):
    order = np.array(random.sample(range(len(lists.items)), len(lists.items)))
    moved = RecommendedLists(
        lists.items[order],
        lists.hits[order],
        lists.relevant[order],
        lists.histories[order],
        None if lists.excluded is None else lists.excluded[order],
        lists.catalogue,
    )
    highest = {"genre_diversity": 1, "miscalibration": -np.log(0.01), "popularity_lift": 1, "novelty": 3}
    for metric in LIST_METRICS:
        values = metric.function(lists, k)
        assert_allclose(metric.function(moved, k), values[order], atol=1e-9)
        known = values[~np.isnan(values)]
        assert ((known >= -1e-9) & (known <= highest.get(metric.name, 1) + 1e-9)).all(), metric.name
