"""The lists that Spark's tasks make are those of the model."""

from pathlib import Path

import numpy as np
import pytest
import scipy.sparse as sp
from fitted_models import case_of
from spark_environment import needs_spark, small_spark

from recsys_dagster.models.base import TopN, top_k
from recsys_dagster.models.capabilities import FactoredScores
from recsys_dagster.models.contract_data import N_ITEMS, N_USERS
from recsys_dagster.runtime.layout import Layout
from recsys_dagster.serving import spark_lists as module
from recsys_dagster.serving.spark_lists import problem_on_spark, spark_lists, user_rows
from recsys_dagster.spark.ranking import ItemSide, highest

__all__ = ["small_spark"]

USERS = np.random.default_rng(3).permutation(N_USERS).astype(np.int32)
EXCLUDED = sp.random_array((N_USERS, N_ITEMS), density=0.05, rng=np.random.default_rng(1), dtype=np.float32).tocsr()
ALLOWED = np.arange(N_ITEMS) != 7


def require_equal(ours: TopN, expected: TopN) -> None:
    """The same scores at each rank, and the same items but where two scores of a list are equal up to rounding."""
    np.testing.assert_allclose(ours.scores, expected.scores, rtol=1e-5, atol=1e-5)
    gaps = np.abs(np.diff(expected.scores, axis=1, prepend=np.inf, append=-np.inf))
    is_alone = (gaps[:, :-1] > 1e-5) & (gaps[:, 1:] > 1e-5)
    is_alone[:, -1] = False  # the next item, which is not listed, may have the same score
    assert is_alone.mean() > 0.5
    np.testing.assert_array_equal(ours.items[is_alone], expected.items[is_alone])


@pytest.mark.parametrize("name", ["als", "bayesian_fm", "implicit_als", "bpr", "ease"])
def test_a_task_ranks_as_the_model_does(name: str) -> None:
    model = case_of(name).model
    assert isinstance(model, FactoredScores)
    factors = model.factored_scores()
    side = ItemSide(factors.items, factors.columns, model.popularity_, ALLOWED & (model.popularity_ > 0))
    ranked = side.rank(user_rows(model, factors, USERS, EXCLUDED, 0), 10)
    items, scores = (np.array(ranked.column(one).to_pylist()) for one in ("items", "scores"))
    require_equal(TopN(items, scores), model.recommend(USERS, 10, exclude=EXCLUDED, allowed=ALLOWED))


def test_the_highest_are_those_of_the_compiled_loop() -> None:
    scores = np.random.default_rng(0).integers(0, 9, (50, 40)).astype(np.float32)
    scores[:, ::3] = -np.inf
    scores[3] = -np.inf
    for k in (1, 7, 40):
        for ours, expected in zip(highest(scores, k), top_k(scores, k), strict=True):
            np.testing.assert_array_equal(ours, expected)


@needs_spark
@pytest.mark.usefixtures("small_spark")
def test_lists_of_all_users_come_back_from_spark_in_their_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "USERS_PER_BLOCK", 50)
    model = case_of("ease").model
    blocks = list(spark_lists(model, USERS, 10, EXCLUDED, ALLOWED, Layout(tmp_path)))
    assert [len(users) for users, _ in blocks] == [50, 50, 20]
    np.testing.assert_array_equal(np.concatenate([users for users, _ in blocks]), USERS)
    lists = TopN(*(np.concatenate([getattr(top, one) for _, top in blocks]) for one in ("items", "scores")))
    require_equal(lists, model.recommend(USERS, 10, exclude=EXCLUDED, allowed=ALLOWED))
    assert not list(Layout(tmp_path).spark().iterdir()), "files that went to Spark are left"


def test_a_model_whose_item_side_a_node_cannot_hold_is_refused_with_its_size(monkeypatch: pytest.MonkeyPatch) -> None:
    assert problem_on_spark(case_of("ease").model) is None
    assert str(problem_on_spark(case_of("popularity").model)).startswith("popularity: ")
    monkeypatch.setattr(module, "LARGEST_ITEM_SIDE", 1000)
    assert "each node would hold" in str(problem_on_spark(case_of("ease").model))
