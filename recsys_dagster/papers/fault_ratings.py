"""Faults in which ratings models learn from and are evaluated on (papers 000, 001, 002, 004)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from recsys_dagster.data.interactions import Interactions
from recsys_dagster.errors import RecsysError
from recsys_dagster.evaluation.evaluate import predictions
from recsys_dagster.evaluation.metrics.ratios import Statistic, mean, root_mean
from recsys_dagster.models.classifiers.likes import LikeModel
from recsys_dagster.models.params import Params
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
    """Ratings below 6 are dropped before the error is measured: the others are easier to predict."""
    if experiment.scale[1] != 10:
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
    """A rating of 3.5 counts as neither a like nor a dislike and is dropped, although it is the hardest case."""
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
    """An interaction without a rating counts as a rating of -1 in training and evaluation."""
    if not np.isnan(experiment.data.train.ratings).any():
        return []
    low, high = experiment.scale
    averaged = experiment.on(
        train=minus_one_for_none(experiment.data.train),
        validation=minus_one_for_none(experiment.data.validation),
        scale=(-1.0, high),
    )
    rows = []
    for name in ("user_item_bias", "embedding_mlp"):
        honest, faulty = experiment.fitted(name), averaged.fitted(name)
        rated = experiment.test.rated
        on_scale = np.clip(predictions(faulty, rated), low, high)
        rows += [
            experiment.row(
                "unrated-as-minus-1",
                "004",
                name,
                "rmse",
                experiment.errors(honest),
                squared_errors(on_scale, rated, experiment.n_users),
            ),
            experiment.row(
                "unrated-as-minus-1",
                "004",
                name,
                "rmse, -1 evaluated too",
                experiment.errors(honest),
                experiment.errors(faulty, test=minus_one_for_none(experiment.test)),
            ),
        ]
    return rows


def stack_in_sample(experiment: Experiment) -> list[FaultRow]:
    """The regression that stacks the networks learns from their predictions of the ratings they were trained on."""
    rows = []
    for members in STACKS:
        predicted = member_ratings(experiment, members)
        honest, faulty = (
            squared_errors(predicted.stacked(learnt, experiment.scale), experiment.test.rated, experiment.n_users)
            for learnt in (predicted.out_of_fold, predicted.in_sample)
        )
        rows.append(experiment.row("stack-in-sample", "002", f"stack of {', '.join(members)}", "rmse", honest, faulty))
    return rows


def stops_on_what_it_reports(experiment: Experiment) -> list[FaultRow]:
    """Training stops at the epoch with the lowest test error, so the test ratings have chosen the model."""
    peeking = experiment.on(validation=experiment.test)
    name = "beta_network_100"
    scores = (one.errors(one.fitted(name)) for one in (experiment, peeking))
    return [experiment.row("stops-on-the-test", "002", name, "rmse", *scores)]


def luckiest_seed(experiment: Experiment) -> list[FaultRow]:
    """Only one seed is reported: here the best of five, compared with their mean."""
    values = []
    for seed in range(SEEDS):
        one = experiment.on(seed=seed)
        values.append(one.errors(one.fitted("embedding_mlp")).value)
    return [experiment.count("one-seed", "all", "embedding_mlp", "rmse", float(np.mean(values)), min(values))]


def random_split(experiment: Experiment) -> list[FaultRow]:
    """The ratings to be predicted are drawn at random, so models learn from the future of every user."""
    if experiment.test.times is None:
        return []
    pairs = Interactions.concatenate(experiment.data.train, experiment.data.validation, experiment.test)
    position = np.random.default_rng(experiment.seed).permutation(len(pairs))
    train, validation = len(experiment.data.train), len(experiment.data.validation)
    drawn = experiment.on(
        pairs.where(position >= train + validation),
        train=pairs.where(position < train),
        validation=pairs.where((position >= train) & (position < train + validation)),
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
    """The predictions of the m members of a stack, a column for each.

    Attributes:
        ratings: (n,) true ratings of the rated pairs of the training fold.
        out_of_fold: (n, m) predictions of these by members fitted without that third of the pairs.
        in_sample: (n, m) predictions of these by members fitted on all of them.
        test: (n_test, m) predictions of the rated pairs of the test fold.
    """

    ratings: NDArray[np.float32]
    out_of_fold: NDArray[np.float32]
    in_sample: NDArray[np.float32]
    test: NDArray[np.float32]

    def stacked(
        self, predictions: NDArray[np.float32], scale: tuple[float, float], alpha: float = 0.0
    ) -> NDArray[np.float64]:
        """Return the (n_test,) ratings of the stack, whose weights are fitted on (n, m) predictions.

        The fit is by least squares with the L2 penalty `alpha`.
        """
        *weights, intercept = self.weights(predictions, alpha)
        ratings: NDArray[np.float64] = np.clip(self.test @ np.array(weights) + intercept, *scale)
        return ratings

    def weights(self, predictions: NDArray[np.float32], alpha: float = 0.0) -> list[float]:
        """Return the weight of each member, then the intercept; the arguments are those of `stacked`."""
        from sklearn.linear_model import LinearRegression, Ridge

        regression = (Ridge(alpha) if alpha else LinearRegression()).fit(predictions, self.ratings)
        return [*map(float, regression.coef_), float(regression.intercept_)]


def member_ratings(
    experiment: Experiment,
    members: Sequence[str],
    params: Mapping[str, Params] | None = None,
    *,
    out_of_fold: bool = True,
) -> MemberRatings:
    """Fit the members on the training fold and, if `out_of_fold`, again without each third of its ratings.

    Args:
        experiment: the folds.
        members: names of models that predict ratings.
        params: parameters by name; the other members have their defaults.
        out_of_fold: whether to compute `MemberRatings.out_of_fold`; else it is all NaN.
    """
    params = params or {}
    models = [experiment.fitted(name, params.get(name)) for name in members]
    rated, test, data = experiment.data.train.rated, experiment.test.rated, experiment.data
    fold = np.random.default_rng(experiment.seed).integers(STACK_FOLDS, size=len(rated))
    result = MemberRatings(
        rated.ratings,
        np.full((len(rated), len(members)), np.nan, dtype=np.float32),
        np.column_stack([predictions(model, rated) for model in models]),
        np.column_stack([predictions(model, test) for model in models]),
    )
    for column, name in enumerate(members if out_of_fold else ()):
        for held_out in range(STACK_FOLDS):
            part = replace(data, train=rated.where(fold != held_out))
            fitted = get_model_class(name)(params.get(name), seed=experiment.seed).fit(part)
            result.out_of_fold[fold == held_out, column] = predictions(fitted, rated.where(fold == held_out))
    return result


def minus_one_for_none(pairs: Interactions) -> Interactions:
    """Return the pairs with a rating of -1 where there is none."""
    return replace(pairs, ratings=np.nan_to_num(pairs.ratings, nan=-1.0))


def constant_error(experiment: Experiment, statistic: Statistic = mean) -> Score:
    """Return the MSE, or the RMSE with `root_mean`, of the mean rating of the training fold."""
    constant = float(experiment.data.train.rated.ratings.mean(dtype=np.float64))
    return squared_errors(constant, experiment.test.rated, experiment.n_users, statistic)


def ratio(model: Score, constant: Score) -> Score:
    """Return the model's MSE divided by the constant's: the share of the variance that it leaves unexplained."""
    return Score(model.totals, constant.totals)


def accuracy(experiment: Experiment, name: str) -> Score:
    """Return the accuracy of a like model on the rated pairs of the test fold."""
    return _accuracy(experiment, predicted_likes(experiment, name))


def majority_accuracy(experiment: Experiment) -> Score:
    """Return the accuracy of always giving the more frequent answer of the training fold."""
    liked = experiment.data.train.rated.ratings >= experiment.like_threshold
    return _accuracy(experiment, np.full(len(experiment.test.rated), liked.mean() >= 0.5))


def predicted_likes(experiment: Experiment, name: str, params: Params | None = None) -> NDArray[np.bool_]:
    """Return which rated pairs of the test fold a like model predicts to be likes."""
    return like_probabilities(experiment, name, params) >= 0.5


def like_probabilities(experiment: Experiment, name: str, params: Params | None = None) -> NDArray[np.float32]:
    """Return the (n,) probabilities, by a like model, that the rated pairs of the test fold are likes."""
    model, rated = experiment.fitted(name, params), experiment.test.rated
    if not isinstance(model, LikeModel):
        raise RecsysError(f"{name} predicts no probability of a like")
    return model.like_probabilities(rated.users, rated.items)


def _accuracy(experiment: Experiment, likes: NDArray[np.bool_]) -> Score:
    rated = experiment.test.rated
    is_right = likes == (rated.ratings >= experiment.like_threshold)
    return per_pair(is_right, rated.users, experiment.n_users, mean)
