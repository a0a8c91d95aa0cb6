"""Learn the weights of features from candidates of which some are relevant, by a conditional logit."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recsys_dagster.data.list_lengths import LONG_LIST

PENALTY = 10.0
"""L2 penalty, in users, of the weights of features with a standard deviation of one."""
CONDITION_PENALTY = 100.0
"""The same of what a weight changes by under a condition, which takes more users to be known."""
ITERATIONS = 200
"""Largest number of iterations of the optimiser."""


@dataclass(frozen=True)
class Examples:
    """Candidates of users whose positives are known.

    Attributes:
        rows: (n,) the user of each candidate, ascending; every user has a candidate.
        features: (n, n_features) float32.
        conditions: (n, n_conditions) float32, what the weight of a feature depends on: one, and what is known of the
            user and the item.
        relevant: (n,) bool, whether the candidate is a positive.
        n_relevant: (n_users,) number of positives of each user, whether candidates or not; at least one.
    """

    rows: NDArray[np.int64]
    features: NDArray[np.float32]
    conditions: NDArray[np.float32]
    relevant: NDArray[np.bool_]
    n_relevant: NDArray[np.integer]

    def of_users(self, chosen: NDArray[np.bool_]) -> "Examples":
        """Return the candidates of the users for whom the (n_users,) mask is true, numbered without gaps."""
        kept = chosen[self.rows]
        return Examples(
            (np.cumsum(chosen) - 1)[self.rows[kept]],
            self.features[kept],
            self.conditions[kept],
            self.relevant[kept],
            self.n_relevant[chosen],
        )

    @staticmethod
    def concatenate(parts: Sequence["Examples"]) -> "Examples":
        """Return the candidates of all parts, with the users of each part numbered after those of the part before."""
        users = [len(part.n_relevant) for part in parts]
        firsts = np.cumsum([0, *users])
        return Examples(
            np.concatenate([part.rows + first for part, first in zip(parts, firsts[:-1], strict=True)]),
            np.concatenate([part.features for part in parts]),
            np.concatenate([part.conditions for part in parts]),
            np.concatenate([part.relevant for part in parts]),
            np.concatenate([part.n_relevant for part in parts]),
        )


def logit_weights(examples: Examples) -> NDArray[np.float32]:
    """Fit the penalised conditional logit (McFadden 1974, "Conditional logit analysis of qualitative choice behavior").

    The score of a candidate is s = Σ_f Σ_m w_fm x_f c_m, over the features x and their conditions c. The loss of a user
    is n_u^(−½) Σ (log Σ exp s − s_i) over the positives i, where n_u is the number of positives among the candidates.
    The mean over users is minimised, plus `PENALTY` / n_users · w² for each weight of the first condition, which is
    one, and `CONDITION_PENALTY` / n_users · w² for each other weight, where the products x_f c_m are scaled to a
    standard deviation of one.

    Returns:
        (n_features, n_conditions) float32, for products that are not scaled.
    """
    from scipy.optimize import minimize

    rows, n_users = examples.rows, len(examples.n_relevant)
    inputs, conditions = examples.features, examples.conditions
    deviations = np.stack([(inputs * condition[:, None]).std(axis=0) for condition in conditions.T], axis=1)
    deviations = np.maximum(deviations, np.float32(1e-6))
    first = np.searchsorted(rows, np.arange(n_users))
    counts = np.bincount(rows, examples.relevant, n_users)
    share = 1 / np.sqrt(np.maximum(counts, 1)) * (counts > 0)
    share /= max(share.sum(), 1)

    def weighted_sums(weights: NDArray[Any], chosen: NDArray[np.bool_] | slice) -> NDArray[np.float64]:
        sums = inputs[chosen].T @ (conditions[chosen] * weights.astype(np.float32)[:, None])
        scaled: NDArray[np.float64] = (sums / deviations).astype(np.float64)
        return scaled

    observed = weighted_sums(share[rows[examples.relevant]], examples.relevant)
    mass = share * counts
    penalty = np.full(conditions.shape[1], CONDITION_PENALTY / n_users)
    penalty[0] = PENALTY / n_users

    def loss(flat: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        weights = flat.reshape(deviations.shape)
        scores = logit_scores(inputs, conditions, (weights / deviations).astype(np.float32))
        highest = np.maximum.reduceat(scores, first)
        odds = np.exp(scores - highest[rows])
        sums = np.bincount(rows, odds, n_users)
        expected = weighted_sums(odds * (mass / sums)[rows], slice(None))
        value = mass @ (highest + np.log(sums)) - (observed * weights).sum() + (penalty * weights**2).sum()
        return float(value), (expected - observed + 2 * penalty * weights).ravel()

    result = minimize(loss, np.zeros(deviations.size), jac=True, method="L-BFGS-B", options={"maxiter": ITERATIONS})
    weights: NDArray[np.float32] = (result.x.reshape(deviations.shape) / deviations).astype(np.float32)
    return weights


def logit_scores(
    features: NDArray[np.float32], conditions: NDArray[np.float32], weights: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Return the (n,) float32 scores Σ_f Σ_m w_fm x_f c_m of candidates; the arrays are those of `Examples`."""
    scores: NDArray[np.float32] = ((features @ weights) * conditions).sum(axis=1)
    return scores


def user_ndcg(scores: NDArray[np.float32], examples: Examples) -> NDArray[np.float64]:
    """Return each user's NDCG@100 of the candidates, ranked by their (n,) scores (Järvelin and Kekäläinen 2002)."""
    order = np.lexsort((-scores, examples.rows))
    n_users = len(examples.n_relevant)
    first = np.searchsorted(examples.rows, np.arange(n_users))
    ranks = np.arange(len(scores)) - first[examples.rows]
    hits = examples.relevant[order] & (ranks < LONG_LIST)
    gains = np.bincount(examples.rows[hits], 1 / np.log2(ranks[hits] + 2), n_users)
    ideal = np.cumsum(1 / np.log2(np.arange(2, LONG_LIST + 2)))
    ndcg: NDArray[np.float64] = gains / ideal[np.minimum(examples.n_relevant, LONG_LIST) - 1]
    return ndcg
