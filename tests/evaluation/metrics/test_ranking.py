import numba
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.testing import assert_allclose, assert_array_equal

from recsys_dagster.evaluation.metrics.beyond_accuracy import coverage
from recsys_dagster.evaluation.metrics.ranking import average_precision, precision
from recsys_dagster.evaluation.metrics.rating_errors import error_sums
from recsys_dagster.evaluation.metrics.ratios import mean
from recsys_dagster.evaluation.metrics.registry import RANKING_METRICS, rating_ratios

FUNCTIONS = {metric.name: metric.function for metric in RANKING_METRICS}
# Three users and their lists of five. User 0 has 3 relevant items, two of them at ranks 1 and 3; user 1 has 7, two of
# them at ranks 2 and 5; user 2 has one, which is not listed.
HITS = np.array([[1, 0, 1, 0, 0], [0, 1, 0, 0, 1], [0, 0, 0, 0, 0]], dtype=bool)
N_RELEVANT = np.array([3, 7, 1])

unhurried = settings(max_examples=50)


@pytest.mark.parametrize(
    ("name", "k", "expected"),
    [
        ("precision", 2, [1 / 2, 1 / 2, 0]),
        ("precision", 5, [2 / 5, 2 / 5, 0]),
        ("recall", 2, [1 / 3, 1 / 7, 0]),
        ("recall", 5, [2 / 3, 2 / 7, 0]),
        ("capped_recall", 2, [1 / 2, 1 / 2, 0]),
        ("capped_recall", 5, [2 / 3, 2 / 5, 0]),
        ("mrr", 1, [1, 0, 0]),
        ("mrr", 5, [1, 1 / 2, 0]),
        ("map", 5, [(1 + 2 / 3) / 3, (1 / 2 + 2 / 5) / 7, 0]),
        ("hit_rate", 1, [1, 0, 0]),
        ("hit_rate", 5, [1, 1, 0]),
        # log2: of 2 is 1, of 3 is 1.5849625, of 4 is 2, of 5 is 2.3219281, of 6 is 2.5849625
        ("ndcg", 5, [(1 + 1 / 2) / (1 + 0.63092975 + 0.5), (0.63092975 + 0.38685281) / 2.94845912, 0]),
        ("ndcg", 2, [1 / 1.63092975, 0.63092975 / 1.63092975, 0]),
    ],
)
def test_metrics_match_values_computed_by_hand(name, k, expected):
    assert_allclose(FUNCTIONS[name](HITS, N_RELEVANT, k), expected, atol=1e-8)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_user_without_a_relevant_item_has_no_value(name):
    values = FUNCTIONS[name](HITS, np.array([3, 7, 0]), 5)
    assert_array_equal(np.isnan(values), [False, False, True])


@pytest.mark.parametrize("name", FUNCTIONS)
def test_missing_ranks_of_a_short_list_are_misses(name):
    metric = FUNCTIONS[name]
    padded = np.pad(HITS, ((0, 0), (0, 5)))
    assert_array_equal(metric(HITS, N_RELEVANT, 10), metric(padded, N_RELEVANT, 10))


def test_coverage_is_the_share_of_items_in_any_list():
    assert coverage(np.array([0, 3, 1, 0, 0])) == 0.4


def rating_errors(sums):
    """The rating errors of all users together."""
    ratios = [ratio for ratio in rating_ratios() if ratio.total in sums]
    return {ratio.key.name: ratio.statistic(sums[ratio.total].sum(), sums[ratio.weight].sum()) for ratio in ratios}


def test_rating_errors_are_summed_by_user_and_every_pair_weighs_the_same():
    sums = error_sums(np.array([0, 2, 2, 2]), np.array([2.0, -1.0, 1.0, 0.0]), 3)
    assert_array_equal(sums["pairs"], [1, 0, 3])
    assert_array_equal(sums["absolute_error"], [2, 0, 2])
    assert_array_equal(sums["squared_error"], [4, 0, 2])
    assert rating_errors(sums) == {"rmse": pytest.approx(1.5**0.5), "mae": 1.0, "mse": 1.5}


def test_without_a_pair_there_is_no_error_rather_than_an_error_of_zero():
    assert np.isnan(mean(np.array([0.0]), np.array([0.0])))


def _random_lists(seed, n_users=40, n_items=60):
    """A strict ranking of all items and the relevant ones, for users who have at least one."""
    generator = np.random.default_rng(seed)
    scores = generator.permuted(np.tile(np.arange(n_items), (n_users, 1)), axis=1)
    relevant = generator.random((n_users, n_items)) < generator.uniform(0.02, 0.4, (n_users, 1))
    relevant[np.arange(n_users), generator.integers(0, n_items, n_users)] = True
    ranked = np.argsort(-scores, axis=1)
    return scores, relevant, np.take_along_axis(relevant, ranked, axis=1)


@pytest.fixture(scope="module")
def ranx():
    """The library run as plain Python: compiling it takes two minutes, the test's few users no time at all."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(numba.config, "DISABLE_JIT", True)
        yield pytest.importorskip("ranx")


@pytest.mark.parametrize("k", [1, 5, 10, 50])
def test_rankings_agree_with_ranx(ranx, k):
    scores, relevant, hits = _random_lists(seed=1)
    qrels = ranx.Qrels({f"u{u:03}": {f"i{i}": 1 for i in np.flatnonzero(row)} for u, row in enumerate(relevant)})
    run = ranx.Run({f"u{u:03}": {f"i{i}": float(s) for i, s in enumerate(row)} for u, row in enumerate(scores)})
    names = ["precision", "recall", "ndcg", "mrr", "map", "hit_rate"]
    theirs = ranx.evaluate(qrels, run, [f"{name}@{k}" for name in names], return_mean=False)
    for name in names:
        ours = FUNCTIONS[name](hits, relevant.sum(axis=1), k)
        assert_allclose(ours, theirs[f"{name}@{k}"], rtol=0, atol=1e-9, err_msg=name)


def test_rankings_agree_with_scikit_learn():
    sklearn = pytest.importorskip("sklearn.metrics")
    scores, relevant, hits = _random_lists(seed=2)
    n_relevant, n_items = relevant.sum(axis=1), relevant.shape[1]
    whole = average_precision(hits, n_relevant, n_items)
    for k in (5, 20):
        listed = scores >= n_items - k
        for user in range(len(hits)):
            one = slice(user, user + 1)
            expected = {
                "ndcg": sklearn.ndcg_score(relevant[one], scores[one], k=k),
                "precision": sklearn.precision_score(relevant[user], listed[user]),
                "recall": sklearn.recall_score(relevant[user], listed[user]),
            }
            for name, value in expected.items():
                found = FUNCTIONS[name](hits[one], n_relevant[one], k)
                assert_allclose(found, value, rtol=0, atol=1e-9, err_msg=name)
    assert_allclose(
        whole, [sklearn.average_precision_score(*pair) for pair in zip(relevant, scores, strict=True)], atol=1e-9
    )


def test_rating_errors_agree_with_scikit_learn():
    sklearn = pytest.importorskip("sklearn.metrics")
    generator = np.random.default_rng(3)
    truth, predicted = generator.uniform(1, 10, (2, 500))
    sums = error_sums(generator.integers(0, 30, 500), predicted - truth, 30)
    expected = {
        "rmse": sklearn.root_mean_squared_error(truth, predicted),
        "mae": sklearn.mean_absolute_error(truth, predicted),
        "mse": sklearn.mean_squared_error(truth, predicted),
    }
    for name, value in rating_errors(sums).items():
        assert_allclose(value, expected[name], rtol=0, atol=1e-9)


@st.composite
def evaluated_lists(draw):
    """Hits of up to 8 users at up to 12 ranks, and how many relevant items each has: at least the hits."""
    shape = draw(st.tuples(st.integers(1, 8), st.integers(1, 12)))
    hits = draw(arrays(bool, shape))
    missed = draw(arrays(np.int64, shape[0], elements=st.integers(0, 20)))
    return hits, np.maximum(hits.sum(axis=1) + missed, 1)


@unhurried
@given(evaluated_lists(), st.integers(1, 15), st.sampled_from(sorted(FUNCTIONS)))
def test_every_value_lies_between_0_and_1(lists, k, name):
    values = FUNCTIONS[name](*lists, k)
    assert ((values >= 0) & (values <= 1)).all()


@unhurried
@given(evaluated_lists(), st.integers(1, 15), st.randoms(use_true_random=False))
def test_permuting_users_permutes_the_values_and_nothing_else(lists, k, random):
    hits, n_relevant = lists
    order = np.array(random.sample(range(len(hits)), len(hits)))
    for metric in FUNCTIONS.values():
        assert_array_equal(metric(hits[order], n_relevant[order], k), metric(hits, n_relevant, k)[order])


@unhurried
@given(arrays(np.int64, st.integers(1, 8), elements=st.integers(1, 12)), st.integers(1, 15))
def test_a_perfect_ranking_gives_1(n_relevant, k):
    hits = np.arange(20) < n_relevant[:, None]
    for name in ("ndcg", "mrr", "hit_rate", "capped_recall"):
        assert (FUNCTIONS[name](hits, n_relevant, k) == 1).all(), name
    enough = np.flatnonzero(n_relevant <= k)  # a list of k cannot hold more than k
    for name in ("recall", "map"):
        assert_allclose(FUNCTIONS[name](hits, n_relevant, k)[enough], 1, err_msg=name)
    filled = np.flatnonzero(n_relevant >= k)
    assert (precision(hits, n_relevant, k)[filled] == 1).all()


@unhurried
@given(evaluated_lists(), st.integers(1, 15), st.data())
def test_turning_a_miss_into_a_hit_never_lowers_a_metric(lists, k, data):
    hits, n_relevant = lists
    rank = data.draw(st.integers(0, hits.shape[1] - 1))
    better = hits.copy()
    better[:, rank] = True
    possible = better.sum(axis=1) <= n_relevant
    for name, metric in FUNCTIONS.items():
        before, after = metric(hits, n_relevant, k)[possible], metric(better, n_relevant, k)[possible]
        assert (after >= before).all(), name
