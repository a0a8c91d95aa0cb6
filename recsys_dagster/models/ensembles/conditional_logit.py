"""Learn the weights of features from candidates of which some are relevant, by a conditional logit."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from recsys_dagster.data.list_lengths import LONG_LIST

PENALTY = 10.0
"""L2 penalty, in users, of the weights of features with a standard deviation of one."""


@dataclass(frozen=True)
class Examples:
    """Candidates of users whose positives are known.

    Attributes:
        rows: (n,) the user of each candidate, ascending; every user has a candidate.
        features: (n, n_features) float32.
        relevant: (n,) bool, whether the candidate is a positive.
        n_relevant: (n_users,) number of positives of each user, whether candidates or not; at least one.
    """

    rows: NDArray[np.int64]
    features: NDArray[np.float32]
    relevant: NDArray[np.bool_]
    n_relevant: NDArray[np.integer]

    @staticmethod
    def concatenate(parts: Sequence["Examples"]) -> "Examples":
        """Return the candidates of all parts, with the users of each part numbered after those of the part before."""
        users = [len(part.n_relevant) for part in parts]
        firsts = np.cumsum([0, *users])
        return Examples(
            np.concatenate([part.rows + first for part, first in zip(parts, firsts[:-1], strict=True)]),
            np.concatenate([part.features for part in parts]),
            np.concatenate([part.relevant for part in parts]),
            np.concatenate([part.n_relevant for part in parts]),
        )


def logit_weights(examples: Examples) -> NDArray[np.float32]:
    """Fit the penalised conditional logit (McFadden 1974, "Conditional logit analysis of qualitative choice behavior").

    With s = X·w, the loss of a user is n_u^(−½) Σ (log Σ exp s − s_i) over the positives i, where n_u is the number of
    positives among the candidates. The mean over users, plus `PENALTY` / n_users · ||w||², is minimised, where the
    columns of X are scaled to a standard deviation of one.

    Returns:
        (n_features,) float32, for features that are not scaled.
    """
    from scipy.optimize import minimize

    rows, n_users = examples.rows, len(examples.n_relevant)
    deviations = np.maximum(examples.features.std(axis=0), np.float32(1e-6))
    inputs = examples.features / deviations
    first = np.searchsorted(rows, np.arange(n_users))
    counts = np.bincount(rows, examples.relevant, n_users)
    share = 1 / np.sqrt(np.maximum(counts, 1)) * (counts > 0)
    share /= max(share.sum(), 1)
    observed = inputs[examples.relevant].T @ share[rows[examples.relevant]]
    mass = share * counts
    penalty = PENALTY / n_users

    def loss(weights: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        scores = inputs @ weights.astype(np.float32)
        highest = np.maximum.reduceat(scores, first)
        odds = np.exp(scores - highest[rows])
        sums = np.bincount(rows, odds, n_users)
        expected = inputs.T @ (odds * (mass / sums)[rows]).astype(np.float32)
        value = mass @ (highest + np.log(sums)) - observed @ weights + penalty * weights @ weights
        return float(value), expected.astype(np.float64) - observed + 2 * penalty * weights

    result = minimize(loss, np.zeros(inputs.shape[1]), jac=True, method="L-BFGS-B")
    weights: NDArray[np.float32] = (result.x / deviations).astype(np.float32)
    return weights


def mean_ndcg(scores: NDArray[np.float32], examples: Examples) -> float:
    """Return the mean NDCG@100 of the candidates, ranked by their (n,) scores (Järvelin and Kekäläinen 2002)."""
    order = np.lexsort((-scores, examples.rows))
    n_users = len(examples.n_relevant)
    first = np.searchsorted(examples.rows, np.arange(n_users))
    ranks = np.arange(len(scores)) - first[examples.rows]
    hits = examples.relevant[order] & (ranks < LONG_LIST)
    gains = np.bincount(examples.rows[hits], 1 / np.log2(ranks[hits] + 2), n_users)
    ideal = np.cumsum(1 / np.log2(np.arange(2, LONG_LIST + 2)))
    return float((gains / ideal[np.minimum(examples.n_relevant, LONG_LIST) - 1]).mean())
