"""Folds on which a fault is switched on and off, the models fitted on them, and the rows that compare their scores."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recsys_dagster.data.interactions import Interactions
from recsys_dagster.data.list_lengths import SHORT_LIST
from recsys_dagster.data.split import Ids
from recsys_dagster.data.training_data import TrainingData
from recsys_dagster.evaluation.evaluate import evaluate, predictions
from recsys_dagster.evaluation.metrics.metric import MetricKey
from recsys_dagster.evaluation.metrics.ratios import Statistic, root_mean
from recsys_dagster.evaluation.metrics.registry import CHOOSING_METRIC
from recsys_dagster.models.base import Model
from recsys_dagster.models.params import Params
from recsys_dagster.models.refit import fit_on_all
from recsys_dagster.models.registry import get_model_class
from recsys_dagster.papers.records import FaultRow
from recsys_dagster.papers.scores import Score, difference, ranked, squared_errors


@dataclass(frozen=True)
class Experiment:
    """Three folds, and models that are fitted on them at most once.

    Attributes:
        dataset: id of the dataset.
        data: the training and the validation fold.
        test: the test fold.
        item_ids: (n_items,) the publisher's ids, by index.
        seed: of models and of intervals.
    """

    dataset: str
    data: TrainingData
    test: Interactions
    item_ids: Ids
    seed: int = 42
    _fitted: dict[str, Model] = field(default_factory=dict, repr=False)

    @property
    def n_users(self) -> int:
        """Size of the index space of users."""
        return self.data.n_users

    @property
    def scale(self) -> tuple[float, float]:
        """Lowest and highest rating."""
        return self.data.require_ratings()[0]

    @property
    def like_threshold(self) -> float:
        """A rating at or above it is a like."""
        return self.data.require_ratings()[1]

    def on(self, test: Interactions | None = None, seed: int | None = None, **changes: Any) -> "Experiment":
        """Return the experiment with another test fold, another seed, or other fields of `data`."""
        data = replace(self.data, **changes)
        test = self.test if test is None else test
        return Experiment(self.dataset, data, test, self.item_ids, self.seed if seed is None else seed)

    def where(self, keep: Callable[[Interactions], NDArray[np.bool_]]) -> "Experiment":
        """Return the experiment on the pairs of each fold for which `keep` returns true."""
        train, validation, test = (
            pairs.where(keep(pairs)) for pairs in (self.data.train, self.data.validation, self.test)
        )
        return self.on(test, train=train, validation=validation)

    def fitted(self, name: str, params: Params | None = None) -> Model:
        """Return a model fitted with these parameters or its defaults on the training and validation folds, once.

        If the validation fold is empty, early stopping uses a tenth of the training fold.
        """
        model_class = get_model_class(name)
        if len(self.data.validation):
            return self.once(f"{name} {params!r}", lambda: model_class(params, seed=self.seed).fit(self.data))
        return self.once(
            f"{name} {params!r}", lambda: fit_on_all(model_class, self.data, seed=self.seed, params=params)
        )

    def once(self, key: str, fit: Callable[[], Model]) -> Model:
        """Return the model that `fit` returned when it was first called with this key."""
        if key not in self._fitted:
            self._fitted[key] = fit()
        return self._fitted[key]

    def errors(self, model: Model, statistic: Statistic = root_mean, test: Interactions | None = None) -> Score:
        """Return the model's RMSE over the rated pairs of the test fold, or of another; the MSE with `mean`."""
        rated = (self.test if test is None else test).rated
        return squared_errors(predictions(model, rated), rated, self.n_users, statistic)

    def ranking(self, model: Model, key: MetricKey = CHOOSING_METRIC) -> Score:
        """Return a ranking metric of the model on the test fold, without what the users have in the other folds."""
        result = evaluate(
            model,
            self.test,
            self.data.validation.matrix(self.n_users, self.data.n_items),
            like_threshold=self.like_threshold,
            ks=(SHORT_LIST,),
            seed=self.seed,
            resamples=1,
        )
        return ranked(result.per_user, key, self.n_users)

    def row(self, fault: str, paper: str, system: str, metric: str, honest: Score, faulty: Score) -> FaultRow:
        """Return the row of two scores, with the interval of their difference."""
        change = difference(faulty, honest, self.seed)
        return FaultRow(fault, paper, self.dataset, system, metric, honest.value, faulty.value, change.low, change.high)

    def count(self, fault: str, paper: str, system: str, metric: str, honest: float, faulty: float) -> FaultRow:
        """Return the row of two numbers that do not depend on chance."""
        return FaultRow(fault, paper, self.dataset, system, metric, float(honest), float(faulty), None, None)


def parameters(name: str, **changes: Any) -> Params:
    """Return the default parameters of the model of that name with changes."""
    return get_model_class(name).params_type(**changes)
