"""What a number beside the score means, with numbers worked out by hand."""

from dataclasses import replace

import numpy as np
import pytest
from small_world import world_of

from recsys_dagster.evaluation.score_meaning import meaningful_values
from recsys_dagster.models.registry import get_model_class

WORLD = world_of(
    [[10, 9, 0, 0], [8, 0, 3, 0], [0, 2, 9, 7], [9, 4, 0, 8]],
    genres=[[1, 0], [1, 1], [0, 1], [1, 0]],
    kinds=[0, 0, 0, 1],
)
USERS, ITEMS = np.array([0, 0, 1], np.int32), np.array([2, 3, 1], np.int32)


def test_a_rating_model_gives_the_rating_on_the_scale_without_the_support_that_ranks() -> None:
    model = get_model_class("user_item_bias")(seed=1).fit(WORLD)
    said = meaningful_values(model, USERS, ITEMS)
    assert list(said) == ["rating"], "without held-out ratings it has no interval"
    assert ((said["rating"] >= 1) & (said["rating"] <= 10)).all()
    weighted = type(model)(model.params.model_copy(update={"popularity_weight": 0.0}), seed=1).fit(WORLD)
    assert meaningful_values(weighted, USERS, ITEMS)["rating"] == pytest.approx(said["rating"])


def test_a_rating_model_with_an_interval_gives_its_bounds_too() -> None:
    model = get_model_class("user_item_bias")(seed=1).fit(replace(WORLD, validation=WORLD.train))
    said = meaningful_values(model, USERS, ITEMS)
    assert list(said) == ["rating", "rating_low", "rating_high"]
    assert (said["rating_low"] <= said["rating"]).all()
    assert (said["rating"] <= said["rating_high"]).all()


def test_a_like_model_gives_a_probability() -> None:
    model = get_model_class("like_logistic")(seed=1).fit(WORLD)
    said = meaningful_values(model, USERS, ITEMS)
    assert list(said) == ["probability"]
    assert ((said["probability"] >= 0) & (said["probability"] <= 1)).all()
    assert model.recommend(np.array([0], np.int32), 1).scores.max() > 1, "the score that ranks is no probability"


def test_a_content_model_gives_the_cosine_of_profile_and_item() -> None:
    model = get_model_class("genre_similarity")(get_model_class("genre_similarity").preset("paper_004"), seed=1).fit(
        WORLD
    )
    # User 0 rated items 0 (genre 0, TV) and 1 (both genres, TV): profile 19, 9 and TV 19; item 2 is genre 1 and TV.
    profile = np.array([19, 9, 19])
    item_2 = 28 / (np.sqrt(2) * np.linalg.norm(profile))
    item_3 = 19 / (np.sqrt(2) * np.linalg.norm(profile))
    said = meaningful_values(model, USERS[:2], ITEMS[:2])
    assert list(said) == ["similarity"]
    assert said["similarity"] == pytest.approx([item_2, item_3])


def test_a_model_that_only_ranks_says_nothing_beside_its_score() -> None:
    assert meaningful_values(get_model_class("popularity")(seed=1).fit(WORLD), USERS, ITEMS) == {}
