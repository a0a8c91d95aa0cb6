"""Search for better parameters of a model on the validation fold; the test fold is never used.

A trial is first fitted on a quarter of the users and stopped there if it is worse than the median trial was; the others
are fitted on all users. All trials are kept in `models/<domain>/<model>/tuning.db`, so that a search continues where an
earlier one ended. The best parameters are kept in `tuned.json` next to it, and the next fit of the model uses them.
"""

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from recsys_dagster.data.fold_in import FoldedIn
from recsys_dagster.data.list_lengths import LONG_LIST
from recsys_dagster.data.training_data import TrainingData
from recsys_dagster.errors import RecsysError, UsageError
from recsys_dagster.evaluation.evaluate import evaluate, nothing_relevant, predictions
from recsys_dagster.evaluation.metrics.metric import MetricKey
from recsys_dagster.evaluation.metrics.registry import RATING_METRIC
from recsys_dagster.evaluation.relevance import Relevance
from recsys_dagster.model_store.tuned import Tuned, write_tuned
from recsys_dagster.models.attempt import State, attempt
from recsys_dagster.models.base import Model
from recsys_dagster.models.capabilities import RatingPredictor
from recsys_dagster.models.registry import get_model_class, model_names
from recsys_dagster.runtime.progress import announce
from recsys_dagster.warehouse.arrays import load_holdout
from recsys_dagster.warehouse.domain_run import DomainRun

if TYPE_CHECKING:
    import optuna

RANKING_METRIC = MetricKey("ndcg", LONG_LIST)
"""The metric that is maximised for a model that predicts no ratings; for the others the RMSE is minimised."""
USER_SHARE = 0.25
"""Share of the users that a trial is fitted on first."""
MIN_EVALUATED_USERS = 50
"""With fewer users of the validation fold in that share, every trial is fitted on all users at once."""
TRIALS_BEFORE_PRUNING = 5
DEFAULT = "default"
"""Marks the trial of the model's default parameters."""
WHOLE = "whole"
"""Marks a trial that is never stopped early, because its value is needed."""


def tune(run: DomainRun, name: str, trials: int, seconds: float = math.inf) -> Tuned:
    """Search until `trials` sets of parameters have been tried, including those of earlier searches on the same data.

    The model's defaults are tried first, so that the result is never worse than they are. A trial that fails is
    reported and skipped.

    Args:
        run: the domain, whose validation fold decides; the seed of its settings is that of every trial.
        name: name of the model.
        trials: number of trials in the end.
        seconds: time after which no further trial is started; the defaults are always tried.

    Raises:
        UsageError: there is no such model, or it has no parameters to search.
        RecsysError: the domain has no features yet, its validation fold cannot be used, or every trial failed.
    """
    search = _Search.of(run, get_searchable(name))
    before = len(search.finished())
    # With the same sampler seed, a search that continues would draw its first parameters once more.
    search.seed_sampler(run.settings.seed + before)
    start = time.monotonic()
    for place in range(before + 1, trials + 1):
        if search.default_value is not None and time.monotonic() - start > seconds:
            break
        message = search.run_trial(run.settings.model_seconds)
        announce(f"{name} {place} of {trials}: {message}")
    if not search.finished(pruned=False):
        raise RecsysError(f"{name}: every trial failed; the reasons are given above")
    tuned = search.result(run)
    write_tuned(run.layout, tuned)
    return tuned


def value_of(run: DomainRun, name: str, params: Mapping[str, Any]) -> float:
    """Return the value of these parameters on the validation fold; a trial of them is kept like any other.

    Args:
        run: the domain.
        name: name of the model.
        params: of the model; those that are searched are used, the others are the defaults.

    Raises:
        RecsysError: the fit failed; the message says why.
    """
    search = _Search.of(run, get_searchable(name))
    searched = {name: params[name] for name in search.model_class.params_type.searched}
    value, message = search.value_of(searched), ""
    if value is None:
        if search.default_value is None:  # they are first in the queue
            search.run_trial(run.settings.model_seconds)
        search.study.enqueue_trial(searched, user_attrs={WHOLE: True})
        message = search.run_trial(run.settings.model_seconds)
        value = search.value_of(searched)
    if value is None:
        raise RecsysError(f"{name}: {message}")
    return value


def get_searchable(name: str) -> type[Model]:
    """Return the model of that name; raise UsageError, listing the others, if it has no parameters to search."""
    model_class = get_model_class(name)
    if not model_class.params_type.searched:
        raise UsageError(f"{name} has no parameters to search; models that have: {', '.join(searchable_models())}")
    return model_class


def searchable_models() -> list[str]:
    """Return the names of the models that have parameters to search."""
    return [name for name in model_names() if get_model_class(name).params_type.searched]


@dataclass(frozen=True)
class _Search:
    """The trials of one model on one set of folds.

    Attributes:
        model_class: the model.
        study: the trials.
        parts: the data, of a growing share of the users; all of them last.
        moments: (n_users,) of the users of the validation fold, as of `Holdout`; None if the folds are cut by hash.
        seed: of every fit.
        metric: the metric that is optimised.
    """

    model_class: type[Model]
    study: "optuna.Study"
    parts: list[TrainingData]
    moments: NDArray[np.int64] | None
    seed: int
    metric: MetricKey

    @classmethod
    def of(cls, run: DomainRun, model_class: type[Model]) -> "_Search":
        """Open the search of a model, with the defaults as the first trial if they were not tried yet."""
        import optuna

        holdout = load_holdout(run.warehouse)
        data, index, moments = holdout.data, holdout.id_map_hash, holdout.moments.get("validation")
        model_class.require(data)
        seed, predicts_ratings = run.settings.seed, issubclass(model_class, RatingPredictor)
        metric = RATING_METRIC if predicts_ratings else RANKING_METRIC
        if predicts_ratings and not len(data.validation.rated):
            raise RecsysError(
                f"{model_class.name}: the validation fold holds no ratings, so there is no {metric} to search by; "
                "choose a dataset with more ratings"
            )
        if not predicts_ratings and not len(Relevance.LIKED.relevant(data.validation, data.like_threshold)):
            reason = nothing_relevant(data.validation, data.like_threshold, "validation fold")
            raise RecsysError(f"{model_class.name}: {reason}")
        trials_file = run.layout.tuning_trials(run.domain.name, model_class.name).absolute()
        trials_file.parent.mkdir(parents=True, exist_ok=True)
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        objective = str(metric) if moments is None else f"{metric} folded in"
        study = optuna.create_study(
            storage=f"sqlite:///{trials_file}",
            study_name=f"{objective}, data {run.origin.data_version}, index {index}, seed {seed}",
            direction="minimize" if predicts_ratings else "maximize",
            pruner=optuna.pruners.MedianPruner(n_startup_trials=TRIALS_BEFORE_PRUNING),
            load_if_exists=True,
        )
        search = cls(model_class, study, _growing_parts(data, seed), moments, seed, metric)
        if search.default_value is None:
            defaults = model_class.params_type().model_dump()
            searched = {name: defaults[name] for name in model_class.params_type.searched}
            study.enqueue_trial(searched, user_attrs={DEFAULT: True, WHOLE: True})
        return search

    def seed_sampler(self, seed: int) -> None:
        """Let the next trials be drawn with a seed."""
        from optuna.samplers import TPESampler

        self.study.sampler = TPESampler(seed=seed)

    def finished(self, *, pruned: bool = True) -> "list[optuna.trial.FrozenTrial]":
        """Return the trials that were completed or, if `pruned`, stopped early, but not failed or killed ones."""
        from optuna.trial import TrialState

        states = [TrialState.COMPLETE, TrialState.PRUNED] if pruned else [TrialState.COMPLETE]
        return self.study.get_trials(states=states)

    @property
    def default_value(self) -> float | None:
        """The value of the model's default parameters; None if they were not tried or failed."""
        return next((trial.value for trial in self.finished(pruned=False) if DEFAULT in trial.user_attrs), None)

    def value_of(self, searched: Mapping[str, Any]) -> float | None:
        """Return the value of a trial of these parameters; None if there is none that was completed."""
        return next((trial.value for trial in self.finished(pruned=False) if trial.params == searched), None)

    def run_trial(self, seconds: float) -> str:
        """Run one trial of at most so many seconds, and return its result in a line."""
        from optuna.trial import TrialState

        trial = self.study.ask()
        result = attempt(self.model_class.name, lambda: self._evaluate(trial), seconds=seconds)
        if result.outcome.state is not State.FITTED:
            self.study.tell(trial, state=TrialState.FAIL)
            message = f"failed: {result.outcome.reason}"
        elif result.value is None:
            self.study.tell(trial, state=TrialState.PRUNED)
            message = "stopped early"
        else:
            self.study.tell(trial, result.value)
            message = f"{self.metric} {result.value:.4f}, best {self.study.best_value:.4f}"
        return f"{message}; {', '.join(f'{name} {value:.4g}' for name, value in trial.params.items())}"

    def _evaluate(self, trial: "optuna.Trial") -> float | None:
        """Return the value of the trial on all users; None if it was stopped on a part of them."""
        params_type = self.model_class.params_type
        params = params_type(**{name: values.suggest(trial, name) for name, values in params_type.searched.items()})
        for step, part in enumerate(self.parts):
            value = _validation_value(self.model_class(params, seed=self.seed).fit(part), part, self.moments)
            trial.report(value, step)
            if part is not self.parts[-1] and WHOLE not in trial.user_attrs and trial.should_prune():
                return None
        return value

    def result(self, run: DomainRun) -> Tuned:
        """Return the best trial."""
        tried, completed = len(self.finished()), len(self.finished(pruned=False))
        return Tuned(
            model=self.model_class.name,
            domain=run.domain.name,
            dataset=run.origin.dataset_id,
            data_version=run.origin.data_version,
            date=datetime.now(UTC).isoformat(timespec="seconds"),
            metric=str(self.metric),
            value=self.study.best_value,
            default_value=self.default_value,
            params=self.model_class.params_type(**self.study.best_params).model_dump(),
            trials=tried,
            pruned=tried - completed,
        )


def _growing_parts(data: TrainingData, seed: int) -> list[TrainingData]:
    """Return the data of a share of the users, then of all users.

    The share is drawn from the users of the validation fold and from the others alike; if it would hold too few of the
    former, only all users are returned.
    """
    is_evaluated = np.bincount(data.validation.users, minlength=data.n_users) > 0
    if USER_SHARE * np.count_nonzero(is_evaluated) < MIN_EVALUATED_USERS:
        return [data]
    drawn = np.random.default_rng(seed).random(data.n_users)
    bounds = [np.quantile(drawn[group], USER_SHARE) if group.any() else 0 for group in (~is_evaluated, is_evaluated)]
    kept = drawn <= np.where(is_evaluated, bounds[1], bounds[0])
    train, validation = (pairs.where(kept[pairs.users]) for pairs in (data.train, data.validation))
    return [replace(data, train=train, validation=validation), data]


def _validation_value(model: Model, data: TrainingData, moments: NDArray[np.int64] | None) -> float:
    """Return the RMSE of a model that predicts ratings, else the NDCG, on the validation fold."""
    if isinstance(model, RatingPredictor):
        rated = data.validation.rated
        errors = predictions(model, rated).astype(np.float64) - rated.ratings
        return float(np.sqrt(np.mean(errors**2)))
    result = evaluate(
        model,
        data.validation,
        None,
        like_threshold=data.like_threshold,
        folded_in=None if moments is None else FoldedIn.at(moments, data.validation, [data.train]),
        ks=(LONG_LIST,),
        seed=0,
        resamples=1,
    )
    return next(metric.value for metric in result.metrics if metric.key == RANKING_METRIC)
