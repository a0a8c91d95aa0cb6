"""Check that a model keeps the contract of `Model` and of its capabilities.

Call it from the tests of your own model:

    from recsys_dagster.models.contract import check_contract

    def test_my_model_keeps_the_contract():
        check_contract(MyModel)

It fits the model a few times on a small data set. Pass parameters with which that takes seconds.
"""

import json
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from recsys_dagster.data.interactions import Interactions
from recsys_dagster.data.training_data import TrainingData
from recsys_dagster.errors import RecsysError
from recsys_dagster.models.attempt import SkippedError
from recsys_dagster.models.base import STATE_FILE, Model, TopN, read_arrays
from recsys_dagster.models.capabilities import FoldIn, ItemContributions, RatingPredictor, SeparableInputs
from recsys_dagster.models.contract_data import (
    COLD_ITEMS,
    COLD_USERS,
    N_GENRES,
    N_ITEMS,
    N_USERS,
    UNRATED_USER,
    contract_data,
    implicit_contract_data,
)
from recsys_dagster.models.params import Params
from recsys_dagster.models.prediction_intervals import INTERVAL_LEVEL

ALL_USERS = np.arange(N_USERS, dtype=np.int32)


class ContractError(AssertionError):
    """A model does not keep the contract; the message says in what."""


@dataclass(frozen=True)
class Case:
    """A model to check: fitted once, and saved and loaded once.

    Attributes:
        model_class, params: what is checked.
        data: what it is fitted on.
    """

    model_class: type[Model]
    params: Params
    data: TrainingData

    def new(self) -> Model:
        """Return the model before it is fitted."""
        return self.model_class(self.params, seed=42)

    @cached_property
    def model(self) -> Model:
        """The fitted model."""
        return self.new().fit(self.data)

    @cached_property
    def saved(self) -> tuple[Model, dict[str, Any], list[str]]:
        """The model after saving and loading, its JSON description, and the dtype of each saved array."""
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            self.model.save(folder)
            loaded = self.model_class.load(folder)
            description = json.loads((folder / STATE_FILE).read_text(encoding="utf-8"))
            types = [str(array.dtype) for array in read_arrays(folder).values()]
        return loaded, description, types


def check_contract(model_class: type[Model], params: Params | None = None) -> None:
    """Run every check of the contract on a model.

    Args:
        model_class: the model.
        params: its parameters; None: its defaults.

    Raises:
        ContractError: one line for each check that failed.
    """
    case = Case(model_class, model_class.params_type() if params is None else params, contract_data())
    failures = []
    for check in CHECKS:
        try:
            check(case)
        except Exception as error:  # whatever a model raises is a failure of that check
            lines = [line.strip() for line in str(error).splitlines() if line.strip()]
            reason = " ".join(lines[:3]) if isinstance(error, AssertionError) else f"{type(error).__name__}: {error}"
            failures.append(f"{check.__name__}: {reason}")
    if failures:
        raise ContractError("\n".join([f"{model_class.__name__} does not keep the contract", *failures]))


def describes_itself(case: Case) -> None:
    """The docstring opens with a sentence, and every parameter has a description."""
    model_class = case.model_class
    _require(bool(getattr(model_class, "name", "")), "`name` is not set")
    _require(
        model_class.summary.endswith("."),
        "the first line of the class's docstring is not one sentence that ends with a full stop",
    )
    for name, preset in model_class.presets.items():
        _require(
            isinstance(preset, model_class.params_type), f"preset {name} is not a {model_class.params_type.__name__}"
        )
    for name, field in model_class.params_type.model_fields.items():
        _require(bool(field.description), f"parameter {name} has no description")


def lists_are_well_formed(case: Case) -> None:
    """Lists have the right shape and types, fall in score, repeat no item, and hold items of the training fold only."""
    _require_well_formed(case.model.recommend(ALL_USERS, 10), case.model, N_USERS, 10)


def lists_are_cut_to_the_number_of_items(case: Case) -> None:
    """A list longer than the catalogue ends with it."""
    _require_well_formed(case.model.recommend(ALL_USERS[:4], 10 * N_ITEMS), case.model, 4, N_ITEMS)


def seen_items_are_excluded(case: Case) -> None:
    """No list holds an item that the user has in the training fold; every other item of that fold can be listed."""
    model = case.model
    top = model.recommend(ALL_USERS, N_ITEMS)
    seen = model.seen_.toarray() > 0
    for user, items in enumerate(top.items):
        listed = items[items >= 0]
        _require(not seen[user, listed].any(), f"user {user} is recommended an item from their training fold")
        _require(
            len(listed) == N_ITEMS - len(COLD_ITEMS) - seen[user].sum(), f"user {user} is not recommended every item"
        )


def seen_items_are_listed_on_request(case: Case) -> None:
    """With exclude_seen=False every item of the training fold is listed."""
    listed = (case.model.recommend(ALL_USERS, N_ITEMS, exclude_seen=False).items >= 0).sum(axis=1)
    _require(bool((listed == N_ITEMS - len(COLD_ITEMS)).all()), "exclude_seen=False leaves out items")


def pairs_are_excluded_by_user_index(case: Case) -> None:
    """The pairs in `exclude` are left out, whatever the order of the users; the rest of the lists stays."""
    model = case.model
    users = np.array([5, 3], dtype=np.int32)
    first = model.recommend(users, 3)
    pairs = (np.repeat(users, 3), first.items.ravel())
    exclude = sp.csr_array((np.ones(6, dtype=np.float32), pairs), shape=(N_USERS, N_ITEMS))
    second, longer = model.recommend(users, 3, exclude=exclude), model.recommend(users, 6)
    np.testing.assert_array_equal(second.items, longer.items[:, 3:], "the lists without the excluded pairs")


def items_that_are_not_allowed_are_not_listed(case: Case) -> None:
    """The lists, of known and of new users, are those of all items without what is not allowed."""
    users, allowed = ALL_USERS[:4], np.arange(N_ITEMS) % 3 > 0
    for rest, every in (
        (case.model.recommend(users, 5, allowed=allowed), case.model.recommend(users, N_ITEMS)),
        (case.model.recommend_for(5, allowed=allowed), case.model.recommend_for(N_ITEMS)),
    ):
        for row, listed in enumerate(every.items):
            kept = listed[(listed >= 0) & allowed[listed]][:5]
            np.testing.assert_array_equal(rest.items[row, : len(kept)], kept, f"the list of user {row}")


def the_order_of_users_does_not_matter(case: Case) -> None:
    """A user gets the same list alone as among others."""
    users = np.array([40, 2, 119, 2], dtype=np.int32)
    together = case.model.recommend(users, 5)
    for row, user in enumerate(users):
        alone = case.model.recommend(np.array([user], dtype=np.int32), 5)
        np.testing.assert_array_equal(together.items[row], alone.items[0], f"the list of user {user}")
        np.testing.assert_allclose(together.scores[row], alone.scores[0], rtol=1e-4, atol=1e-5)


def no_users_get_no_lists(case: Case) -> None:
    """An empty array of users gives an empty array of lists."""
    shape = case.model.recommend(np.empty(0, dtype=np.int32), 5).items.shape
    _require(shape == (0, 5), f"the lists of no users have the shape {shape}, expected (0, 5)")


def cold_users_get_the_most_popular_items(case: Case) -> None:
    """A user without training pairs gets the items by popularity."""
    top = case.model.recommend(COLD_USERS, 10)
    np.testing.assert_array_equal(top.items, [_most_popular(case.model)] * 2, "the lists of cold users")


def users_without_ratings_get_full_lists(case: Case) -> None:
    """A user whose interactions have no ratings gets a full list."""
    top = case.model.recommend(np.array([UNRATED_USER], dtype=np.int32), 5)
    _require(bool((top.items >= 0).all()), "a user without ratings gets a short list")


def two_fits_with_one_seed_are_equal(case: Case) -> None:
    """The seed determines the result to the bit."""
    _require_equal_lists(case.model, case.new().fit(case.data))


def save_and_load_give_equal_results(case: Case) -> None:
    """A loaded model has the parameters, the seed and the learning curves of the saved one, and gives its results."""
    model, (loaded, _, _) = case.model, case.saved
    _require(loaded.params == model.params, "the parameters differ after loading")
    _require(loaded.seed == model.seed, "the seed differs after loading")
    _require(loaded.history_ == model.history_, "the learning curves differ after loading")
    _require_equal_lists(model, loaded)
    if isinstance(model, RatingPredictor) and isinstance(loaded, RatingPredictor):
        pairs = case.data.validation.users, case.data.validation.items
        np.testing.assert_array_equal(model.predict(*pairs), loaded.predict(*pairs), "predictions after loading")
    if isinstance(model, FoldIn):
        history = case.data.train.where(case.data.train.users < 3)
        before, after = (one.recommend_for(5, history=history).items for one in (model, loaded))
        np.testing.assert_array_equal(before, after, "lists of new users after loading")


def saved_files_hold_no_pickles(case: Case) -> None:
    """What is saved names the model, and its arrays hold numbers or text."""
    _, description, types = case.saved
    _require(description["model"] == case.model_class.name, "the saved description names another model")
    _require("object" not in types, "an array of Python objects is saved")


def predictions_are_on_the_scale(case: Case) -> None:
    """Every pair gets a rating on the scale; an unknown user and item get about the mean."""
    model, data = case.model, case.data
    if not isinstance(model, RatingPredictor):
        return
    users, items = (grid.ravel().astype(np.int32) for grid in np.meshgrid(ALL_USERS, np.arange(N_ITEMS)))
    ratings = model.predict(users, items)
    _require(ratings.shape == (N_USERS * N_ITEMS,), f"the predictions have the shape {ratings.shape}")
    _require(ratings.dtype == np.float32, f"the predictions are {ratings.dtype}, expected float32")
    low, high = model.scale_
    _require(bool(((ratings >= low) & (ratings <= high)).all()), f"predictions are not all from {low:g} to {high:g}")
    unknown = ratings[np.isin(users, COLD_USERS) & np.isin(items, COLD_ITEMS)]
    mean = data.train.rated.ratings.mean()
    _require(bool((np.abs(unknown - mean) < 1.5).all()), "an unknown user and item are not predicted about the mean")


def intervals_hold_the_predictions(case: Case) -> None:
    """Every pair has an interval on the scale around its prediction, kept by loading; most ratings lie in theirs."""
    model, loaded, data = case.model, case.saved[0], case.data
    if not (isinstance(model, RatingPredictor) and isinstance(loaded, RatingPredictor)):
        return
    _require(model.has_interval, "it has no interval, although there are held-out ratings")
    users, items = (grid.ravel().astype(np.int32) for grid in np.meshgrid(ALL_USERS, np.arange(N_ITEMS)))
    (low, high), ratings = model.predict_interval(users, items), model.predict(users, items)
    _require(low.shape == high.shape == ratings.shape, "there are not as many bounds as predictions")
    _require(low.dtype == high.dtype == np.float32, f"the bounds are {low.dtype}, expected float32")
    _require(bool(((low <= ratings) & (ratings <= high)).all()), "an interval does not hold its prediction")
    least, most = model.scale_
    _require(bool(((low >= least) & (high <= most)).all()), f"intervals are not all from {least:g} to {most:g}")
    np.testing.assert_array_equal((low, high), loaded.predict_interval(users, items), "intervals after loading")
    held_out = data.validation.rated
    low, high = model.predict_interval(held_out.users, held_out.items)
    share = float(np.mean((low <= held_out.ratings) & (held_out.ratings <= high)))
    _require(abs(share - INTERVAL_LEVEL) <= 0.07, f"{share:.0%} of the held-out ratings lie in their interval")


def predictions_beat_the_mean(case: Case) -> None:
    """On the validation fold the squared error is below that of the mean training rating."""
    model, data = case.model, case.data
    if not isinstance(model, RatingPredictor):
        return
    held_out = data.validation.rated
    error = model.predict(held_out.users, held_out.items) - held_out.ratings
    constant = data.train.rated.ratings.mean() - held_out.ratings
    _require(bool((error**2).mean() < (constant**2).mean()), "the mean rating predicts better than the model")


def predictions_from_own_inputs_are_the_models_own(case: Case) -> None:
    """With every input taken from its own pair, `predict_from` gives what the model predicts."""
    model, data = case.model, case.data
    if not (isinstance(model, SeparableInputs) and isinstance(model, RatingPredictor)):
        return
    pairs = data.validation
    own = {name: pairs.users if name == "user" else pairs.items for name in model.inputs}
    expected = model.predict(pairs.users, pairs.items)
    np.testing.assert_allclose(model.predict_from(own), expected, rtol=1e-4, atol=1e-5)


def contributions_sum_to_the_scores(case: Case) -> None:
    """What the items of a history contribute to the score of an item sums to that score."""
    model, data = case.model, case.data
    if not (isinstance(model, ItemContributions) and isinstance(model, FoldIn)):
        return
    history = data.train.where(data.train.users == 3)
    history = replace(history, users=np.zeros_like(history.users))
    top = model.recommend_for(5, history=history)
    liked, shares = model.contributions(history, top.items[0])
    _require(bool(np.isin(liked, history.items).all()), "an item that is not in the history contributes to a score")
    np.testing.assert_allclose(shares.sum(axis=0), top.scores[0], rtol=1e-3, atol=1e-4, err_msg="sums of contributions")


def similar_items_are_others_and_the_most_similar_come_first(case: Case) -> None:
    """No item is among the items similar to it, and similarities fall along the list."""
    model = case.model
    if not isinstance(model, ItemContributions):
        return
    items = np.arange(N_ITEMS, dtype=np.int32)
    similar, scores = model.similar_items(items, 5)
    _require(similar.shape == (N_ITEMS, 5), f"the lists of similar items have the shape {similar.shape}")
    _require(not (similar == items[:, None]).any(), "an item is similar to itself")
    _require(bool(((similar >= 0) == np.isfinite(scores)).all()), "a similarity has no item, or an item none")
    _require(bool((scores[:, :-1] >= scores[:, 1:]).all()), "similarities rise along a list")


def new_users_are_served_by_their_history(case: Case) -> None:
    """New users get full lists without the items of their history."""
    known = case.data.train.where(np.isin(case.data.train.users, [10, 11]))
    history = replace(known, users=known.users - np.int32(10))
    top = case.model.recommend_for(10, history=history)
    _require_well_formed(top, case.model, 2, 10)
    for user, items in enumerate(top.items):
        repeated = set(items) & set(history.items[history.users == user])
        _require(not repeated, "a new user is recommended an item of their own history")


def new_users_are_served_by_their_tastes(case: Case) -> None:
    """New users who like one genre get more items of it than those who like another."""
    model = case.model
    tastes = np.full((2, N_GENRES), np.nan, dtype=np.float32)
    tastes[0, 0], tastes[1, 1] = 10, 10
    top = model.recommend_for(10, tastes=tastes)
    _require_well_formed(top, model, 2, 10)
    shares = model.genres_.toarray()[top.items].mean(axis=1)
    _require(shares[0, 0] > shares[1, 0] and shares[1, 1] > shares[0, 1], "stated tastes do not change the lists")


def a_new_user_without_history_is_served_next_to_one_with(case: Case) -> None:
    """A new user without a history gets the same list alone as next to one who has a history."""
    known = case.data.train.where(case.data.train.users == 10)
    top = case.model.recommend_for(10, history=replace(known, users=known.users - np.int32(9)))
    _require_well_formed(top, case.model, 2, 10)
    alone = case.model.recommend_for(10)
    np.testing.assert_array_equal(top.items[0], alone.items[0], "the list of the user without a history")


def unknown_users_get_the_most_popular_items(case: Case) -> None:
    """A new user without a history and without tastes gets the items by popularity."""
    expected = _most_popular(case.model)[None]
    for top in (case.model.recommend_for(10), case.model.recommend_for(10, history=Interactions.empty())):
        np.testing.assert_array_equal(top.items, expected, "the list of an unknown user")


def it_can_be_refitted_on_all_folds(case: Case) -> None:
    """With every pair in the training fold, it gives well-formed lists again."""
    again = case.model.for_refit().fit(case.data.with_all(Interactions.empty()))
    _require_well_formed(again.recommend(ALL_USERS, 5), again, N_USERS, 5)


def implicit_feedback_is_learnt_or_refused(case: Case) -> None:
    """Without ratings it gives well-formed lists or, if it declares that it needs ratings, is skipped with a reason."""
    data = implicit_contract_data()
    try:
        model = case.new().fit(data)
    except SkippedError as error:
        _require(case.model_class.needs_ratings, f"it does not need ratings, but is skipped without any: {error}")
        return
    _require(not case.model_class.needs_ratings, "it needs ratings, and is fitted without any")
    _require_well_formed(model.recommend(ALL_USERS, 10), model, N_USERS, 10)
    known = data.train.where(data.train.users == 10)
    for weights in (known.weights, None):
        history = replace(known, users=np.zeros_like(known.users), weights=weights)
        _require_well_formed(model.recommend_for(10, history=history), model, 1, 10)
    tastes = np.full((1, N_GENRES), np.nan, dtype=np.float32)
    tastes[0, 0] = 1
    _require_well_formed(model.recommend_for(10, tastes=tastes), model, 1, 10)


def an_empty_training_fold_is_refused(case: Case) -> None:
    """Fitting on no pairs raises a RecsysError."""
    try:
        case.new().fit(replace(case.data, train=Interactions.empty()))
    except RecsysError:
        return
    raise ContractError("an empty training fold is accepted")


CHECKS: tuple[Callable[[Case], None], ...] = (
    describes_itself,
    lists_are_well_formed,
    lists_are_cut_to_the_number_of_items,
    seen_items_are_excluded,
    seen_items_are_listed_on_request,
    pairs_are_excluded_by_user_index,
    items_that_are_not_allowed_are_not_listed,
    the_order_of_users_does_not_matter,
    no_users_get_no_lists,
    cold_users_get_the_most_popular_items,
    users_without_ratings_get_full_lists,
    two_fits_with_one_seed_are_equal,
    save_and_load_give_equal_results,
    saved_files_hold_no_pickles,
    predictions_are_on_the_scale,
    intervals_hold_the_predictions,
    predictions_beat_the_mean,
    predictions_from_own_inputs_are_the_models_own,
    contributions_sum_to_the_scores,
    similar_items_are_others_and_the_most_similar_come_first,
    new_users_are_served_by_their_history,
    new_users_are_served_by_their_tastes,
    a_new_user_without_history_is_served_next_to_one_with,
    unknown_users_get_the_most_popular_items,
    it_can_be_refitted_on_all_folds,
    implicit_feedback_is_learnt_or_refused,
    an_empty_training_fold_is_refused,
)
"""All checks, in the order in which they run."""


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise ContractError(message)


def _require_well_formed(top: TopN, model: Model, n: int, k: int) -> None:
    _require(
        top.items.shape == top.scores.shape == (n, k), f"lists have the shape {top.items.shape}, expected {(n, k)}"
    )
    _require(
        top.items.dtype == np.int32 and top.scores.dtype == np.float32, "lists are not int32 items, float32 scores"
    )
    listed = top.items >= 0
    _require(bool((listed == np.isfinite(top.scores)).all()), "an item without a score, or a score without an item")
    _require(not (np.diff(listed.astype(int), axis=1) > 0).any(), "a list has a gap before its end")
    _require(bool((model.popularity_[top.items[listed]] > 0).all()), "an item outside the training fold is recommended")
    for items, scores in zip(top.items, top.scores, strict=True):
        length = int((items >= 0).sum())
        _require(len(set(items[:length])) == length, "a list holds an item twice")
        _require(bool((np.diff(scores[:length]) <= 0).all()), "a list is not sorted by score")


def _require_equal_lists(first: Model, second: Model) -> None:
    one, other = first.recommend(ALL_USERS, 10), second.recommend(ALL_USERS, 10)
    np.testing.assert_array_equal(one.items, other.items, "the items of the lists")
    np.testing.assert_array_equal(one.scores, other.scores, "the scores of the lists")


def _most_popular(model: Model) -> NDArray[np.int64]:
    return np.argsort(-model.popularity_, kind="stable")[:10]
