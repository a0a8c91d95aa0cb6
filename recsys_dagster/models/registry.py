"""List the models by name: those of this package, and those that the user's own packages add.

Adding a model to this package takes its file and one line here. A model is listed by the path of its class, so that
listing the names imports no library that trains.

A model of another package needs no line. Name its class in RECSYS_EXTRA_MODELS, as `my_package.module:MyModel`, or
declare it as an entry point of the group `recsys_dagster.models`. The package must be installed or on PYTHONPATH.
"""

import inspect
import re
from functools import cache
from importlib import import_module
from importlib.metadata import entry_points
from types import MappingProxyType

from recsys_dagster.errors import UsageError
from recsys_dagster.models.base import Model
from recsys_dagster.settings import read_settings

REGISTRY: dict[str, str] = {
    "popularity": "baselines.popularity:Popularity",
    "recent_popularity": "baselines.recent_popularity:RecentPopularity",
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
    "item_transitions": "sequences.item_transitions:ItemTransitions",
    "next_item_ridge": "sequences.next_item_ridge:NextItemRidge",
    "bilstm": "sequences.bilstm:BiLstm",
    "sasrec": "sequences.sasrec:SasRec",
    "reranker": "ensembles.reranker:Reranker",
}
"""Name of each model of this package → "family.module:Class"."""

AS_PUBLISHED: dict[str, str] = {"two_tower_as_published": "networks.two_tower_as_published:TwoTowerAsPublished"}
"""The same for models with the faults of a paper. Only the experiments on faults use them."""

RANKING_BASELINE, RATING_BASELINE = "popularity", "user_item_bias"
RECENT_BASELINE = "recent_popularity"
"""The ranking baseline where there are times; it is skipped where there are none."""
BASELINES = (RANKING_BASELINE, RATING_BASELINE)
"""No leaderboard is without them, because a metric means little without the baseline's."""

EXTRA_FAMILY = "extra"
"""Family of the models of other packages."""
ENTRY_POINTS = "recsys_dagster.models"
"""Entry point group in which an installed package declares its models."""
NAME = re.compile(r"[a-z][a-z0-9_]*")
"""Pattern of a model's name, which becomes part of asset keys and paths."""


def model_names() -> tuple[str, ...]:
    """Return the names of all models: baselines first, models of other packages last."""
    return (*REGISTRY, *extra_models())


def model_family(name: str) -> str:
    """Return the family of a model, such as `networks`; `extra` for a model of another package."""
    return REGISTRY[name].partition(".")[0] if name in REGISTRY else EXTRA_FAMILY


def get_model_class(name: str) -> type[Model]:
    """Import and return the class of the model of that name.

    Raises:
        UsageError: there is no such model; the message lists the known names.
    """
    path = (REGISTRY | AS_PUBLISHED).get(name)
    if path is not None:
        module, _, attribute = path.partition(":")
        model_class: type[Model] = getattr(import_module(f"{__package__}.{module}"), attribute)
        return model_class
    extra = extra_models()
    if name not in extra:
        raise UsageError(f"unknown model {name!r}; known: {', '.join(model_names())}")
    return extra[name]


def extra_models() -> MappingProxyType[str, type[Model]]:
    """Return the models of other packages by name, in the order in which they are declared.

    Raises:
        UsageError: one cannot be imported, is not a complete model, or its name is invalid or taken.
    """
    return _load_extra_models(read_settings().extra_models)


@cache
def _load_extra_models(paths: tuple[str, ...]) -> MappingProxyType[str, type[Model]]:
    declared = [(path, f"RECSYS_EXTRA_MODELS: {path}") for path in paths]
    declared += [
        (point.value, f"entry point {point.name}: {point.value}") for point in entry_points(group=ENTRY_POINTS)
    ]
    models: dict[str, type[Model]] = {}
    for path, source in declared:
        model_class = _import_model(path, source)
        name = model_class.name
        if models.get(name) is model_class:
            continue
        if name in models or name in REGISTRY or name in AS_PUBLISHED:
            raise UsageError(f"{source}: there is another model named {name!r}; give this one another name")
        models[name] = model_class
    return MappingProxyType(models)


def _import_model(path: str, source: str) -> type[Model]:
    """Import a model of another package and check that it is complete; `source` says where it was declared."""
    module, colon, attribute = path.partition(":")
    if not module or not colon or not attribute:
        raise UsageError(f"{source}: write module:Class, such as my_package.module:MyModel")
    try:
        model_class = getattr(import_module(module), attribute)
    except ImportError as error:
        raise UsageError(f"{source}: {error}; install the package, or add its folder to PYTHONPATH") from error
    except AttributeError:
        raise UsageError(f"{source}: {module} has no {attribute}") from None
    if not (inspect.isclass(model_class) and issubclass(model_class, Model)):
        raise UsageError(f"{source}: not a subclass of recsys_dagster.models.base.Model")
    if missing := sorted(getattr(model_class, "__abstractmethods__", ())):
        raise UsageError(f"{source}: does not implement {', '.join(missing)}")
    if not NAME.fullmatch(getattr(model_class, "name", "")):
        raise UsageError(f"{source}: set `name` to lower-case letters, digits and underscores, such as 'my_model'")
    return model_class
