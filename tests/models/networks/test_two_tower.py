from dataclasses import replace

import numpy as np
import pytest
from fitted_models import new_model
from small_world import UNRATED, pairs_of, world_of

from recsys_dagster.data.interactions import Interactions
from recsys_dagster.data.training_data import TrainingData
from recsys_dagster.errors import RecsysError
from recsys_dagster.models.base import Model
from recsys_dagster.models.contract_data import COLD_ITEMS, N_GENRES, UNRATED_USER
from recsys_dagster.models.networks import two_tower
from recsys_dagster.models.registry import get_model_class

TwoTower = get_model_class("two_tower")
QUICK = TwoTower.params_type(batch_size=100, epochs=1, patience=None)


@pytest.fixture
def model(fitted) -> Model:
    return fitted("two_tower")


def test_the_towers_are_the_papers_to_the_parameter() -> None:
    of_user, of_title = two_tower.build_tower(43), two_tower.build_tower(2 + 43)
    assert (of_user.count_params(), of_title.count_params()) == (48_288, 48_800)
    assert [layer.units for layer in of_user.layers] == [256, 128, 32]
    assert [layer.activation.__name__ for layer in of_user.layers] == ["relu", "relu", "linear"]


def test_the_preset_trains_as_published() -> None:
    paper = TwoTower.presets["paper"]
    assert (paper.learning_rate, paper.batch_size, paper.epochs, paper.patience) == (0.01, 32, 10, None)


def test_numpy_gives_what_keras_gives(data: TrainingData, monkeypatch: pytest.MonkeyPatch) -> None:
    networks = []
    build = two_tower.build_network
    monkeypatch.setattr(two_tower, "build_network", lambda *args: networks.append(build(*args)) or networks[0])
    model = TwoTower(QUICK).fit(data)
    pairs = data.validation.rated
    # The last rows of the tables are what is known from all of the training fold.
    rows = [two_tower.FOLDS * data.n_users + pairs.users, two_tower.FOLDS * data.n_items + pairs.items]
    products = networks[0].predict(rows, verbose=0)[:, 0]
    assert products.std() > 0.01
    np.testing.assert_allclose(model._predict(pairs.users, pairs.items), 5.5 + 4.5 * products, rtol=1e-4)
    listed = model._ratings(pairs.users)[np.arange(len(pairs)), pairs.items]
    np.testing.assert_allclose(listed, 5.5 + 4.5 * products, rtol=1e-4)
    tables = [layer for layer in networks[0].layers if not layer.trainable]
    assert len(tables) == 2, "the inputs of users and items are not trained"


def test_outputs_have_length_one_and_ratings_stay_on_the_scale(model: Model) -> None:
    for vectors in (model.users_, model.items_):
        np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, rtol=1e-5)
    ratings = model._ratings(np.arange(model.n_users_))
    assert ratings.min() > 1 - 1e-4
    assert ratings.max() < 10 + 1e-4


def test_means_and_deviations_are_weighted_and_ignore_unknown_values() -> None:
    features = np.array([[1, 5, np.nan], [4, 5, np.nan], [np.nan, 5, np.nan], [100, 9, 100]], dtype=np.float32)
    mean, deviation = two_tower.standardiser(features, np.array([2, 1, 3, 0]))
    np.testing.assert_allclose(mean, [2, 5, 0])
    np.testing.assert_allclose(deviation, [np.sqrt(2), 1, 1], rtol=1e-6)
    scaled = two_tower.standardised(features[:3], mean, deviation)
    np.testing.assert_allclose(scaled, [[-1 / np.sqrt(2), 0, 0], [np.sqrt(2), 0, 0], [0, 0, 0]], rtol=1e-6)


def test_damped_training_ratings_stand_in_for_a_missing_site_score() -> None:
    data = world_of([[10, 4, 0], [10, 0, 0]], genres=[[1, 0], [0, 1], [1, 1]])
    features = replace(
        data.item_features, years=np.array([1990, np.nan, 2000]), site_scores=np.array([np.nan, 7.5, np.nan])
    )
    inputs = two_tower.item_inputs(features, data.train, 8.0)
    # item 0: (10 + 10 + 5 · 8) / 7; item 2 has no rating
    np.testing.assert_allclose(inputs, [[1990, 60 / 7, 1, 0], [np.nan, 7.5, 0, 1], [2000, 8, 1, 1]], rtol=1e-6)


def test_the_validation_fold_is_in_no_feature(data: TrainingData) -> None:
    held_out = data.validation
    opposite = Interactions(held_out.users, held_out.items, 11 - held_out.ratings, held_out.times)
    first, second = (TwoTower(QUICK).fit(replace(data, validation=fold)) for fold in (held_out, opposite))
    assert first.history_["val_loss"] != second.history_["val_loss"]
    for one, other in zip(first.user_tower_ + first.item_tower_, second.user_tower_ + second.item_tower_, strict=True):
        np.testing.assert_array_equal(one, other)
    np.testing.assert_array_equal(first.users_, second.users_)


def test_a_training_rating_is_not_among_its_own_inputs(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = {}
    build, train = two_tower.build_network, two_tower.train

    def capture_tables(user_tower, title_tower, user_rows, title_rows):
        seen.update(user_rows=user_rows, title_rows=title_rows)
        return build(user_tower, title_tower, user_rows, title_rows)

    def capture_examples(network, params, examples, *args, **kwargs):
        seen.update(examples=examples)
        return train(network, params, examples, *args, **kwargs)

    monkeypatch.setattr(two_tower, "build_network", capture_tables)
    monkeypatch.setattr(two_tower, "train", capture_examples)
    TwoTower(QUICK).fit(world_of(np.diag([10.0, 4, 6, 8])))
    of_user, of_title = seen["examples"].inputs
    # Each user and item has this one rating; without it the taste and the mean rating are unknown.
    np.testing.assert_array_equal(seen["user_rows"][of_user], 0)
    site_scores = seen["title_rows"][of_title][:, 1]
    np.testing.assert_array_equal(site_scores, site_scores[0])
    assert np.ptp(seen["user_rows"][-4:]) > 0
    assert np.ptp(seen["title_rows"][-4:, 1]) > 0
    np.testing.assert_allclose(seen["examples"].targets, [1, -1 / 3, 1 / 9, 5 / 9], rtol=1e-6)


def test_a_new_user_with_a_users_history_gets_that_users_ratings(model: Model, data: TrainingData) -> None:
    history = data.train.where(data.train.users < 4)
    np.testing.assert_allclose(model._ratings_for(history, 4), model._ratings(np.arange(4)), rtol=1e-5)


def test_an_item_without_ratings_is_predicted_from_its_features(model: Model, data: TrainingData) -> None:
    users = np.arange(100, dtype=np.int32)
    first, second = (model.predict(users, np.full(100, item, dtype=np.int32)) for item in COLD_ITEMS)
    assert np.corrcoef(first, second)[0, 1] < 0.999
    better = replace(data.item_features, site_scores=np.where(np.arange(data.n_items) == COLD_ITEMS[0], 9.5, 7.0))
    worse = replace(data.item_features, site_scores=np.where(np.arange(data.n_items) == COLD_ITEMS[0], 4.0, 7.0))
    high, low = (
        two_tower.through(model.item_tower_, two_tower.item_inputs(features, data.train.rated, 7.0))[COLD_ITEMS[0]]
        for features in (better, worse)
    )
    assert (model.users_ @ (high - low)).mean() > 0.1


def test_who_loves_a_genre_gets_more_of_it_than_who_hates_it(model: Model) -> None:
    for genre in range(N_GENRES):
        tastes = np.full((2, N_GENRES), np.nan, dtype=np.float32)
        tastes[:, genre] = 10, 2
        ratings = model._ratings_by_taste(tastes)
        flags = model.genres_.toarray()[:, genre] > 0
        leaning = ratings[:, flags].mean(axis=1) - ratings[:, ~flags].mean(axis=1)
        assert leaning[0] > leaning[1]


def test_a_user_without_ratings_is_average(model: Model) -> None:
    average = two_tower.through(model.user_tower_, np.full((1, N_GENRES), np.nan, dtype=np.float32))
    np.testing.assert_allclose(model.users_[[UNRATED_USER]], average, rtol=1e-5, atol=1e-6)


def test_a_fold_without_ratings_is_refused() -> None:
    with pytest.raises(RecsysError, match="two_tower: the training fold has no ratings"):
        TwoTower().fit(world_of([[UNRATED, UNRATED]]))


def test_without_a_validation_fold_it_trains_every_epoch(data: TrainingData) -> None:
    model = new_model("two_tower").fit(data.with_all(Interactions.empty()))
    assert model.best_epoch_ == len(model.history_["loss"]) == model.params.epochs


def test_a_history_without_ratings_still_gives_a_list(model: Model) -> None:
    top = model.recommend_for(5, history=pairs_of([[UNRATED, UNRATED, 0]]))
    assert (top.items >= 2).all()
