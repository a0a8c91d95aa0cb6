"""Rank the first items of several models again, as it was learnt on users whom these models had not seen."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any, Self

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from pydantic import Field

from recsys_dagster.data.interactions import Interactions
from recsys_dagster.data.training_data import TrainingData
from recsys_dagster.errors import RecsysError, UsageError
from recsys_dagster.models.base import DEFAULT, Model
from recsys_dagster.models.budget import FOLDS, Estimate, Size
from recsys_dagster.models.capabilities import FeatureGroups, FoldIn
from recsys_dagster.models.ensembles.candidates import (
    LIKENESS,
    Feature,
    ItemRelations,
    ItemVectors,
    ItemWeights,
    candidates_of,
    features_of,
)
from recsys_dagster.models.ensembles.conditional_logit import Examples
from recsys_dagster.models.ensembles.ensemble import Ensemble, EnsembleParams
from recsys_dagster.models.ensembles.second_stage import SecondStage, learn
from recsys_dagster.models.ensembles.traits import Trait, likeness_vectors, traits_of
from recsys_dagster.models.linear.ease import Ease
from recsys_dagster.models.neighbours.item_knn import ItemKnn
from recsys_dagster.models.params import Params
from recsys_dagster.models.positives import describe_positives
from recsys_dagster.models.refit import fit_on_all
from recsys_dagster.models.registry import get_model_class
from recsys_dagster.runtime.blocks import SCORE_BYTES

PARTS = 5
"""A fifth of the users is held out at a time, and of each of them a fifth of the pairs."""
LEARNING_SECONDS = 0.1
"""Seconds in which the second stage is learnt, for each held-out user."""
SECOND_STAGE = ("features_", "weights_", "trees_", "chosen_", "groups_", "group_ndcg_")
"""The attributes that are learnt on held-out users."""
SCORING_SECONDS = 4e-4
"""Seconds in which the candidates of a user are ranked again."""


class RerankerParams(EnsembleParams):
    """Parameters of the re-ranker."""

    members: list[str] = Field(
        ["ease", "ease:denoised", "implicit_als", "implicit_als:small", "item_knn"],
        min_length=1,
        description="Names of the models whose first items are ranked again, or name:preset; all must serve new users "
        "by their history.",
    )
    max_users: int = Field(2000, ge=1, description="Number of users to learn the second stage on.")


class Reranker(FeatureGroups, FoldIn, Ensemble):
    """The first items of several rankers, ranked again by a logit and trees learnt on held-out users.

    The candidates of a user are the first 100 items of each member. Their features are the ranks and scores of the
    members, the strongest weights that EASE and the neighbours have between single items of the user and the candidate,
    the likeness to single items in genres, kind and year, the match of these with all of the user's items, its
    popularity and the number of the user's items; the module `candidates` describes them.

    The logit gives each feature a weight that is linear in the logarithms of the user's items and of the candidate's
    users, so that a member can count more for active users, or for popular items. The probability that a positive is
    this one of the user's candidates is softmax(Σ weight · feature). The weights maximise the likelihood on users whom
    the members have not seen, where a user with n positives counts √n. Trees that LambdaRank boosts on top of the logit
    find what is not linear. What is used, the best member alone, the logit, or the logit and the trees, is decided on
    held-out users of its own (`second_stage.learn`).

    A fifth of the users is held out, and the members are fitted on the others. Of each held-out history a random four
    fifths are folded in, and the positives of the rest are to be predicted. Further fifths follow until there are
    `max_users` users, so that the members are fitted once more for many users, and five times for few. Finally the
    members are fitted on all users. The validation fold is not used, so that it can compare the re-ranker with its
    members.

    Attributes:
        features_: names of the features.
        weights_: (n_features, 3) float32 weights of the logit: alone, times activity, and times popularity.
        trees_: in LightGBM's text format; empty for none.
        chosen_: name of the member that is used alone, without the others, `logit`, or `logit and trees`.
        kinds_, years_: (n_items,) as in `ItemFeatures`.
    """

    name = "reranker"
    kinds = ("scipy", "lightgbm")
    params_type = RerankerParams
    params: RerankerParams

    features_: list[str]
    weights_: NDArray[np.float32]
    trees_: str
    chosen_: str
    _keeps_second_stage: bool = False
    kinds_: NDArray[np.int16]
    years_: NDArray[np.float32]

    def estimate(self, size: Size) -> Estimate:
        """Estimate the fits and evaluations of the members, the second stage, and the scores of candidates."""
        members = super().estimate(size)
        users = min(size.users, self.params.max_users)
        return Estimate(
            members.fit + LEARNING_SECONDS * users,
            members.ranking + FOLDS * SCORING_SECONDS * size.evaluated_users,
            members.bytes,
        )

    def _fit(self, data: TrainingData) -> None:
        self.kinds_, self.years_ = data.item_features.kinds, data.item_features.years
        for of_another_fit in ("_traits", "_likeness"):
            vars(self).pop(of_another_fit, None)
        members = [parse_member(name) for name in self.params.members]
        if not self._keeps_second_stage:
            self._learn_second_stage(members, data)
        alone = [member for name, member in zip(self.params.members, members, strict=True) if name == self.chosen_]
        self._members = self._fit_members(alone or members, data)

    def _learn_second_stage(self, members: list["Member"], data: TrainingData) -> None:
        features = features_of_members(self.params.members)
        learnt = learn(self._examples(members, data), features, self.params.members, self.seed)
        self.features_ = [feature.name for feature in features]
        self.weights_, self.trees_, self.chosen_ = learnt.stage.weights, learnt.stage.trees, learnt.chosen
        self.groups_, self.group_ndcg_ = list(learnt.groups), learnt.ndcg

    def for_refit(self) -> Self:
        """Return an unfitted model that keeps the second stage, if this was learnt on `max_users` users.

        Then only the members are fitted again, and once. With fewer users it is learnt anew, as more data improve it.
        """
        model = super().for_refit()
        n_users = np.count_nonzero(np.diff(self.seen_.indptr))
        if n_users >= self.params.max_users:
            vars(model).update({name: vars(self)[name] for name in SECOND_STAGE}, _keeps_second_stage=True)
        return model

    def _fit_members(self, members: list["Member"], data: TrainingData) -> list[Model]:
        return [fit_on_all(model_class, data, seed=self.seed, params=params) for model_class, params in members]

    @cached_property
    def _traits(self) -> tuple[Trait, ...]:
        return traits_of(self.genres_, self.kinds_, self.years_)

    @cached_property
    def _likeness(self) -> ItemVectors:
        vectors = likeness_vectors(self.genres_, self.kinds_, self.years_)
        return ItemVectors.of(vectors, np.arange(self.n_items_, dtype=np.int32))

    def _relations(self, members: Sequence[Model]) -> list[ItemRelations]:
        """Return what these fitted members, and the likeness of items, say about an item given another."""
        return [*item_weights_of(members), self._likeness]

    def _examples(self, members: list["Member"], data: TrainingData) -> Examples:
        """Return the candidates of held-out users, by members that are fitted without them.

        Raises:
            RecsysError: none of these users has a positive to predict.
        """
        random = np.random.default_rng(self.seed)
        shuffled = random.permutation(np.unique(data.train.users))
        hidden = random.random(len(data.train)) < 1 / PARTS
        size = min(-(-len(shuffled) // PARTS), self.params.max_users)
        examples = [
            block
            for start in range(0, min(len(shuffled), self.params.max_users), size)
            for block in self._examples_of(np.sort(shuffled[start : start + size]), hidden, members, data)
        ]
        if not examples:
            raise RecsysError(
                f"{self.name}: no user has both a positive to learn from"
                f"{describe_positives(data.like_threshold)} and other items; give more data"
            )
        return Examples.concatenate(examples)

    def _examples_of(
        self, users: NDArray[np.int32], hidden: NDArray[np.bool_], members: list["Member"], data: TrainingData
    ) -> Iterator[Examples]:
        """Yield the candidates of the users, block by block, given their pairs that are not `hidden`."""
        held_out = np.isin(data.train.users, users)
        fitted = self._fit_members(members, replace(data, train=data.train.where(~held_out)))
        popularity = fitted[0].popularity_
        known = _with_positions(data.train.where(held_out & ~hidden), users)
        liked = _with_positions(data.train.where(held_out & hidden).positive(data.like_threshold), users)
        history = known.matrix(len(users), data.n_items)
        positives = sp.csr_array(liked.matrix(len(users), data.n_items) * (popularity > 0))
        positives.eliminate_zeros()
        eligible_users = np.flatnonzero((np.diff(positives.indptr) > 0) & (np.diff(history.indptr) > 0))
        traits, relations = self._traits, self._relations(fitted)
        rows = max(1, SCORE_BYTES // (4 * data.n_items * (len(fitted) + len(traits))))
        for start in range(0, len(eligible_users), rows):
            block = eligible_users[start : start + rows]
            folded_in = _with_positions(known.where(np.isin(known.users, block)), block)
            scores = scores_for_all(fitted, folded_in, len(block))
            candidates = candidates_of(scores, history[block], popularity, traits, relations)
            relevant = positives[block].toarray()[candidates.rows, candidates.items] > 0
            n_relevant = np.diff(positives.indptr)[block]
            yield Examples(candidates.rows, candidates.features, candidates.conditions, relevant, n_relevant)

    def _restore(self, state: dict[str, Any]) -> None:
        super()._restore(state)
        if self.features_ != [feature.name for feature in features_of_members(self.params.members)]:
            raise RecsysError(f"{self.name}: this version was learnt with other features; fit it again")

    def _scores(self, users: NDArray[np.int32]) -> NDArray[np.float32]:
        return self._rerank([member._scores(users) for member in self._members], self.seen_[users])

    def _scores_for(self, history: Interactions, n_users: int) -> NDArray[np.float32]:
        exclude = history.matrix(n_users, self.n_items_)
        return self._rerank(scores_for_all(self._members, history, n_users), exclude)

    def _rerank(self, scores: list[NDArray[np.float32]], exclude: sp.csr_array) -> NDArray[np.float32]:
        """Return (n, n_items) scores: 0 and more for candidates, below 0 for other items, by their best rank.

        The scores of a member that is used alone are its own.
        """
        if self.chosen_ in self.params.members:
            return scores[0]
        relations = self._relations(self._members)
        candidates = candidates_of(scores, exclude, self.popularity_, self._traits, relations)
        stage = SecondStage(self.weights_, self.trees_)
        scores_of_candidates = stage.scores(candidates.features, candidates.conditions)
        lowest = np.zeros(len(candidates.nearest), dtype=np.float32)
        np.minimum.at(lowest, candidates.rows, scores_of_candidates)
        reranked = candidates.nearest
        reranked[candidates.rows, candidates.items] = scores_of_candidates - lowest[candidates.rows]
        return reranked


Member = tuple[type[Model], Params]
"""A model and its parameters."""


def parse_member(name: str) -> Member:
    """Return the model and the parameters that `name` or `name:preset` stands for.

    Raises:
        UsageError: there is no such model or preset, or the model cannot serve new users by their history.
    """
    model, _, preset = name.partition(":")
    model_class = get_model_class(model)
    if not issubclass(model_class, FoldIn) or issubclass(model_class, Reranker):
        raise UsageError(f"{model} cannot be ranked again: it does not rank for users who are not in the data")
    return model_class, model_class.preset(preset or DEFAULT)


def features_of_members(members: Sequence[str]) -> tuple[Feature, ...]:
    """Return the features of candidates, by the names of the members."""
    with_weights = [name for name in members if knows_item_weights(parse_member(name)[0])]
    return features_of(members, [*with_weights, LIKENESS])


def knows_item_weights(model_class: type[Model]) -> bool:
    """Return whether a score of the model is a sum of weights between items."""
    return issubclass(model_class, Ease | ItemKnn)


def item_weights_of(members: Sequence[Model]) -> list[ItemWeights]:
    """Return the weights between items of each fitted member that knows some."""
    weights = []
    for member in members:
        if isinstance(member, Ease):
            weights.append(ItemWeights(member.weights_, member.columns_, power=0.5))
        elif isinstance(member, ItemKnn):
            weights.append(ItemWeights(member.similarities_, member.columns_, power=1))
    return weights


def scores_for_all(members: Sequence[Model], history: Interactions, n_users: int) -> list[NDArray[np.float32]]:
    """Return the (n_users, n_items) scores of each member for new users with this history."""
    return [member._scores_for(history, n_users) for member in members if isinstance(member, FoldIn)]


def _with_positions(pairs: Interactions, users: NDArray[np.integer]) -> Interactions:
    """Return the pairs with each user replaced by the position in `users`, which are ascending and contain all."""
    return replace(pairs, users=np.searchsorted(users, pairs.users).astype(np.int32))
