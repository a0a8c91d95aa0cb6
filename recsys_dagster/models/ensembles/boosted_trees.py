"""Boost trees that correct the scores of candidates, or predicted ratings, with the library LightGBM."""

from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from recsys_dagster.data.list_lengths import LONG_LIST
from recsys_dagster.models.ensembles.conditional_logit import Examples
from recsys_dagster.models.ensembles.flat_trees import FlatTrees

if TYPE_CHECKING:
    from lightgbm import Booster

FEW = 1000
"""Up to so many candidates, those of one user, LightGBM takes far longer to import than the trees to be summed."""
TREES = 100
LEAVES = 31
_DAMPED: dict[str, object] = {
    "learning_rate": 0.03,
    "max_bin": 63,
    "lambda_l2": 10.0,
    "bagging_fraction": 0.7,
    "bagging_freq": 1,
    "deterministic": True,
    "force_row_wise": True,
    "verbosity": -1,
}
SETTINGS: dict[str, object] = _DAMPED | {
    "objective": "lambdarank",
    "lambdarank_truncation_level": LONG_LIST,
    "num_leaves": LEAVES,
    "min_data_in_leaf": 200,
    "feature_fraction": 0.5,
}
"""Parameters of LightGBM: small, damped trees, because neighbouring candidates are nearly alike."""

RATING_SETTINGS: dict[str, object] = _DAMPED | {
    "objective": "l2",
    "num_leaves": LEAVES,
    "min_data_in_leaf": 100,
    "feature_fraction": 0.6,
}
"""The same for ratings."""


def boost_ratings(features: NDArray[np.float32], errors: NDArray[np.float32], trees: int, seed: int) -> str:
    """Boost trees by squared error.

    Args:
        features: (n, n_features), NaN where unknown.
        errors: (n,) what the trees learn to predict.
        trees: their number.
        seed: of the drawn rows and features.

    Returns:
        The trees in LightGBM's text format.
    """
    import lightgbm

    text: str = lightgbm.train(
        RATING_SETTINGS | {"seed": seed}, lightgbm.Dataset(features, errors), trees
    ).model_to_string()
    return text


def boost_trees(examples: Examples, start: NDArray[np.float32], names: Sequence[str], seed: int) -> str:
    """Boost trees by LambdaRank (Burges 2010, "From RankNet to LambdaRank to LambdaMART: An Overview").

    Args:
        examples: the candidates of users, of whom each has one.
        start: (n,) scores that the trees correct.
        names: of the features.
        seed: of the drawn candidates and features.

    Returns:
        The trees in LightGBM's text format.
    """
    import lightgbm

    candidates = np.bincount(examples.rows, minlength=len(examples.n_relevant))
    data = lightgbm.Dataset(
        examples.features,
        examples.relevant.astype(np.int8),
        group=candidates,
        init_score=start,
        feature_name=[name.replace(" ", "_").replace(":", "_") for name in names],
    )
    text: str = lightgbm.train(SETTINGS | {"seed": seed}, data, TREES).model_to_string()
    return text


def tree_scores(trees: str, features: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the (n,) float32 sums of the trees, given in LightGBM's text format, for (n, n_features) candidates."""
    if not len(features):
        return np.zeros(0, np.float32)
    if len(features) <= FEW:
        return _flat_trees(trees).sums(features).astype(np.float32)
    scores: NDArray[np.float32] = np.asarray(_booster(trees).predict(features), np.float32)
    return scores


@lru_cache(maxsize=4)
def _flat_trees(trees: str) -> FlatTrees:
    return FlatTrees.parse(trees)


@lru_cache(maxsize=4)
def _booster(trees: str) -> "Booster":
    from lightgbm import Booster

    return Booster(model_str=trees)
