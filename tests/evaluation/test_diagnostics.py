"""A model that saw the test fold is detected, on data where honest models are not."""

import numpy as np
import pytest
from known_scores import Table, training

from recsys_dagster.data.interactions import Interactions
from recsys_dagster.errors import RecsysError
from recsys_dagster.evaluation.diagnostics import Severity, diagnose
from recsys_dagster.evaluation.evaluate import constant_rating_metrics, evaluate
from recsys_dagster.evaluation.leaderboard import build_leaderboard, choose_champion
from recsys_dagster.evaluation.store import MetricRow
from recsys_dagster.evaluation.verdicts import verdicts
from recsys_dagster.models.registry import get_model_class

USERS, ITEMS = 400, 90


@pytest.fixture(scope="module")
def folds() -> list[Interactions]:
    """Ratings of 1 to 5 by users with tastes, popular items more often: 80 % to train on, 10 % each to evaluate on."""
    world = np.random.default_rng(0)
    tastes, traits = world.normal(0, 0.5, (USERS, 4)), world.normal(0, 0.8, (ITEMS, 4))
    ratings = np.clip(np.round(3.4 + tastes @ traits.T + world.normal(0, 0.7, (USERS, ITEMS))), 1, 5)
    known = world.random((USERS, ITEMS)) < 0.5 / (1 + np.arange(ITEMS) / 20)
    users, items = np.nonzero(known)
    everything = Interactions(users.astype(np.int32), items.astype(np.int32), ratings[known].astype(np.float32))
    part = world.random(len(everything))
    return [everything.where((part >= low) & (part < high)) for low, high in ((0, 0.8), (0.8, 0.9), (0.9, 1))]


def evaluated(model, folds, name=None):
    """The model's figures on both folds, as the evaluation of the lineage has them."""
    train, validation, test = folds
    rows = []
    for fold, pairs in (("validation", validation), ("test", test)):
        exclude = None if fold == "validation" else validation.matrix(USERS, ITEMS)
        result = evaluate(model, pairs, exclude, like_threshold=4, data=training(train, USERS, ITEMS), seed=1)
        rows += result.rows(name or model.name, "v1", "holdout", fold)
    return rows


@pytest.fixture(scope="module")
def honest(folds) -> list[MetricRow]:
    """The baselines, the constant, and three models that know nothing of the test."""
    data = training(folds[0], USERS, ITEMS)
    rows = []
    for name in ("popularity", "user_item_bias", "ease", "item_knn", "als"):
        rows += evaluated(get_model_class(name)().fit(data), folds)
    constant = constant_rating_metrics(folds[0], folds[2], seed=1)
    return rows + constant.rows("constant", "v1", "holdout", "test")


def names(rows):
    return {model: [one.name for one in diagnostics] for model, diagnostics in diagnose(rows).items()}


def test_nobody_honest_is_disqualified(honest):
    assert names(honest) == {"popularity": ["same list"], "user_item_bias": ["same list"]}


def leaky(name, folds):
    """The figures of a model that was fitted on the test fold too, and hides it."""
    train, _, test = folds
    model = get_model_class(name)().fit(training(Interactions.concatenate(train, test), USERS, ITEMS))
    with pytest.raises(RecsysError, match="pairs to be evaluated are in the training fold of the model"):
        evaluated(model, folds)
    model.seen_ = train.matrix(USERS, ITEMS)
    return evaluated(model, folds, "leaky")


def test_a_ranking_model_that_was_fitted_on_the_test_fold_too_is_detected(folds, honest):
    (diagnostic,) = diagnose([*honest, *leaky("ease", folds)])["leaky"]
    assert (diagnostic.severity, diagnostic.name) == (Severity.DISQUALIFYING, "leak")
    assert diagnostic.message.startswith("may have seen the test fold: NDCG@10 is 1.")
    assert "times that of popularity there, 0." in diagnostic.message


def test_a_rating_model_that_was_fitted_on_the_test_fold_too_is_detected(folds, honest):
    (diagnostic,) = diagnose([*honest, *leaky("als", folds)])["leaky"]
    assert (diagnostic.severity, diagnostic.name) == (Severity.DISQUALIFYING, "leak")
    assert diagnostic.message.startswith("may have seen the test fold: RMSE is 0.5")
    assert "times that of user_item_bias there, 0.8" in diagnostic.message


def test_a_disqualified_model_may_be_first_on_validation_but_is_not_champion(folds, honest):
    rows = leaky("als", folds)
    assert choose_champion([*honest, *[row for row in rows if row.fold == "validation"]]) == "leaky"
    assert choose_champion([*honest, *rows]) == "als"
    board = build_leaderboard([*honest, *rows], seed=0)
    assert board.rows[0].model == "leaky"
    assert board.rows[0].is_disqualified
    assert board.leader == "als"
    sentences = verdicts(board)
    assert sentences[0].startswith("als is the best on validation")
    assert any(sentence.startswith("leaky may have seen the test fold: RMSE") for sentence in sentences)


def test_an_impossibly_small_error_is_disqualifying(folds, honest):
    table = np.full((USERS, ITEMS), 3, np.float32)
    for fold in folds:
        table[fold.users, fold.items] = fold.ratings + 0.01
    diagnostics = diagnose([*honest, *evaluated(Table(table).fit(training(folds[0], USERS, ITEMS)), folds, "oracle")])[
        "oracle"
    ]
    assert diagnostics[0].severity is Severity.DISQUALIFYING
    assert "which no honest model reaches" in diagnostics[0].message


def test_a_model_that_predicts_a_constant_and_one_list_has_both_warnings(folds, honest):
    table = np.full((USERS, ITEMS), 3.5, np.float32)
    rows = evaluated(Table(table).fit(training(folds[0], USERS, ITEMS)), folds, "dull")
    assert [one.message for one in diagnose([*honest, *rows])["dull"]] == [
        "predicts the same rating for every pair",
        "recommends the same list to all users",
    ]
