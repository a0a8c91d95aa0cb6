import numpy as np
import pytest
from small_world import pairs_of, world_of

from recsys_dagster.data.interactions import Interactions
from recsys_dagster.data.training_data import TrainingData
from recsys_dagster.models.base import Model
from recsys_dagster.models.classifiers.likes import sigmoid
from recsys_dagster.models.kernels.tree_grid import first_leaf, row_sums
from recsys_dagster.models.registry import get_model_class

LikeForest = get_model_class("like_forest")
Params = LikeForest.params_type


@pytest.fixture
def model(fitted) -> Model:
    return fitted("like_forest")


def test_the_flat_trees_give_what_scikit_learn_gives(data: TrainingData) -> None:
    from sklearn.ensemble import HistGradientBoostingClassifier

    model = LikeForest(Params(trees=12, patience=None)).fit(data)
    boosting = HistGradientBoostingClassifier(max_iter=12, early_stopping=False, random_state=42)
    rated = data.train.rated
    features, liked = model._out_of_fold_features(rated, np.nan_to_num(data.item_features.years, nan=2000))
    model._grow(features, liked, features[:0], liked[:0])
    expected = boosting.fit(features, liked).predict_proba(features)[:, 1]
    log_odds = model.baseline_ + row_sums(model._leaves(features, 0), model.values_)
    np.testing.assert_allclose(sigmoid(log_odds), expected, rtol=1e-6)


def test_the_first_leaf_is_the_lowest_bit() -> None:
    words = np.random.default_rng(0).integers(0, 2**64, 500, dtype=np.uint64) | np.uint64(1)
    for bit in range(64):
        assert all(first_leaf(word << np.uint64(bit)) == bit for word in words[:8])


def test_pairs_and_lists_get_the_same_odds(model: Model, data: TrainingData) -> None:
    users, items = data.validation.users, data.validation.items
    of_lists = model._log_odds(users)[np.arange(len(users)), items]
    np.testing.assert_allclose(model._pair_log_odds(users, items), of_lists, rtol=1e-6)


def test_the_encodings_by_hand() -> None:
    data = world_of([[9, 3, 0], [8, 8, 0], [2, 0, 0]], genres=[[1, 0], [1, 1], [0, 0]])
    model = LikeForest(Params(damping=1, trees=1)).fit(data)
    # three likes among five ratings: every rate is damped by one rating of 3/5
    np.testing.assert_allclose(model.users_[:, 0], [1.6 / 3, 2.6 / 3, 0.6 / 2], rtol=1e-6)
    np.testing.assert_allclose(model.users_[:, 1], np.log([3, 3, 2]), rtol=1e-6)
    np.testing.assert_allclose(model.items_[:, 0], [2.6 / 4, 1.6 / 3, 0.6], rtol=1e-6)
    np.testing.assert_allclose(model.items_[:, 1], np.log([4, 3, 1]), rtol=1e-6)
    # genre 1 is genre 0 for items 0 and 1, unknown for 2; genre 2 unknown for 0 and 2, genre 1 for item 1
    np.testing.assert_allclose(model.items_[:, 3], [3.6 / 6, 3.6 / 6, 0.6], rtol=1e-6)
    np.testing.assert_allclose(model.items_[:, 4], [2.6 / 4, 1.6 / 3, 2.6 / 4], rtol=1e-6)
    own = 1.6 / 3
    np.testing.assert_allclose(model.tastes_[0], [(1 + own) / 3, own / 2, (1 + own) / 2], rtol=1e-6)


def test_the_answer_of_a_training_rating_is_not_among_its_features() -> None:
    ratings = np.diag([10.0, 10, 10, 1, 1, 1])
    data = world_of(ratings)
    model = LikeForest(Params(trees=1)).fit(data)
    features, liked = model._out_of_fold_features(data.train, np.zeros(6))
    assert liked.sum() == 3
    np.testing.assert_allclose(features[:, [0, 2, 7, 8]], 0.5)
    np.testing.assert_array_equal(features[:, [1, 3]], 0)


def test_the_validation_fold_chooses_the_number_of_trees(model: Model) -> None:
    losses = model.history_["val_loss"]
    assert len(model.values_) == np.argmin(losses) + 1 < len(losses) < model.params.trees
    assert model.refit_params() == model.params.model_copy(update={"trees": len(model.values_), "patience": None})


def test_without_a_validation_fold_all_trees_are_kept(data: TrainingData) -> None:
    model = LikeForest(Params(trees=7)).fit(data.with_all(Interactions.empty()))
    assert len(model.values_) == 7


def test_a_new_user_with_a_users_history_gets_that_users_odds(model: Model, data: TrainingData) -> None:
    history = data.train.where(data.train.users < 5)
    np.testing.assert_array_equal(model._log_odds_for(history.rated, 5), model._log_odds(np.arange(5)))


def test_the_order_of_items_is_personal(model: Model) -> None:
    likes_first, likes_second = pairs_of([[10] * 5, [1] * 5]), pairs_of([[1] * 5, [10] * 5])
    first, second = (model._log_odds_for(history, 2) for history in (likes_first, likes_second))
    np.testing.assert_array_equal(first, second[::-1])
    assert (first[0] - first[1]).std() > 0.01


def test_it_learns_from_a_sample_where_there_is_more(data: TrainingData) -> None:
    model = LikeForest(Params(trees=5, max_ratings=300)).fit(data)
    features, liked = model._out_of_fold_features(data.train.rated, np.zeros(data.n_items))
    assert features.shape == (300, 9)
    assert len(liked) == 300
