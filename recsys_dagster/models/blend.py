"""A blend: the titles that other models rank first, ranked anew by what those ranks meant on the validation fold."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from pydantic import Field

from recsys_dagster.errors import RecsysError, UsageError
from recsys_dagster.interactions import Interactions, TrainingData
from recsys_dagster.models.base import Model, Params, top_k
from recsys_dagster.models.ensemble import Ensemble
from recsys_dagster.models.refit import fit_on_all, hold_out
from recsys_dagster.models.registry import model_class

DEPTH = 1000
"""Ranks that are told apart; further down a member gives all titles the same."""
FURTHEST = -np.log2(DEPTH + 2)
"""The closeness to the top of a title that is not among a member's first ranks."""
CANDIDATES = 200
"""Titles of each member's list that are ranked anew; all others come after them."""
LIST_LENGTH = 100
"""Length of the lists by whose NDCG the blend is held against its members."""
BLOCK_BYTES = 64 * 2**20
"""Bytes of one block of the members' scores (float32) while the candidates are collected."""
CENTRE = 4.0
"""Subtracted from logarithms of counts, which then vary around zero: e⁴ is 55."""
PENALTY = 2.0
"""L2 penalty, in users, of the weights of features with a standard deviation of one."""
OF_A_MEMBER = 6
"""Features of a title that come from one member; two more come from the title and the user alone."""


class BlendParams(Params):
    """Parameters of the blend."""

    members: list[str] = Field(
        ["ease", "implicit_als", "item_knn"],
        min_length=1,
        description="Names of the models that are blended, each with its default parameters; all must fold in.",
    )
    weights: list[float] | None = Field(
        None, description="Weights of the features, six a member and then two; learnt where they are not given."
    )
    max_users: int = Field(2000, ge=1, description="Users of the validation fold that the weights are learnt on.")


class Blend(Ensemble):
    """Ranks the first `CANDIDATES` titles of each member by a conditional logit.

    By each member a title has two features: −log2(1 + rank), and its score less the mean in standard deviations, both
    over the titles that the user lacks. Each stands alone, times the logarithm of the user's number of titles, and
    times that of the title's popularity: where much is known another member is to be trusted than where little is. The
    last two features are the title's popularity, and that times the user's number, as logarithms. So popularity
    need not be a member.

    That a positive of the validation fold is this one of the user's candidates has the probability
    softmax(Σ weight · feature) (McFadden 1974, "Conditional logit analysis of qualitative choice behavior"). The
    weights maximise the likelihood, a user with n positives weighing √n, of members that know the training fold alone.
    Where the best member by itself has the higher NDCG@100 on these users the blend is that member, and the others are
    dropped: there it is never worse. Without a validation fold a random tenth of the training pairs, drawn by the
    seed, stands in for it, and the members are fitted again on all pairs afterwards. A refit on all folds takes the
    weights as they are.

    Attributes:
        weights_: (6 · n_members + 2,) float32: of each member, in the order of `params.members`, those of its closeness
            to the top (alone, by activity, by popularity), then those of its score; the two others last.
    """

    name = "blend"
    summary = "The first titles of the best rankers, ranked anew by a logit that is learnt on the validation fold."
    params_type = BlendParams
    folds_in = True

    weights_: NDArray[np.float32]

    def _fit(self, data: TrainingData) -> None:
        kinds = [member_class(name) for name in self.params.members]
        if self.params.weights is not None:
            self.weights_ = self._given_weights(self.params.weights)
            self._members = [self._member(kind, data) for kind in self._used(kinds)]
            return
        known = data if len(data.validation) else hold_out(data, seed=self.seed)
        members = [kind(seed=self.seed).fit(known) for kind in kinds]
        self.weights_ = self._learn_weights(members, known)
        if known is data:
            self._members = self._used(members)
        else:
            self._members = [self._member(kind, data) for kind in self._used(kinds)]

    def _given_weights(self, weights: list[float]) -> NDArray[np.float32]:
        members = len(self.params.members)
        expected = OF_A_MEMBER * members + 2
        if len(weights) != expected:
            raise UsageError(f"{self.name}: {len(weights)} weights for {members} members, which have {expected}")
        return np.array(weights, dtype=np.float32)

    def _used(self, of_members: Sequence[Any]) -> list[Any]:
        """Return those of the (n_members,) things whose member has a weight."""
        used = [bool(of_member.any()) for of_member in self.weights_[:-2].reshape(-1, OF_A_MEMBER)]
        return [thing for thing, kept in zip(of_members, used, strict=True) if kept]

    def _member(self, kind: type[Model], data: TrainingData) -> Model:
        """Return the member fitted on the training fold, all of it."""
        return kind(seed=self.seed).fit(data) if len(data.validation) else fit_on_all(kind, data, seed=self.seed)

    def _learn_weights(self, members: list[Model], data: TrainingData) -> NDArray[np.float32]:
        seen = data.train.matrix(data.n_users, data.n_items)
        positives = data.validation.positive(data.like_threshold).matrix(data.n_users, data.n_items)
        popularity = seen.sum(axis=0)
        positives = sp.csr_array((positives - positives.multiply(seen)) * (popularity > 0))
        positives.eliminate_zeros()
        users = np.flatnonzero((np.diff(positives.indptr) > 0) & (np.diff(seen.indptr) > 0)).astype(np.int32)
        if not len(users):
            raise RecsysError(
                f"{self.name}: nobody has a positive to learn the weights on (rated at least {data.like_threshold:g}, "
                "or watched without a rating, and not in the training fold); give weights or more data"
            )
        chosen = np.random.default_rng(self.seed).permutation(users)[: self.params.max_users]
        chosen.sort()
        rows = max(1, BLOCK_BYTES // (4 * data.n_items * len(members)))
        features, relevant, row_of = [], [], []
        for start in range(0, len(chosen), rows):
            block = chosen[start : start + rows]
            found = candidates_of([member._scores(block) for member in members], seen[block], popularity)
            features.append(found.features)
            relevant.append(positives[block].toarray()[found.rows, found.items] > 0)
            row_of.append(found.rows + start)
        examples = Examples(
            np.concatenate(row_of),
            np.concatenate(features),
            np.concatenate(relevant),
            np.diff(positives.indptr)[chosen],
        )
        return best_weights(examples)

    def refit_params(self) -> BlendParams:
        """The same parameters with the weights that were learnt."""
        params: BlendParams = self.params.model_copy(update={"weights": self.weights_.tolist()})
        return params

    def _scores(self, users: NDArray[np.int32]) -> NDArray[np.float32]:
        return self._blended([member._scores(users) for member in self._members], self.seen_[users])

    def _scores_for(self, history: Interactions, n_users: int) -> NDArray[np.float32]:
        owned = history.matrix(n_users, self.n_items_)
        return self._blended([member._scores_for(history, n_users) for member in self._members], owned)

    def _blended(self, scores: list[NDArray[np.float32]], owned: sp.csr_array) -> NDArray[np.float32]:
        """Return (n, n_items) scores: of candidates above 0, of all others their best closeness to a member's top."""
        found = candidates_of(scores, owned, self.popularity_)
        of_members = self.weights_[:-2].reshape(-1, OF_A_MEMBER)
        weights = np.concatenate([*self._used(list(of_members)), self.weights_[-2:]])
        logits = found.features @ weights
        lowest = np.zeros(len(found.nearest), dtype=np.float32)
        np.minimum.at(lowest, found.rows, logits)
        blended = found.nearest
        blended[found.rows, found.items] = logits - lowest[found.rows]
        return blended


def member_class(name: str) -> type[Model]:
    """Return the model of that name.

    Raises:
        UsageError: there is no model of that name, or it cannot serve people by their history.
    """
    kind = model_class(name)
    if not kind.folds_in or issubclass(kind, Blend):
        raise UsageError(f"{name} cannot be blended: it does not rank for people who are not in the data")
    return kind


def closeness_of(scores: NDArray[np.float32], owned: sp.csr_array, trained: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Return (n, n_items) float32 −log2(1 + rank), ranks from 1 to `DEPTH` and `DEPTH` + 1 for all further titles.

    Args:
        scores: (n, n_items); of equal ones the lower index ranks first.
        owned: (n, n_items) CSR of the titles that are not ranked: they count as further ones.
        trained: (n_items,) whether the title is in the training fold; the others are not ranked either.
    """
    ranked = np.where(trained, scores, np.float32(-np.inf))
    ranked[owned.nonzero()] = -np.inf
    items, _ = top_k(ranked, min(DEPTH, ranked.shape[1]))
    closeness = np.full(scores.shape, FURTHEST, dtype=np.float32)
    row, rank = np.nonzero(items >= 0)
    closeness[row, items[row, rank]] = -np.log2(rank + 2)
    return closeness


def standardised(scores: NDArray[np.float32], ranked: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Return (n, n_items) float32: the scores less their mean over the row's ranked titles, in standard deviations.

    A row whose scores are all equal gives zeros.
    """
    count = np.maximum(ranked.sum(axis=1, keepdims=True), 1)
    mean = scores.sum(axis=1, where=ranked, keepdims=True, dtype=np.float64) / count
    centred = scores - mean.astype(np.float32)
    deviation = np.sqrt((centred**2).sum(axis=1, where=ranked, keepdims=True) / count)
    result: NDArray[np.float32] = np.divide(centred, deviation, out=np.zeros_like(centred), where=deviation > 0)
    return result


@dataclass(frozen=True)
class Candidates:
    """The titles that are among the first `CANDIDATES` of any member, user by user.

    Attributes:
        rows: (n,) the user of each, rising.
        items: (n,) the title of each, rising within a user.
        features: (n, 6 · n_members + 2) float32, as `Blend` describes them.
        nearest: (n_users, n_items) float32, the best closeness of every title to the top of a member's ranking.
    """

    rows: NDArray[np.int64]
    items: NDArray[np.int64]
    features: NDArray[np.float32]
    nearest: NDArray[np.float32]


def candidates_of(
    scores: Sequence[NDArray[np.float32]], owned: sp.csr_array, popularity: NDArray[np.float32]
) -> Candidates:
    """Return what is to be ranked anew.

    Args:
        scores: of each member, (n_users, n_items).
        owned: (n_users, n_items) CSR of the titles that are not ranked.
        popularity: (n_items,) training pairs of each title; one without any is not ranked.
    """
    trained = popularity > 0
    ranked = np.broadcast_to(trained, owned.shape).copy()
    ranked[owned.nonzero()] = False
    closeness = [closeness_of(of_member, owned, trained) for of_member in scores]
    nearest = np.maximum.reduce(closeness)
    rows, items = np.nonzero(nearest >= np.float32(-np.log2(CANDIDATES + 1)))
    activity = log_counts(np.diff(owned.indptr))[rows]
    liking = log_counts(popularity)[items]
    columns = []
    for close, of_member in zip(closeness, scores, strict=True):
        for values in (close, standardised(of_member, ranked)):
            value = values[rows, items]
            columns += [value, value * activity, value * liking]
    columns += [liking, liking * activity]
    return Candidates(rows, items, np.stack(columns, axis=1), nearest)


def log_counts(counts: NDArray[Any]) -> NDArray[np.float32]:
    """Return the natural logarithms of counts, less `CENTRE`, as float32; a count of zero is taken for one."""
    logs: NDArray[np.float32] = (np.log(np.maximum(counts, 1)) - CENTRE).astype(np.float32)
    return logs


@dataclass(frozen=True)
class Examples:
    """Candidates of users whose positives are known.

    Attributes:
        rows: (n,) the user of each candidate, rising; every user has one.
        features: (n, n_features) float32.
        relevant: (n,) bool, whether the candidate is a positive.
        n_relevant: (n_users,) positives of each user, candidates or not; none is zero.
    """

    rows: NDArray[np.int64]
    features: NDArray[np.float32]
    relevant: NDArray[np.bool_]
    n_relevant: NDArray[np.integer]


def best_weights(examples: Examples) -> NDArray[np.float32]:
    """Return the (n_features,) weights of the logit or, if it has the better mean NDCG, of the best member alone."""
    weights = logit_weights(examples)
    corners = np.eye(examples.features.shape[1], dtype=np.float32)[:-2:OF_A_MEMBER]
    return max([*corners, weights], key=lambda tried: mean_ndcg(examples.features @ tried, examples))


def logit_weights(examples: Examples) -> NDArray[np.float32]:
    """Return the (n_features,) weights of the penalised conditional logit.

    With s = X·w, a user's loss is n_u^(−½) Σ over positives of (log Σ exp s − s_positive), n_u the positives among the
    candidates; the users' losses are averaged and `PENALTY` / n_users · ||w||² is added, where the columns of X
    are scaled to a standard deviation of one.
    """
    from scipy.optimize import minimize

    rows, n_users = examples.rows, len(examples.n_relevant)
    deviations = np.maximum(examples.features.std(axis=0), np.float32(1e-6))
    inputs = examples.features / deviations
    first = np.searchsorted(rows, np.arange(n_users))
    counts = np.bincount(rows, examples.relevant, n_users)
    share = 1 / np.sqrt(np.maximum(counts, 1)) * (counts > 0)
    share /= max(share.sum(), 1)
    wanted = inputs[examples.relevant].T @ share[rows[examples.relevant]]
    mass = share * counts
    penalty = PENALTY / n_users

    def loss(weights: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        scores = inputs @ weights.astype(np.float32)
        highest = np.maximum.reduceat(scores, first)
        odds = np.exp(scores - highest[rows])
        sums = np.bincount(rows, odds, n_users)
        expected = inputs.T @ (odds * (mass / sums)[rows]).astype(np.float32)
        value = mass @ (highest + np.log(sums)) - wanted @ weights + penalty * weights @ weights
        return float(value), expected.astype(np.float64) - wanted + 2 * penalty * weights

    found = minimize(loss, np.zeros(inputs.shape[1]), jac=True, method="L-BFGS-B")
    scaled: NDArray[np.float32] = (found.x / deviations).astype(np.float32)
    return scaled


def mean_ndcg(scores: NDArray[np.float32], examples: Examples) -> float:
    """Return the mean NDCG@100 of candidates ranked by their (n,) scores (Järvelin and Kekäläinen 2002)."""
    order = np.lexsort((-scores, examples.rows))
    n_users = len(examples.n_relevant)
    first = np.searchsorted(examples.rows, np.arange(n_users))
    ranks = np.arange(len(scores)) - first[examples.rows]
    hits = examples.relevant[order] & (ranks < LIST_LENGTH)
    gains = np.bincount(examples.rows[hits], 1 / np.log2(ranks[hits] + 2), n_users)
    ideal = np.cumsum(1 / np.log2(np.arange(2, LIST_LENGTH + 2)))
    return float((gains / ideal[np.minimum(examples.n_relevant, LIST_LENGTH) - 1]).mean())
