"""Choose the models that say more of published items than the champion does: predicted ratings, similar items."""

from collections.abc import Callable, Iterator
from functools import partial

import numpy as np
from numpy.typing import NDArray

from recsys_dagster.evaluation.metrics.metric import MetricKey
from recsys_dagster.evaluation.metrics.registry import CHOOSING_METRIC, RATING_METRIC, higher_is_better
from recsys_dagster.evaluation.results import EvaluationResults
from recsys_dagster.evaluation.score_meaning import meaningful_values
from recsys_dagster.evaluation.store import CHOOSING_FOLD
from recsys_dagster.model_store.store import ModelStore
from recsys_dagster.models.base import Model
from recsys_dagster.models.capabilities import ItemContributions, RatingPredictor
from recsys_dagster.models.explaining import explaining_model
from recsys_dagster.models.registry import get_model_class, model_names
from recsys_dagster.warehouse.arrays import id_map_hash
from recsys_dagster.warehouse.domain_run import DomainRun

SIMILAR = 20
"""Published similar items of each item."""
SPARE = 3
"""Where rules forbid items, so many times as many are looked at."""

Predict = Callable[[NDArray[np.int32], NDArray[np.int32]], dict[str, NDArray[np.float32]]]


def rating_model(run: DomainRun) -> Predict | None:
    """Return the predictions of the model with the lowest RMSE on validation, as evaluated; None if none has one.

    They are columns of the published recommendations, as `meaningful_values` returns them.
    """
    model = next(_fitted(run, RatingPredictor, RATING_METRIC), None)
    return partial(meaningful_values, model) if isinstance(model, RatingPredictor) else None


def similar_items(
    run: DomainRun, champion: ItemContributions | None, allowed: NDArray[np.bool_]
) -> tuple[NDArray[np.int32], NDArray[np.float32]] | None:
    """Return the items similar to each item, by the champion or else by the best fitted model that knows them.

    Args:
        run: the domain.
        champion: None if the champion does not know them.
        allowed: (n_items,) which items may be recommended.

    Returns:
        (n_items, SIMILAR) items and similarities as of `ItemContributions.similar_items`; None if no model knows them.
    """
    model = champion or explaining_model(_fitted(run, ItemContributions, CHOOSING_METRIC))
    if model is None:
        return None
    every_item = np.arange(len(allowed), dtype=np.int32)
    if allowed.all():
        return model.similar_items(every_item, SIMILAR)
    items, scores = model.similar_items(every_item, SPARE * SIMILAR)
    order = np.argsort(~((items >= 0) & allowed[items]), axis=1, kind="stable")[:, :SIMILAR]
    items, scores = np.take_along_axis(items, order, axis=1), np.take_along_axis(scores, order, axis=1)
    items[(items >= 0) & ~allowed[items]] = -1
    return items, scores


def _fitted(run: DomainRun, capability: type, metric: MetricKey) -> Iterator[Model]:
    """Load the fitted models with a capability one by one, the best on validation first."""
    sign = -1 if higher_is_better(metric) else 1
    values = {
        row.model: sign * row.value
        for row in EvaluationResults(run).metrics()
        if row.key == metric and row.fold == CHOOSING_FOLD
    }
    store, ids = ModelStore(run.layout), id_map_hash(run.warehouse)
    for name in sorted(values, key=lambda model: (values[model], model)):
        if name in model_names() and issubclass(get_model_class(name), capability):
            yield store.load(run.domain.name, name, id_map_hash=ids)[0]
