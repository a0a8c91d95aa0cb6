"""A blend: one ranking out of the rankings of other models, weighted by what they find on the validation fold."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Self

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from pydantic import Field, field_validator

from recsys_dagster.errors import RecsysError, UsageError
from recsys_dagster.interactions import Interactions, TrainingData
from recsys_dagster.models.base import Model, Params, top_k
from recsys_dagster.models.refit import VALIDATION_SHARE, fit_on_all
from recsys_dagster.models.registry import model_class

DEPTH = 1000
"""Ranks that are told apart; further down a member gives all titles the same."""
FURTHEST = -np.log2(DEPTH + 2)
"""What a member gives to a title that is not among its first ranks."""
CANDIDATES = 200
"""Titles of each member's list that the weights are learnt on."""
LIST_LENGTH = 100
"""Length of the lists whose NDCG the weights maximise."""
BLOCK_BYTES = 64 * 2**20
"""Bytes of one member's scores (float32) while the candidates are collected."""
FIRST_STEP, LAST_STEP = 0.32, 0.04
"""Steps of the search for the weights, halved until the last."""


class BlendParams(Params):
    """Parameters of the blend."""

    members: list[str] = Field(
        ["ease", "implicit_als", "item_knn", "popularity"],
        min_length=1,
        description="Names of the models that are blended, each with its default parameters; all must fold in.",
    )
    weights: list[float] | None = Field(
        None, description="Weight of each member, none negative, one positive; learnt where they are not given."
    )
    max_users: int = Field(2000, ge=1, description="Users of the validation fold that the weights are learnt on.")

    @field_validator("weights")
    @classmethod
    def _weights_are_usable(cls, weights: list[float] | None) -> list[float] | None:
        if weights is not None and (min(weights, default=0) < 0 or sum(weights) <= 0):
            raise ValueError("no weight may be negative, and one must be positive")
        return weights


class Blend(Model):
    """Scores a title by −Σ weight · log2(1 + the rank that the member gives it), over the titles the user lacks.

    The logarithm of the rank makes the members comparable user by user whatever they score in, and tells the first
    ranks apart more than the later ones, as NDCG does. (Aslam and Montague 2001, "Models for metasearch", compare such
    fusions.)

    The weights sum to one. They maximise NDCG@100 over the users of the validation fold with members that know the
    training fold alone: the search begins at the best member and moves weight as long as that helps, so that on these
    users the blend is never worse than any of its members. Members without weight are dropped. Without a
    validation fold a random tenth of the training pairs, drawn by the seed, stands in for it, and the members are
    fitted again on all pairs afterwards. A refit on all folds takes the weights as they are.

    Attributes:
        weights_: (n_members,) float32, in the order of `params.members`.
    """

    name = "blend"
    summary = "Weighted ranks of the best rankers, the weights learnt on the validation fold."
    params_type = BlendParams
    folds_in = True

    weights_: NDArray[np.float32]
    _members: list[Model]

    def _fit(self, data: TrainingData) -> None:
        kinds = [member_class(name) for name in self.params.members]
        if self.params.weights is not None:
            self.weights_ = self._given_weights(self.params.weights)
            self._members = [self._member(kind, data) for kind in self._used(kinds)]
            return
        known = data
        if not len(data.validation):
            held_out = np.random.default_rng(self.seed).random(len(data.train)) < VALIDATION_SHARE
            known = replace(data, train=data.train.where(~held_out), validation=data.train.where(held_out))
        members = [kind(seed=self.seed).fit(known) for kind in kinds]
        self.weights_ = self._learn_weights(members, known)
        if known is data:
            self._members = self._used(members)
        else:
            self._members = [self._member(kind, data) for kind in self._used(kinds)]

    def _given_weights(self, weights: list[float]) -> NDArray[np.float32]:
        if len(weights) != len(self.params.members):
            raise UsageError(f"{self.name}: {len(weights)} weights for {len(self.params.members)} members")
        return np.array(weights, dtype=np.float32) / np.float32(sum(weights))

    def _used(self, of_members: Sequence[Any]) -> list[Any]:
        """Return those of the (n_members,) things whose member has a weight."""
        return [thing for thing, weight in zip(of_members, self.weights_, strict=True) if weight > 0]

    def _member(self, kind: type[Model], data: TrainingData) -> Model:
        """Return the member fitted on the training fold, all of it."""
        return kind(seed=self.seed).fit(data) if len(data.validation) else fit_on_all(kind, data, seed=self.seed)

    def _learn_weights(self, members: list[Model], data: TrainingData) -> NDArray[np.float32]:
        seen = data.train.matrix(data.n_users, data.n_items)
        positives = data.validation.positive(data.like_threshold).matrix(data.n_users, data.n_items)
        positives = sp.csr_array(positives - positives.multiply(seen))
        positives.eliminate_zeros()
        users = np.flatnonzero((np.diff(positives.indptr) > 0) & (np.diff(seen.indptr) > 0)).astype(np.int32)
        if not len(users):
            raise RecsysError(
                f"{self.name}: nobody has a positive to learn the weights on (rated at least {data.like_threshold:g}, "
                "or watched without a rating, and not in the training fold); give weights or more data"
            )
        chosen = np.random.default_rng(self.seed).permutation(users)[: self.params.max_users]
        chosen.sort()
        closeness, relevant = candidates_of(members, chosen, seen, positives)
        return best_weights(closeness, relevant, np.diff(positives.indptr)[chosen])

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
        weights = self._used(self.weights_.tolist())
        total = np.zeros(owned.shape, dtype=np.float32)
        for weight, of_member in zip(weights, scores, strict=True):
            total += np.float32(weight) * closeness_of(of_member, owned, self.popularity_ > 0)
        return total

    def save(self, folder: Path) -> None:
        """Write what was learnt to `folder`, which exists, and each member that has a weight to a folder within."""
        super().save(folder)
        for member in self._members:
            inside = folder / member.name
            inside.mkdir()
            member.save(inside)

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Return the blend that `save` wrote to `folder`."""
        blend = super().load(folder)
        blend._members = [member_class(name).load(folder / name) for name in blend._used(blend.params.members)]
        return blend


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


def candidates_of(
    members: Sequence[Model], users: NDArray[np.int32], seen: sp.csr_array, positives: sp.csr_array
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Return what the weights are learnt on: the titles among the first `CANDIDATES` of any member.

    Args:
        members: fitted on the training fold alone.
        users: (n,) indices.
        seen: (n_users, n_items) CSR of the training fold.
        positives: (n_users, n_items) CSR of what is to be found.

    Returns:
        (n, width, n_members) float32, `closeness_of` each candidate by each member, that of a further title where a
        user has fewer candidates; and (n, width) whether the candidate is among the positives.
    """
    trained = seen.sum(axis=0) > 0
    width = min(len(members) * CANDIDATES, seen.shape[1])
    closeness = np.full((len(users), width, len(members)), FURTHEST, dtype=np.float32)
    relevant = np.zeros((len(users), width), dtype=bool)
    rows = max(1, BLOCK_BYTES // (4 * seen.shape[1] * len(members)))
    for start in range(0, len(users), rows):
        block = users[start : start + rows]
        of_members = [closeness_of(member._scores(block), seen[block], trained) for member in members]
        near = np.maximum.reduce(of_members) >= -np.log2(CANDIDATES + 1)
        row, item = np.nonzero(near)
        place = np.arange(len(row)) - np.searchsorted(row, np.arange(len(block)))[row]
        for position, values in enumerate(of_members):
            closeness[start + row, place, position] = values[row, item]
        relevant[start + row, place] = positives[block].toarray()[row, item] > 0
    return closeness, relevant


def best_weights(
    closeness: NDArray[np.float32], relevant: NDArray[np.bool_], n_relevant: NDArray[np.integer]
) -> NDArray[np.float32]:
    """Return (n_members,) weights, none negative, summing to one, that maximise the mean NDCG.

    Begins at the best single member and changes one weight at a time by a step, keeping what is better; the step is
    halved when nothing is.

    Args:
        closeness, relevant: of the candidates, as `candidates_of` returns them.
        n_relevant: (n,) titles to be found for each user, candidates or not; none is zero.
    """
    corners = np.eye(closeness.shape[2], dtype=np.float32)
    values = [mean_ndcg(closeness @ corner, relevant, n_relevant) for corner in corners]
    best = max(values)
    weights: NDArray[np.float32] = corners[int(np.argmax(values))]
    step = FIRST_STEP
    while step >= LAST_STEP:
        before = best
        for corner in corners:
            for change in (step, -step):
                tried = np.maximum(weights + np.float32(change) * corner, 0)
                if not tried.any():
                    continue
                tried /= tried.sum()
                value = mean_ndcg(closeness @ tried, relevant, n_relevant)
                if value > best:
                    best, weights = value, tried
        if best == before:
            step /= 2
    return weights


def mean_ndcg(scores: NDArray[np.float32], relevant: NDArray[np.bool_], n_relevant: NDArray[np.integer]) -> float:
    """Return the mean NDCG@100 of ranking (n, width) candidates by score (Järvelin and Kekäläinen 2002).

    Args:
        scores: of equal ones the lower column ranks first.
        relevant: (n, width) whether the candidate is to be found.
        n_relevant: (n,) titles to be found, candidates or not; none is zero.
    """
    length = min(LIST_LENGTH, scores.shape[1])
    places, _ = top_k(scores, length)
    hits = np.take_along_axis(relevant, places, axis=1)
    discounts = 1 / np.log2(np.arange(2, LIST_LENGTH + 2))
    ideal = np.cumsum(discounts)[np.minimum(n_relevant, LIST_LENGTH) - 1]
    return float((hits @ discounts[:length] / ideal).mean())
