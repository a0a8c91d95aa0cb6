"""Blend rankings: rank the first items of several models again, by weights learnt on held-out users."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from pydantic import Field

from recsys_dagster.data.interactions import Interactions
from recsys_dagster.data.training_data import TrainingData
from recsys_dagster.errors import RecsysError, UsageError
from recsys_dagster.models.base import DEFAULT, Model
from recsys_dagster.models.capabilities import FoldIn
from recsys_dagster.models.ensembles.candidates import HISTORY_FEATURES, ItemWeights, Weights, candidates_of
from recsys_dagster.models.ensembles.conditional_logit import Examples, logit_weights, mean_ndcg
from recsys_dagster.models.ensembles.ensemble import Ensemble, EnsembleParams
from recsys_dagster.models.ensembles.traits import Trait, traits_of
from recsys_dagster.models.linear.ease import Ease
from recsys_dagster.models.params import Params
from recsys_dagster.models.positives import describe_positives
from recsys_dagster.models.refit import fit_on_all
from recsys_dagster.models.registry import get_model_class
from recsys_dagster.runtime.blocks import SCORE_BYTES

PARTS = 5
"""A fifth of the users is held out at a time, and of each of them a fifth of the pairs."""


class BlendParams(EnsembleParams):
    """Parameters of the blend."""

    members: list[str] = Field(
        ["ease", "ease:smooth", "implicit_als"],
        min_length=1,
        description="Names of the models to blend, or name:preset; all must serve new users by their history.",
    )
    max_users: int = Field(2000, ge=1, description="Number of users to learn the weights on.")


class Blend(FoldIn, Ensemble):
    """The first items of the best rankers, ranked again by a logit learnt on held-out users.

    Only the first 200 items of each member are ranked again. Their features come from the ranks and scores of the
    members, the popularity of the item, the match of its genres, kind and year with the user's items, and the strongest
    weights that the first EASE among the members has between single items of the user and the item: a sum over the
    history hides whether one item says much or many say a little. The module `candidates` describes them. A member that
    is good for active users, or for popular items, can so get more weight there. Popularity and a content model need
    not be members.

    The probability that a positive is this one of the user's candidates is softmax(Σ weight · feature). The weights
    maximise the likelihood on users whom the members have not seen, where a user with n positives counts √n. A fifth of
    the users is held out, and the members are fitted on the others. Of each held-out history a random four fifths are
    folded in, and the positives of the rest are to be predicted. Further fifths follow until there are `max_users`
    users, so that the members are fitted once more for many users, and five times for few. Finally the members are
    fitted on all users. The validation fold is not used, so that it can compare the blend with its members.

    If the best member alone has a higher NDCG@100 on the held-out users, the blend is that member, and the others are
    dropped.

    Attributes:
        member_weights_: (n_members, 6) float32, in the order of `params.members` and `MEMBER_FEATURES`.
        item_weights_: (10,) float32, in the order of `ITEM_FEATURES`.
        kept_: (n_members,) bool, the members that are used, by the logit or for their weights between items.
        kinds_, years_: (n_items,) as in `ItemFeatures`.
    """

    name = "blend"
    kinds = ("scipy",)
    params_type = BlendParams
    params: BlendParams

    member_weights_: NDArray[np.float32]
    item_weights_: NDArray[np.float32]
    kept_: NDArray[np.bool_]
    kinds_: NDArray[np.int16]
    years_: NDArray[np.float32]

    def _fit(self, data: TrainingData) -> None:
        self.kinds_, self.years_ = data.item_features.kinds, data.item_features.years
        members = [parse_member(name) for name in self.params.members]
        weights = best_weights(self._examples(members, data))
        self.member_weights_, self.item_weights_ = weights.members, weights.item
        self.kept_ = weights.used
        of_ease = [place for place, (model_class, _) in enumerate(members) if model_class is Ease]
        if weights.item[-len(HISTORY_FEATURES) :].any():
            self.kept_[of_ease[0]] = True
        kept = [member for member, used in zip(members, self.kept_, strict=True) if used]
        self._members = self._fit_members(kept, data)

    def _fit_members(self, members: list["Member"], data: TrainingData) -> list[Model]:
        return [fit_on_all(model_class, data, seed=self.seed, params=params) for model_class, params in members]

    @property
    def _traits(self) -> tuple[Trait, ...]:
        return traits_of(self.genres_, self.kinds_, self.years_)

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
                f"{self.name}: no user has both a positive to learn the weights on"
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
        traits = self._traits
        rows = max(1, SCORE_BYTES // (4 * data.n_items * (len(members) + len(traits))))
        for start in range(0, len(eligible_users), rows):
            block = eligible_users[start : start + rows]
            folded_in = _with_positions(known.where(np.isin(known.users, block)), block)
            scores = scores_for_all(fitted, folded_in, len(block))
            candidates = candidates_of(scores, history[block], popularity, traits, item_weights_of(fitted))
            relevant = positives[block].toarray()[candidates.rows, candidates.items] > 0
            yield Examples(candidates.rows, candidates.features, relevant, np.diff(positives.indptr)[block])

    def _scores(self, users: NDArray[np.int32]) -> NDArray[np.float32]:
        return self._blend([member._scores(users) for member in self._members], self.seen_[users])

    def _scores_for(self, history: Interactions, n_users: int) -> NDArray[np.float32]:
        exclude = history.matrix(n_users, self.n_items_)
        return self._blend(scores_for_all(self._members, history, n_users), exclude)

    def _blend(self, scores: list[NDArray[np.float32]], exclude: sp.csr_array) -> NDArray[np.float32]:
        """Return (n, n_items) scores: 0 and more for candidates, below 0 for other items, by their best rank."""
        item_weights = item_weights_of(self._members)
        candidates = candidates_of(scores, exclude, self.popularity_, self._traits, item_weights)
        weights = Weights(self.member_weights_[self.kept_], self.item_weights_)
        logits = candidates.features @ weights.columns
        lowest = np.zeros(len(candidates.nearest), dtype=np.float32)
        np.minimum.at(lowest, candidates.rows, logits)
        blended = candidates.nearest
        blended[candidates.rows, candidates.items] = logits - lowest[candidates.rows]
        return blended


Member = tuple[type[Model], Params]
"""A model and its parameters."""


def parse_member(name: str) -> Member:
    """Return the model and the parameters that `name` or `name:preset` stands for.

    Raises:
        UsageError: there is no such model or preset, or the model cannot serve new users by their history.
    """
    model, _, preset = name.partition(":")
    model_class = get_model_class(model)
    if not issubclass(model_class, FoldIn) or issubclass(model_class, Blend):
        raise UsageError(f"{model} cannot be blended: it does not rank for users who are not in the data")
    return model_class, model_class.preset(preset or DEFAULT)


def best_weights(examples: Examples) -> Weights:
    """Return the weights of the logit or, if it has a higher mean NDCG@100, of the best member alone."""
    fitted = Weights.from_columns(logit_weights(examples))
    n_members = len(fitted.members)
    alone = [Weights.of_rank(member, n_members) for member in range(n_members)]
    return max([*alone, fitted], key=lambda weights: mean_ndcg(examples.features @ weights.columns, examples))


def item_weights_of(members: Sequence[Model]) -> ItemWeights | None:
    """Return the weights between items of the first EASE among fitted members; None if there is none."""
    of_ease = next((member for member in members if isinstance(member, Ease)), None)
    return None if of_ease is None else ItemWeights(of_ease.weights_, of_ease.columns_)


def scores_for_all(members: Sequence[Model], history: Interactions, n_users: int) -> list[NDArray[np.float32]]:
    """Return the (n_users, n_items) scores of each member for new users with this history."""
    return [member._scores_for(history, n_users) for member in members if isinstance(member, FoldIn)]


def _with_positions(pairs: Interactions, users: NDArray[np.integer]) -> Interactions:
    """Return the pairs with each user replaced by the position in `users`, which are ascending and contain all."""
    return replace(pairs, users=np.searchsorted(users, pairs.users).astype(np.int32))
