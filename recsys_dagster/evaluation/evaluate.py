"""One model on one fold: full ranking for every user who likes something there, and errors of every rating.

Ranking is over all titles of the training fold, never over sampled negatives, minus what the user already has. A
liked title that no training pair mentions still counts as relevant: the user liked it and no list could hold it, so
where the folds are cut by time the best possible recall is below 1, for every model alike.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from recsys_dagster.data.interactions import Interactions
from recsys_dagster.data.training_data import TrainingData
from recsys_dagster.errors import RecsysError
from recsys_dagster.evaluation.intervals import RESAMPLES
from recsys_dagster.evaluation.lists import RelevantPairs, list_overlap
from recsys_dagster.evaluation.metrics.accuracy import RANKING_METRICS, coverage, error_sums, gini
from recsys_dagster.evaluation.metrics.beyond_accuracy import BEYOND, Catalogue, beyond_columns, history_popularity
from recsys_dagster.evaluation.metrics.classification import auc, classification_sums, confusion, majority_accuracy
from recsys_dagster.evaluation.slices import SLICE_K, Judged, Slice, activity_parts, slices, title_parts
from recsys_dagster.evaluation.store import ConfusionRow, MetricRow, SliceRow, write_per_user
from recsys_dagster.evaluation.summary import (
    CLASSIFICATION_RATIOS,
    RATING_RATIOS,
    Metric,
    beyond_ratios,
    ranking_ratios,
    with_intervals,
)
from recsys_dagster.models.base import Model
from recsys_dagster.models.capabilities import RatingPredictor
from recsys_dagster.models.classifiers.likes import LikeModel
from recsys_dagster.runtime.blocks import USERS_PER_BLOCK

PAIRS_A_BLOCK = 2**20


@dataclass(frozen=True)
class Evaluation:
    """What an evaluation found.

    Attributes:
        metrics: ranking metrics at each k, and the rating errors where the model predicts ratings; with the training
            data also what is beyond accuracy, and classification.
        per_user: a row for each user with a rating in the fold, by `user_idx` rising: `user_idx` int32; `relevant`
            int64, liked titles; `<metric>_<k>` float64, NaN for a user who likes nothing in the fold or is without what
            the metric goes by; `pairs`, `absolute_error`, `squared_error` float64 sums over the user's rated pairs; the
            sums of `classification_sums`. A model that only ranks has no error columns, a constant no ranking columns.
        slices: the figures of parts of the users and of the titles; empty without the training data.
        confusion: (rating, predicted, pairs) as `confusion` returns them; empty for a model that predicts no ratings.
    """

    metrics: list[Metric]
    per_user: dict[str, NDArray[Any]]
    slices: list[Slice] = field(default_factory=list)
    confusion: list[tuple[float, float, int]] = field(default_factory=list)

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
    owned: sp.csr_array | None,
    *,
    like_threshold: float,
    data: TrainingData | None = None,
    ks: Sequence[int] = (5, 10, 20, 50, 100),
    seed: int,
    resamples: int = RESAMPLES,
) -> Evaluation:
    """Evaluate a fitted model on pairs that it has not seen.

    Args:
        model: fitted on the training fold, whose pairs it leaves out of its lists.
        fold: the pairs to score; those without a rating are neither relevant nor rated.
        owned: (n_users, n_items) CSR of pairs of further folds to leave out, such as validation when testing.
        like_threshold: a title rated at or above it is relevant.
        data: what the model was fitted on; without it there are only accuracy and coverage.
        ks: lengths of the lists.
        seed: of the bootstrap; the ranking itself draws nothing.
        resamples: draws of the bootstrap.

    Raises:
        RecsysError: nothing in the fold is liked; the fold overlaps what is left out of the lists, so that the result
            would be falsely low; or the model's predictions are not numbers.
    """
    rated = fold.rated
    liked = rated.liked(like_threshold)
    if len(liked) == 0:
        raise RecsysError(
            f"{model.name}: no title of the fold is rated {like_threshold:g} or higher, so there is no ranking to "
            "judge; take a dataset with more ratings or lower the domain's like threshold"
        )
    _refuse_overlap(model, rated, owned)
    users = np.unique(rated.users)
    rows = np.searchsorted(users, rated.users)
    wanted = RelevantPairs.of(np.searchsorted(users, liked.users), liked.items, model.n_items_)
    catalogue = None if data is None else Catalogue.of(model.seen_, data.item_features.genres)
    per_user, recommended, ranks = _rank(model, users, wanted, owned, ks, catalogue)
    in_catalogue = model.popularity_ > 0
    asked = int(np.count_nonzero(per_user["relevant"]))
    together = [
        Metric(name, k, of_counts(recommended[k][in_catalogue]), None, None, asked)
        for name, of_counts in (("coverage", coverage), *([] if data is None else [("gini", gini)]))
        for k in ks
    ]
    judged = _judged_likes(per_user, users, wanted, ranks)
    confused: list[tuple[float, float, int]] = []

    predicted = predictions(model, rated) if isinstance(model, RatingPredictor) else None
    if predicted is not None:
        errors = predicted.astype(np.float64) - rated.ratings
        per_user |= error_sums(rows, errors, len(users))
        confused = confusion(rated.ratings, predicted, model.scale_)
        judged.append(Judged("rmse", None, rows, rated.users, rated.items, errors**2, root=True))
    if data is not None:
        if predicted is not None:
            spread = float(predicted.std(dtype=np.float64))
            together.append(Metric("prediction_std", None, spread, None, None, len(users)))
        overlap = list_overlap(model, SLICE_K)
        if overlap is not None:
            together.append(Metric("overlap", SLICE_K, overlap, None, None, asked))
        classified, found = _classify(model, rated, rows, len(users), predicted, data)
        per_user |= classified
        together += found
    ratios = [
        *ranking_ratios((name, k) for name in RANKING_METRICS for k in ks),
        *beyond_ratios(ks),
        *RATING_RATIOS,
        *CLASSIFICATION_RATIOS,
    ]
    return Evaluation(
        with_intervals(per_user, ratios, seed, resamples) + together,
        per_user,
        [] if data is None else _slices(judged, data),
        confused,
    )


def constant_rating_metrics(
    train: Interactions, fold: Interactions, *, seed: int, resamples: int = RESAMPLES
) -> Evaluation:
    """Evaluate, on the ratings of `fold`, the constant that fits `train` best: its mean rating.

    A model whose error is no smaller has learnt nothing about anybody.

    Raises:
        RecsysError: one of the folds holds no rating.
    """
    rated = fold.rated
    if len(rated) == 0 or len(train.rated) == 0:
        raise RecsysError("a fold holds no ratings, so there is no error to measure; take a dataset with ratings")
    errors = train.rated.ratings.mean(dtype=np.float64) - rated.ratings.astype(np.float64)
    users = np.unique(rated.users)
    per_user = {"user_idx": users} | error_sums(np.searchsorted(users, rated.users), errors, len(users))
    return Evaluation(with_intervals(per_user, RATING_RATIOS, seed, resamples), per_user)


def _refuse_overlap(model: Model, rated: Interactions, owned: sp.csr_array | None) -> None:
    pairs = rated.matrix(model.n_users_, model.n_items_)
    for source, mask in (("the training fold of the model", model.seen_), ("what the users own already", owned)):
        common = 0 if mask is None else pairs.multiply(mask).nnz
        if common:
            raise RecsysError(
                f"{model.name}: {common} of the {pairs.nnz} pairs to be scored are in {source}; "
                "evaluate on a fold that is left out of both"
            )


def _rank(
    model: Model,
    users: NDArray[np.int32],
    wanted: RelevantPairs,
    owned: sp.csr_array | None,
    ks: Sequence[int],
    catalogue: Catalogue | None,
) -> tuple[dict[str, NDArray[Any]], dict[int, NDArray[np.int64]], NDArray[np.int32]]:
    """Rank, block by block, for those of the sorted `users` who like something.

    Returns:
        the ranking columns of `Evaluation.per_user`; by k the (n_items,) number of lists that hold each item; and the
        rank of each wanted pair from 1, 0 where it is not listed.
    """
    relevant = wanted.counts(len(users))
    names = [*RANKING_METRICS, *([] if catalogue is None else BEYOND)]
    per_user: dict[str, NDArray[Any]] = {"user_idx": users, "relevant": relevant}
    per_user |= {f"{name}_{k}": np.full(len(users), np.nan) for name in names for k in ks}
    if catalogue is not None:
        per_user["history_popularity"] = np.full(len(users), np.nan)
    recommended = {k: np.zeros(model.n_items_, dtype=np.int64) for k in ks}
    ranks = np.zeros(len(wanted.keys), dtype=np.int32)
    asked = np.flatnonzero(relevant)
    for start in range(0, len(asked), USERS_PER_BLOCK):
        block = asked[start : start + USERS_PER_BLOCK]
        items = model.recommend(users[block], max(ks), exclude=owned).items
        positions = wanted.positions(block, items)
        hits = positions >= 0
        ranks[positions[hits]] = np.nonzero(hits)[1] + 1
        if catalogue is not None:
            own = history_popularity(catalogue.histories[users[block]], catalogue.popularity)
            per_user["history_popularity"][block] = np.where(items[:, 0] >= 0, own, np.nan)
        for k in ks:
            for name, metric in RANKING_METRICS.items():
                per_user[f"{name}_{k}"][block] = metric(hits, relevant[block], k)
            listed = items[:, :k]
            recommended[k] += np.bincount(listed[listed >= 0], minlength=model.n_items_)
            if catalogue is not None:
                for name, values in beyond_columns(items, users[block], catalogue, k).items():
                    per_user[f"{name}_{k}"][block] = values
    return per_user, recommended, ranks


def _judged_likes(
    per_user: dict[str, NDArray[Any]], users: NDArray[np.int32], wanted: RelevantPairs, ranks: NDArray[np.int32]
) -> list[Judged]:
    """Return what each like, and each user, adds to the ranking figures of parts; none without lists of that length."""
    if f"ndcg_{SLICE_K}" not in per_user:
        return []
    asked = np.flatnonzero(per_user["relevant"])
    found = ((ranks > 0) & (ranks <= SLICE_K)).astype(np.float64)
    return [
        Judged("recall", SLICE_K, wanted.rows, users[wanted.rows], wanted.items, found),
        Judged("ndcg", SLICE_K, asked, users[asked], None, per_user[f"ndcg_{SLICE_K}"][asked]),
    ]


def _slices(judged: list[Judged], data: TrainingData) -> list[Slice]:
    activity = activity_parts(np.bincount(data.train.users, minlength=data.n_users))
    popularity = np.bincount(data.train.items, minlength=data.n_items)
    return slices(judged, [activity], title_parts(popularity, data.item_features))


def _classify(
    model: Model,
    rated: Interactions,
    rows: NDArray[np.int64],
    n_users: int,
    predicted: NDArray[np.float32] | None,
    data: TrainingData,
) -> tuple[dict[str, NDArray[np.float64]], list[Metric]]:
    """Return the sums of each user's answers, and what is over all pairs; nothing of a model that gives no answer."""
    if isinstance(model, LikeModel):
        scores = in_blocks(model.like_probabilities, rated)
        said, probabilities = scores >= 0.5, scores
    elif predicted is not None:
        scores, probabilities = predicted, None
        said = scores >= data.like_threshold
    else:
        return {}, []
    liked = rated.ratings >= data.like_threshold
    over_all = {
        "like_auc": auc(liked, scores),
        "like_majority": majority_accuracy(data.train.rated.ratings >= data.like_threshold, liked),
    }
    found = [Metric(name, None, value, None, None, n_users) for name, value in over_all.items() if not np.isnan(value)]
    return classification_sums(rows, liked, said, probabilities, n_users), found


def predictions(model: Model, pairs: Interactions) -> NDArray[np.float32]:
    """Return the (n,) predicted ratings of the pairs, block by block.

    Raises:
        RecsysError: the model predicts no ratings, or a prediction is not a number.
    """
    if not isinstance(model, RatingPredictor):
        raise RecsysError(f"{model.name} ranks items but predicts no ratings")
    return in_blocks(model.predict, pairs)


def in_blocks(
    ask: Callable[[NDArray[np.int32], NDArray[np.int32]], NDArray[np.float32]], pairs: Interactions
) -> NDArray[np.float32]:
    """Return the (n,) answers of `ask(users, items)` to the pairs."""
    answers = np.empty(len(pairs), dtype=np.float32)
    for start in range(0, len(pairs), PAIRS_A_BLOCK):
        block = slice(start, start + PAIRS_A_BLOCK)
        answers[block] = ask(pairs.users[block], pairs.items[block])
    return answers
