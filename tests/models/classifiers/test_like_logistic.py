import numpy as np
import pytest
from small_world import pairs_of, world_of

from recsys_dagster.data.training_data import TrainingData
from recsys_dagster.models.base import Model
from recsys_dagster.models.classifiers.likes import ItemInputs
from recsys_dagster.models.registry import get_model_class

LikeLogistic = get_model_class("like_logistic")
Params = LikeLogistic.params_type


@pytest.fixture
def model(fitted) -> Model:
    return fitted("like_logistic")


def test_it_is_scikit_learns_regression_on_the_five_inputs_one_hot(model: Model, data: TrainingData) -> None:
    from sklearn.linear_model import LogisticRegression
    from sklearn.preprocessing import OneHotEncoder

    rated = data.train.rated
    inputs = ItemInputs.of(data.item_features)
    table = np.column_stack([rated.users, *(column[rated.items] for column in inputs.columns)])
    one_hot = OneHotEncoder().fit_transform(table)
    fitted = LogisticRegression(C=1.0, max_iter=1000, tol=1e-6).fit(one_hot, rated.ratings >= 8)
    expected = fitted.predict_proba(one_hot)[:, 1]
    np.testing.assert_allclose(model.like_probabilities(rated.users, rated.items), expected, atol=3e-3)


def test_a_users_weight_is_where_penalty_and_surprise_balance(model: Model, data: TrainingData) -> None:
    rated = data.train.rated
    surprise = (rated.ratings >= 8) - model.like_probabilities(rated.users, rated.items)
    balance = np.bincount(rated.users, surprise, minlength=data.n_users)
    np.testing.assert_allclose(model.user_log_odds_, balance, atol=1e-4)


def test_a_new_user_with_a_users_history_gets_that_users_odds(model: Model, data: TrainingData) -> None:
    history = data.train.where(data.train.users < 5)
    np.testing.assert_allclose(
        model._log_odds_for(history.rated, 6)[:5], model._log_odds(np.arange(5)), rtol=1e-4, atol=1e-4
    )


def test_even_one_sided_users_get_a_finite_weight() -> None:
    model = LikeLogistic(Params(inverse_penalty=1000.0)).fit(world_of([[10] * 30, [1] * 30, [10, 1] * 15]))
    weights = model._user_parts(pairs_of([[10] * 30, [1] * 30]), 2)
    assert np.isfinite(weights).all()
    assert weights[0] > 1 > -1 > weights[1]


def test_learning_from_a_sample_still_weighs_all_ratings_of_each_user(data: TrainingData) -> None:
    model = LikeLogistic(Params(max_ratings=400)).fit(data)
    rated = data.train.rated
    assert len(rated) > 800
    assert (model.user_log_odds_[np.unique(rated.users)] != 0).all()
    probabilities = model.like_probabilities(rated.users, rated.items)
    assert ((probabilities > 0.5) == (rated.ratings >= 8)).mean() > 0.7
