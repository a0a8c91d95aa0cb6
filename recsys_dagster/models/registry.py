"""The list of models. Adding one is its own file and one line here.

A model is named by its class's path, so that asking what exists imports none of the libraries that train.
"""

from importlib import import_module

from recsys_dagster.errors import UsageError
from recsys_dagster.models.base import Model

REGISTRY: dict[str, str] = {
    "popularity": "baselines.popularity:Popularity",
    "user_item_bias": "baselines.user_item_bias:UserItemBias",
    "embedding_mlp": "networks.embedding_mlp:EmbeddingMlp",
    "beta_network_100": "networks.beta_network:BetaNetwork100",
    "beta_network_128": "networks.beta_network:BetaNetwork128",
    "beta_network_150": "networks.beta_network:BetaNetwork150",
    "dropout_mlp": "networks.dropout_mlp:DropoutMlp",
    "rating_knn": "neighbours.rating_knn:RatingKnn",
    "als": "factorization.als:Als",
    "bayesian_fm": "factorization.bayesian_fm:BayesianFm",
    "rating_blend": "ensembles.rating_blend:RatingBlend",
    "stack_linear": "ensembles.stack:StackLinear",
    "stack_ridge": "ensembles.stack:StackRidge",
    "two_tower": "networks.two_tower:TwoTower",
    "like_classifier": "classifiers.like_classifier:LikeClassifier",
    "like_logistic": "classifiers.like_logistic:LikeLogistic",
    "like_forest": "classifiers.like_forest:LikeForest",
    "like_naive_bayes": "classifiers.like_naive_bayes:LikeNaiveBayes",
    "genre_similarity": "neighbours.genre_similarity:GenreSimilarity",
    "item_knn": "neighbours.item_knn:ItemKnn",
    "ease": "linear.ease:Ease",
    "implicit_als": "factorization.implicit_als:ImplicitAls",
    "bpr": "factorization.bpr:Bpr",
    "bilstm": "sequences.bilstm:BiLstm",
    "blend": "ensembles.blend:Blend",
}
"""Name of each model → "module:Class" within this package."""

AS_PUBLISHED: dict[str, str] = {"two_tower_as_published": "networks.two_tower_as_published:TwoTowerAsPublished"}
"""The same of models with a paper's faults, which only what shows the faults' effects asks for by name."""


RANKING_BASELINE, RATING_BASELINE = "popularity", "user_item_bias"
BASELINES = (RANKING_BASELINE, RATING_BASELINE)
"""Fitted in every run: a figure means little without the one that costs nothing."""


def model_names() -> tuple[str, ...]:
    """Return the names of all models, baselines first."""
    return tuple(REGISTRY)


def get_model_class(name: str) -> type[Model]:
    """Import and return the model of that name; raise UsageError, listing the known ones, if there is none."""
    try:
        module, _, attribute = (REGISTRY | AS_PUBLISHED)[name].partition(":")
    except KeyError:
        raise UsageError(f"unknown model {name!r}; known: {', '.join(REGISTRY)}") from None
    found: type[Model] = getattr(import_module(f"{__package__}.{module}"), attribute)
    return found
