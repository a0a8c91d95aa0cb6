"""Evaluate one model on one fold: rank all items for every user with a relevant one, and predict every rating.

Where the folds are cut by time, most users of a fold did nothing before the cut, and lists that know only the training
fold are nearly the same for all. A service knows more: so each user has a moment in the fold, what they had done before
it is folded in, and what they do from then on is to be predicted. The model stays the one of the training fold. Its
lists without the fold-in, called frozen, are evaluated beside that.

The candidates are all items of the training fold, never a sample of them, minus what the user already has. A relevant
item that no training pair mentions still counts: the user liked it although no list could hold it. So if the folds are
cut by time the best possible recall is below 1, for every model alike.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from recsys_dagster.data.fold_in import FoldedIn
from recsys_dagster.data.interactions import Interactions
from recsys_dagster.data.list_lengths import SHORT_LIST
from recsys_dagster.data.training_data import TrainingData
from recsys_dagster.errors import RecsysError
from recsys_dagster.evaluation.intervals import RESAMPLES
from recsys_dagster.evaluation.metrics.classification import classification_sums, confusion
from recsys_dagster.evaluation.metrics.inputs import Catalogue, RatedPairs
from recsys_dagster.evaluation.metrics.metric import MetricKey
from recsys_dagster.evaluation.metrics.rating_errors import error_sums, interval_sums
from recsys_dagster.evaluation.metrics.registry import (
    CATALOGUE_METRICS,
    FOLDED_IN,
    LIST_LENGTHS,
    LIST_METRICS,
    OVERLAP_METRICS,
    PAIR_METRICS,
    RANKING_METRICS,
    rating_ratios,
    user_ratios,
)
from recsys_dagster.evaluation.ranking import (
    ListContext,
    Ranking,
    lists_by_history,
    lists_of_known_users,
    rank,
    sample_lists,
)
from recsys_dagster.evaluation.relevance import Relevance, RelevantPairs
from recsys_dagster.evaluation.slices import Contribution, Slice, activity_parts, item_parts, reliability, slices
from recsys_dagster.evaluation.store import ConfusionRow, MetricRow, SliceRow, write_per_user
from recsys_dagster.evaluation.summary import MetricValue, with_intervals
from recsys_dagster.models.base import Model
from recsys_dagster.models.capabilities import FoldIn, RatingPredictor
from recsys_dagster.models.classifiers.likes import LikeModel
from recsys_dagster.runtime.blocks import PREDICTIONS_PER_BLOCK


@dataclass(frozen=True)
class Evaluation:
    """The results of an evaluation.

    Attributes:
        metrics: ranking metrics at each list length, and rating errors where the model predicts ratings; given the
            training data also metrics beyond accuracy, and of likes.
        per_user: a row for each user with an evaluated interaction in the fold, by rising `user_idx` (int32):
            `relevant` int64, number of relevant items; `known` int64, number of pairs that are known when lists are
            made; `<metric>_<k>` float64, NaN for a user without a relevant item or without what the metric needs; the
            sums of `error_sums`, `interval_sums` and `classification_sums`. A model that only ranks has no error
            columns, a constant no ranking columns.
        slices: the metrics of parts of the users and of the items; empty without the training data.
        confusion: (rating, predicted, pairs) as `confusion` returns them; empty for a model that predicts no ratings.
    """

    metrics: list[MetricValue]
    per_user: dict[str, NDArray[Any]]
    slices: list[Slice] = field(default_factory=list)
    confusion: list[tuple[float, float, int]] = field(default_factory=list)

    def value(self, key: MetricKey) -> MetricValue | None:
        """Return a metric; None if the evaluation has no value of it."""
        return next((one for one in self.metrics if one.key == key), None)

    def rows(self, model: str, version: str, protocol: str, fold: str) -> list[MetricRow]:
        """Return the metrics as rows of `evaluation.metrics`."""
        return [
            MetricRow(model, version, protocol, fold, m.metric, m.k, m.value, m.low, m.high, m.users)
            for m in self.metrics
        ]

    def slice_rows(self, model: str, version: str, protocol: str, fold: str) -> list[SliceRow]:
        """Return the slices as rows of `evaluation.slices`."""
        return [SliceRow(model, version, protocol, fold, **vars(one)) for one in self.slices]

    def confusion_rows(self, model: str, version: str, protocol: str, fold: str) -> list[ConfusionRow]:
        """Return the confusion matrix as rows of `evaluation.confusion`."""
        return [ConfusionRow(model, version, protocol, fold, *cell) for cell in self.confusion]

    def write_per_user(self, path: Path) -> None:
        """Write `per_user` as a Parquet file, NaN as NULL, replacing `path` atomically."""
        write_per_user(self.per_user, path)


def evaluate(
    model: Model,
    fold: Interactions,
    exclude: sp.csr_array | None,
    *,
    like_threshold: float | None,
    relevance: Relevance = Relevance.LIKED,
    folded_in: FoldedIn | None = None,
    data: TrainingData | None = None,
    ks: Sequence[int] = LIST_LENGTHS,
    seed: int,
    resamples: int = RESAMPLES,
) -> Evaluation:
    """Evaluate a fitted model on interactions that it has not seen.

    Args:
        model: fitted on the training fold, whose pairs it leaves out of its lists.
        fold: the interactions to evaluate on.
        exclude: (n_users, n_items) CSR of pairs of further folds to leave out of the lists, such as validation when
            testing.
        like_threshold: an item rated at or above it is relevant; None with implicit feedback, where every item of the
            fold is.
        relevance: which other interactions make an item relevant.
        folded_in: the fold before and after the moment at which lists are made; only what is later is relevant. A model
            that is no `FoldIn` ranks by its training fold, but leaves the history out too. None: lists are made at the
            beginning of the fold.
        data: what the model was fitted on; without it metrics beyond accuracy and of likes, and slices, are skipped.
        ks: lengths of the lists.
        seed: of the bootstrap; the ranking itself draws nothing.
        resamples: draws of the bootstrap.

    Raises:
        RecsysError: no item of the fold is relevant; the fold overlaps what the lists leave out, so that the result
            would be falsely low; a history is not earlier than what it is to predict; or the model's predictions are
            not numbers.
    """
    users, relevant = _evaluated(model, fold, exclude, like_threshold, relevance, folded_in)
    ranking = _rank(model, users, relevant, exclude, folded_in, ks, data)
    metrics, of_lists = _list_metrics(model, ranking, data), _ranking_contributions(ranking, relevant)
    learnt = known = np.diff(model.seen_.indptr)
    if folded_in is not None:
        known = np.bincount(folded_in.history.users, minlength=model.n_users_)
        metrics.append(_share_folded_in(model, known[users[ranking.eligible_users]]))

    rated = fold.rated
    per_user: dict[str, NDArray[Any]] = ranking.per_user | {"known": known[users]}
    rows = np.searchsorted(users, rated.users)
    predicted = predictions(model, rated) if isinstance(model, RatingPredictor) and len(rated) else None
    of_ratings: list[Contribution] = []
    if predicted is not None:
        errors = predicted.astype(np.float64) - rated.ratings
        per_user |= error_sums(rows, errors, len(users)) | interval_sums(model, rated, predicted, rows, len(users))
        of_ratings.append(Contribution(MetricKey("rmse"), rows, rated.users, rated.items, errors**2, root=True))
    by_probability: list[Slice] = []
    if data is not None and len(rated) and like_threshold is not None:
        like_scores = _like_scores(model, rated, predicted, like_threshold)
        if like_scores is not None:
            scores, probabilities, predicted_likes = like_scores
            liked, trained = (one.ratings >= like_threshold for one in (rated, data.train.rated))
            per_user |= classification_sums(rows, liked, predicted_likes, probabilities, len(users))
            metrics += _pair_metrics(RatedPairs(liked, scores, predicted, trained), len(users))
            if probabilities is not None:
                by_probability = reliability(liked, probabilities, rated.users)
    return Evaluation(
        with_intervals(per_user, user_ratios(ks), seed, resamples) + metrics,
        per_user,
        [] if data is None else [*_slices(of_lists, known, data), *_slices(of_ratings, learnt, data), *by_probability],
        [] if predicted is None else confusion(rated.ratings, predicted, model.scale_),
    )


def evaluate_frozen(
    model: Model,
    fold: Interactions,
    exclude: sp.csr_array | None,
    *,
    like_threshold: float | None,
    ks: Sequence[int] = LIST_LENGTHS,
    seed: int,
    resamples: int = RESAMPLES,
) -> Evaluation:
    """Evaluate the lists that a model makes at the beginning of a fold, as `evaluate` does, and nothing else of it."""
    users, relevant = _evaluated(model, fold, exclude, like_threshold, Relevance.LIKED, None)
    per_user = _rank(model, users, relevant, exclude, None, ks, None).per_user
    return Evaluation(with_intervals(per_user, user_ratios(ks), seed, resamples), per_user)


def constant_rating_metrics(
    train: Interactions, fold: Interactions, *, seed: int, resamples: int = RESAMPLES
) -> Evaluation:
    """Evaluate, on the ratings of `fold`, the constant that fits `train` best: its mean rating.

    A model whose error is no smaller has learnt nothing about users or items.

    Raises:
        RecsysError: one of the folds holds no rating.
    """
    rated = fold.rated
    for name, ratings in (("training", train.rated), ("evaluated", rated)):
        if len(ratings) == 0:
            raise RecsysError(f"the {name} fold holds no ratings, so there is no error to measure")
    errors = train.rated.ratings.mean(dtype=np.float64) - rated.ratings.astype(np.float64)
    users = np.unique(rated.users)
    per_user = {"user_idx": users} | error_sums(np.searchsorted(users, rated.users), errors, len(users))
    return Evaluation(with_intervals(per_user, rating_ratios(), seed, resamples), per_user)


def nothing_relevant(fold: Interactions, like_threshold: float | None, name: str = "fold") -> str:
    """Return why no item of a fold is relevant, and what can be done about it.

    Args:
        fold: interactions that make no item relevant.
        like_threshold: a rating at or above it is a like; None with implicit feedback.
        name: what to call the fold.
    """
    if len(fold) == 0 or like_threshold is None:
        return (
            f"the {name} is empty, so there is no ranking to evaluate; the split left no interaction for it, which "
            "happens with few interactions or with many at one time: choose a dataset with more"
        )
    if len(fold.rated) == 0:
        return (
            f"none of the {len(fold):,} interactions of the {name} has a rating, and only rated items can be relevant; "
            "choose a dataset with ratings"
        )
    return (
        f"no rating of the {name} reaches {like_threshold:g} (the highest of {len(fold.rated):,} is "
        f"{fold.rated.ratings.max():g}), so no item is relevant and there is no ranking to evaluate; lower the like "
        "threshold, or choose a dataset with more ratings"
    )


def _evaluated(
    model: Model,
    fold: Interactions,
    exclude: sp.csr_array | None,
    like_threshold: float | None,
    relevance: Relevance,
    folded_in: FoldedIn | None,
) -> tuple[NDArray[np.int32], RelevantPairs]:
    """Return the users of a fold, and what is relevant to them; raise RecsysError as `evaluate` does."""
    pairs, later = relevance.evaluated(fold, like_threshold), fold
    if folded_in is not None:
        folded_in.require_causal()
        later = folded_in.later
    relevant = relevance.relevant(later, like_threshold)
    if len(relevant) == 0:
        raise RecsysError(f"{model.name}: {nothing_relevant(later, like_threshold)}")
    _refuse_overlap(model, pairs, exclude)
    users = np.unique(pairs.users)
    return users, RelevantPairs.of(np.searchsorted(users, relevant.users), relevant.items, model.n_items_)


def _refuse_overlap(model: Model, pairs: Interactions, exclude: sp.csr_array | None) -> None:
    matrix = pairs.matrix(model.n_users_, model.n_items_)
    for source, mask in (("the training fold of the model", model.seen_), ("what the lists exclude", exclude)):
        common = 0 if mask is None else matrix.multiply(mask).nnz
        if common:
            raise RecsysError(
                f"{model.name}: {common} of the {matrix.nnz} pairs to be evaluated are in {source}; "
                "evaluate on a fold that is in neither"
            )


def _rank(
    model: Model,
    users: NDArray[np.int32],
    relevant: RelevantPairs,
    exclude: sp.csr_array | None,
    folded_in: FoldedIn | None,
    ks: Sequence[int],
    data: TrainingData | None,
) -> Ranking:
    """Rank for those of the users who have a relevant item."""
    eligible_users = users[relevant.counts(len(users)) > 0]
    histories = model.seen_
    if folded_in is not None:
        histories, exclude = folded_in.history.matrix(model.n_users_, model.n_items_), None
    if folded_in is None:
        blocks = lists_of_known_users(model, eligible_users, max(ks), exclude)
    elif isinstance(model, FoldIn):
        blocks = lists_by_history(model, folded_in.history, eligible_users, max(ks))
    else:
        blocks = lists_of_known_users(model, eligible_users, max(ks), histories)
    metrics = [*RANKING_METRICS, *([] if data is None else LIST_METRICS)]
    context = None
    if data is not None:
        catalogue = Catalogue.of(model.seen_, data.item_features.genres, data.train)
        context = ListContext(catalogue, histories, exclude)
    return rank(blocks, users, relevant, [MetricKey(metric.name, k) for metric in metrics for k in ks], context)


def _share_folded_in(model: Model, known: NDArray[np.integer]) -> MetricValue:
    """Return the share of users, given the (n,) pairs known of each, whose list is made of their history."""
    share = float(np.mean(known > 0)) if isinstance(model, FoldIn) else 0.0
    return MetricValue(FOLDED_IN.name, None, share, None, None, len(known))


def _list_metrics(model: Model, ranking: Ranking, data: TrainingData | None) -> list[MetricValue]:
    """Return the properties of all lists together; without the training data no overlap, which needs lists anew."""
    in_catalogue = model.popularity_ > 0
    users = len(ranking.eligible_users)
    values = [
        MetricValue(metric.name, k, metric.function(counts[in_catalogue]), None, None, users)
        for metric in CATALOGUE_METRICS
        for k, counts in ranking.times_recommended.items()
    ]
    items = None if data is None else sample_lists(model, SHORT_LIST)
    if items is not None:
        values += [
            MetricValue(metric.name, SHORT_LIST, metric.function(items), None, None, users)
            for metric in OVERLAP_METRICS
        ]
    return values


def _pair_metrics(pairs: RatedPairs, n_users: int) -> list[MetricValue]:
    values = {metric.name: metric.function(pairs) for metric in PAIR_METRICS}
    return [MetricValue(name, None, value, None, None, n_users) for name, value in values.items() if value == value]


def _ranking_contributions(ranking: Ranking, relevant: RelevantPairs) -> list[Contribution]:
    """Return what each relevant pair, and each user, adds to the ranking metrics of slices."""
    recall, ndcg = MetricKey("recall", SHORT_LIST), MetricKey("ndcg", SHORT_LIST)
    if ndcg.column not in ranking.values:
        return []
    users, eligible = ranking.users, ranking.eligible_users
    hits = ((ranking.ranks > 0) & (ranking.ranks <= SHORT_LIST)).astype(np.float64)
    return [
        Contribution(recall, relevant.rows, users[relevant.rows], relevant.items, hits),
        Contribution(ndcg, eligible, users[eligible], None, ranking.values[ndcg.column][eligible]),
    ]


def _slices(contributions: list[Contribution], known: NDArray[np.integer], data: TrainingData) -> list[Slice]:
    """Return the parts of contributions of a model that knows so many pairs of each user."""
    popularity = np.bincount(data.train.items, minlength=data.n_items)
    return slices(contributions, [activity_parts(known)], item_parts(popularity, data.item_features))


def _like_scores(
    model: Model, rated: Interactions, predicted: NDArray[np.float32] | None, like_threshold: float
) -> tuple[NDArray[np.float32], NDArray[np.float32] | None, NDArray[np.bool_]] | None:
    """Return scores of likes, probabilities of likes if the model gives any, and which pairs it predicts to be likes.

    None for a model that neither classifies nor predicts ratings.
    """
    if isinstance(model, LikeModel):
        probabilities = in_blocks(model.like_probabilities, rated)
        return probabilities, probabilities, probabilities >= 0.5
    if predicted is None:
        return None
    return predicted, None, predicted >= like_threshold


def predictions(model: Model, pairs: Interactions) -> NDArray[np.float32]:
    """Return the (n,) predicted ratings of the pairs, at their times, block by block.

    Raises:
        RecsysError: the model predicts no ratings, or a prediction is not a number.
    """
    if not isinstance(model, RatingPredictor):
        raise RecsysError(f"{model.name} ranks items but predicts no ratings")
    return in_blocks(model.predict, pairs, pairs.times)


def in_blocks(
    function: Callable[..., NDArray[np.float32]], pairs: Interactions, *columns: NDArray[np.int64] | None
) -> NDArray[np.float32]:
    """Return the (n,) values of `function(users, items, *columns)` for the pairs, block by block."""
    values = np.empty(len(pairs), dtype=np.float32)
    for start in range(0, len(pairs), PREDICTIONS_PER_BLOCK):
        block = slice(start, start + PREDICTIONS_PER_BLOCK)
        others = (None if column is None else column[block] for column in columns)
        values[block] = function(pairs.users[block], pairs.items[block], *others)
    return values
