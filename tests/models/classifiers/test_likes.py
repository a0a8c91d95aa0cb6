import csv
import io
import os
import re
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse as sp
from small_world import UNRATED, pairs_of, world_of

from recsys_dagster.data.interactions import Interactions
from recsys_dagster.data.items import ItemFeatures
from recsys_dagster.data.training_data import TrainingData
from recsys_dagster.errors import RecsysError
from recsys_dagster.models.classifiers.likes import ItemInputs, sample_of, sigmoid
from recsys_dagster.models.registry import get_model_class

NAMES = ("like_classifier", "like_logistic", "like_forest", "like_naive_bayes")


def test_an_item_is_described_by_its_identity_its_first_two_genres_and_its_year() -> None:
    data = world_of([[8, 7, 9, 1]], genres=[[1, 0, 1], [0, 1, 0], [0, 0, 0], [1, 1, 1]])
    years = np.array([1999, np.nan, 1990, 1999], dtype=np.float32)
    inputs = ItemInputs.of(replace(data.item_features, years=years))
    assert inputs.sizes == (4, 4, 4, 3)
    np.testing.assert_array_equal(np.column_stack(inputs.columns).T[0], [0, 1, 2, 3])
    np.testing.assert_array_equal(np.column_stack(inputs.columns[1:3]), [[0, 2], [1, 3], [3, 3], [0, 1]])
    np.testing.assert_array_equal(inputs.columns[3], [1, 2, 0, 1])
    assert all(column.dtype == np.int32 for column in inputs.columns)


def test_genres_in_any_order_of_storage_are_taken_in_the_order_of_the_columns() -> None:
    data = world_of([[8, 7]], genres=[[1, 1, 0], [0, 1, 1]])
    shuffled = sp.csr_array((np.ones(4, np.float32), np.array([1, 0, 2, 1]), np.array([0, 2, 4])), shape=(2, 3))
    inputs = ItemInputs.of(replace(data.item_features, genres=shuffled))
    np.testing.assert_array_equal(np.column_stack(inputs.columns[1:3]), [[0, 1], [1, 2]])


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("ratings", [[[8, 9], [10, 0]], [[7, 1], [3, 0]], [[UNRATED, UNRATED], [UNRATED, 0]]])
def test_it_refuses_a_fold_with_nothing_to_tell_apart(name: str, ratings: list[list[float]]) -> None:
    with pytest.raises(RecsysError, match=f"{name}: .* both below and from 8 on"):
        get_model_class(name)().fit(world_of(ratings))


def test_a_rating_at_the_threshold_is_a_like() -> None:
    model = get_model_class("like_naive_bayes")().fit(world_of([[8, 7.5], [7.5, 0]]))
    np.testing.assert_array_equal(model.class_counts_, [2, 1])


def test_interactions_without_a_rating_are_not_used() -> None:
    rated, with_unrated = world_of([[9, 5], [7, 0]]), world_of([[9, 5], [7, UNRATED]])
    model_class = get_model_class("like_naive_bayes")
    np.testing.assert_array_equal(
        model_class().fit(rated).item_log_odds_, model_class().fit(with_unrated).item_log_odds_
    )


def test_an_item_that_one_user_likes_is_not_first_unless_ranked_by_probability_alone() -> None:
    ratings = np.zeros((12, 3))
    ratings[:10, 0], ratings[10, 1], ratings[:11, 2] = [8] * 5 + [7] * 5, 10, 1
    data = world_of(ratings)
    new_user = pairs_of([[0, 0, 1]])
    model_class = get_model_class("like_naive_bayes")
    for weight, expected in ((2, [0, 1]), (0, [1, 0])):
        model = model_class(model_class.params_type(popularity_weight=weight)).fit(data)
        np.testing.assert_array_equal(model.recommend_for(2, history=new_user).items, [expected])


def test_the_score_is_the_probability_plus_the_weighted_support() -> None:
    model_class = get_model_class("like_naive_bayes")
    model = model_class(model_class.params_type(popularity_weight=0.5)).fit(
        world_of([[10, 3, 0], [10, 0, 0], [10, 0, 1]])
    )
    users, items = np.zeros(3, dtype=np.int32), np.arange(3, dtype=np.int32)
    expected = model.like_probabilities(users, items) + 0.5 * np.log([4, 2, 2]) / np.log(4)
    np.testing.assert_allclose(model._scores(users[:1])[0], expected, rtol=1e-6)


def test_the_sigmoid_neither_overflows_nor_loses_its_shape() -> None:
    values = np.array([-np.inf, -1000, -np.log(3), 0, np.log(3), 1000], dtype=np.float32)
    np.testing.assert_allclose(sigmoid(values), [0, 0, 0.25, 0.5, 0.75, 1], atol=1e-7)


def test_a_sample_is_rising_without_repeats_equal_by_seed_and_announced(capsys: pytest.CaptureFixture[str]) -> None:
    np.testing.assert_array_equal(sample_of(5, 5, seed=0, name="m"), np.arange(5))
    assert capsys.readouterr().err == ""
    sample = sample_of(1000, 100, seed=3, name="m")
    assert len(sample) == 100
    assert (np.diff(sample) > 0).all()
    np.testing.assert_array_equal(sample, sample_of(1000, 100, seed=3, name="m"))
    assert (sample != sample_of(1000, 100, seed=4, name="m")).any()
    assert "m: learns from 100 of 1,000 ratings, drawn at random" in capsys.readouterr().err


def movielens(archive: Path) -> tuple[TrainingData, Interactions]:
    """Nine tenths of ml-latest-small, and the other tenth."""
    with zipfile.ZipFile(archive) as files:
        table = np.loadtxt(io.BytesIO(files.read("ml-latest-small/ratings.csv")), delimiter=",", skiprows=1)
        lines = files.read("ml-latest-small/movies.csv").decode("utf-8").splitlines()
    movies = {int(row["movieId"]): row for row in csv.DictReader(lines)}
    _, users = np.unique(table[:, 0], return_inverse=True)
    ids, items = np.unique(table[:, 1], return_inverse=True)
    genres = [set(movies[movie]["genres"].split("|")) - {"(no genres listed)"} for movie in ids.astype(int)]
    names = sorted(set().union(*genres))
    years = [re.search(r"\((\d{4})\)\s*$", movies[movie]["title"]) for movie in ids.astype(int)]
    unknown = np.full(len(ids), np.nan, dtype=np.float32)
    features = ItemFeatures(
        genres=sp.csr_array(np.array([[name in own for name in names] for own in genres], dtype=np.float32)),
        genre_names=tuple(names),
        kinds=np.full(len(ids), -1, dtype=np.int16),
        kind_names=(),
        years=np.array([float(year[1]) if year else np.nan for year in years], dtype=np.float32),
        site_scores=unknown,
    )
    pairs = Interactions(users.astype(np.int32), items.astype(np.int32), table[:, 2].astype(np.float32))
    held_out = np.random.default_rng(0).random(len(pairs)) < 0.1
    n_users, train = int(users.max()) + 1, pairs.where(~held_out)
    data = TrainingData(train, Interactions.empty(), n_users, len(ids), features, (0.5, 5), 4)
    return data, pairs.where(held_out)


@pytest.mark.skipif("RECSYS_MIRROR" not in os.environ, reason="RECSYS_MIRROR names no mirror of real data")
@pytest.mark.parametrize(
    ("name", "params", "least"),
    [("like_naive_bayes", {}, 0.69), ("like_logistic", {}, 0.71), ("like_forest", {"trees": 60}, 0.715)],
)
def test_on_real_ratings_likes_are_distinguished(name: str, params: dict[str, object], least: float) -> None:
    data, test = movielens(Path(os.environ["RECSYS_MIRROR"]) / "ml-latest-small.zip")
    model_class = get_model_class(name)
    model = model_class(model_class.params_type(**params)).fit(data)
    liked = test.ratings >= 4
    probabilities = model.like_probabilities(test.users, test.items)
    assert ((probabilities > 0.5) == liked).mean() > least
    assert max(liked.mean(), 1 - liked.mean()) < 0.55
    by_probability = liked[np.argsort(probabilities)]
    tenths = [part.mean() for part in np.array_split(by_probability, 10)]
    assert (np.diff(tenths) > 0).all(), "the likelier, the more likes"
