from pathlib import Path

import numpy as np
import pytest
import scipy.sparse as sp

from recsys_dagster.data.interactions import Interactions
from recsys_dagster.data.items import ItemFeatures
from recsys_dagster.data.training_data import TrainingData
from recsys_dagster.evaluation.example_lists import (
    ListedItem,
    example_lists,
    pick_example_users,
    read_example_lists,
    write_example_lists,
)
from recsys_dagster.models.registry import get_model_class

N_USERS, N_ITEMS = 30, 60


def pairs(users: list[int], items: list[int], ratings: list[float]) -> Interactions:
    return Interactions(np.array(users, np.int32), np.array(items, np.int32), np.array(ratings, np.float32))


@pytest.fixture
def train() -> Interactions:
    """User u has the first u items, but user 14 has the last 14; each is rated 3, the even ones 4."""
    known = [(user, item) for user in range(N_USERS) for item in range(user) if user != 14]
    known += [(14, item) for item in range(N_ITEMS - 14, N_ITEMS)]
    return pairs([u for u, _ in known], [i for _, i in known], [4.0 - i % 2 for _, i in known])


@pytest.fixture
def later() -> Interactions:
    """Every user from 8 on likes item 40 and dislikes item 41."""
    users = list(range(8, N_USERS))
    return pairs(users * 2, [40] * len(users) + [41] * len(users), [5.0] * len(users) + [2.0] * len(users))


def test_the_five_users_go_from_light_to_heavy_with_one_of_rare_tastes(
    train: Interactions, later: Interactions
) -> None:
    picked = {example.name: example.user for example in pick_example_users(train, later, 4)}
    # The users 8 … 29 like something later. 5, 50 and 95 % of the 22, 21 and 20 of them that are left, by activity.
    assert picked["light"] == 9
    assert picked["average"] == 19
    assert picked["heavy"] == 28
    assert picked["niche"] == 14
    assert len(set(picked.values())) == 5


def test_the_history_of_the_new_user_is_the_five_items_rated_highest(train: Interactions, later: Interactions) -> None:
    *others, new = pick_example_users(train, later, 4)
    assert new.name == "new"
    assert new.history.items.tolist() == [0, 2, 4, 6, 8]
    # The other items that the user likes, of the training fold and of the test fold.
    assert new.liked.tolist() == [*range(10, new.user, 2), 40]
    for example in others:
        assert example.liked.tolist() == [40]
        assert len(example.history) == np.count_nonzero(train.users == example.user)


def test_each_of_few_users_is_picked_once() -> None:
    train = pairs([0, 0, 1], [0, 1, 0], [4, 3, 5])
    examples = pick_example_users(train, Interactions.empty(), 4)
    assert [(example.name, example.user) for example in examples] == [("light", 1), ("average", 0)]


def test_a_list_holds_no_item_of_the_history_and_marks_liked_items(train: Interactions, later: Interactions) -> None:
    features = ItemFeatures(
        genres=sp.csr_array(np.eye(3, dtype=np.float32)[np.arange(N_ITEMS) % 3]),
        genre_names=("a", "b", "c"), kinds=np.zeros(N_ITEMS, np.int16), kind_names=("TV",),
        years=np.full(N_ITEMS, 2000, np.float32), site_scores=np.full(N_ITEMS, np.nan, np.float32),
    )  # fmt: skip
    validation = pairs([28], [28], [5.0])
    seen_by_all = Interactions.concatenate(train, pairs([1] * 3, [40, 41, 42], [4.0] * 3))
    data = TrainingData(seen_by_all, validation, N_USERS, N_ITEMS, features, (0.5, 5), 4)
    model = get_model_class("popularity")().fit(data)
    examples = pick_example_users(train, later, 4)
    ids = np.arange(100, 100 + N_ITEMS, dtype=np.int32)

    listed = example_lists(model, examples, validation.matrix(N_USERS, N_ITEMS), ids)

    by_name = {e.name: [one for one in listed if one.example == e.name] for e in examples}
    assert [item.rank for item in by_name["average"]] == list(range(1, 11))
    # user 28 has the items 0 … 27 and, in the validation fold, 28; the user 29 makes none of it popular but 28
    heavy = [item.item_id for item in by_name["heavy"]]
    assert not set(heavy) & set(range(100, 129))
    assert {item.item_id for item in listed if item.liked and item.example == "heavy"} == {140} & set(heavy)
    # The most popular items; the even ones up to 8 are the history of the new user.
    assert [item.item_id for item in by_name["new"]][:5] == [101, 103, 105, 107, 109]
    assert {item.item_id - 100 for item in by_name["new"] if item.liked} <= set(examples[-1].liked.tolist())
    assert any(item.liked for item in by_name["new"])


def test_lists_are_read_as_they_were_written(tmp_path: Path) -> None:
    listed = [ListedItem("light", 1, 7, 0.5, True), ListedItem("new", 1, 9, 3.25, False)]
    path = tmp_path / "examples" / "ease.parquet"
    write_example_lists(listed, path)
    assert read_example_lists(path) == listed


def test_a_model_whose_lists_were_never_kept_has_none(tmp_path: Path) -> None:
    assert read_example_lists(tmp_path / "bpr.parquet") == []
