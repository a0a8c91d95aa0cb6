"""How well a model tells a like from a dislike, over the rated pairs of a fold.

A pair is a like if its rating reaches the domain's like threshold. A like model predicts the probability of a like and
answers yes from 0.5 on; a model that predicts ratings answers yes from the threshold on. Interactions without a rating
are neither, and are not evaluated.
"""

import numpy as np
from numpy.typing import NDArray

from recsys_dagster.evaluation.metrics.inputs import RatedPairs

Columns = dict[str, NDArray[np.float64]]


def classification_sums(
    rows: NDArray[np.integer],
    liked: NDArray[np.bool_],
    predicted_likes: NDArray[np.bool_],
    probabilities: NDArray[np.floating] | None,
    n_users: int,
) -> Columns:
    """Add up each user's answers; ratios of the sums over any users are the metrics of those users.

    Accuracy, `correct` / `answers`: share of right answers, in [0, 1].
    Precision, `true_likes` / `predicted_likes`: share of likes among the pairs that were predicted to be, in [0, 1].
    Recall, `true_likes` / `likes`: share of the likes that were predicted to be, in [0, 1].
    F1, `twice_true_likes` / `likes_and_predicted`: the harmonic mean of precision and recall, in [0, 1].
    Log loss, `log_loss` / `answers`: mean of −ln(predicted probability of the true answer), in nats, ≥ 0; a
    probability is kept ε = 2.2e-16 away from 0 and 1, so that one mistaken certainty adds 36, not infinity.
    Each has no value if its denominator is 0.

    Source: Powers, Evaluation: from precision, recall and F-measure to ROC, JMLT 2(1), 2011; Good, Rational decisions,
    JRSS B 14(1), 1952 (log loss).

    Args:
        rows: (n,) the user of each pair, in [0, n_users).
        liked: (n,) whether the pair is a like.
        predicted_likes: (n,) whether the model predicts that it is.
        probabilities: (n,) of a like; None if the model gives none, and then there is no `log_loss`.
        n_users: number of users.
    """

    def sum_by_user(values: NDArray[np.bool_] | NDArray[np.float64]) -> NDArray[np.float64]:
        return np.bincount(rows, values, n_users).astype(np.float64)

    columns = {
        "answers": np.bincount(rows, minlength=n_users).astype(np.float64),
        "likes": sum_by_user(liked),
        "predicted_likes": sum_by_user(predicted_likes),
        "true_likes": sum_by_user(liked & predicted_likes),
        "correct": sum_by_user(liked == predicted_likes),
        "twice_true_likes": 2 * sum_by_user(liked & predicted_likes),
        "likes_and_predicted": sum_by_user(liked) + sum_by_user(predicted_likes),
    }
    if probabilities is not None:
        epsilon = np.finfo(np.float64).eps
        p = np.clip(probabilities.astype(np.float64), epsilon, 1 - epsilon)
        columns["log_loss"] = sum_by_user(-np.log(np.where(liked, p, 1 - p)))
    return columns


def like_auc(pairs: RatedPairs) -> float:
    """Return the `auc` of a model's scores of the pairs."""
    return auc(pairs.liked, pairs.scores)


def auc(liked: NDArray[np.bool_], scores: NDArray[np.floating]) -> float:
    """Return the probability that a like scores higher than a dislike, ties counting half, in [0, 1]; 0.5 is chance.

    Over all pairs of the fold, not user by user. NaN if all pairs are likes, or none is.

    Source: Hanley, McNeil, The meaning and use of the area under a receiver operating characteristic curve, Radiology
    143(1), 1982; by ranks as Mann, Whitney 1947.
    """
    positives = int(np.count_nonzero(liked))
    negatives = len(liked) - positives
    if not positives or not negatives:
        return float("nan")
    _, place, counts = np.unique(scores, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[place]  # equal scores share the mean of their ranks
    wins = ranks[liked].sum() - positives * (positives + 1) / 2
    return float(wins / (positives * negatives))


def like_majority(pairs: RatedPairs) -> float:
    """Return the `majority_accuracy` on the pairs."""
    return majority_accuracy(pairs.train_liked, pairs.liked)


def majority_accuracy(train_liked: NDArray[np.bool_], liked: NDArray[np.bool_]) -> float:
    """Return the accuracy of always giving the more frequent answer of the training fold (yes if equal), in [0, 1].

    A model that does not exceed it has learnt nothing.

    Args:
        train_liked: (m,) whether each rated pair of the training fold is a like.
        liked: (n,) the same of the fold that is evaluated; not empty.
    """
    answer = 2 * np.count_nonzero(train_liked) >= len(train_liked)
    return float(np.mean(liked == answer))


def confusion(
    ratings: NDArray[np.floating], predicted: NDArray[np.floating], scale: tuple[float, float]
) -> list[tuple[float, float, int]]:
    """Count how often each rating was predicted as which, the predictions rounded to the steps of the ratings.

    The step is 1, or 0.5 if any rating is not whole; halves of a step are rounded up.

    Args:
        ratings: (n,) true ratings.
        predicted: (n,) predicted ratings.
        scale: lowest and highest rating.

    Returns:
        (rating, predicted, pairs) of each combination that occurs, by rising rating and prediction.
    """
    step = 1.0 if np.array_equal(ratings, np.floor(ratings)) else 0.5
    low, high = (np.floor(bound / step + 0.5) for bound in scale)
    width = int(high - low) + 1
    given, guessed = (
        (np.floor(np.clip(values.astype(np.float64), *scale) / step + 0.5) - low).astype(np.int64)
        for values in (ratings, predicted)
    )
    cells, counts = np.unique(given * width + guessed, return_counts=True)
    return [
        (float((cell // width + low) * step), float((cell % width + low) * step), int(n))
        for cell, n in zip(cells, counts, strict=True)
    ]
