"""How well a model tells a like from a dislike, over the rated pairs of a fold.

A pair is a like where its rating reaches the domain's like threshold. A like model says how probable that is, and
answers yes from 0.5 on; of a model that predicts ratings the answer is yes from the threshold on. Watches without a
rating say neither, and are not judged.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

Columns = dict[str, NDArray[np.float64]]


def classification_sums(
    rows: NDArray[np.integer],
    liked: NDArray[np.bool_],
    said: NDArray[np.bool_],
    probabilities: NDArray[np.floating] | None,
    n_users: int,
) -> Columns:
    """Add up each user's answers; ratios of sums over any users are the metrics of those users.

    Accuracy, `correct` / `judged`: share of right answers, in [0, 1].
    Precision, `true_likes` / `said_likes`: share of likes among the pairs that were said to be, in [0, 1].
    Recall, `true_likes` / `likes`: share of the likes that were said to be, in [0, 1].
    Log loss, `log_loss` / `judged`: mean of −ln(probability that was given to what is so), in nats, ≥ 0; a
    probability is kept ε = 2.2e-16 from 0 and 1, so that one mistaken certainty costs 36, not infinity.
    Each has no value where there is nothing to divide by.

    Source: Powers, Evaluation: from precision, recall and F-measure to ROC, JMLT 2(1), 2011; Good, Rational decisions,
    JRSS B 14(1), 1952 (log loss).

    Args:
        rows: (n,) the user of each pair, in [0, n_users).
        liked, said: (n,) whether it is a like, and whether the model says so.
        probabilities: (n,) of a like; None where the model gives none, and then there is no `log_loss`.
        n_users: users to give sums for.
    """

    def summed(values: NDArray[np.bool_] | NDArray[np.float64]) -> NDArray[np.float64]:
        return np.bincount(rows, values, n_users).astype(np.float64)

    columns = {
        "judged": np.bincount(rows, minlength=n_users).astype(np.float64),
        "likes": summed(liked),
        "said_likes": summed(said),
        "true_likes": summed(liked & said),
        "correct": summed(liked == said),
    }
    if probabilities is not None:
        epsilon = np.finfo(np.float64).eps
        p = np.clip(probabilities.astype(np.float64), epsilon, 1 - epsilon)
        columns["log_loss"] = summed(-np.log(np.where(liked, p, 1 - p)))
    return columns


def auc(liked: NDArray[np.bool_], scores: NDArray[np.floating]) -> float:
    """Probability that a like scores higher than a dislike, ties counting half, in [0, 1]; 0.5 is chance.

    Over all pairs of the fold, not user by user. NaN where all pairs are of one kind.

    Source: Hanley, McNeil, The meaning and use of the area under a receiver operating characteristic curve, Radiology
    143(1), 1982; by ranks as Mann, Whitney 1947.
    """
    positives = int(np.count_nonzero(liked))
    negatives = len(liked) - positives
    if not positives or not negatives:
        return float("nan")
    wins = rankdata(scores)[liked].sum() - positives * (positives + 1) / 2
    return float(wins / (positives * negatives))


def majority_accuracy(trained: NDArray[np.bool_], liked: NDArray[np.bool_]) -> float:
    """Share of right answers of what always says the commoner kind of the training fold (a like if equal), in [0, 1].

    Whatever does not exceed it has learnt nothing.

    Args:
        trained: (m,) whether each rated pair of the training fold is a like.
        liked: (n,) the same of the fold that is judged by; not empty.
    """
    commoner = 2 * np.count_nonzero(trained) >= len(trained)
    return float(np.mean(liked == commoner))


def confusion(
    ratings: NDArray[np.floating], predicted: NDArray[np.floating], scale: tuple[float, float]
) -> list[tuple[float, float, int]]:
    """Return how often each rating was predicted as which, the predictions rounded to the steps of the ratings.

    The step is 1, or 0.5 where any rating is not whole; halves of a step are rounded up.

    Args:
        ratings: (n,) as given.
        predicted: (n,) as predicted.
        scale: lowest and highest rating.

    Returns:
        (rating, predicted, pairs), by rating and prediction rising; what never happens is left out.
    """
    step = 1.0 if np.array_equal(ratings, np.floor(ratings)) else 0.5
    low, high = (np.floor(bound / step + 0.5) for bound in scale)
    width = int(high - low) + 1
    given, guessed = (
        (np.floor(np.clip(values.astype(np.float64), *scale) / step + 0.5) - low).astype(np.int64)
        for values in (ratings, predicted)
    )
    found, counts = np.unique(given * width + guessed, return_counts=True)
    return [
        (float((cell // width + low) * step), float((cell % width + low) * step), int(n))
        for cell, n in zip(found, counts, strict=True)
    ]
