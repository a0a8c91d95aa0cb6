import numpy as np
import pytest
from small_world import pairs_of, world_of

from recsys_dagster.models.classifiers import like_naive_bayes
from recsys_dagster.models.registry import get_model_class

LikeNaiveBayes = get_model_class("like_naive_bayes")

RATINGS = [[9, 3], [8, 0], [0, 0]]
"""Two likes and one that is none. Odds with one added to each count: prior 2; item 0 (3/4)/(1/3), item 1 (1/4)/(2/3);
either genre, the only position that occurs of two, (3/4)/(2/3); year, the only position of one, 1.
User 0 (2/5)/(2/4), user 1 (2/5)/(1/4)."""
GENRES_ODDS = (9 / 8) ** 2


def odds(probabilities: np.ndarray) -> np.ndarray:
    return probabilities / (1 - probabilities)


def pairs(*pairs: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    users, items = np.array(pairs, dtype=np.int32).T
    return users, items


def test_the_odds_by_hand() -> None:
    model = LikeNaiveBayes().fit(world_of(RATINGS))
    expected = np.array([4 / 5 * 9 / 4, 4 / 5 * 3 / 8, 8 / 5 * 9 / 4]) * 2 * GENRES_ODDS
    np.testing.assert_allclose(odds(model.like_probabilities(*pairs((0, 0), (0, 1), (1, 0)))), expected, rtol=1e-5)


def test_an_input_without_a_training_rating_says_nothing() -> None:
    model = LikeNaiveBayes().fit(world_of(RATINGS))
    expected = np.array([9 / 4, 3 / 8]) * 2 * GENRES_ODDS
    np.testing.assert_allclose(odds(model.like_probabilities(*pairs((2, 0), (2, 1)))), expected, rtol=1e-5)


def test_a_new_user_with_a_users_history_gets_that_users_odds() -> None:
    model = LikeNaiveBayes().fit(world_of(RATINGS))
    new_users = model._log_odds_for(pairs_of([[9, 3], [8, 0]]), 3)
    np.testing.assert_allclose(new_users, model._log_odds(np.arange(3)), rtol=1e-5)


def test_counting_in_blocks_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    data = world_of(np.random.default_rng(0).integers(1, 11, (20, 8)))
    whole = LikeNaiveBayes().fit(data)
    monkeypatch.setattr(like_naive_bayes, "BLOCK_RATINGS", 7)
    np.testing.assert_array_equal(LikeNaiveBayes().fit(data).item_log_odds_, whole.item_log_odds_)
