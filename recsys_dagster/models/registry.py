"""The list of models. Adding one is its own file and one line here.

A model is named by its class's path, so that asking what exists imports none of the libraries that train.
"""

from importlib import import_module

from recsys_dagster.errors import UsageError
from recsys_dagster.models.base import Model

REGISTRY: dict[str, str] = {
    "popularity": "popularity:Popularity",
    "user_item_bias": "user_item_bias:UserItemBias",
    "embedding_mlp": "embedding_mlp:EmbeddingMlp",
    "beta_network_100": "beta_network:BetaNetwork100",
    "beta_network_128": "beta_network:BetaNetwork128",
    "beta_network_150": "beta_network:BetaNetwork150",
    "dropout_mlp": "dropout_mlp:DropoutMlp",
    "rating_knn": "rating_knn:RatingKnn",
    "als": "als:Als",
    "bayesian_fm": "bayesian_fm:BayesianFm",
    "rating_blend": "rating_blend:RatingBlend",
    "stack_linear": "stack:StackLinear",
    "stack_ridge": "stack:StackRidge",
    "two_tower": "two_tower:TwoTower",
    "like_classifier": "like_classifier:LikeClassifier",
    "like_logistic": "like_logistic:LikeLogistic",
    "like_forest": "like_forest:LikeForest",
    "like_naive_bayes": "like_naive_bayes:LikeNaiveBayes",
    "genre_similarity": "genre_similarity:GenreSimilarity",
    "item_knn": "item_knn:ItemKnn",
    "ease": "ease:Ease",
    "implicit_als": "implicit_als:ImplicitAls",
    "bpr": "bpr:Bpr",
    "bilstm": "bilstm:BiLstm",
    "blend": "blend:Blend",
}
"""Name of each model → "module:Class" within this package."""

AS_PUBLISHED: dict[str, str] = {"two_tower_as_published": "two_tower_as_published:TwoTowerAsPublished"}
"""The same of models with a paper's faults, which only what shows the faults' effects asks for by name."""


def model_names() -> tuple[str, ...]:
    """Return the names of all models, baselines first."""
    return tuple(REGISTRY)


def model_class(name: str) -> type[Model]:
    """Import and return the model of that name; raise UsageError, listing the known ones, if there is none."""
    try:
        module, _, attribute = (REGISTRY | AS_PUBLISHED)[name].partition(":")
    except KeyError:
        raise UsageError(f"unknown model {name!r}; known: {', '.join(REGISTRY)}") from None
    found: type[Model] = getattr(import_module(f"{__package__}.{module}"), attribute)
    return found
