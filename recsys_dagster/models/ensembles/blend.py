"""A blend: the titles that other models rank first, ranked anew by what those ranks meant to people held out."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from pydantic import Field

from recsys_dagster.data.interactions import Interactions
from recsys_dagster.data.training_data import TrainingData
from recsys_dagster.errors import RecsysError, UsageError
from recsys_dagster.models.base import Model, Params, top_k
from recsys_dagster.models.capabilities import FoldIn
from recsys_dagster.models.ensembles.ensemble import Ensemble, EnsembleParams
from recsys_dagster.models.ensembles.traits import Trait, traits_of
from recsys_dagster.models.refit import fit_on_all
from recsys_dagster.models.registry import get_model_class

DEPTH = 1000
"""Ranks that are told apart; further down a member gives all titles the same."""
FURTHEST = -np.log2(DEPTH + 2)
"""The closeness to the top of a title that is not among a member's first ranks."""
CANDIDATES = 200
"""Items of each member's list that are ranked anew; all others come after them."""
LIST_LENGTH = 100
"""Length of the lists by whose NDCG the blend is held against its members."""
BLOCK_BYTES = 64 * 2**20
"""Bytes of one block of the members' scores (float32) while the candidates are collected."""
CENTRE = 4.0
"""Subtracted from logarithms of counts, which then vary around zero: e⁴ is 55."""
PENALTY = 10.0
"""L2 penalty, in users, of the weights of features with a standard deviation of one."""
PARTS = 5
"""One part of the users is held out at a time, and one part of the pairs of each of them."""
OF_A_MEMBER = 6
"""Features of a title that come from one member."""
OF_NO_MEMBER = 8
"""Features that come from the title and the user alone: two of popularity, two of each trait."""


class BlendParams(EnsembleParams):
    """Parameters of the blend."""

    members: list[str] = Field(
        ["ease", "ease:smooth", "implicit_als"],
        min_length=1,
        description="Names of the models that are blended, or name:preset; all must fold in.",
    )
    max_users: int = Field(2000, ge=1, description="Users that the weights are learnt on.")


class Blend(FoldIn, Ensemble):
    """The first titles of the best rankers, ranked anew by a logit that is learnt on people held out.

    Ranks the first `CANDIDATES` titles of each member by a conditional logit.

    By each member a title has two features: −log2(1 + rank), and its score less the mean in standard deviations, both
    over the titles that the user lacks. Each stands alone, times the logarithm of the user's number of titles, and
    times that of the title's popularity: where much is known another member is to be trusted than where little is.
    Further features are the title's popularity, as a logarithm, and how its genres, its kind and its year suit the
    user's titles (`Trait.affinity`); each stands alone and times the logarithm of the user's number. So neither
    popularity nor a model of content need be a member, and without titles there are just no such features.

    That a positive is this one of the user's candidates has the probability softmax(Σ weight · feature) (McFadden
    1974, "Conditional logit analysis of qualitative choice behavior"). The weights maximise the likelihood, a user with
    n positives weighing √n, of people whom the members never saw: a fifth of the users is held out, the members are
    fitted on the others, four fifths of a held-out history, drawn by the seed, are folded in, and the positives of the
    rest are to be found. Further fifths follow until `max_users` have been asked, so that many users cost one more fit
    of each member, and few users five. The members are then fitted on everybody. The validation fold is never looked
    at: it can judge the blend beside its members. Where the best member by itself has the higher NDCG@100 on these
    people, the blend is that member, and the others are dropped.

    Attributes:
        weights_: (6 · n_members + 8,) float32: of each member, in the order of `params.members`, those of its closeness
            to the top (alone, by activity, by popularity), then those of its score; then those of popularity, genres,
            kind and year (alone, by activity).
        kinds_, years_: (n_items,) of the titles, as `ItemFeatures` has them.
    """

    name = "blend"
    params_type = BlendParams
    params: BlendParams

    weights_: NDArray[np.float32]
    kinds_: NDArray[np.int16]
    years_: NDArray[np.float32]

    def _fit(self, data: TrainingData) -> None:
        self.kinds_, self.years_ = data.item_features.kinds, data.item_features.years
        members = [member_of(name) for name in self.params.members]
        self.weights_ = best_weights(self._examples(members, data))
        self._members = self._fitted(self._used(members), data)

    def _fitted(self, members: list["Member"], data: TrainingData) -> list[Model]:
        return [fit_on_all(kind, data, seed=self.seed, params=params) for kind, params in members]

    def _used(self, of_members: Sequence[Any]) -> list[Any]:
        """Return those of the (n_members,) things whose member has a weight."""
        used = [bool(of_member.any()) for of_member in self.weights_[:-OF_NO_MEMBER].reshape(-1, OF_A_MEMBER)]
        return [thing for thing, kept in zip(of_members, used, strict=True) if kept]

    @property
    def _traits(self) -> tuple[Trait, ...]:
        return traits_of(self.genres_, self.kinds_, self.years_)

    def _examples(self, members: list["Member"], data: TrainingData) -> "Examples":
        """Return the candidates of people held out, by members that are fitted without them.

        Raises:
            RecsysError: none of them has a positive to be found.
        """
        random = np.random.default_rng(self.seed)
        dealt = random.permutation(np.unique(data.train.users))
        hidden = random.random(len(data.train)) < 1 / PARTS
        size = min(-(-len(dealt) // PARTS), self.params.max_users)
        examples = [
            block
            for start in range(0, min(len(dealt), self.params.max_users), size)
            for block in self._examples_of(np.sort(dealt[start : start + size]), hidden, members, data)
        ]
        if not examples:
            raise RecsysError(
                f"{self.name}: nobody has a positive to learn the weights on (rated at least {data.like_threshold:g}, "
                "or watched without a rating) beside other titles; give more data"
            )
        return Examples.concatenate(examples)

    def _examples_of(
        self, people: NDArray[np.int32], hidden: NDArray[np.bool_], members: list["Member"], data: TrainingData
    ) -> Iterator["Examples"]:
        """Give, block by block, the candidates of the people, of whom the pairs not `hidden` are known."""
        held_out = np.isin(data.train.users, people)
        fitted = self._fitted(members, replace(data, train=data.train.where(~held_out)))
        popularity = fitted[0].popularity_
        owned = _positions(data.train.where(held_out & ~hidden), people)
        wanted = _positions(data.train.where(held_out & hidden).positive(data.like_threshold), people)
        history = owned.matrix(len(people), data.n_items)
        positives = sp.csr_array(wanted.matrix(len(people), data.n_items) * (popularity > 0))
        positives.eliminate_zeros()
        asked = np.flatnonzero((np.diff(positives.indptr) > 0) & (np.diff(history.indptr) > 0))
        traits = self._traits
        rows = max(1, BLOCK_BYTES // (4 * data.n_items * (len(members) + len(traits))))
        for start in range(0, len(asked), rows):
            block = asked[start : start + rows]
            known = _positions(owned.where(np.isin(owned.users, block)), block)
            scores = scores_by(fitted, known, len(block))
            found = candidates_of(scores, history[block], popularity, traits)
            relevant = positives[block].toarray()[found.rows, found.items] > 0
            yield Examples(found.rows, found.features, relevant, np.diff(positives.indptr)[block])

    def _scores(self, users: NDArray[np.int32]) -> NDArray[np.float32]:
        return self._blended([member._scores(users) for member in self._members], self.seen_[users])

    def _scores_for(self, history: Interactions, n_users: int) -> NDArray[np.float32]:
        owned = history.matrix(n_users, self.n_items_)
        return self._blended(scores_by(self._members, history, n_users), owned)

    def _blended(self, scores: list[NDArray[np.float32]], owned: sp.csr_array) -> NDArray[np.float32]:
        """Return (n, n_items) scores: of candidates above 0, of all others their best closeness to a member's top."""
        found = candidates_of(scores, owned, self.popularity_, self._traits)
        of_members = self.weights_[:-OF_NO_MEMBER].reshape(-1, OF_A_MEMBER)
        weights = np.concatenate([*self._used(list(of_members)), self.weights_[-OF_NO_MEMBER:]])
        logits = found.features @ weights
        lowest = np.zeros(len(found.nearest), dtype=np.float32)
        np.minimum.at(lowest, found.rows, logits)
        blended = found.nearest
        blended[found.rows, found.items] = logits - lowest[found.rows]
        return blended


Member = tuple[type[Model], Params]
"""A model and what it is fitted with."""


def member_of(name: str) -> Member:
    """Return the model of that name with its default parameters or, of name:preset, those of the preset.

    Raises:
        UsageError: there is no such model or preset, or it cannot serve people by their history.
    """
    model, _, preset = name.partition(":")
    kind = get_model_class(model)
    if not issubclass(kind, FoldIn) or issubclass(kind, Blend):
        raise UsageError(f"{model} cannot be blended: it does not rank for people who are not in the data")
    if preset and preset not in kind.presets:
        raise UsageError(f"{model} has no preset {preset!r}; known: {', '.join(kind.presets) or 'none'}")
    return kind, kind.presets[preset] if preset else kind.params_type()


def scores_by(members: Sequence[Model], history: Interactions, n_users: int) -> list[NDArray[np.float32]]:
    """Return each member's (n_users, n_items) scores for new users with this history; every member is a `FoldIn`."""
    return [member._scores_for(history, n_users) for member in members if isinstance(member, FoldIn)]


def _positions(pairs: Interactions, people: NDArray[np.integer]) -> Interactions:
    """Return the pairs with the users as positions in `people`, which rise and hold all of them."""
    return replace(pairs, users=np.searchsorted(people, pairs.users).astype(np.int32))


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
        features: (n, 6 · n_members + 8) float32, as `Blend` describes them.
        nearest: (n_users, n_items) float32, the best closeness of every title to the top of a member's ranking.
    """

    rows: NDArray[np.int64]
    items: NDArray[np.int64]
    features: NDArray[np.float32]
    nearest: NDArray[np.float32]


def candidates_of(
    scores: Sequence[NDArray[np.float32]],
    owned: sp.csr_array,
    popularity: NDArray[np.float32],
    traits: Sequence[Trait],
) -> Candidates:
    """Return what is to be ranked anew.

    Args:
        scores: of each member, (n_users, n_items).
        owned: (n_users, n_items) CSR of the titles that are not ranked.
        popularity: (n_items,) training pairs of each title; one without any is not ranked.
        traits: of the titles, two features each.
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
    alone = [liking, *(trait.affinity(owned, popularity)[rows, items] for trait in traits)]
    for value in alone:
        columns += [value, value * activity]
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

    @staticmethod
    def concatenate(parts: Sequence["Examples"]) -> "Examples":
        """Return the candidates of all parts, whose users follow upon each other."""
        users = [len(part.n_relevant) for part in parts]
        firsts = np.cumsum([0, *users])
        return Examples(
            np.concatenate([part.rows + first for part, first in zip(parts, firsts[:-1], strict=True)]),
            np.concatenate([part.features for part in parts]),
            np.concatenate([part.relevant for part in parts]),
            np.concatenate([part.n_relevant for part in parts]),
        )


def best_weights(examples: Examples) -> NDArray[np.float32]:
    """Return the (n_features,) weights of the logit or, if it has the better mean NDCG, of the best member alone."""
    weights = logit_weights(examples)
    corners = np.eye(examples.features.shape[1], dtype=np.float32)[:-OF_NO_MEMBER:OF_A_MEMBER]
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
