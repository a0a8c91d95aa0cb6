"""Learn to rank candidates again: choose between a member alone, a logit, and the logit with trees on top.

Each is learnt on some of the held-out users and compared on the others, so that trees are used only where there are
enough users for them.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from recsys_dagster.models.ensembles.boosted_trees import boost_trees, tree_scores
from recsys_dagster.models.ensembles.candidates import POPULARITY, Feature
from recsys_dagster.models.ensembles.conditional_logit import Examples, logit_scores, logit_weights, user_ndcg

PARTS = 3
"""The users are split into as many parts, each of which compares what is learnt on the others."""
CONDITIONS = 3
"""One, the activity of the user and the popularity of the item."""


@dataclass(frozen=True)
class SecondStage:
    """The scores of candidates: a logit and trees.

    Attributes:
        weights: (n_features, CONDITIONS) float32.
        trees: in LightGBM's text format; empty for none.
    """

    weights: NDArray[np.float32]
    trees: str

    @classmethod
    def of_feature(cls, column: int, n_features: int) -> "SecondStage":
        """Return the stage that ranks by a single feature."""
        weights = np.zeros((n_features, CONDITIONS), np.float32)
        weights[column, 0] = 1
        return cls(weights, "")

    @classmethod
    def fit(cls, examples: Examples, names: Sequence[str], seed: int, *, with_trees: bool) -> "SecondStage":
        """Return a logit, and trees that correct it."""
        weights = logit_weights(examples)
        if not with_trees:
            return cls(weights, "")
        start = logit_scores(examples.features, examples.conditions, weights)
        return cls(weights, boost_trees(examples, start, names, seed))

    def scores(self, features: NDArray[np.float32], conditions: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the (n,) scores of candidates."""
        scores = logit_scores(features, conditions, self.weights)
        return scores + tree_scores(self.trees, features) if self.trees else scores


@dataclass(frozen=True)
class Learnt:
    """A second stage, and what was measured to choose it.

    Attributes:
        stage: learnt on all users.
        chosen: name of the member, `logit` or `logit and trees`.
        groups: names of the groups of features.
        ndcg: (n_users, 1 + n_groups) float64 NDCG@100 of users whom the stage has not seen: as it is, and with the
            values of each group permuted among the candidates of each user.
    """

    stage: SecondStage
    chosen: str
    groups: tuple[str, ...]
    ndcg: NDArray[np.float64]


def learn(examples: Examples, features: Sequence[Feature], members: Sequence[str], seed: int) -> Learnt:
    """Learn a second stage on the users of the examples.

    The logit must have a higher mean NDCG@100 than the best member, on users that it was not learnt on. The trees must
    exceed the better of these by more than the standard error of the difference, because they can cost more than they
    give where there are few users. With fewer users than parts the first member is taken.

    Args:
        examples: candidates of held-out users.
        features: of the columns; the rank by the member m is in column 2·m.
        members: names of the members.
        seed: of the parts, the trees and the permutations.
    """
    names = [feature.name for feature in features]
    n_users = len(examples.n_relevant)
    random = np.random.default_rng(seed)
    alone = [SecondStage.of_feature(2 * member, len(features)) for member in range(len(members))]
    parts = random.permutation(n_users) % PARTS
    options = {name: [stage] * PARTS for name, stage in zip(members, alone, strict=True)}
    if n_users >= PARTS:
        known = [examples.of_users(parts != part) for part in range(PARTS)]
        with_trees = [SecondStage.fit(part, names, seed, with_trees=True) for part in known]
        options["logit"] = [SecondStage(stage.weights, "") for stage in with_trees]
        options["logit and trees"] = with_trees
    ndcg = {name: _ndcg(stages, examples, parts) for name, stages in options.items()}
    chosen = max([name for name in options if name != "logit and trees"], key=lambda name: ndcg[name].mean())
    if n_users >= PARTS:
        gain = ndcg["logit and trees"] - ndcg[chosen]
        if gain.mean() > gain.std() / np.sqrt(n_users):
            chosen = "logit and trees"
    groups = tuple(dict.fromkeys(feature.group for feature in features))
    permuted = [
        _ndcg(options[chosen], _permuted(examples, features, group, random), parts).astype(np.float64)
        for group in groups
    ]
    if chosen in members:
        stage = alone[list(members).index(chosen)]
    else:
        stage = SecondStage.fit(examples, names, seed, with_trees=chosen == "logit and trees")
    return Learnt(stage, chosen, groups, np.stack([ndcg[chosen], *permuted], axis=1))


def _ndcg(stages: Sequence[SecondStage], examples: Examples, parts: NDArray[np.integer]) -> NDArray[np.float64]:
    """Return the (n_users,) NDCG@100, each user scored by the stage of their part."""
    scores = np.zeros(len(examples.rows), np.float32)
    for part, stage in enumerate(stages):
        mine = parts[examples.rows] == part
        scores[mine] = stage.scores(examples.features[mine], examples.conditions[mine])
    return user_ndcg(scores, examples)


def _permuted(examples: Examples, features: Sequence[Feature], group: str, random: np.random.Generator) -> Examples:
    """Return the examples with the values of a group permuted among the candidates of each user."""
    order = np.lexsort((random.random(len(examples.rows)), examples.rows))
    in_group = np.array([feature.group == group for feature in features])
    values, conditions = examples.features, examples.conditions
    values = np.where(in_group, values[order], values)
    if group == POPULARITY:
        conditions = conditions[order]
    return Examples(examples.rows, values, conditions, examples.relevant, examples.n_relevant)
