from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from recsys_dagster.data.interactions import Interactions
from recsys_dagster.evaluation.importance import Importance, permutation_importance, read_importance, write_importance
from recsys_dagster.models.capabilities import SeparableInputs
from recsys_dagster.models.registry import get_model_class


class ByUser(SeparableInputs, get_model_class("user_item_bias")):  # type: ignore[misc]
    """Predicts the number of the user, whatever the item."""

    inputs = ("item", "user")

    def predict_from(self, sources: Mapping[str, NDArray[np.int32]]) -> NDArray[np.float32]:
        return sources["user"].astype(np.float32)


class ByItem(SeparableInputs, get_model_class("popularity")):  # type: ignore[misc]
    """Is nine tenths sure that the item 1 is liked, and that item 0 is not."""

    inputs = ("user", "item")

    def predict_from(self, sources: Mapping[str, NDArray[np.int32]]) -> NDArray[np.float32]:
        return np.where(sources["item"] == 1, 0.9, 0.1).astype(np.float32)


@pytest.fixture
def fold() -> Interactions:
    """400 pairs: the users 0 and 4, who give 0 and 4, and an interaction without a rating."""
    users = np.tile(np.array([0, 4], np.int32), 200)
    items = np.repeat(np.array([0, 1], np.int32), 200)
    return Interactions(np.append(users, 0).astype(np.int32), np.append(items, 0).astype(np.int32),
                        np.append(users, np.nan).astype(np.float32))  # fmt: skip


def test_an_input_that_a_model_ignores_has_no_importance(fold: Interactions) -> None:
    user, item = permutation_importance(ByUser(), fold, 4, seed=1)
    assert (item.input, item.metric, item.whole) == ("item", "rmse", 0)
    assert item.value == item.low == item.high == 0
    # half of the pairs get the other user and are off by 4: the root of 8
    assert user.input == "user"
    assert user.value == pytest.approx(np.sqrt(8), abs=0.1)
    assert user.low <= user.value <= user.high


def test_the_importance_to_a_like_model_is_added_log_loss(fold: Interactions) -> None:
    liked = Interactions(fold.users[:400], fold.items[:400], np.where(fold.items[:400] == 1, 5, 1).astype(np.float32))
    item, user = permutation_importance(ByItem(), liked, 4, seed=1)
    assert (item.input, item.metric) == ("item", "log_loss")
    assert item.whole == pytest.approx(-np.log(0.9))
    # half of the pairs get the other item: -log .1 instead of -log .9
    assert item.value == pytest.approx((np.log(0.9) - np.log(0.1)) / 2, abs=0.1)
    assert user.value == 0


def test_a_sample_of_a_large_fold_is_used(fold: Interactions, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("recsys_dagster.evaluation.importance.MAX_PAIRS", 50)
    user, _ = permutation_importance(ByUser(), fold, 4, seed=1)
    assert user.value == pytest.approx(np.sqrt(8), abs=0.4)


def test_equal_seeds_give_equal_importances(fold: Interactions) -> None:
    assert permutation_importance(ByUser(), fold, 4, seed=1) == permutation_importance(ByUser(), fold, 4, seed=1)


def test_a_model_without_separable_inputs_has_no_importances(fold: Interactions) -> None:
    assert permutation_importance(get_model_class("popularity")(), fold, 4, seed=1) == []


def test_importances_are_read_as_they_were_written(tmp_path: Path) -> None:
    path = tmp_path / "importance" / "two_tower.json"
    assert read_importance(path) == [], "evaluated before it was kept"
    importances = [Importance("user", "rmse", 1.0, 0.5, 0.4, 0.6)]
    write_importance(importances, path)
    assert read_importance(path) == importances
