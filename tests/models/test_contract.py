"""What every model of the registry keeps to."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse as sp
from fitted_models import COLD_ITEMS, COLD_USERS, N_GENRES, N_ITEMS, N_USERS, WATCHES_ONLY, new_model

from recsys_dagster.data.interactions import Interactions
from recsys_dagster.data.training_data import TrainingData
from recsys_dagster.errors import RecsysError
from recsys_dagster.models.base import Model, TopN
from recsys_dagster.models.capabilities import FoldIn, RatingPredictor
from recsys_dagster.models.registry import get_model_class, model_names

EVERYBODY = np.arange(N_USERS, dtype=np.int32)

pytestmark = pytest.mark.parametrize("name", model_names())


@pytest.fixture
def model(name: str, fitted: Callable[[str], Model]) -> Model:
    return fitted(name)


def assert_well_formed(top: TopN, model: Model, n: int, k: int) -> None:
    assert top.items.shape == top.scores.shape == (n, k)
    assert top.items.dtype == np.int32
    assert top.scores.dtype == np.float32
    listed = top.items >= 0
    np.testing.assert_array_equal(listed, np.isfinite(top.scores))
    assert not (np.diff(listed.astype(int), axis=1) > 0).any(), "gaps come at the end of a list only"
    assert (model.popularity_[top.items[listed]] > 0).all(), "only items of the training fold"
    for items, scores in zip(top.items, top.scores, strict=True):
        length = (items >= 0).sum()
        assert len(set(items[:length])) == length, "no item twice"
        assert (np.diff(scores[:length]) <= 0).all(), "best first"


def test_a_model_describes_itself(name: str) -> None:
    kind = get_model_class(name)
    assert kind.name == name
    assert kind.summary.endswith(".")
    for preset in kind.presets.values():
        assert isinstance(preset, kind.params_type)
    for field, described in kind.params_type.model_fields.items():
        assert described.description, f"{field} has no description"


def test_lists_are_full_ordered_and_of_the_training_fold(model: Model) -> None:
    assert_well_formed(model.recommend(EVERYBODY, 10), model, N_USERS, 10)


def test_seen_titles_stay_out(model: Model) -> None:
    top = model.recommend(EVERYBODY, N_ITEMS)
    seen = model.seen_.toarray() > 0
    for user, items in enumerate(top.items):
        listed = items[items >= 0]
        assert not seen[user, listed].any()
        assert len(listed) == N_ITEMS - len(COLD_ITEMS) - seen[user].sum()


def test_seen_titles_come_back_when_asked_for(model: Model) -> None:
    top = model.recommend(EVERYBODY, N_ITEMS, exclude_seen=False)
    assert ((top.items >= 0).sum(axis=1) == N_ITEMS - len(COLD_ITEMS)).all()


def test_excluded_pairs_stay_out_by_user_index(model: Model) -> None:
    users = np.array([5, 3], dtype=np.int32)
    first = model.recommend(users, 3)
    pairs = (np.repeat(users, 3), first.items.ravel())
    exclude = sp.csr_array((np.ones(6, dtype=np.float32), pairs), shape=(N_USERS, N_ITEMS))
    second = model.recommend(users, 3, exclude=exclude)
    for before, after in zip(first.items, second.items, strict=True):
        assert not set(before) & set(after)
    longer = model.recommend(users, 6)
    np.testing.assert_array_equal(second.items, longer.items[:, 3:])


def test_a_list_longer_than_the_catalogue_is_cut(model: Model) -> None:
    assert_well_formed(model.recommend(EVERYBODY[:4], 10 * N_ITEMS), model, 4, N_ITEMS)


def test_the_order_of_the_users_does_not_matter(model: Model) -> None:
    users = np.array([40, 2, 119, 2], dtype=np.int32)
    together = model.recommend(users, 5)
    for row, user in enumerate(users):
        alone = model.recommend(np.array([user], dtype=np.int32), 5)
        np.testing.assert_array_equal(together.items[row], alone.items[0])
        np.testing.assert_allclose(together.scores[row], alone.scores[0], rtol=1e-4, atol=1e-5)


def test_nobody_is_served_with_no_lists(model: Model) -> None:
    assert model.recommend(np.empty(0, dtype=np.int32), 5).items.shape == (0, 5)


def test_users_without_training_pairs_get_the_most_popular(model: Model) -> None:
    ranking = np.argsort(-model.popularity_, kind="stable")[:10]
    np.testing.assert_array_equal(model.recommend(COLD_USERS, 10).items, [ranking, ranking])


def test_a_user_who_only_watched_gets_a_list(model: Model) -> None:
    top = model.recommend(np.array([WATCHES_ONLY], dtype=np.int32), 5)
    assert (top.items >= 0).all()


def test_two_fits_with_one_seed_are_equal(name: str, model: Model, data: TrainingData) -> None:
    again = new_model(name).fit(data)
    first, second = model.recommend(EVERYBODY, 10), again.recommend(EVERYBODY, 10)
    np.testing.assert_array_equal(first.items, second.items)
    np.testing.assert_array_equal(first.scores, second.scores)


def test_save_and_load_give_equal_scores(
    name: str, model: Model, data: TrainingData, reloaded: Callable[[str], tuple[Model, Path]]
) -> None:
    again, _ = reloaded(name)
    assert again.params == model.params
    assert again.seed == model.seed
    assert again.history_ == model.history_
    first, second = model.recommend(EVERYBODY, 10), again.recommend(EVERYBODY, 10)
    np.testing.assert_array_equal(first.items, second.items)
    np.testing.assert_array_equal(first.scores, second.scores)
    if isinstance(model, RatingPredictor):
        pairs = data.validation.users, data.validation.items
        np.testing.assert_array_equal(model.predict(*pairs), again.predict(*pairs))
    if isinstance(model, FoldIn):
        history = data.train.where(data.train.users < 3)
        np.testing.assert_array_equal(
            model.recommend_for(5, history=history).items, again.recommend_for(5, history=history).items
        )


def test_what_is_saved_is_plain(name: str, reloaded: Callable[[str], tuple[Model, Path]]) -> None:
    _, folder = reloaded(name)
    assert json.loads((folder / "state.json").read_text())["model"] == name
    with np.load(folder / "state.npz", allow_pickle=False) as arrays:
        assert all(arrays[key].dtype != object for key in arrays.files)


def test_predictions_lie_on_the_scale(model: Model, data: TrainingData) -> None:
    users, items = (grid.ravel().astype(np.int32) for grid in np.meshgrid(EVERYBODY, np.arange(N_ITEMS)))
    if not isinstance(model, RatingPredictor):
        pytest.skip("ranks only")
    ratings = model.predict(users, items)
    assert ratings.shape == (N_USERS * N_ITEMS,)
    assert ratings.dtype == np.float32
    assert not np.isnan(ratings).any()
    assert ratings.min() >= data.scale[0]
    assert ratings.max() <= data.scale[1]
    unknown = np.isin(users, COLD_USERS) & np.isin(items, COLD_ITEMS)
    mean = data.train.rated.ratings.mean()
    assert (np.abs(ratings[unknown] - mean) < 1.5).all(), "an unknown user and item are about average"


def test_rating_models_predict_better_than_the_mean(model: Model, data: TrainingData) -> None:
    if not isinstance(model, RatingPredictor):
        pytest.skip("ranks only")
    held_out = data.validation.rated
    error = model.predict(held_out.users, held_out.items) - held_out.ratings
    constant = data.train.rated.ratings.mean() - held_out.ratings
    assert (error**2).mean() < (constant**2).mean()


def test_strangers_are_served_by_their_history(model: Model, data: TrainingData) -> None:
    known = data.train.where(np.isin(data.train.users, [10, 11]))
    history = Interactions(known.users - np.int32(10), known.items, known.ratings, known.times)
    top = model.recommend_for(10, history=history)
    assert_well_formed(top, model, 2, 10)
    for person, items in enumerate(top.items):
        assert not set(items) & set(history.items[history.users == person])


def test_strangers_are_served_by_their_tastes(model: Model) -> None:
    tastes = np.full((2, N_GENRES), np.nan, dtype=np.float32)
    tastes[0, 0], tastes[1, 1] = 10, 10
    top = model.recommend_for(10, tastes=tastes)
    assert_well_formed(top, model, 2, 10)
    shares = model.genres_.toarray()[top.items].mean(axis=1)
    assert shares[0, 0] > shares[1, 0]
    assert shares[1, 1] > shares[0, 1]


def test_a_stranger_without_history_is_not_lost_among_those_with_one(model: Model, data: TrainingData) -> None:
    known = data.train.where(data.train.users == 10)
    history = Interactions(known.users - np.int32(9), known.items, known.ratings, known.times)
    top = model.recommend_for(10, history=history)
    assert_well_formed(top, model, 2, 10)
    np.testing.assert_array_equal(top.items[0], model.recommend_for(10).items[0])


def test_a_stranger_who_tells_nothing_gets_the_most_popular(model: Model) -> None:
    ranking = np.argsort(-model.popularity_, kind="stable")[:10]
    np.testing.assert_array_equal(model.recommend_for(10).items, ranking[None])
    np.testing.assert_array_equal(model.recommend_for(10, history=Interactions.empty()).items, ranking[None])


def test_it_refits_on_all_folds(name: str, model: Model, data: TrainingData) -> None:
    again = get_model_class(name)(model.refit_params()).fit(data.with_all(Interactions.empty()))
    assert_well_formed(again.recommend(EVERYBODY, 5), again, N_USERS, 5)


def test_an_empty_training_fold_is_refused(name: str, data: TrainingData) -> None:
    empty = TrainingData(
        Interactions.empty(), data.validation, N_USERS, N_ITEMS, data.item_features, data.scale, data.like_threshold
    )
    with pytest.raises(RecsysError, match="training fold is empty"):
        new_model(name).fit(empty)
