"""Faults in which ratings are learnt from and judged by (000, 001, 002, 004)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recsys_dagster.data.interactions import Interactions
from recsys_dagster.evaluation.evaluate import predictions
from recsys_dagster.evaluation.metrics.ratios import Statistic, mean, root_mean
from recsys_dagster.models.base import Params
from recsys_dagster.models.registry import get_model_class
from recsys_dagster.papers.experiment import Experiment
from recsys_dagster.papers.records import FaultRow
from recsys_dagster.papers.scores import Score, per_pair, squared_errors

MASKED_BELOW = 6.0
NEITHER = 3.5
SEEDS = 5
STACK_FOLDS = 3
STACKS = (("beta_network_100", "beta_network_128", "beta_network_150"), ("user_item_bias", "als", "embedding_mlp"))


def masked_below_six(experiment: Experiment) -> list[FaultRow]:
    """Ratings below 6 are dropped before the error is measured: what is left is easier for anybody, a constant too."""
    if experiment.data.scale[1] != 10:
        return []
    narrow = experiment.where(lambda pairs: ~(pairs.ratings < MASKED_BELOW))
    honest, faulty = (one.errors(one.fitted("embedding_mlp"), mean) for one in (experiment, narrow))
    constants = [constant_error(one) for one in (experiment, narrow)]
    unmasked = experiment.errors(narrow.fitted("embedding_mlp"), mean)
    fault = "masked-below-6", "000"
    return [
        experiment.row(*fault, "embedding_mlp", "mse", honest, faulty),
        experiment.row(*fault, "constant", "mse", *constants),
        experiment.row(
            *fault, "embedding_mlp", "mse / constant's", ratio(honest, constants[0]), ratio(faulty, constants[1])
        ),
        experiment.row(*fault, "embedding_mlp", "mse over all ratings", honest, unmasked),
    ]


def half_is_neither(experiment: Experiment) -> list[FaultRow]:
    """A rating of 3.5 is neither a like nor a dislike and is left out, where the answer is hardest."""
    if not np.any(experiment.test.ratings == NEITHER):
        return []
    without = experiment.where(lambda pairs: pairs.ratings != NEITHER)
    fault = "3.5-is-neither", "001"
    honest, faulty = (accuracy(one, "like_classifier") for one in (experiment, without))
    majorities = [majority_accuracy(one) for one in (experiment, without)]
    return [
        experiment.row(*fault, "like_classifier", "accuracy", honest, faulty),
        experiment.row(*fault, "majority", "accuracy", *majorities),
    ]


def unrated_as_minus_one(experiment: Experiment) -> list[FaultRow]:
    """A watch without a rating counts as a rating of -1, and is averaged in."""
    if not np.isnan(experiment.data.train.ratings).any():
        return []
    low, high = experiment.data.scale
    averaged = experiment.on(
        train=minus_one_for_none(experiment.data.train),
        validation=minus_one_for_none(experiment.data.validation),
        scale=(-1.0, high),
    )
    rows = []
    for name in ("user_item_bias", "embedding_mlp"):
        honest, faulty = experiment.fitted(name), averaged.fitted(name)
        judged = experiment.test.rated
        on_scale = np.clip(predictions(faulty, judged), low, high)
        rows += [
            experiment.row(
                "unrated-as-minus-1",
                "004",
                name,
                "rmse",
                experiment.errors(honest),
                squared_errors(on_scale, judged, experiment.n_users),
            ),
            experiment.row(
                "unrated-as-minus-1",
                "004",
                name,
                "rmse, -1 judged too",
                experiment.errors(honest),
                experiment.errors(faulty, test=minus_one_for_none(experiment.test)),
            ),
        ]
    return rows


def stack_in_sample(experiment: Experiment) -> list[FaultRow]:
    """The regression that stacks the networks learns from what they predict for the ratings they were trained on."""
    rows = []
    for members in STACKS:
        found = member_ratings(experiment, members)
        honest, faulty = (
            squared_errors(found.stacked(seen, experiment.data.scale), experiment.test.rated, experiment.n_users)
            for seen in (found.outside, found.inside)
        )
        rows.append(experiment.row("stack-in-sample", "002", f"stack of {', '.join(members)}", "rmse", honest, faulty))
    return rows


def stops_on_what_it_reports(experiment: Experiment) -> list[FaultRow]:
    """Training stops where the reported error is least: the ratings that judge it have chosen the epoch."""
    peeking = experiment.on(validation=experiment.test)
    name = "beta_network_100"
    scores = (one.errors(one.fitted(name)) for one in (experiment, peeking))
    return [experiment.row("stops-on-the-test", "002", name, "rmse", *scores)]


def luckiest_seed(experiment: Experiment) -> list[FaultRow]:
    """One seed is reported: here the luckiest of five beside their mean. The papers' networks differ by less."""
    found = []
    for seed in range(SEEDS):
        one = experiment.on(seed=seed)
        found.append(one.errors(one.fitted("embedding_mlp")).value)
    return [experiment.count("one-seed", "all", "embedding_mlp", "rmse", np.mean(found), min(found))]


def random_split(experiment: Experiment) -> list[FaultRow]:
    """The ratings to be predicted are drawn at random: the future of everybody is learnt from."""
    if experiment.test.times is None:
        return []
    pairs = Interactions.concatenate(experiment.data.train, experiment.data.validation, experiment.test)
    dealt = np.random.default_rng(experiment.seed).permutation(len(pairs))
    train, validation = len(experiment.data.train), len(experiment.data.validation)
    drawn = experiment.on(
        pairs.where(dealt >= train + validation),
        train=pairs.where(dealt < train),
        validation=pairs.where((dealt >= train) & (dealt < train + validation)),
    )
    rows = [
        experiment.row(
            "random-split", "all", name, "rmse", *(one.errors(one.fitted(name)) for one in (experiment, drawn))
        )
        for name in ("user_item_bias", "als", "embedding_mlp")
    ]
    constants = (constant_error(one, root_mean) for one in (experiment, drawn))
    return [*rows, experiment.row("random-split", "all", "constant", "rmse", *constants)]


@dataclass(frozen=True)
class MemberRatings:
    """What the members of a stack predict, a column a member.

    Attributes:
        given: (n,) the rated pairs of the training fold, as they were rated.
        outside: (n, m) predictions of them by members fitted without that third of them.
        inside: (n, m) predictions of them by the members themselves.
        of_test: (n_test, m) the members' predictions of the rated pairs of the test fold.
    """

    given: NDArray[np.float32]
    outside: NDArray[np.float32]
    inside: NDArray[np.float32]
    of_test: NDArray[np.float32]

    def stacked(self, seen: NDArray[np.float32], scale: tuple[float, float], alpha: float = 0.0) -> NDArray[np.float64]:
        """Return (n_test,) the stack's ratings, its weights fitted on `seen` by least squares with an L2 penalty."""
        from sklearn.linear_model import LinearRegression, Ridge

        regression = Ridge(alpha) if alpha else LinearRegression()
        ratings: NDArray[np.float64] = np.clip(regression.fit(seen, self.given).predict(self.of_test), *scale)
        return ratings


def member_ratings(
    experiment: Experiment, members: Sequence[str], params: Mapping[str, Params] | None = None, *, outside: bool = True
) -> MemberRatings:
    """Fit the members on the training fold, and each again without a third of its ratings in turn if `outside`.

    Args:
        experiment: on which.
        members: names of rating models.
        params: of those that have not their defaults.
        outside: whether `MemberRatings.outside` is wanted; else it is all NaN.
    """
    params = params or {}
    models = [experiment.fitted(name, params.get(name)) for name in members]
    rated, judged, data = experiment.data.train.rated, experiment.test.rated, experiment.data
    fold = np.random.default_rng(experiment.seed).integers(STACK_FOLDS, size=len(rated))
    found = MemberRatings(
        rated.ratings,
        np.full((len(rated), len(members)), np.nan, dtype=np.float32),
        np.column_stack([predictions(model, rated) for model in models]),
        np.column_stack([predictions(model, judged) for model in models]),
    )
    for column, name in enumerate(members if outside else ()):
        for held_out in range(STACK_FOLDS):
            part = replace(data, train=rated.where(fold != held_out))
            fitted = get_model_class(name)(params.get(name), seed=experiment.seed).fit(part)
            found.outside[fold == held_out, column] = predictions(fitted, rated.where(fold == held_out))
    return found


def minus_one_for_none(pairs: Interactions) -> Interactions:
    """Return the pairs with -1 for the rating where there is none."""
    return replace(pairs, ratings=np.nan_to_num(pairs.ratings, nan=-1.0))


def constant_error(experiment: Experiment, statistic: Statistic = mean) -> Score:
    """Return the MSE, or the RMSE by `root_mean`, of the mean rating of the training fold."""
    constant = float(experiment.data.train.rated.ratings.mean(dtype=np.float64))
    return squared_errors(constant, experiment.test.rated, experiment.n_users, statistic)


def ratio(model: Score, constant: Score) -> Score:
    """Return the model's mean squared error over the constant's: what share of the variance it leaves unexplained."""
    return Score(model.totals, constant.totals)


def accuracy(experiment: Experiment, name: str) -> Score:
    """Return how often a like model says rightly whether a rating of the test fold is a like."""
    judged = experiment.test.rated
    model: Any = experiment.fitted(name)
    said = model.like_probabilities(judged.users, judged.items) >= 0.5
    return _right(experiment, said)


def majority_accuracy(experiment: Experiment) -> Score:
    """Return how often the commoner answer of the training fold is right."""
    liked = experiment.data.train.rated.ratings >= experiment.data.like_threshold
    return _right(experiment, np.full(len(experiment.test.rated), liked.mean() >= 0.5))


def _right(experiment: Experiment, said: NDArray[np.bool_]) -> Score:
    judged = experiment.test.rated
    return per_pair(said == (judged.ratings >= experiment.data.like_threshold), judged.users, experiment.n_users, mean)
