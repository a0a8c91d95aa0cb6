import numpy as np
import pytest
from small_world import UNRATED, pairs_of, world_of

from recsys_dagster.data.training_data import TrainingData
from recsys_dagster.models.neighbours.genre_similarity import GenreSimilarity, GenreSimilarityParams

PUBLISHED = GenreSimilarity.presets["paper_004"]

# Action, Comedy, Drama; kinds TV and Movie, unknown of the last
GENRES = [[1, 0, 0], [1, 1, 0], [0, 1, 0], [0, 0, 1], [1, 0, 1]]
KINDS = [0, 0, 1, 1, -1]


@pytest.fixture(scope="module")
def data() -> TrainingData:
    ratings = [
        [9, 6, 0, 0, 0],
        [0, 0, UNRATED, 8, 4],
        [0, 0, UNRATED, 0, 0],
        [7, 7, 7, 7, 7],
        [7, 0, 0, 0, 0],
    ]
    return world_of(ratings, GENRES, KINDS)


def test_the_published_score_by_hand(data: TrainingData) -> None:
    # user 0: Action 9 + 6, Comedy 6, TV 9 + 6; the profile sums to 36
    scores = GenreSimilarity(PUBLISHED).fit(data)._scores(np.array([0], dtype=np.int32))
    np.testing.assert_allclose(scores, [[30 / 36, 1, 6 / 36, 0, 15 / 36]], atol=1e-6)


def test_the_cosine_by_hand(data: TrainingData) -> None:
    params = GenreSimilarityParams(similarity="cosine", rarity=False, popularity_power=0)
    scores = GenreSimilarity(params).fit(data)._scores(np.array([0], dtype=np.int32))
    length = np.sqrt(15**2 + 6**2 + 15**2)
    shares = np.array([30 / np.sqrt(2), 36 / np.sqrt(3), 6 / np.sqrt(2), 0, 15 / np.sqrt(2)])
    np.testing.assert_allclose(scores, [shares / length], atol=1e-6)


def test_rare_features_weigh_more(data: TrainingData) -> None:
    params = GenreSimilarityParams(similarity="dot", rarity=True, popularity_power=0)
    features = GenreSimilarity(params).fit(data).features_.toarray()
    # three of five items are Action, two each Comedy, Drama, TV, Movie
    np.testing.assert_allclose(features[1], [np.log(5 / 3), np.log(5 / 2), 0, np.log(5 / 2), 0], rtol=1e-6)


def test_popular_items_come_first_among_the_similar(data: TrainingData) -> None:
    plain, popular = (
        GenreSimilarity(PUBLISHED.model_copy(update={"popularity_power": power})).fit(data) for power in (0, 1)
    )
    users = np.array([0], dtype=np.int32)
    np.testing.assert_allclose(popular._scores(users), plain._scores(users) * [3, 2, 3, 2, 2], rtol=1e-6)


def test_an_interaction_without_a_rating_counts_as_the_mean_of_the_users_ratings(data: TrainingData) -> None:
    model = GenreSimilarity(PUBLISHED).fit(data)
    # user 1: items 3 and 4 are rated 8 and 4; item 2 has no rating and counts 6
    np.testing.assert_allclose(model.profiles_[1], [4, 6, 12, 0, 14])
    np.testing.assert_allclose(model.profiles_[2], [0, 1, 0, 0, 1])


def test_a_disliked_genre_lowers_the_score_of_an_item(data: TrainingData) -> None:
    model = GenreSimilarity(PUBLISHED).fit(data)
    tastes = np.array([[10, np.nan, 1]], dtype=np.float32)
    # leans +1 and −1: Action alone 1/2, with Drama 0, Drama alone −1/2
    top = model.recommend_for(5, tastes=tastes)
    np.testing.assert_array_equal(top.items, [[0, 1, 2, 4, 3]])
    np.testing.assert_allclose(top.scores, [[0.5, 0.5, 0, 0, -0.5]])


def test_a_new_user_with_a_users_history_gets_that_users_scores(data: TrainingData) -> None:
    model = GenreSimilarity().fit(data)
    history = pairs_of([[0, 0, UNRATED, 8, 4]])
    np.testing.assert_allclose(model._scores_for(history, 1)[0], model._scores(np.array([1], dtype=np.int32))[0])


def test_items_without_features_score_zero(data: TrainingData) -> None:
    bare = world_of([[9, 8], [8, 0]], genres=[[1], [0]])
    scores = GenreSimilarity(PUBLISHED).fit(bare)._scores(np.array([0], dtype=np.int32))
    np.testing.assert_allclose(scores, [[1, 0]])
