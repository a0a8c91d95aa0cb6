import numpy as np
import scipy.sparse as sp
from hypothesis import given
from hypothesis import strategies as st
from small_world import UNRATED, world_of

from recsys_dagster.models.base import Model
from recsys_dagster.models.registry import get_model_class

Popularity = get_model_class("popularity")


def test_pairs_with_and_without_a_rating_count_alike_and_ties_go_to_the_lower_index() -> None:
    model = Popularity().fit(world_of([[9, UNRATED, 0, 0], [3, 0, 8, 0], [0, 7, 5, 0]]))
    top = model.recommend(np.array([0, 1, 2]), 4)
    np.testing.assert_array_equal(top.items, [[2, -1, -1, -1], [1, -1, -1, -1], [0, -1, -1, -1]])
    np.testing.assert_array_equal(top.scores[:, 0], [2, 2, 2])
    anew = model.recommend(np.array([0]), 3, exclude_seen=False)
    np.testing.assert_array_equal(anew.items, [[0, 1, 2]])


@given(st.integers(0, 10_000), st.integers(1, 12), st.booleans(), st.floats(0, 1))
def test_one_ranking_gives_the_same_lists_as_scores_of_all_pairs(
    seed: int, k: int, exclude_seen: bool, density: float
) -> None:
    random = np.random.default_rng(seed)
    ratings = random.integers(0, 11, (6, 9)) * (random.random((6, 9)) < density)
    ratings[0, 0] = 5
    model = Popularity().fit(world_of(ratings))
    exclude = sp.csr_array((random.random((6, 9)) < 0.3).astype(np.float32))
    users = random.permutation(6)[:4].astype(np.int32)
    direct = model.recommend(users, k, exclude_seen, exclude)
    by_scores = Model.recommend(model, users, k, exclude_seen, exclude)
    np.testing.assert_array_equal(direct.items, by_scores.items)
    np.testing.assert_array_equal(direct.scores, by_scores.scores)
